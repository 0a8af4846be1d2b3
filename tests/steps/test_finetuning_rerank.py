"""A re-ranker from a project's catalogue or from judged pairs, and the search that is read again, by the commands a user types."""

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.errors import ConfigError, DataError
from kinema.progress import silent
from kinema.project import Project
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.finetuning_rerank import RerankTraining, finetune_rerank
from kinema.steps.rerank_lessons import Asker, lesson_of_pairs
from kinema.training.task_settings import TaskSettings
from tiny_encoders import TOPICS, WORDS, save_bert, write_topic_project

ITEMS = 72


@pytest.fixture(scope="module", name="shop")
def made_shop(tmp_path_factory):
    """Items of topics, read by a tiny BERT, and judged pairs: a query is about a topic by words that its items may lack."""
    folder = tmp_path_factory.mktemp("rerank")
    save_bert(folder / "shop" / "encoders" / "tiny", "BertModel")
    write_topic_project(folder, items=ITEMS, events=False)
    (folder / "shop" / "kinema.toml").write_text(
        '[encoders]\ntext = "encoders/tiny"\nframes = ""\nmotion = ""\nsound = ""\n[runtime]\nworkers = 1\n'
    )
    random = np.random.default_rng(0)
    rows = []
    for number in range(90):
        topic = number % TOPICS
        query = " ".join(random.choice(WORDS[topic * 8 : topic * 8 + 8], 2, replace=False))
        rows += [
            {"query": query, "item": f"v{item}", "grade": 2 * (item % TOPICS == topic)}
            for item in random.choice(ITEMS, 8, replace=False).tolist()
        ]
    rows.append({"query": "unknown item", "item": "v9999", "grade": 1})
    pl.DataFrame(rows).write_csv(folder / "pairs.csv")
    with Project.open(folder / "shop") as project:
        project.ingest(items=folder / "items.csv")
        project.extract()
    return folder


def run(*asked):
    done = CliRunner().invoke(main, [*map(str, asked), "--quiet"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module", name="report")
def made_report(shop):
    asked = ["finetune", "rerank", "-p", shop / "shop", "--pairs", shop / "pairs.csv", "--learn", "full", "--epochs", 3]
    return json.loads(run(*asked, "--learning-rate", "3e-3", "--json"))


def test_judged_pairs_become_a_re_ranker_that_is_measured_on_other_queries(report, shop):
    assert report["num_queries"]["train"] > report["num_queries"]["test"] > 0
    assert report["metrics"]["test"]["queries"] == report["num_queries"]["test"]
    assert set(report["metrics"]) == {"test", "new items"}
    assert report["metrics"]["test"]["ndcg"] == pytest.approx(report["metrics"]["test"]["ndcg_search"] + report["gain"])
    assert 0 <= report["weight"] <= report["chosen"]["best"] <= 1
    assert report["chosen"]["queries"] == report["num_queries"]["valid"]
    assert report["chosen"]["ndcg"] <= report["chosen"]["best_ndcg"]
    assert "1 pairs without query or of items that are not in the catalogue are left out" in report["notices"]
    assert report["delta"]["num_heads"] == 32 * 32 + 32 + 32 + 1
    assert (shop / "shop" / "artifacts" / "rerank" / "delta" / "delta.safetensors").is_file()


def test_only_what_was_judged_counts_where_something_was_judged_wrong(report, shop):
    assert any("the table says what is wrong" in one for one in report["notices"])
    rows = pl.read_csv(shop / "pairs.csv").filter(pl.col("grade") > 0).drop("grade")
    rows.write_csv(shop / "right.csv")
    with Project.open(shop / "shop") as project:
        parts = {"slates": project.slates(), "folder": project.folder, "settings": project.settings}
        asker = Asker(**parts, depth=8, negatives=3, seed=0, progress=silent, whole=project.dataset().items)
        judged, right = (lesson_of_pairs(asker, shop / f"{name}.csv") for name in ("pairs", "right"))
    known = pl.read_csv(shop / "pairs.csv").group_by("query").agg("item")
    items_of = {query: {int(one[1:]) for one in items} for query, items in known.iter_rows()}
    for part in ("train", "test"):
        assert all(set(case.items_K.tolist()) <= items_of[case.query] for case in judged.parts[part])
        assert any(not set(case.items_K.tolist()) <= items_of[case.query] for case in right.parts[part])
    for case in right.parts["train"]:
        assert (case.grades_K == 0).sum() <= 3
        assert not right.held_V[case.items_K].any()
    assert "every pair is taken for right" in " ".join(right.notices)


def test_a_search_is_read_again_only_where_it_is_asked_for(report, shop):
    query = f"{WORDS[0]} {WORDS[2]}"
    with Project.open(shop / "shop") as project:
        plain = project.search(query, num_items=5)
        assert plain.reranked == ""
        search = project.settings.search.model_copy(update={"reranker": True, "rerank_top": 12})
        project.settings = project.settings.model_copy(update={"search": search})
        again = project.search(query, num_items=5)
        longer = project.search(query, num_items=12)
    assert [one.id for one in longer.items[:5]] == [one.id for one in again.items]
    if report["weight"]:
        assert "cross-encoder on encoders/tiny (full, learnt from pairs of pairs.csv)" in again.reranked
        assert sorted(one.evidence["first_position"] for one in longer.items) == list(range(12))
        assert any(one.stage == "reread" for one in again.trace)
    with Project.open(shop / "shop") as project:
        assert [one.id for one in project.search(query, num_items=12).items] == [
            one.id for one in sorted(longer.items, key=lambda one: one.evidence.get("first_position", one.position))
        ]


def test_the_command_says_by_what_it_was_read_again_and_imports_nothing_that_trains(report, shop):
    script = (
        "import sys\nfrom kinema.cli.main import main\nmain(sys.argv[1:], standalone_mode=False)\n"
        "settings = {'', '.task_settings', '.fit_options', '.given_values', '.task_extras'}  # what reads [finetune] of kinema.toml\n"
        "found = {name.removeprefix('kinema.training') for name in sys.modules if name.startswith('kinema.training')}\n"
        "print(sorted(found - settings))\n"
    )
    asked = ["search", WORDS[1], "-p", str(shop / "shop"), "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", script, *asked],
        capture_output=True,
        text=True,
        check=True,
        env={**__import__("os").environ, "KINEMA_SEARCH__RERANKER": "true"},
    )
    assert done.stdout.splitlines()[-1] == "[]"
    if report["weight"]:
        assert "the first places were read again by a cross-encoder on encoders/tiny" in done.stdout


def test_without_a_re_ranker_the_remedy_is_named(tmp_path, monkeypatch):
    write_topic_project(tmp_path, items=6, events=False)
    Project.init(tmp_path / "bare").close()
    (tmp_path / "bare" / "kinema.toml").write_text('[encoders]\ntext = ""\nframes = ""\nmotion = ""\nsound = ""\n')
    with Project.open(tmp_path / "bare") as project:
        project.ingest(items=tmp_path / "items.csv")
    monkeypatch.setenv("KINEMA_SEARCH__RERANKER", "true")
    done = CliRunner().invoke(main, ["search", WORDS[0], "-p", str(tmp_path / "bare"), "--quiet"])
    assert "needs a re-ranker, there is none; run: kinema finetune rerank" in str(done.exception)


def test_the_catalogue_asks_itself_and_repeats_itself(shop):
    with Project.open(shop / "shop") as project:
        parts = {"folder": project.folder, "settings": project.settings}
        training = RerankTraining(num_queries=40, top=8, negatives=2)
        plan = FitPlan(TaskSettings({"max_epochs": 1}, {"method": "top", "layers": 1}))
        first, second = (finetune_rerank(project.slates(), **parts, training=training, plan=plan) for _ in range(2))
        assert first.num_queries == {"train": 26, "valid": 6, "test": 8}
        assert first.metrics == second.metrics
        assert "no pairs were given" in first.notices[0]
        assert first.metrics["test"]["ndcg_alone"] <= 1
    people = run("finetune", "rerank", "-p", shop / "shop", "--queries", "30", "--epochs", "1", "--learn", "frozen")
    assert "the second reading counts" in people
    assert "reranker = " in people


def test_the_section_counts_and_what_was_finished_is_not_trained_again(shop):
    toml = shop / "shop" / "kinema.toml"
    before = toml.read_text()
    toml.write_text(before + "[finetune.rerank]\nmax_epochs = 1\nnetwork = { method = 'top', layers = 1 }\n")
    asked = ["finetune", "rerank", "-p", shop / "shop", "--queries", 30]
    try:
        first, second = (json.loads(run(*asked, "--json")) for _ in range(2))
        other = json.loads(run(*asked, "--learn", "adapters", "--set", "network.width=4", "--epochs", 2, "--json"))
        with pytest.raises(ConfigError, match=r"unknown key 'layer' in network of --set or \[finetune.rerank\]"):
            run(*asked, "--set", "network.layer=2")
    finally:
        toml.write_text(before)
    assert (first["epochs"], first["delta"]["choice"]["method"]) == (1, "top")
    assert not any("finished before" in one for one in first["notices"])
    assert any("this run was finished before" in one for one in second["notices"])
    assert second["metrics"] == first["metrics"]
    choice = other["delta"]["choice"]
    assert (other["epochs"], choice["method"], choice["width"], choice["layers"]) == (2, "adapter", 4, 1)
    assert (shop / "shop" / "runs" / "rerank" / "epochs.csv").is_file()


def test_pairs_that_cannot_be_learnt_from_are_refused(shop, tmp_path):
    with Project.open(shop / "shop") as project:
        asked = {"folder": project.folder, "settings": project.settings}
        for content, message in (
            ("query,clip\na,b\n", r"pairs must have the column 'item', .* has query, clip"),
            ("query,item,label\na,v1,-1\n", r"label of a pair must be a number >= 0, is '-1' in row 1"),
            ("query,item\na,v1\n", r"at least 20 queries with a right item of the catalogue, .* has 1"),
        ):
            (tmp_path / "pairs.csv").write_text(content)
            with pytest.raises(DataError, match=message):
                finetune_rerank(project.slates(), pairs=tmp_path / "pairs.csv", **asked)


def test_a_catalogue_without_texts_is_refused(tmp_path):
    save_bert(tmp_path / "shop" / "encoders" / "tiny", "BertModel")
    (tmp_path / "shop" / "kinema.toml").write_text('[encoders]\ntext = "encoders/tiny"\nframes = ""\nmotion = ""\n')
    (tmp_path / "items.csv").write_text("id,title\n" + "".join(f"v{n},x\n" for n in range(30)))
    with Project.open(tmp_path / "shop") as project:
        project.ingest(items=tmp_path / "items.csv")
        with pytest.raises(DataError, match=r"at least 20 items must have texts to make queries of, 0 have"):
            finetune_rerank(project.slates(), folder=project.folder, settings=project.settings)
