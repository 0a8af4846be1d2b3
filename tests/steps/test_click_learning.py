"""A click model of a log is one network, an ensemble or a distilled one, and is calibrated slice by slice."""

import numpy as np
import polars as pl
import pytest
import torch

from kinema.errors import ConfigError
from kinema.ranking.slice_calibration import SliceCalibration
from kinema.schema import EventKind
from kinema.steps import click_learning
from kinema.steps.click_calibration import Held, errors_by_slice, fit_click_calibration, largest
from kinema.steps.click_learning import ClickPlan, learn_click, plain_training
from kinema.store.exposures import Exposures
from kinema.store.trails import pack_trails
from kinema.tasks.click_slices import click_slices
from kinema.tasks.history_click import ClickWorld, by_time
from kinema.tasks.history_click_ensemble import HistoryClickEnsemble
from kinema.tasks.history_click_model import HistoryClickModel
from kinema.tasks.target_attention import HistoryClickConfig, HistoryClickNetwork
from kinema.training.fitting import FitOptions
from kinema.training.task_extras import ClickExtras

SMALL = HistoryClickConfig(width=4, max_length=5, hidden=(8,), cross_layers=1)
TRAIN = plain_training(FitOptions("log_loss", batch_size=64, learning_rate=1e-2, max_epochs=2))
COLUMNS = ("device=tv", "device=phone", "plain")


@pytest.fixture(scope="module", name="log")
def made_log():
    """600 exposures of 20 users; even items are liked by even users, the first place is clicked more."""
    random = np.random.default_rng(0)
    size = 600
    users, items = random.integers(0, 20, size), random.integers(0, 12, size)
    places, times = np.arange(size) % 3, np.arange(size) * 60_000
    clicked = random.random(size) < np.where(users % 2 == items % 2, 0.8, 0.2) * np.array([1.0, 0.8, 0.6])[places]
    rows = {"user": users, "item": items, "timestamp_ms": times + 1000, "kind": np.where(clicked, "click", "skip")}
    events = pl.DataFrame(rows).with_columns(pl.col("user", "item").cast(pl.Int32))
    trails = pack_trails(events, kinds=[EventKind.CLICK, EventKind.SKIP], num_users=20)
    vectors = random.normal(size=(12, 5)).astype(np.float32)
    profiles = np.eye(3, dtype=np.float32)[np.arange(20) % 3]
    world = ClickWorld(vectors, np.zeros(12, np.float32), np.zeros(12, np.int64), trails, profiles)
    exposures = Exposures(
        users.astype(np.int32),
        items.astype(np.int32),
        times.astype(np.int64),
        places.astype(np.int32),
        np.full(size, np.nan, np.float32),
        {"click": clicked},
        np.zeros(size, np.int64),
    )
    return world, exposures, dict(zip(("train", "valid", "test"), by_time(exposures), strict=True))


def learnt(log, **extras):
    plan = ClickPlan("click", SMALL, 3, ClickExtras(**extras), COLUMNS)
    return learn_click(plan, *log, train=TRAIN)


def test_an_ensemble_says_the_mean_of_what_its_members_say_and_comes_back_from_disk(log, tmp_path):
    _, _, parts = log
    task = learnt(log, ensemble=2).task
    assert isinstance(task.network, HistoryClickEnsemble)
    joined = task.probabilities(parts["test"])
    single = []
    for member in task.network.members:
        assert isinstance(member, HistoryClickNetwork)
        batch = task._batch(parts["test"], with_positions=False)
        single.append(torch.sigmoid(member(batch)).detach().numpy())
    assert np.abs(single[0] - single[1]).max() > 1e-3
    np.testing.assert_allclose(joined, np.mean(single, axis=0), atol=1e-6)
    facts = {"label": "click", "profile_columns": COLUMNS, "flm": "abc", "report": {}}
    model = HistoryClickModel.of(task, **facts)
    model.save(tmp_path / "click", seed=0)
    again = HistoryClickModel.load(tmp_path / "click")
    asked = {"user": 1, "items_K": np.arange(12), "now_ms": 10**8}
    np.testing.assert_array_equal(model.probabilities(task.world, **asked), again.probabilities(task.world, **asked))
    assert isinstance(again.network, HistoryClickEnsemble)
    assert len(task.embeddings()) == 4


def test_a_distilled_model_is_one_network(log):
    found = learnt(log, ensemble=2, distil=True)
    assert isinstance(found.task.network, HistoryClickNetwork)
    assert len(found.reports) == 3


def test_the_same_seed_learns_the_same(log):
    _, _, parts = log
    first, again = (learnt(log) for _ in range(2))
    np.testing.assert_array_equal(first.task.probabilities(parts["test"]), again.task.probabilities(parts["test"]))
    assert first.calibration == again.calibration


def test_a_second_model_is_learnt_for_the_calibration_only_where_validation_is_small(log, monkeypatch):
    _, _, parts = log
    trained: list[str] = []

    def noted(learner, *, seed, name):
        trained.append(name)
        return TRAIN(learner, seed=seed, name=name)

    small = learn_click(ClickPlan("click", SMALL, 3), *log, train=noted)
    assert trained == ["network", "calibration network"]
    monkeypatch.setattr(click_learning, "ENOUGH_ROWS", len(parts["valid"]))
    large = learn_click(ClickPlan("click", SMALL, 3), *log, train=noted)
    assert trained == ["network", "calibration network", "network"]
    np.testing.assert_array_equal(small.task.probabilities(parts["test"]), large.task.probabilities(parts["test"]))
    assert small.calibration != large.calibration
    on_validation = fit_click_calibration([Held(large.task, parts["valid"])], label="click", profile_columns=())
    assert large.calibration == on_validation


def test_the_calibration_knows_the_places_and_errors_are_told_slice_by_slice(log):
    _, _, parts = log
    found = learnt(log)
    terms = found.calibration.slices
    assert set(terms["place"]) == {"0", "1", "2", "unknown"}
    held = Held(found.task, np.concatenate([parts["valid"], parts["test"]]))
    errors = errors_by_slice(held, found.calibration, label="click", profile_columns=COLUMNS)
    assert errors["all"]["all"].rows == len(held.rows)
    assert set(errors) == {"all", "item", "activity", "place", "device"}
    plain = errors_by_slice(held, SliceCalibration(), label="click", profile_columns=COLUMNS)
    assert plain["all"]["all"].after == pytest.approx(plain["all"]["all"].before, abs=1e-6)
    assert largest(errors)[0].partition("=")[0] in errors


def test_slices_say_what_is_known_of_item_user_and_place(log):
    world, _, _ = log
    popular = ClickWorld(
        world.vectors_VD, np.eye(12, dtype=np.float32)[0], world.published_ms_V, world.trails, world.profiles_UP
    )
    start = int(world.trails.offsets[1])
    found = click_slices(
        popular,
        users_N=np.array([0, 1, 1, 99]),
        items_N=np.array([0, 1, 2, 3]),
        ends_N=np.array([0, start + 9, start + 10, 0]),
        positions_N=np.array([0, 12, -1, 2]),
        profile_columns=COLUMNS,
    )
    assert found["item"].tolist() == ["warm", "cold", "cold", "cold"]
    assert found["activity"].tolist() == ["none", "1-9", "10-49", "none"]
    assert found["place"].tolist() == ["0", "9", "unknown", "2"]
    assert found["device"].tolist() == ["tv", "phone", "phone", "unknown"]


def test_wishes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="distil must come with an ensemble of at least 2, has 1"):
        ClickExtras(distil=True)
    with pytest.raises(ConfigError, match="ensemble must be >= 1, is 0"):
        ClickExtras(ensemble=0)
    with pytest.raises(ConfigError, match="members of an ensemble must be at least one and of one shape"):
        HistoryClickEnsemble([])
