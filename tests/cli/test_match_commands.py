"""Matching and visual queries by the commands a user types, from training to the answer of a search."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from PIL import Image

from kinema.cli.main import main
from kinema.errors import ConfigError, DataError, NotBuiltError
from kinema.project import Project
from kinema.steps.finetuning_project import open_shop, take_up, visual_of_project
from kinema.testing.clips import write_clip
from tiny_encoders import WORDS, save_bert, save_vit, topic_items, topic_picture

ITEMS, TOPICS = 48, 6
SETTINGS = """[media]
num_frames = 2
pictures = false
[runtime]
workers = 1
[encoders]
text = "bert"
frames = "vit"
motion = ""
sound = ""
[search]
[recommend]
"""


def run(*command, shop=None):
    asked = [*map(str, command), *(() if shop is None else ("-p", str(shop), "--quiet"))]
    return CliRunner().invoke(main, asked)


def told(*command, shop=None):
    done = run(*command, "--json", shop=shop)
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


@pytest.fixture(scope="module", name="shop")
def made_shop(tmp_path_factory):
    """Items of six topics with clips in the topic's colour; sessions stay with a topic; searches name it by a word of its own."""
    home = tmp_path_factory.mktemp("matched")
    shop = home / "shop"
    Project.init(shop).close()
    (shop / "kinema.toml").write_text(SETTINGS)
    save_bert(shop / "bert")
    save_vit(shop / "vit")
    rows, random = topic_items(ITEMS), np.random.default_rng(0)
    (home / "clips").mkdir()
    for number, row in enumerate(rows):
        row["media_path"] = f"{row['id']}.avi"
        pictures = [topic_picture(number, seed=seed) for seed in range(3)]
        write_clip(home / "clips" / row["media_path"], pictures)
    pl.DataFrame(rows).write_csv(home / "items.csv")
    events = []
    for user in range(40):
        own = random.permutation(np.arange(user % TOPICS, ITEMS, TOPICS))
        events += [
            (f"u{user}", f"v{item}", 1_700_000_000 + 90_000 * user + 60 * step, "click")
            for step, item in enumerate(own)
        ]
    pl.DataFrame(events, schema=["user", "item", "timestamp", "kind"], orient="row").write_csv(home / "events.csv")
    pairs = []
    for number in range(90):
        words = random.permutation(WORDS[number % TOPICS * 8 : number % TOPICS * 8 + 8])[:2]
        items = random.permutation(np.arange(number % TOPICS, ITEMS, TOPICS))[:3]
        pairs += [(f"{words[0]} {words[1]} x{number}", f"v{item}") for item in items]
    pl.DataFrame(pairs, schema=["query", "item"], orient="row").write_csv(home / "pairs.csv")
    with Project.open(shop) as project:
        project.ingest(videos=home / "clips", items=home / "items.csv", events=home / "events.csv")
        project.extract()
    return shop


@pytest.fixture(scope="module", name="texts")
def made_texts(shop):
    return told("finetune", "match", "--pairs", shop.parent / "pairs.csv", "--epochs", 3, shop=shop)


def test_words_are_learnt_measured_and_served(shop, texts, monkeypatch, tmp_path):
    report = texts["report"]
    assert set(report["metrics"]) == {"match", "cosine", "chance", "search of today", "search with match"}
    assert report["source"] == "table pairs.csv"
    assert report["candidates"] == "all 48 items of the catalogue but the query's other right answers"
    assert report["metrics"]["match"].keys() == {"warm", "cold"}
    assert texts["in_use"] is False
    plain = told("search", WORDS[0], shop=shop)
    assert "text" in plain["weights"]
    monkeypatch.setenv("KINEMA_SEARCH__MATCHER", "true")
    learnt = told("search", WORDS[0], shop=shop)
    assert "match" in learnt["weights"]
    assert "text" not in learnt["weights"]
    (tmp_path / "queries.csv").write_text(f"query\n{WORDS[0]}\n{WORDS[9]} x1\n")
    model = shop / "artifacts" / "match"
    asked = ["predict", "match", model, "--table", tmp_path / "queries.csv", "--to", tmp_path / "answers.csv", "-n", 4]
    assert told(*asked, shop=shop)["rows"] == 8
    answers = pl.read_csv(tmp_path / "answers.csv")
    assert answers.columns == ["query", "position", "item", "score"]
    assert answers["position"].to_list() == [0, 1, 2, 3] * 2
    cosines = {one["id"]: one["evidence"]["cosine"]["match"] for one in learnt["items"]}
    scores = dict(answers.filter(pl.col("query") == WORDS[0]).select("item", "score").iter_rows())
    both = cosines.keys() & scores.keys()
    assert both
    assert all(cosines[one] == pytest.approx(scores[one], abs=1e-3) for one in both)


def test_the_encoder_may_learn_to_read_queries(shop, texts, monkeypatch):
    found = told("finetune", "match", "--pairs", shop.parent / "pairs.csv", "--learn", "lora", "--epochs", 1, shop=shop)
    assert found["report"]["learns"] == "lora"
    assert (shop / "artifacts" / "match" / "texts" / "encoder.safetensors").is_file()
    monkeypatch.setenv("KINEMA_SEARCH__MATCHER", "true")
    assert "match" in told("search", WORDS[0], shop=shop)["weights"]
    top = run("finetune", "match", "--learn", "top", "--layers", 1, "--epochs", 1, shop=shop)
    assert top.exit_code == 0, top.output
    assert "parts of the items' own texts stand for queries" in top.output
    assert "model: " in top.output
    assert told("search", WORDS[0], shop=shop)["weights"]["match"] == 1.0
    del texts


def test_items_that_follow_are_learnt_and_served_by_similar(shop, monkeypatch, tmp_path):
    found = told("finetune", "match", "--what", "items", "--epochs", 3, shop=shop)
    assert {"match", "content", "chance"} <= set(found["report"]["metrics"])
    assert "the newest by time" in found["report"]["held_out"]
    before = told("similar", "v3", shop=shop)
    monkeypatch.setenv("KINEMA_RECOMMEND__MATCHER", "true")
    after = told("similar", "v3", shop=shop)
    assert [step["detail"]["by"] for one in (before, after) for step in one["trace"] if step["stage"] == "rank"] == [
        "content",
        "match",
    ]
    (tmp_path / "items.csv").write_text("item\nv3\nv4\n")
    model = shop / "artifacts" / "match" / "items"
    asked = ["predict", "match", model, "--table", tmp_path / "items.csv", "--to", tmp_path / "next.jsonl", "-n", 3]
    assert told(*asked, shop=shop)["rows"] == 6
    answers = pl.read_ndjson(tmp_path / "next.jsonl")
    assert "v3" not in answers.filter(pl.col("item") == "v3")["answer"].to_list()
    (tmp_path / "items.csv").write_text("item\nw3\n")
    failed = run(*asked, shop=shop)
    assert isinstance(failed.exception, DataError)
    assert "'items.csv' must name items of the catalogue, has 'w3' in row 1" in str(failed.exception)
    assert run("finetune", "match", "--what", "items", "--learn", "top", shop=shop).exit_code == 2
    again = told("finetune", "match", "--what", "items", "--epochs", 3, shop=shop)["report"]
    assert again["metrics"] == found["report"]["metrics"]
    assert again["notices"][-1].startswith(f"this run was finished before, in {shop / 'runs' / 'match' / 'items'}")
    failed = run("finetune", "match", "--what", "items", "--set", "network.depth=2", shop=shop)
    with pytest.raises(ConfigError, match=r"unknown key 'depth' in network of --set or \[finetune.match\]"):
        raise failed.exception


def test_pictures_are_learnt_and_served(shop, monkeypatch, tmp_path):
    found = run("finetune", "visual", "--epochs", 2, shop=shop)
    assert found.exit_code == 0, (found.output, found.exception)
    assert "a part of the clip, changed in other ways" in found.output
    again = run("finetune", "visual", "--epochs", 2, "--tensorboard", shop=shop)
    assert "this run was finished before" in "".join(again.output.splitlines())
    monkeypatch.setenv("KINEMA_FINETUNE__VISUAL__MAX_EPOCHS", "1")
    settled = told("finetune", "visual", "--set", "network.directions=8", "--seed", 3, shop=shop)["report"]
    assert (settled["epochs"], settled["notices"]) == (1, [])
    Image.fromarray(topic_picture(7)).save(tmp_path / "seven.png")
    monkeypatch.setenv("KINEMA_SEARCH__VISUAL", "true")
    by_picture = told("search", "--image", tmp_path / "seven.png", shop=shop)
    assert by_picture["weights"] == {"visual": 1.0}
    by_clip = told("search", "--clip", shop.parent / "clips" / "v7.avi", shop=shop)
    assert by_clip["items"][0]["id"] == "v7"
    assert by_clip["items"][0]["evidence"]["cosine"]["visual"] == pytest.approx(1.0, abs=0.01)


def test_a_line_is_written_only_where_it_takes_effect(shop, monkeypatch, tmp_path):
    (tmp_path / "kinema.toml").write_text((shop / "kinema.toml").read_text())
    take_up(tmp_path, section="search", key="visual")
    assert "[search]\nvisual = true\n" in (tmp_path / "kinema.toml").read_text()
    monkeypatch.setenv("KINEMA_SEARCH__MATCHER", "false")
    with pytest.raises(ConfigError, match=r"KINEMA_SEARCH__MATCHER sets it to false; unset it"):
        take_up(tmp_path, section="search", key="matcher")


def test_what_was_not_learnt_yet_is_said(tmp_path, monkeypatch):
    Project.init(tmp_path / "bare").close()
    (tmp_path / "bare" / "kinema.toml").write_text('[encoders]\nframes = ""\nmotion = ""\nsound = ""\n')
    (tmp_path / "items.jsonl").write_text(
        "".join(json.dumps({"id": f"i{n}", "title": f"kite {n}"}) + "\n" for n in range(9))
    )
    monkeypatch.setenv("KINEMA_SEARCH__MATCHER", "true")
    with Project.open(tmp_path / "bare") as project:
        project.ingest(items=tmp_path / "items.jsonl")
        project.extract()
        with pytest.raises(
            NotBuiltError, match=r"\[search\] matcher must have something learnt.*run: kinema finetune match"
        ):
            project.search("kites")
        parts = {"settings": project.settings, "store": project.store, "dataset": project.dataset()}
        shop = open_shop(folder=Path(project.folder), media_root=None, workers=1, seed=0, **parts)
        with pytest.raises(
            ConfigError, match=r"\[encoders\] frames must name an encoder to compare pictures by, is empty"
        ):
            visual_of_project(shop)
