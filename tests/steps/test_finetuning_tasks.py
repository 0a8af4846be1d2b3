"""Engagement and ratings from a project's log, by the commands a user types."""

import json

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.errors import DataError, NotBuiltError
from kinema.project import Project
from kinema.steps.finetuning_engagement import finetune_engagement
from kinema.steps.finetuning_rating import finetune_rating
from kinema.steps.tuning_tasks import TUNABLE
from kinema.steps.tuning_worker import run_trial
from kinema.training.task_settings import TaskSettings

DAY_MS = 86_400_000


def made(folder, events, *, items=24):
    """A project with these events, trained for a moment."""
    folder.mkdir()
    rows = {
        "id": [f"v{item}" for item in range(items)],
        "duration_ms": [10_000 + 1_000 * item for item in range(items)],
    }
    catalogue = pl.DataFrame(rows | {"categories": ["Drama|War" if item % 2 else "Comedy" for item in range(items)]})
    catalogue.write_csv(folder / "items.csv")
    events.write_csv(folder / "events.csv")
    Project.init(folder / "shop").close()
    (folder / "shop" / "kinema.toml").write_text("[flm]\nmax_epochs = 1\nd_model = 16\n")
    with Project.open(folder / "shop") as project:
        project.ingest(items=folder / "items.csv", events=folder / "events.csv")
    return folder / "shop"


@pytest.fixture(scope="module", name="watched")
def made_watched(tmp_path_factory):
    """Half of what is shown is opened, by taste; what is opened is watched to some part, and sometimes liked."""
    random = np.random.default_rng(0)
    rows = []
    for user in range(80):
        for step, item in enumerate(random.permutation(24)[:16].tolist()):
            moment = 1_700_000_000_000 + step * 3_600_000 + user
            rows.append((f"u{user}", f"v{item}", moment, "impression", None))
            if item % 2 == user % 2 or random.random() < 0.1:
                rows.append((f"u{user}", f"v{item}", moment + 100, "click", None))
                seen = int((10_000 + 1_000 * item) * random.choice([0.2, 0.6, 1.0]))
                rows.append((f"u{user}", f"v{item}", moment + 200 + seen, "watch", seen))
                if random.random() < 0.4:
                    rows.append((f"u{user}", f"v{item}", moment + 300 + seen, "like", None))
    schema = ["user", "item", "timestamp_ms", "kind", "watch_ms"]
    place = made(tmp_path_factory.mktemp("watched") / "shop", pl.DataFrame(rows, schema=schema, orient="row"))
    with Project.open(place) as project:
        with pytest.raises(NotBuiltError, match="engagement needs FLM's item vectors, there are none"):
            finetune_engagement(project.store, project.dataset(), artifacts=project.artifacts)
        project.pretrain(seed=1)
    return place


def test_all_that_people_did_is_learnt_together(watched):
    asked = ["finetune", "engagement", "-p", str(watched), "--epochs", "2", "--quiet"]
    done = CliRunner().invoke(main, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert set(report["heads"]) == {"click", "like", "finish", "watch"}
    assert report["num_examples"] == {"train": 1024, "valid": 128, "test": 128}
    assert report["metrics"]["click"]["auc"] > 0.5
    assert report["metrics"]["watch"]["mae_s"] > 0
    assert (watched / "artifacts" / "engagement" / "manifest.json").is_file()
    people = CliRunner().invoke(main, [*asked, "--compare", "--sharing", "ple"])
    assert people.exit_code == 0, people.output
    assert "click: sharing" in people.output


@pytest.mark.parametrize("sharing", ["ple", "shared_bottom", "separate"])
def test_whatever_heads_share_the_model_ranks_slates_by_the_command(watched, sharing):
    asked = ["finetune", "engagement", "-p", str(watched), "--epochs", "1", "--quiet", "--sharing", sharing]
    assert CliRunner().invoke(main, asked).exit_code == 0
    config = json.loads((watched / "artifacts" / "engagement" / "manifest.json").read_text())["config"]
    assert sharing in json.dumps(config)
    settings = (watched / "kinema.toml").read_text()
    ranker = '[recommend]\nranker = "engagement"\nranker_weight = 1.0\nhead_weights = { click = 1, watch = 0.5 }\n'
    (watched / "kinema.toml").write_text(settings + ranker)
    try:
        done = CliRunner().invoke(main, ["recommend", "u1", "-p", str(watched), "--json", "--quiet"])
    finally:
        (watched / "kinema.toml").write_text(settings)
    assert done.exit_code == 0, done.output
    slate = json.loads(done.stdout)
    assert {step["stage"]: step["detail"].get("by") for step in slate["trace"]}["rank"] == "model+engagement"
    assert slate["items"]


def said(task, place):
    """What a search would hear of one short training: its value, and what each example says."""
    tunable = TUNABLE[task]({"project": str(place), "seed": 0})
    found = run_trial(tunable, {}, base=TaskSettings({"max_epochs": 1}), seed=0, ask=lambda *_: True)
    assert len(found.gains_N) == len(tunable.groups_N)
    return found.value, found.gains_N.mean()


def test_what_examples_of_engagement_say_in_a_search_is_the_metric(watched):
    value, mean = said("engagement", watched)
    assert value < 0
    assert mean == pytest.approx(value, rel=1e-4)


def rated(num_users, *, value=None):
    random = np.random.default_rng(1)
    rows = []
    for user in range(num_users):
        for step, item in enumerate(random.permutation(24)[:12].tolist()):
            liking = 4.0 if item % 2 == user % 2 else 2.0
            stars = value or float(np.clip(round(liking + random.normal(0, 0.5)), 1, 5))
            rows.append((f"u{user}", f"v{item}", DAY_MS * step + user, "rating", stars))
    return pl.DataFrame(rows, schema=["user", "item", "timestamp_ms", "kind", "value"], orient="row")


def test_ratings_of_the_log_are_learnt_with_intervals(tmp_path):
    place = made(tmp_path / "shop", rated(60))
    asked = ["finetune", "rating", "-p", str(place), "--epochs", "30", "--quiet"]
    done = CliRunner().invoke(main, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["num_ratings"] == {"train": 576, "valid": 72, "test": 72}
    assert report["scale"] == [1, 5]
    assert 0.6 < report["metrics"]["test"]["coverage"] <= 1
    assert report["metrics"]["test"]["mse"] < report["metrics"]["mean"]["mse"]
    people = CliRunner().invoke(main, [*asked, "--epochs", "1"])
    assert "the mean rating" in people.output
    value, mean = said("rating", place)
    assert mean == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (rated(3), "the log must have at least 50 events of kind rating with a value, has 36"),
        (rated(10, value=3.0), "ratings must differ, all 120 are 3; there is nothing to learn"),
    ],
)
def test_ratings_that_cannot_be_learnt_are_refused(tmp_path, events, message):
    place = made(tmp_path / "shop", events)
    with Project.open(place) as project, pytest.raises(DataError, match=message):
        finetune_rating(project.store, project.dataset(), artifacts=project.artifacts)
