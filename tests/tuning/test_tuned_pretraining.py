"""`kinema pretrain --tune` from the project and the command line, on a log so small that a training takes a second."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.errors import ConfigError, DataError, StaleArtifactError
from kinema.evaluation.offline import evaluate
from kinema.evaluation.protocol import ScorerRanker
from kinema.flm.model import FLM
from kinema.project import Project
from kinema.seeds import generator
from kinema.steps import tuning as steps
from kinema.steps.pretraining import PretrainJob, serving_split
from kinema.store.splits import Split
from kinema.tuning.trial import fused_gains
from kinema.tuning.tuned import FILE_NAME, Tuned, load_tuned, save_tuned

pytestmark = pytest.mark.usefixtures("one_thread")

pytest.importorskip("optuna", reason="optuna comes with the extra tune")

NUM_USERS, NUM_ITEMS = 40, 30
SETTINGS = "[flm]\nmax_epochs = 2\nnum_blocks = 1\nmax_length = 8\nd_model = 16\n"


def fill(project, *, users=NUM_USERS, per_user=6):
    random = generator(1, "log")
    rows = ["user,item,timestamp,kind"]
    for user in range(users):
        start = int(random.integers(NUM_ITEMS))
        rows += [f"u{user},v{(start + step) % NUM_ITEMS},{1_700_000_000 + 60 * step},click" for step in range(per_user)]
    (project.folder / "events.csv").write_text("\n".join(rows) + "\n")
    (project.folder / "items.csv").write_text("id,title\n" + "".join(f"v{one},t{one}\n" for one in range(NUM_ITEMS)))
    project.ingest(items=project.folder / "items.csv", events=project.folder / "events.csv")


def make(folder, settings=SETTINGS):
    Project.init(folder).close()
    (folder / "kinema.toml").write_text(settings)
    project = Project.open(folder)
    fill(project)
    return project


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A project that was tuned over three trials."""
    with make(tmp_path_factory.mktemp("tuned") / "shop") as project:
        report = project.pretrain(tune_seconds=600, tune_trials=3)
        yield project, report


def model_of(project):
    return FLM.load(project.artifacts / "flm")


def test_the_default_comes_first_and_the_users_settings_are_kept(shop):
    project, report = shop
    found = report.tuning
    assert len(found.trials) == 3
    assert found.trials[0].number == found.default
    for one in found.trials:
        assert not {"max_epochs", "num_blocks", "max_length", "d_model"} & set(one.settings)
    config = model_of(project).config
    assert (config.max_epochs, config.num_blocks, config.max_length, config.d_model) == (2, 1, 8, 16)


def test_the_winner_is_trained_at_full_length_and_remembered(shop):
    project, report = shop
    best = next(one for one in report.tuning.trials if one.number == report.tuning.chosen)
    model, tuned = model_of(project), load_tuned(project.artifacts)
    assert model.config.max_seconds == 0
    assert all(getattr(model.config, name) == value for name, value in tuned.settings.items())
    assert tuned.value == best.value
    assert tuned.settings == ({} if report.tuning.chosen == report.tuning.default else best.settings)
    assert ("tuned" in model.report) == bool(tuned.settings)


def test_the_same_search_again_tries_and_trains_nothing(shop):
    project, report = shop
    again = project.pretrain(tune_seconds=600, tune_trials=3)
    assert again.reused
    assert again.tuning == report.tuning


def test_a_plain_pretraining_afterwards_finds_the_tuned_model(shop):
    project, report = shop
    again = project.pretrain()
    assert again.reused
    assert again.tuning is None
    assert bool(again.notices) == (report.tuning.chosen != report.tuning.default)


def test_the_measure_of_a_trial_is_that_of_the_evaluator(shop):
    project, _ = shop
    data, model = project.dataset(), model_of(project)
    train, valid = serving_split(data.histories)
    nothing = np.zeros(NUM_ITEMS, dtype=bool)
    split = Split("serving", train, valid, valid, train.item_counts() == 0, data.published_ms_V, nothing, {})
    ranker = ScorerRanker("FLM", model.serve(data.features, NUM_ITEMS))
    expected = evaluate(ranker, valid, split, num_resamples=0).rows["all"].values("ndcg@10")
    gains_C = fused_gains(model, valid, data.features, None, data.published_ms_V)
    assert gains_C == pytest.approx(expected)
    assert gains_C.mean() == pytest.approx(model.report["validation"]["fused"], abs=1e-5)


TUNED = Tuned({"dropout": 0.1, "d_model": 32, "num_heads": 2}, 0.3, 0.2, 9, 60.0, 0, NUM_ITEMS, NUM_USERS * 5)


def choose(project, changes=(), **options):
    data = project.dataset()
    train, valid = serving_split(data.histories)
    job = PretrainJob(data, dict(changes), project.artifacts, 0)
    return steps.choose_settings(job, steps.Search(**options), train=train, valid=valid)


@pytest.fixture
def found(tmp_path):
    """A project in which an earlier search has found something."""
    with make(tmp_path / "shop") as project:
        save_tuned(project.artifacts, TUNED)
        yield project


def test_tuned_settings_are_used_again_and_said_so(found):
    chosen = choose(found, {"d_model": None})
    assert chosen.changes == TUNED.settings
    assert chosen.notices == (
        "settings of tuned.json (9 trials): dropout = 0.1, d_model = 32, num_heads = 2; --no-tuned leaves them out",
    )
    assert chosen.notes == {"tuned": TUNED.as_dict()}


def test_kinema_toml_wins_over_tuned_settings(found):
    chosen = choose(found, {"d_model": 16})
    assert chosen.changes == {"dropout": 0.1, "d_model": 16, "num_heads": 2}
    assert "d_model" not in chosen.notices[0]


def test_tuned_settings_can_be_left_out(found):
    assert choose(found, use_tuned=False).changes == {}


def test_tuned_settings_that_do_not_go_with_kinema_toml_are_left_out(found):
    chosen = choose(found, {"num_heads": 3})
    assert chosen.changes == {"num_heads": 3}
    assert chosen.notices[0].startswith(
        "tuned.json was not used with the present kinema.toml: flm.num_heads must divide"
    )


def test_settings_of_a_much_smaller_log_are_not_used(found):
    save_tuned(found.artifacts, replace(TUNED, num_interactions=90))
    chosen = choose(found)
    assert chosen.changes == {}
    assert chosen.notices[0] == (
        "tuned.json was not used: it was found on 30 items and 90 interactions, there are 30 and 200 now; "
        "run: kinema pretrain --tune SECONDS"
    )


def test_where_the_default_had_won_nothing_is_said(found):
    save_tuned(found.artifacts, replace(TUNED, settings={}))
    assert choose(found) == steps.ChosenSettings({})


def test_a_damaged_file_names_the_remedy(found):
    path = found.artifacts / FILE_NAME
    remedy = "; run: kinema pretrain --tune SECONDS, or remove artifacts/tuned.json"
    path.write_text("{")
    with pytest.raises(StaleArtifactError, match=f"tuned.json cannot be read: .*{remedy}"):
        choose(found)
    save_tuned(found.artifacts, replace(TUNED, settings={"width": 3}))
    with pytest.raises(StaleArtifactError, match=f"tuned.json names the setting 'width', which there is not{remedy}"):
        choose(found)
    assert choose(found, use_tuned=False).changes == {}


def test_what_an_earlier_search_found_is_tried_second(found, monkeypatch):
    asked = {}

    def listen(**arguments):
        asked.update(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, "search", listen)
    with pytest.raises(KeyboardInterrupt):
        choose(found, {"d_model": 32}, seconds=9)
    assert asked["also"] == []
    save_tuned(found.artifacts, replace(TUNED, settings={"dropout": 0.1}))
    with pytest.raises(KeyboardInterrupt):
        choose(found, {"d_model": 32}, seconds=9)
    assert asked["also"] == [asked["start"] | {"dropout": 0.1}]


def test_a_study_of_other_data_or_another_budget_is_removed(found, monkeypatch):
    folders = []

    def listen(*, folder, **_):
        folder.mkdir(parents=True)
        folders.append(folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, "search", listen)
    for seconds in (9, 10):
        with pytest.raises(KeyboardInterrupt):
            choose(found, seconds=seconds)
    assert [one.exists() for one in folders] == [False, True]


def test_a_budget_must_be_positive_and_trials_need_one(found):
    with pytest.raises(ConfigError, match="the tuning budget must be > 0 seconds, is 0; give --tune 600"):
        choose(found, seconds=0.0)
    with pytest.raises(ConfigError, match="a number of trials must come with a budget, is 3 without; add --tune"):
        choose(found, trials=3)


def test_with_every_setting_fixed_there_is_nothing_to_search(found, monkeypatch):
    monkeypatch.setattr(steps, "searched", lambda *_, **__: {})
    with pytest.raises(ConfigError, match=r"every setting that is searched is fixed in \[flm\], one must be free"):
        choose(found, seconds=9)


def test_a_log_of_too_short_histories_cannot_be_tuned(tmp_path):
    with Project.init(tmp_path / "shop") as project:
        fill(project, users=4, per_user=2)
        with pytest.raises(
            DataError, match="tuning must have users with three interactions to choose by, there are none"
        ):
            project.pretrain(tune_seconds=9)


def test_the_command_prints_the_trials_and_answers_in_json(shop):
    project, report = shop
    arguments = ["pretrain", "--project", str(project.folder), "--tune", "600", "--tune-trials", "3", "-q"]
    said = CliRunner().invoke(main, arguments).output
    assert "3 trials on 40 validation cases" in said
    assert "0 default" in said
    assert report.tuning.verdict[:30] in said.replace("\n", " ")
    answer = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).output)
    assert len(answer["tuning"]["trials"]) == 3
    assert answer["tuning"]["verdict"] == report.tuning.verdict
