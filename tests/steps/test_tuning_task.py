"""`kinema tune` from a table and from a log to settings that `kinema finetune` uses."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from kinema.cli.learning import parsed_settings
from kinema.cli.main import main
from kinema.errors import ConfigError
from kinema.settings import load_settings
from kinema.steps.finetuning_options import Asked
from kinema.steps.tuning_task import TuneJob, _begin, tune_task
from kinema.steps.tuning_tasks import TUNABLE
from kinema.steps.tuning_worker import run_trial
from kinema.training.task_settings import TASKS, TaskSettings
from kinema.tuning.task_space import SPACES

pytest.importorskip("optuna", reason="optuna comes with the extra tune")

TOML = """# ours
[finetune]
max_epochs = 2  # enough here

[tune.click_table]
learning_rate = {low = 1e-3, high = 1e-1, log = true}
batch_size = [64, 128]
network.width = {low = 2, high = 6}
network.hidden = [[8], [8, 8]]
"""


@pytest.fixture(name="shop")
def made_shop(tmp_path, monkeypatch):
    """A folder with settings and a table in which clicks follow from user and item."""
    random = np.random.default_rng(0)
    user, item = random.integers(0, 6, 400), random.integers(0, 8, 400)
    frame = {"user": [f"u{one}" for one in user], "item": item, "label": (user + item) % 2}
    pl.DataFrame(frame).write_csv(tmp_path / "train.csv")
    (tmp_path / "kinema.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments):
    done = CliRunner().invoke(main, [str(one) for one in (*arguments, "--quiet")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


TABLE = ("--train", "train.csv", "--to", "model")


def test_a_search_over_a_table_ends_in_settings_that_finetune_uses(shop):
    found = json.loads(call("tune", "click", *TABLE, "--trials", 5, "--workers", 2, "--write", "--json"))
    assert found["trials"][0]["settings"] == {
        "learning_rate": 1e-3,
        "batch_size": 64,
        "network.width": 10,
        "network.hidden": [400, 400, 400],
    }
    assert [one["state"] for one in found["trials"]].count("failed") == 0
    assert len(found["trials"]) == 5
    assert found["metric"] == "auc"
    assert found["num_valid"] == 40
    page = (shop / "model-tune" / "report.html").read_text()
    assert page.count("<svg") >= 2
    assert found["snippet"].splitlines()[0] in page
    text = (shop / "kinema.toml").read_text()
    assert text.startswith("# ours\n[finetune]\nmax_epochs = 2  # enough here\n")
    section = load_settings(shop / "kinema.toml").finetune["click_table"]
    chosen = found["trials"][found["chosen"]]["settings"]
    assert (section["learning_rate"], section["network"]["width"]) == (chosen["learning_rate"], chosen["network.width"])
    report = json.loads(call("finetune", "click", *TABLE, "--json"))
    assert json.loads((shop / "model-run" / "report.json").read_text())["options"]["max_epochs"] == 2
    assert json.loads((shop / "model" / "manifest.json").read_text())["config"]["width"] == chosen["network.width"]
    assert report["metrics"]["valid"]["auc"] > 0
    # What is now in kinema.toml changes neither the examples nor the space, so the search goes on.
    people = call("tune", "click", *TABLE, "--trials", 5)
    assert "5 trials on 40 validation examples" in people
    assert "began anew" not in people


def test_a_search_of_other_examples_begins_anew_and_keeps_the_one_before(shop):
    wanted = job(shop)
    wanted.folder.mkdir()
    assert _begin(wanted, "one") == []
    (wanted.folder / "study.db").write_text("old")
    assert _begin(wanted, "one") == []
    assert "began anew: the examples, the space or fixed settings have changed" in _begin(wanted, "two")[0]
    assert (wanted.folder / "earlier" / "study.db").read_text() == "old"
    (wanted.folder / "study.db").write_text("new")
    assert "began anew: as --restart asks" in _begin(replace(wanted, asked=Asked(restart=True)), "two")[0]


def test_two_searches_do_not_work_on_one_study(shop):
    code = "import sys; from pathlib import Path; from kinema.store.claims import Claims; "
    code += "claims = Claims(Path(sys.argv[1])); print(claims.take('0'), flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(shop / "study")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout.readline().strip() == b"True"
        with pytest.raises(ConfigError, match=r"a search must be the only one in .*study, another is at work there"):
            tune_task(job(shop))
        other.stdin.close()


def test_a_run_is_kept_goes_on_and_begins_anew_when_asked(shop):
    table = ("finetune", "click", *TABLE, "--set", "network.hidden=[8]", "--learning-rate", 0.01)
    first = json.loads(call(*table, "--epochs", 1, "--json"))
    assert first["epochs"] == 2
    again = json.loads(call(*table, "--epochs", 1, "--json"))
    assert "this run was finished before, in model-run; --restart trains again" in again["notices"]
    assert again["metrics"] == first["metrics"]
    anew = json.loads(call(*table, "--epochs", 1, "--restart", "--json"))
    assert not any("finished before" in one for one in anew["notices"])
    assert anew["metrics"] == first["metrics"]
    other = json.loads(call(*table, "--epochs", 1, "--set", "refine=0", "--json"))
    assert other["epochs"] == 1


def test_the_step_size_is_found_and_tensorboard_is_told(shop):
    pytest.importorskip("tensorboard", reason="tensorboard comes with the extra logs")
    told = json.loads(call("finetune", "click", *TABLE, "--hidden", "8", "--find-rate", "--tensorboard", "--json"))
    rate = next(re.search(r"learning_rate = (\S+), by --find-rate", one) for one in told["notices"] if "by" in one)
    assert json.loads((shop / "model-run" / "report.json").read_text())["options"]["learning_rate"] == float(rate[1])
    assert list((shop / "model-run" / "tensorboard").rglob("events.out.*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tune", "click", "--to", "m"), "--valid, --to and --field must come with --train"),
        (("tune", "click", *TABLE[:2]), "--train must come with --to, the folder of the model; give one"),
        (
            ("tune", "click", *TABLE, "--set", "width=3"),
            r"unknown key 'width' in .*settings of what is learnt are network",
        ),
        (("finetune", "click", *TABLE, "--set", "dropout"), "--set must be NAME=VALUE, is 'dropout'"),
        (
            ("finetune", "click", *TABLE, "--set", "network.widht=3"),
            "unknown key 'widht' in network of .* did you mean 'width'",
        ),
        (("finetune", "click", *TABLE, "--set", "network.hidden=3"), "'hidden' in network of .* must be a list, is 3"),
    ],
)
def test_what_is_asked_for_in_vain_is_said(shop, arguments, message):
    with pytest.raises(ConfigError, match=message):
        CliRunner().invoke(main, [str(one) for one in arguments], catch_exceptions=False)


def job(shop, **changes):
    place = {"train": str(shop / "train.csv"), "valid": None, "label": "label", "fields": [], "min_count": 2}
    given = {"task": "click_table", "place": place, "folder": shop / "study", "finetune": {}, "tune": {}}
    return TuneJob(**(given | {"asked": Asked(), "trials": 2} | changes))


def test_a_search_that_cannot_be_is_refused(shop):
    with pytest.raises(ConfigError, match="unknown key 'clik' in the tasks that can be tuned, did you mean 'click'"):
        job(shop, task="clik")
    with pytest.raises(ConfigError, match="a search must have an end, has none; give --trials or --seconds"):
        job(shop, trials=None)
    with pytest.raises(ConfigError, match="a search must have at least 1 worker, has 0"):
        job(shop, workers=0)
    with pytest.raises(
        ConfigError, match=r"a search must have a setting to search, has none left; add one to \[tune.cl"
    ):
        tune_task(job(shop, tune={"click_table": {"patience": [2]}}))
    with pytest.raises(ConfigError, match=r"unknown key 'patients' in \[tune.click_table\], did you mean 'patience'"):
        tune_task(job(shop, tune={"click_table": {"patients": [2, 3]}}))


def test_settings_that_fail_are_told_with_their_reason(shop):
    space = {"optimizer": ["adamw", "lion"]}
    found = tune_task(job(shop, tune={"click_table": space}, asked=Asked({"max_epochs": 1}), trials=6))
    failed = [one for one in found.trials if one.state == "failed"]
    assert failed
    assert "unknown optimizer 'lion'" in failed[0].reason
    assert "unknown optimizer" in found.report.read_text()


def test_every_task_that_can_be_tuned_has_a_section_and_a_space():
    assert set(TUNABLE) == set(SPACES) <= set(TASKS)


def test_texts_and_numbers_on_the_command_line_are_what_toml_makes_of_them():
    assert parsed_settings(("a=1e-3", "b=cosine", "c=[1, 2]", 'd="x"')) == {
        "a": 1e-3,
        "b": "cosine",
        "c": [1, 2],
        "d": "x",
    }


def quick(task, place):
    """One training of a task in this process: value and what each example says."""
    tunable = TUNABLE[task](place | {"seed": 0})
    base = TaskSettings({"max_epochs": 1, "batch_size": 64})
    found = run_trial(tunable, {"learning_rate": 0.01}, base=base, seed=0, ask=lambda *_: True)
    assert len(found.gains_N) == len(tunable.groups_N)
    assert found.gains_N.mean() == pytest.approx(found.value, rel=1e-4)
    return found


def test_what_examples_of_a_table_say_is_the_metric(shop):
    place = {"train": str(shop / "train.csv"), "valid": None, "label": "label", "fields": [], "min_count": 2}
    assert 0 < quick("click_table", place).value < 1
