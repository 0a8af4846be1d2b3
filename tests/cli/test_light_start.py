"""Serving commands start light: what only training, or checkpoints by name, need is not imported."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.project import Project

HEAVY = (
    "transformers",
    "sklearn",
    "torch._dynamo",
    "torch._inductor",
    "onnx",
    "onnxruntime",
    "peft",
    "optuna",
    "pandas",
)
SETTINGS = '[encoders]\nframes = ""\nmotion = ""\nsound = ""\n[flm]\nmax_epochs = 1\n[runtime]\nworkers = 1\n'
SCRIPT = f"""
import json, os, sys
from kinema.cli.main import main
for name, environment, commands in json.loads(sys.argv[1]):
    os.environ |= environment
    for command in commands:
        main(command, standalone_mode=False)
    print("AFTER", name, [one for one in {HEAVY!r} if one in sys.modules], "torch" in sys.modules)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("light") / "shop"
    Project.init(folder).close()
    (folder / "kinema.toml").write_text(SETTINGS)
    items = [{"id": f"i{n}", "title": f"{'otters' if n % 2 else 'kites'} number {n}"} for n in range(12)]
    events = [
        {"user": f"u{n % 6}", "item": f"i{(n * 5 + n // 6) % 12}", "timestamp": 1_700_000_000 + n, "kind": "like"}
        for n in range(40)
    ]
    for name, rows in (("items", items), ("events", events)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with Project.open(folder) as project:
        project.ingest(items=folder / "items.jsonl", events=folder / "events.jsonl")
        project.extract()
        project.pretrain()
    return folder


@pytest.fixture(scope="module")
def matching(shop, tmp_path_factory):
    """The same project after it has learnt what questions mean."""
    tmp_path = tmp_path_factory.mktemp("pairs")
    pairs = [f"{'swim' if n % 2 else 'fly'} {n // 2},i{n % 12}" for n in range(60)]
    more = [{"id": f"j{n}", "title": f"{'otters' if n % 2 else 'kites'} and {n}"} for n in range(20)]
    (tmp_path / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in more))
    pairs += [f"{'swim' if n % 2 else 'fly'} more {n},j{n}" for n in range(20)]
    (tmp_path / "pairs.csv").write_text("query,item\n" + "\n".join(pairs) + "\n")
    with Project.open(shop) as project:
        project.ingest(items=tmp_path / "more.jsonl")
        project.extract()
    learn = ["finetune", "match", "--pairs", str(tmp_path / "pairs.csv"), "--learn", "lora", "--epochs", "1", "--quiet"]
    assert CliRunner().invoke(main, [*learn, "-p", str(shop)]).exit_code == 0
    return shop


@pytest.fixture(scope="module")
def imported(matching, data_dir):
    """Commands one after the other in one new process; after each kind, the heavy modules that any so far has imported, and
    whether torch is among them. What weighs least comes first."""
    clip = data_dir / "clips" / "real" / "bikes.mp4"
    kinds = [
        ("check", {}, [("check",)]),
        ("serving", {}, [("search", "otters"), ("recommend", "u1"), ("similar", "i3"), ("audience", "i3")]),
        ("matching", {"KINEMA_SEARCH__MATCHER": "true"}, [("search", "otters")]),
        ("clip", {"KINEMA_SEARCH__MATCHER": "false"}, [("ingest", "--videos", str(clip), "--live")]),
    ]
    asked = [
        (name, environment, [[*command, "-p", str(matching), "--quiet"] for command in commands])
        for name, environment, commands in kinds
    ]
    done = subprocess.run([sys.executable, "-c", SCRIPT, json.dumps(asked)], capture_output=True, text=True, check=True)
    told = [line.split(maxsplit=2)[1:] for line in done.stdout.splitlines() if line.startswith("AFTER ")]
    assert [name for name, _ in told] == [name for name, _, _ in kinds]
    return dict(told)


def test_looking_at_the_store_takes_no_torch(imported):
    assert imported["check"] == "[] False"


def test_serving_commands_import_neither_transformers_nor_what_trains(imported):
    assert imported["serving"] == "[] True"


def test_serving_what_matching_has_learnt_imports_nothing_that_trains(imported):
    assert imported["matching"] == "[] True"


def test_a_clip_that_comes_in_is_understood_without_transformers(imported):
    assert imported["clip"] == "[] True"
