"""Several tasks from one log in one run, and rankers whose heads a scenario weighs."""

import json

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from kinema.artifacts import MANIFEST
from kinema.cli.main import main
from kinema.errors import ConfigError, DataError, NotBuiltError
from kinema.project import Project
from kinema.steps.finetuning_engagement import finetune_engagement
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.finetuning_several import finetune_several
from kinema.steps.ranking_items import candidates_of, rank_items
from kinema.tasks.several_model import SeveralModel
from kinema.training.task_settings import TaskSettings

FLM_SETTINGS = "[flm]\nmax_epochs = 1\nd_model = 16\n"
TASKS = ["click", "rating", "next"]


def epochs(number):
    return FitPlan(asked=TaskSettings(options={"max_epochs": number}))


@pytest.fixture(scope="module", name="shop")
def made_shop(tmp_path_factory):
    """Half of what is shown is opened, by taste; some of that is liked, all of it is rated, one's own taste with more stars."""
    folder = tmp_path_factory.mktemp("several") / "shop"
    folder.mkdir()
    random = np.random.default_rng(0)
    rows = []
    for user in range(70):
        for step, item in enumerate(random.permutation(24)[:14].tolist()):
            moment = 1_700_000_000_000 + step * 3_600_000 + user
            rows.append((f"u{user}", f"v{item}", moment, "impression", None))
            mine = item % 2 == user % 2
            if mine or random.random() < 0.2:
                rows.append((f"u{user}", f"v{item}", moment + 100, "click", None))
                rows.append((f"u{user}", f"v{item}", moment + 900, "rating", 5.0 if mine else 2.0))
                if random.random() < 0.7:
                    rows.append((f"u{user}", f"v{item}", moment + 300, "like", None))
    items = {"id": [f"v{item}" for item in range(24)], "title": [f"Film {item}" for item in range(24)]}
    pl.DataFrame(items).write_csv(folder / "items.csv")
    schema = ["user", "item", "timestamp_ms", "kind", "value"]
    pl.DataFrame(rows, schema=schema, orient="row").write_csv(folder / "events.csv")
    Project.init(folder / "shop").close()
    (folder / "shop" / "kinema.toml").write_text(FLM_SETTINGS)
    with Project.open(folder / "shop") as project:
        project.ingest(items=folder / "items.csv", events=folder / "events.csv")
        with pytest.raises(NotBuiltError, match="a model of several tasks needs FLM's item vectors, there are none"):
            finetune_several(project.store, project.dataset(), artifacts=project.artifacts)
        project.pretrain(seed=1)
        finetune_several(project.store, project.dataset(), artifacts=project.artifacts, tasks=TASKS, plan=epochs(2))
        finetune_engagement(project.store, project.dataset(), artifacts=project.artifacts, plan=epochs(1))
    return folder / "shop"


def with_settings(shop, recommend, ask):
    """The answer of a project whose kinema.toml says something under [recommend]."""
    (shop / "kinema.toml").write_text(f"{FLM_SETTINGS}[recommend]\n{recommend}\n")
    try:
        with Project.open(shop) as project:
            return ask(project)
    finally:
        (shop / "kinema.toml").write_text(FLM_SETTINGS)


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty", "conflicts"])
def test_tasks_learn_together_by_every_weighting_and_say_whether_that_helps(shop, weighting):
    asked = [
        "finetune",
        "several",
        "-p",
        str(shop),
        "--tasks",
        "click,rating,next",
        "--epochs",
        "2",
        "--quiet",
        "--json",
    ]
    more = [
        "--weighting",
        weighting,
        "--weights",
        "click=1,rating=0.3",
        *(["--compare"] if weighting == "fixed" else []),
    ]
    done = CliRunner().invoke(main, [*asked, *more])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["weights"] == {"click": 1, "rating": 0.3, "next": 1}
    assert report["metrics"]["click"]["auc"] > 0.5
    assert report["metrics"]["rating"]["mse"] > 0
    assert 0 <= report["metrics"]["next"]["ndcg@10"] <= report["metrics"]["next"]["recall@10"] <= 1
    assert set(report["comparison"]) == (set(TASKS) if weighting == "fixed" else set())
    if weighting == "fixed":
        assert set(report["alone"]) == set(TASKS)
        assert "rating: sharing" in report["advice"]


def test_all_tasks_are_cut_at_the_same_moments(shop):
    with Project.open(shop) as project:
        found = finetune_several(
            project.store, project.dataset(), artifacts=project.artifacts, tasks=TASKS, plan=epochs(1)
        )
    assert sum(found.num_examples["click"].values()) == 70 * 14
    for name in TASKS:
        parts = found.num_examples[name]
        assert 0.75 < parts["train"] / sum(parts.values()) < 0.85


def test_the_same_seed_gives_the_same_bits_and_the_artefact_says_what_was_learnt(shop):
    folder = shop / "artifacts" / "several"
    found = []
    for _ in range(2):
        with Project.open(shop) as project:
            finetune_several(project.store, project.dataset(), artifacts=project.artifacts, tasks=TASKS, plan=epochs(1))
        found.append((folder / "network.safetensors").read_bytes())
    assert found[0] == found[1]
    model = SeveralModel.load(folder)
    assert tuple(model.config.tasks) == tuple(TASKS)
    assert model.scales == {"rating": (2.0, 5.0)}
    assert set(model.report) == set(TASKS)


def test_the_command_tells_people(shop):
    done = CliRunner().invoke(
        main, ["finetune", "several", "-p", str(shop), "--tasks", ",".join(TASKS), "-q", "--epochs", "1"]
    )
    assert done.exit_code == 0, done.output
    assert "several tasks, weighting fixed" in done.output
    assert "ndcg@10" in done.output


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"tasks": ["click", "walk"]}, "'walk' is no task that can be learnt beside others; known: click"),
        ({"tasks": ["click", "click"]}, "tasks must be different, are click, click"),
        ({"tasks": []}, "several tasks must be one at least, are none"),
        ({"tasks": ["click"], "weights": {"next": 1.0}}, "weights names 'next', which is no task; known: click"),
        (
            {"tasks": ["click"], "weighting": "luck"},
            "weighting must be one of fixed, uncertainty, conflicts, is 'luck'",
        ),
    ],
)
def test_what_cannot_be_learnt_is_refused(shop, more, message):
    with Project.open(shop) as project, pytest.raises(ConfigError, match=message):
        finetune_several(project.store, project.dataset(), artifacts=project.artifacts, **more)


def test_weights_that_are_no_numbers_and_outcomes_that_the_log_lacks_are_named(shop):
    done = CliRunner().invoke(main, ["finetune", "several", "-p", str(shop), "--weights", "click:1"])
    assert "--weights must be as in click=1,rating=0.3, has 'click:1'" in str(done.exception)
    with (
        Project.open(shop) as project,
        pytest.raises(DataError, match="label 'share' must be a kind of event of the log"),
    ):
        finetune_several(project.store, project.dataset(), artifacts=project.artifacts, tasks=["share"])


@pytest.mark.parametrize(
    ("ranker", "heads"), [("engagement", ["click", "like"]), ("several", ["click", "rating", "rating_value", "next"])]
)
def test_a_ranker_with_heads_moves_slates_and_scores_given_candidates(shop, ranker, heads):
    weights = "ranker_weight = 1.0\nhead_weights = { click = 1 }\nscenario_weights = { search = { click = -1 } }"

    def ask(project):
        slates = project.slates()
        wanted = ["v3", "v0", "v3", "v7"]
        found = rank_items(slates, "u1", wanted, ranker=ranker, now_ms=1_700_100_000_000)
        turned = rank_items(slates, "u1", wanted, ranker=ranker, scenario="search", now_ms=1_700_100_000_000)
        return project.recommend("u1"), found, turned

    slate, found, turned = with_settings(shop, f'ranker = "{ranker}"\n{weights}', ask)
    assert {step.stage: step.detail.get("by") for step in slate.trace}["rank"] == f"model+{ranker}"
    assert sorted(found.items[0].heads) == sorted(heads)
    assert len(found.items) == 3
    clicks = [one.heads["click"] for one in found.items]
    assert clicks == sorted(clicks, reverse=True)
    assert [one.id for one in turned.items] == [one.id for one in found.items][::-1]
    for one in found.items:
        assert one.value == pytest.approx(one.heads["click"], abs=1e-6)


def test_rank_shows_heads_and_value_and_reads_a_table(shop, tmp_path):
    pl.DataFrame({"video": ["v1", "v2", "v5"]}).write_csv(tmp_path / "some.csv")
    (shop / "kinema.toml").write_text(f'{FLM_SETTINGS}[recommend]\nranker = "engagement"\n')
    asked = ["rank", "u2", "-p", str(shop), "--quiet"]
    try:
        people = CliRunner().invoke(main, [*asked, "--items", "v1,v2"])
        done = CliRunner().invoke(main, [*asked, "--table", str(tmp_path / "some.csv"), "--column", "video", "--json"])
    finally:
        (shop / "kinema.toml").write_text(FLM_SETTINGS)
    assert people.exit_code == 0, people.output
    assert "FLM and engagement, weight 0.1" in people.output
    found = json.loads(done.stdout)
    assert {one["id"] for one in found["items"]} == {"v1", "v2", "v5"}
    assert found["items"][0]["heads"]["like"] < 1


def test_without_a_ranker_flm_alone_decides(shop):
    with Project.open(shop) as project:
        found = rank_items(project.slates(), "u3", ["v0", "v1", "v2"])
    assert found.ranker == "flm"
    assert [one.score for one in found.items] == sorted((one.flm for one in found.items), reverse=True)
    assert found.items[0].value is None
    assert any(one.seen for one in found.items) == bool(
        {"v0", "v1", "v2"} & {one.id for one in found.items if one.seen}
    )


@pytest.mark.parametrize(
    ("user", "items", "message"),
    [
        ("u333", ["v1"], "unknown user 'u333', did you mean 'u33'"),
        ("nobody", ["v1"], "unknown user 'nobody'; the store has 70 users"),
        ("u1", ["v99"], "unknown item 'v99', did you mean 'v9'"),
        ("u1", [], "candidates must be 1 to 10,000, are 0"),
    ],
)
def test_unknown_ids_are_named(shop, user, items, message):
    with Project.open(shop) as project, pytest.raises(DataError, match=message):
        rank_items(project.slates(), user, items)


def test_an_unknown_scenario_is_named_with_those_there_are(shop):
    with (
        Project.open(shop) as project,
        pytest.raises(DataError, match=r"unknown scenario 'hme', did you mean 'home'\? known: home"),
    ):
        rank_items(project.slates(), "u1", ["v1"], scenario="hme")


def test_a_project_without_a_model_cannot_rank(tmp_path):
    with Project.init(tmp_path / "shop") as project, pytest.raises(NotBuiltError, match="candidates are ranked by FLM"):
        rank_items(project.slates(), "u1", ["v1"])


def test_candidates_come_from_one_place_that_has_them(tmp_path):
    pl.DataFrame({"item": ["v1", None], "n": [1, 2]}).write_csv(tmp_path / "gap.csv")
    with pytest.raises(DataError, match="from --items or from --table, exactly one"):
        candidates_of(None, None)
    with pytest.raises(
        DataError, match=r"'gap.csv' must have a column 'clip' of item ids, has item, n; name it with --column"
    ):
        candidates_of(None, tmp_path / "gap.csv", column="clip")
    with pytest.raises(DataError, match=r"column 'item' of 'gap.csv' must have an id in each row, row 2 is empty"):
        candidates_of(None, tmp_path / "gap.csv")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("head_weights = { joy = 1 }", "must weigh heads of the engagement model, has 'joy'; known: click, like"),
        ("head_weights = { click = 0 }", "must have a weight other than 0, has none; known heads: click, like"),
        ("scenario_weights = { related = { joy = 1 } }", r"\[recommend.scenario_weights.related\] must weigh heads"),
    ],
)
def test_weights_of_heads_are_checked(shop, settings, message):
    with pytest.raises(ConfigError, match=message):
        with_settings(shop, f'ranker = "engagement"\n{settings}', lambda project: project.recommend("u1"))


def test_a_ranker_of_another_flm_has_no_say_and_the_slate_says_so(shop):
    manifest = shop / "artifacts" / "flm" / MANIFEST
    before = manifest.read_text()
    manifest.write_text(before + " ")
    try:
        slate = with_settings(shop, 'ranker = "several"', lambda project: project.recommend("u1"))
        assert "the several model must be asked with item vectors of the model" in slate.notice
    finally:
        manifest.write_text(before)
