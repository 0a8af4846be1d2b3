"""A project's own log becomes a click model, which then moves the slates of that project."""

import json

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from kinema.artifacts import MANIFEST
from kinema.cli.main import main
from kinema.errors import ConfigError, DataError, NotBuiltError
from kinema.project import Project
from kinema.settings import RecommendSettings
from kinema.steps.click_ranking import ClickRanking
from kinema.steps.opinions import OpinionParts, load_opinion
from kinema.steps.slates import load_scorer, trained_profile_schema
from kinema.steps.tuning_tasks import TUNABLE
from kinema.steps.tuning_worker import run_trial
from kinema.tasks.history_artifact import FACTS
from kinema.training.task_settings import TaskSettings
from kinema.tuning.worker import GivenUpError

SETTINGS = "[flm]\nmax_epochs = 2\nd_model = 16\n"


def written(folder, *, impressions=True):
    """A project of 30 items and 60 users, who click on every item of their third of the catalogue that they are shown."""
    random = np.random.default_rng(0)
    items = pl.DataFrame({"id": [f"v{item}" for item in range(30)], "title": [f"Film {item}" for item in range(30)]})
    rows = []
    for user in range(60):
        for step, item in enumerate(random.permutation(30)[:14].tolist()):
            moment = 1_700_000_000_000 + step * 3_600_000 + user * 1_000
            if impressions:
                rows.append((f"u{user}", f"v{item}", moment, "impression"))
            if item % 3 == user % 3 or random.random() < 0.1:
                rows.append((f"u{user}", f"v{item}", moment + 500, "click"))
    folder.mkdir()
    items.write_csv(folder / "items.csv")
    pl.DataFrame(rows, schema=["user", "item", "timestamp_ms", "kind"], orient="row").write_csv(folder / "events.csv")
    project = Project.init(folder / "shop")
    (folder / "shop" / "kinema.toml").write_text(SETTINGS)
    project.close()
    with Project.open(folder / "shop") as project:
        project.ingest(items=folder / "items.csv", events=folder / "events.csv")
    return folder / "shop"


@pytest.fixture(scope="module", name="shop")
def made_shop(tmp_path_factory):
    place = written(tmp_path_factory.mktemp("log") / "shop")
    with Project.open(place) as project:
        project.pretrain(seed=1)
    return place


def test_a_click_model_is_learnt_and_moves_the_slates_when_the_settings_say_so(shop):
    with Project.open(shop) as project:
        report = project.finetune.click(max_epochs=3, learning_rate=1e-2)
        plain = project.recommend("u1")
    assert report.num_examples == {"train": 672, "valid": 84, "test": 84}
    assert set(report.metrics) == {"valid", "test"}
    assert 0 < report.metrics["test"]["auc"] <= 1
    assert "learnt from the whole log" in report.notices[-1]
    assert (shop / "artifacts" / "click" / MANIFEST).is_file()
    (shop / "kinema.toml").write_text(f'{SETTINGS}[recommend]\nranker = "click"\nranker_weight = 1.0\n')
    try:
        with Project.open(shop) as project:
            moved = project.recommend("u1")
            unknown = project.recommend("nobody")
    finally:
        (shop / "kinema.toml").write_text(SETTINGS)
    by = {step.stage: step.detail.get("by") for step in moved.trace}
    assert by["rank"] == "model+click"
    assert {one.id for one in unknown.items}
    assert [one.id for one in moved.items] != [one.id for one in plain.items]


def test_the_command_tells_what_was_learnt(shop):
    done = CliRunner().invoke(main, ["finetune", "click", "--project", str(shop), "--epochs", "1", "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["num_examples"]["train"] == 672
    people = CliRunner().invoke(main, ["finetune", "click", "-p", str(shop), "--epochs", "1", "--quiet"])
    assert "click on the log, by time" in people.output
    kept = json.loads((shop / "artifacts" / "click" / FACTS).read_text())
    assert kept["report"]["slices of test"]["all"]["all"]["rows"] == 84


def test_what_is_served_is_calibrated_slice_by_slice(shop):
    with Project.open(shop) as project:
        project.finetune.click(max_epochs=2)
        dataset = project.dataset(profile_schema=trained_profile_schema(project.artifacts / "flm"))
        scorer = load_scorer(project.artifacts / "flm", dataset)
        settings = RecommendSettings(ranker="click", ranker_weight=1.0)
        ranking = load_opinion(OpinionParts(project.store, dataset, scorer, project.artifacts, settings))
    assert isinstance(ranking, ClickRanking)
    asked = {"user": 3, "items_K": np.arange(30), "now_ms": 1_700_000_000_000 + 7 * 3_600_000}
    raw = ranking.model.probabilities(ranking.world, **asked)
    slices = {"item": ["warm"] * 30, "activity": ["1-9"] * 30, "place": ["unknown"] * 30}
    assert ranking.model.slices(ranking.world, **asked)["activity"].tolist() == slices["activity"]
    expected = ranking.calibration.apply(raw, slices)
    served = ranking.heads(asked["user"], asked["items_K"], asked["now_ms"])
    np.testing.assert_allclose(served["click"], expected, rtol=1e-6)
    assert np.abs(expected - raw).max() > 1e-4


def test_a_clean_twin_an_ensemble_and_changed_histories_are_told_of(shop):
    wished = ["--ensemble", "2", "--distil", "--clean", "--augment", "crop=0.2,substitute=0.2"]
    command = ["finetune", "click", "--project", str(shop), "--epochs", "1", "--quiet", *wished]
    done = CliRunner().invoke(main, [*command, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert set(told["metrics"]) == {"valid", "test", "clean valid", "clean test"}
    assert told["members"] == 1
    assert told["notices"][-1].startswith("clean:")
    assert told["slices"]["all"]["all"]["rows"] == 84
    assert "chance" in told["slices"]["all"]["all"]
    assert (shop / "artifacts" / "flm-clean" / MANIFEST).is_file()


def test_an_ensemble_and_changed_histories_may_stand_in_the_file_with_the_command_line_over_it(shop):
    told = "[finetune.click]\nmax_epochs = 1\nensemble = 2\naugment = {mask = 0.2}\n"
    (shop / "kinema.toml").write_text(SETTINGS + told)
    try:
        asked = ["finetune", "click", "-p", str(shop), "--json", "--quiet", "--restart"]
        report, distilled, alone = (
            json.loads(CliRunner().invoke(main, [*asked, *more], catch_exceptions=False).stdout)
            for more in ((), ("--set", "distil=true", "--set", "augment=crop=0.2"), ("--ensemble", "1"))
        )
        with (
            Project.open(shop) as project,
            pytest.raises(ConfigError, match="must come with an ensemble of at least 2"),
        ):
            project.finetune.click(distil=True, ensemble=1)
    finally:
        (shop / "kinema.toml").write_text(SETTINGS)
    assert (report["members"], distilled["members"], alone["members"]) == (2, 1, 1)
    assert (shop / "runs" / "click" / "student" / "report.json").is_file()
    assert report["metrics"] != alone["metrics"]


def test_wishes_of_a_log_are_refused_for_a_table(shop, tmp_path):
    done = CliRunner().invoke(main, ["finetune", "click", "--train", "x.csv", "--to", str(tmp_path / "m"), "--clean"])
    assert "are of a project's log; leave them out with --train" in str(done.exception or done.output)


def test_engagement_takes_changed_histories(shop):
    done = CliRunner().invoke(
        main, ["finetune", "engagement", "-p", str(shop), "--epochs", "1", "--json", "--quiet", "--augment", "mask=0.3"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["heads"] == ["click"]


def test_a_label_that_the_log_does_not_have_is_named_with_those_it_has(shop):
    with (
        Project.open(shop) as project,
        pytest.raises(DataError, match="label 'like' must be a kind of event of the log, which has click"),
    ):
        project.finetune.click("like")


def test_options_of_a_table_need_a_table(shop):
    done = CliRunner().invoke(main, ["finetune", "click", "--project", str(shop), "--to", "models/click"])
    assert "--to, --from, --valid, --test and --field must come with --train" in str(done.exception or done.output)


def test_a_click_model_of_another_flm_has_no_say_and_the_slate_says_so(shop):
    with Project.open(shop) as project:
        project.finetune.click(max_epochs=1)
    manifest = shop / "artifacts" / "flm" / MANIFEST
    before = manifest.read_text()
    manifest.write_text(before + " ")
    (shop / "kinema.toml").write_text(f'{SETTINGS}[recommend]\nranker = "click"\n')
    try:
        with Project.open(shop) as project:
            slate = project.recommend("u1")
            assert slate.items
            assert "item vectors of the model it was trained on" in slate.notice
    finally:
        manifest.write_text(before)
        (shop / "kinema.toml").write_text(SETTINGS)


def test_a_log_without_impressions_gets_drawn_ones_and_says_so(tmp_path):
    place = written(tmp_path / "shop", impressions=False)
    with Project.open(place) as project:
        with pytest.raises(
            NotBuiltError, match="the click model needs FLM's item vectors, there are none; run: kinema pretrain"
        ):
            project.finetune.click()
        project.pretrain(seed=1)
        report = project.finetune.click(max_epochs=1)
    assert "the log has no impressions" in report.notices[0]


def test_what_examples_of_the_log_say_in_a_search_is_the_metric(shop):
    tunable = TUNABLE["click"]({"project": str(shop), "label": "click", "seed": 0})
    base = TaskSettings({"max_epochs": 1})
    found = run_trial(tunable, {"network.width": 8}, base=base, seed=0, ask=lambda *_: True)
    assert found.value < 0
    assert found.gains_N.mean() == pytest.approx(found.value, rel=1e-4)
    assert len(found.gains_N) == len(tunable.groups_N) == 84
    with pytest.raises(GivenUpError):
        run_trial(tunable, {}, base=base, seed=0, ask=lambda *_: False)


def test_a_run_on_the_log_follows_the_file_and_is_kept_in_the_project(shop):
    (shop / "kinema.toml").write_text(SETTINGS + "[finetune.click]\nmax_epochs = 1\nnetwork.width = 8\n")
    try:
        asked = ["finetune", "click", "-p", str(shop), "--json", "--quiet"]
        report = json.loads(CliRunner().invoke(main, asked, catch_exceptions=False).stdout)
        again = json.loads(CliRunner().invoke(main, asked, catch_exceptions=False).stdout)
    finally:
        (shop / "kinema.toml").write_text(SETTINGS)
    assert report["epochs"] == 1
    assert (shop / "runs" / "click" / "epochs.csv").is_file()
    assert any("finished before" in one for one in again["notices"])
    assert again["metrics"] == report["metrics"]
