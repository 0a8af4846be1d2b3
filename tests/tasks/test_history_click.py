"""Examples become tensors without looking ahead, and the task learns, resumes and refuses what it cannot use."""

import numpy as np
import polars as pl
import pytest
import torch

from kinema.artifacts import MANIFEST
from kinema.errors import ConfigError, DataError, StaleArtifactError
from kinema.schema import EventKind
from kinema.store.exposures import Exposures
from kinema.store.trails import pack_trails
from kinema.tasks.history_click import ClickWorld, HistoryClick, by_time
from kinema.tasks.history_click_model import HistoryClickModel
from kinema.tasks.history_input import HistoryInput
from kinema.tasks.target_attention import HistoryClickConfig

HOUR = 3_600_000
KINDS = [EventKind.CLICK, EventKind.SKIP]
SMALL = HistoryClickConfig(width=4, max_length=3, hidden=(8,), cross_layers=1)


def shown(*rows):
    """(user, item, moment, clicked) rows."""
    users, items, times, clicked = (np.array(one) for one in zip(*rows, strict=True))
    size = len(users)
    return Exposures(
        users.astype(np.int32),
        items.astype(np.int32),
        times.astype(np.int64),
        np.arange(size, dtype=np.int32),
        np.full(size, np.nan, dtype=np.float32),
        {"click": clicked.astype(bool)},
        np.zeros(size, dtype=np.int64),
    )


def world(*rows, num_items=6, profiles=None, published=None):
    """Events as (user, item, moment, kind) rows."""
    schema = {"user": pl.Int32, "item": pl.Int32, "timestamp_ms": pl.Int64, "kind": pl.String}
    trails = pack_trails(pl.DataFrame(rows, schema=schema, orient="row"), kinds=KINDS, num_users=2)
    vectors = np.random.default_rng(0).normal(size=(num_items, 5)).astype(np.float32)
    dates = np.full(num_items, np.iinfo(np.int64).min) if published is None else published
    return ClickWorld(vectors, np.arange(num_items, dtype=np.float32), dates, trails, profiles)


def batch_of(place, users, items, moments, **changed):
    users, moments = np.array(users), np.array(moments, dtype=np.int64)
    options = {"positions_B": None, "max_length": 3, "num_ids": 4} | changed
    ends = place.trails.ends_before(users, moments)
    return place.batch(users, np.array(items), moments, ends_B=ends, **options)


def test_a_batch_holds_what_was_before_the_moment_and_nothing_later():
    place = world((0, 1, HOUR, "click"), (0, 2, 2 * HOUR, "skip"), (0, 3, 3 * HOUR, "click"))
    batch = batch_of(place, [0, 1], [5, 1], [3 * HOUR, 3 * HOUR])
    items = np.array([1, 2, 5])  # the distinct items, by number
    there = batch.there_BL.numpy()
    assert there.tolist() == [[True, True], [False, False]]
    assert items[batch.places_BL.numpy()[0]].tolist() == [1, 2]
    assert batch.kinds_BL[0].tolist() == [0, 1]
    assert items[batch.targets_B.numpy()].tolist() == [5, 1]
    assert batch.ids_R.tolist() == [2, 3, 0]
    assert batch.gaps_BL[0].tolist() == [6, 5]
    assert batch.hours_B.tolist() == [3, 3]
    assert batch.weekdays_B.tolist() == [3, 3]


def test_numbers_are_logarithms_of_events_popularity_and_age():
    published = np.full(6, np.iinfo(np.int64).min)
    published[5] = 0
    place = world((0, 1, HOUR, "click"), published=published)
    batch = batch_of(place, [0, 0], [5, 3], [48 * HOUR, 48 * HOUR])
    expected = np.log1p([[1, 5, 2], [1, 3, 0]]) / 4
    np.testing.assert_allclose(batch.numbers_BC.numpy(), expected, rtol=1e-6)


def test_an_unknown_user_and_an_empty_log_are_answered():
    profiles = np.ones((2, 3), dtype=np.float32)
    place = world(profiles=profiles)
    batch = batch_of(place, [7], [2], [HOUR])
    assert not batch.there_BL.any()
    assert batch.profiles_BP.tolist() == [[0, 0, 0]]


def test_parts_by_time_do_not_tear_a_moment_apart():
    exposures = shown(*[(0, 1, moment, 0) for moment in (1, 2, 3, 3, 3, 3, 4, 5, 6, 7)])
    train, valid, test = by_time(exposures, (0.4, 0.3))
    assert [train.tolist(), valid.tolist(), test.tolist()] == [[0, 1], [2, 3, 4, 5, 6], [7, 8, 9]]


def clicks(pooling="target"):
    random = np.random.default_rng(0)
    rows = [(int(random.integers(2)), int(random.integers(4)), moment * HOUR, moment % 2) for moment in range(40)]
    events = [(user, item, moment + 1, "click") for user, item, moment, clicked in rows if clicked]
    config = HistoryClickConfig(width=4, max_length=3, hidden=(8,), cross_layers=1, pooling=pooling)
    train, valid = np.arange(30), np.arange(30, 40)
    return HistoryClick(world(*events), shown(*rows), label="click", train=train, valid=valid, config=config, seed=0)


@pytest.mark.parametrize("pooling", ["target", "mean"])
def test_every_parameter_gets_a_gradient_and_one_example_does_not_disturb_another(pooling):
    task = clicks(pooling)
    task.loss(np.arange(30), None).backward()
    assert all(one.grad is not None and one.grad.any() for one in task.network.parameters())
    together = task.probabilities(np.arange(40))
    alone = np.concatenate([task.probabilities(np.array([row])) for row in range(40)])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_an_item_that_was_never_shown_in_training_has_no_vector_of_its_own():
    task = clicks()
    assert task.num_ids == 4
    assert task.network.ids.weight.shape[0] == 5
    assert not task.network.ids.weight[0].any()


def test_measures_come_from_the_rows_that_are_asked_for():
    found = clicks().validate()
    assert set(found) == {"auc", "grouped_auc", "log_loss"}
    assert 0 <= found["auc"] <= 1


def test_a_label_that_the_log_does_not_have_is_named():
    task = clicks()
    with pytest.raises(DataError, match="label 'like' must be an outcome of the log; known: click"):
        HistoryClick(
            task.world, task.exposures, label="like", train=np.arange(3), valid=np.arange(3), config=SMALL, seed=0
        )


def test_a_part_with_one_kind_of_answer_is_refused():
    task = clicks()
    with pytest.raises(DataError, match="the validation part must have examples with and without 'click', has 0 of 1"):
        HistoryClick(
            task.world, task.exposures, label="click", train=np.arange(30), valid=np.array([0]), config=SMALL, seed=0
        )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"width": 0}, "width of the click model must be >= 1, is 0"),
        ({"hidden": ()}, "hidden widths >= 1, got 2 and \\[\\]"),
        ({"dropout": 1.0}, r"dropout of the click model must be in \[0, 1\), is 1.0"),
        ({"pooling": "max"}, "pooling of the click model must be target or mean, is 'max'"),
    ],
)
def test_settings_out_of_range_are_named(changed, message):
    with pytest.raises(ConfigError, match=message):
        HistoryClickConfig(**changed)


def test_settings_survive_json_and_unknown_ones_are_named():
    config = HistoryClickConfig(hidden=(3, 2))
    assert HistoryClickConfig.from_dict(config.as_dict()) == config
    with pytest.raises(ConfigError, match="'depth' is no setting of the click model; known: width"):
        HistoryClickConfig.from_dict({"depth": 3})


def test_dropout_follows_the_draws():
    from kinema.flm.draws import Draws  # noqa: PLC0415

    task = clicks()
    one, same, other = (task.loss(np.arange(30), Draws(seed)).item() for seed in (1, 1, 2))
    assert one == same != other
    assert torch.isfinite(task.loss(np.arange(30), None))


def test_a_learnt_model_survives_the_disk_and_knows_what_it_was_taught_with(tmp_path):
    task = clicks()
    model = HistoryClickModel.of(task, label="click", profile_columns=(), flm="abc", report={"auc": 0.5})
    model.save(tmp_path / "click", seed=3)
    again = HistoryClickModel.load(tmp_path / "click")
    asked = {"user": 0, "items_K": np.array([1, 5, 2]), "now_ms": 50 * HOUR}
    np.testing.assert_array_equal(again.probabilities(task.world, **asked), model.probabilities(task.world, **asked))
    assert again.facts.popularity(8).tolist() == [0, 1, 2, 3, 4, 5, 0, 0]
    again.facts.check(flm="abc", profile_columns=(), name="click")
    with pytest.raises(
        StaleArtifactError, match=r"item vectors of the model it was trained on \(abc\), got those of x"
    ):
        again.facts.check(flm="x", profile_columns=(), name="click")
    with pytest.raises(StaleArtifactError, match="the 0 columns the click model was trained on, have 1 others"):
        again.facts.check(flm="abc", profile_columns=("age",), name="click")


def test_a_model_of_an_earlier_version_is_told_to_be_made_again(tmp_path):
    HistoryClickModel.of(clicks(), label="click", profile_columns=(), flm="abc", report={}).save(tmp_path / "m", seed=0)
    manifest = tmp_path / "m" / MANIFEST
    manifest.write_text(manifest.read_text().replace('"format_version": 3', '"format_version": 2'))
    with pytest.raises(
        StaleArtifactError, match="must be click-history version 3, is click-history version 2; run: kinema"
    ):
        HistoryClickModel.load(tmp_path / "m")


def test_candidates_of_one_user_get_what_they_would_get_one_by_one():
    task = clicks()
    model = HistoryClickModel.of(task, label="click", profile_columns=(), flm="abc", report={})
    items, moment = np.array([0, 3, 5, 1]), 25 * HOUR
    together = model.probabilities(task.world, user=1, items_K=items, now_ms=moment)
    alone = [model.probabilities(task.world, user=1, items_K=items[[k]], now_ms=moment)[0] for k in range(4)]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    users, moments = np.full(4, 1), np.full(4, moment)
    full = batch_of(task.world, users, items, moments)
    with torch.inference_mode():
        np.testing.assert_allclose(together, torch.sigmoid(task.network(full)).numpy(), atol=1e-6)


@pytest.mark.parametrize("pooling", ["target", "mean"])
def test_one_history_for_many_candidates_reads_like_a_history_for_each(pooling):
    task = clicks(pooling)
    items = np.arange(700) % 6
    users, moments = np.ones(700, dtype=int), np.full(700, 25 * HOUR)
    with torch.inference_mode():
        plain = task.network.features(batch_of(task.world, users, items, moments))
        quick = task.network.features(batch_of(task.world, users[:1], items, moments[:1]))
    np.testing.assert_allclose(quick, plain, atol=1e-5)


def test_an_unknown_user_gets_one_probability_per_item():
    task = clicks()
    model = HistoryClickModel.of(task, label="click", profile_columns=(), flm="abc", report={})
    found = model.probabilities(task.world, user=9, items_K=np.array([0, 5]), now_ms=HOUR)
    assert found.shape == (2,)
    assert ((found > 0) & (found < 1)).all()


def test_as_an_input_of_other_heads_items_that_were_never_shown_have_no_vector_either():
    task = clicks()
    rows = np.flatnonzero(task.exposures.items_N != 1)
    inputs = HistoryInput(task.world, task.exposures, train=rows, config=SMALL, seed=0)
    assert not inputs.network.ids.weight[[0, 2]].any()
    assert inputs.network.ids.weight[[1, 3, 4]].any(dim=1).all()
    assert inputs(torch.arange(5)).shape == (5, inputs.width)
