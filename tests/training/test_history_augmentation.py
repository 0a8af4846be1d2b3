"""Histories of a batch are changed as told, in training only, and the same draws change them alike."""

import numpy as np
import polars as pl
import pytest

from kinema.errors import ConfigError
from kinema.flm.draws import Draws
from kinema.schema import EventKind
from kinema.store.exposures import Exposures
from kinema.store.histories import Histories
from kinema.store.trails import pack_trails
from kinema.tasks.history_click import ClickWorld, HistoryClick, Trailed
from kinema.tasks.history_input import HistoryInput
from kinema.tasks.target_attention import HistoryClickConfig
from kinema.training.history_augmentation import HistoryAugmenter, memory_neighbours
from kinema.training.task_extras import HistoryChanges


def histories():
    """Two whole histories of eight, one of two, one of none, filled up in front."""
    items = np.tile(np.arange(8), (4, 1))
    lengths = np.array([8, 8, 2, 0])
    there = np.arange(8) >= 8 - lengths[:, None]
    return Trailed(items, items + 100, there)


def changed(seed=0, **shares):
    return HistoryAugmenter(HistoryChanges(chance=1.0, **shares))(histories(), np.random.default_rng(seed))


def test_a_crop_keeps_a_stretch_without_a_gap():
    found = changed(crop=0.5)
    assert found.there_BL.sum(axis=1).tolist() == [4, 4, 1, 0]
    for row in found.there_BL[:2]:
        assert np.ptp(np.flatnonzero(row)) == 3
    np.testing.assert_array_equal(found.items_BL, histories().items_BL)


def test_a_mask_leaves_out_as_many_as_it_says_and_never_all():
    found = changed(mask=0.5)
    assert found.there_BL.sum(axis=1).tolist() == [4, 4, 1, 0]
    assert not (found.there_BL & ~histories().there_BL).any()
    assert changed(mask=0.9).there_BL.sum(axis=1).tolist() == [1, 1, 1, 0]


def test_a_reordered_stretch_takes_kinds_along_and_loses_nothing():
    found = changed(reorder=0.9)
    np.testing.assert_array_equal(found.kinds_BL, found.items_BL + 100)
    assert sorted(found.items_BL[0].tolist()) == list(range(8))
    assert (found.items_BL[0] != np.arange(8)).any()
    np.testing.assert_array_equal(found.there_BL, histories().there_BL)


def test_substitutes_are_neighbours_and_only_where_there_are_events():
    neighbours = np.where(np.arange(8)[:, None] < 7, np.arange(8)[:, None] + 1, -1)
    augmenter = HistoryAugmenter(HistoryChanges(substitute=0.999, chance=1.0), neighbours)
    found = augmenter(histories(), np.random.default_rng(0))
    np.testing.assert_array_equal(found.items_BL[0], [1, 2, 3, 4, 5, 6, 7, 7])
    np.testing.assert_array_equal(found.items_BL[2], [0, 1, 2, 3, 4, 5, 7, 7])


def test_nothing_is_changed_in_place_and_equal_draws_change_alike():
    before = histories()
    augmenter = HistoryAugmenter(HistoryChanges(crop=0.3, mask=0.2, reorder=0.5))
    first, again = (augmenter(before, np.random.default_rng(3)) for _ in range(2))
    for one, other, untouched, fresh in zip(first, again, before, histories(), strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(untouched, fresh)


def test_the_memory_names_neighbours_that_follow_each_other():
    table = memory_neighbours(Histories.from_lists([[0, 1], [0, 1], [2, 3]], num_items=5), num_neighbours=1)
    assert table.ravel().tolist() == [1, 0, 3, 2, -1]


def test_shares_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match=r"mask of a history must be in \[0, 1\), is 1"):
        HistoryChanges(mask=1.0)
    with pytest.raises(ConfigError, match=r"chance of a changed history must be in \(0, 1\], is 0"):
        HistoryChanges(chance=0.0)
    with pytest.raises(
        ConfigError, match="'swap' is no change of a history; known: crop, mask, reorder, substitute, chance"
    ):
        HistoryChanges.from_text("swap=0.1")
    with pytest.raises(ConfigError, match=r"must be given as in crop=0\.2,mask=0\.1, got 'crop'"):
        HistoryChanges.from_text("crop")
    with pytest.raises(ConfigError, match="mask of a history must be a number, is 'much'"):
        HistoryChanges.from_mapping({"mask": "much"})
    with pytest.raises(ConfigError, match="substitute must be 0 without a table of neighbours"):
        HistoryAugmenter(HistoryChanges(substitute=0.1))


def small_world():
    random = np.random.default_rng(0)
    size = 60
    rows = {
        "user": random.integers(0, 4, size),
        "item": random.integers(0, 6, size),
        "timestamp_ms": np.arange(size) * 1000,
    }
    log = pl.DataFrame(rows | {"kind": ["click"] * size}).with_columns(pl.col("user", "item").cast(pl.Int32))
    trails = pack_trails(log, kinds=[EventKind.CLICK], num_users=4)
    vectors = random.normal(size=(6, 5)).astype(np.float32)
    world = ClickWorld(vectors, np.ones(6, np.float32), np.zeros(6, np.int64), trails)
    exposures = Exposures(
        rows["user"].astype(np.int32),
        rows["item"].astype(np.int32),
        rows["timestamp_ms"].astype(np.int64),
        np.arange(size, dtype=np.int32) % 3,
        np.full(size, np.nan, np.float32),
        {"click": random.random(size) < 0.5},
        np.zeros(size, np.int64),
    )
    return world, exposures


def test_a_click_task_changes_histories_in_training_only():
    world, exposures = small_world()
    train, valid = np.arange(40), np.arange(40, 60)
    config = HistoryClickConfig(width=4, hidden=(8,), dropout=0.0, id_dropout=0.0, position_dropout=0.0)
    change = HistoryAugmenter(HistoryChanges(mask=0.9, chance=1.0))
    plain, other = (
        HistoryClick(world, exposures, label="click", train=train, valid=valid, config=config, seed=0, change=one)
        for one in (None, change)
    )
    rows = np.arange(40)
    np.testing.assert_array_equal(plain.probabilities(valid), other.probabilities(valid))
    assert plain.loss(rows, None).item() == other.loss(rows, None).item()
    assert plain.loss(rows, Draws(1)).item() != other.loss(rows, Draws(1)).item()
    assert other.loss(rows, Draws(1)).item() == other.loss(rows, Draws(1)).item()


def test_an_input_of_engagement_changes_histories_only_where_draws_are_given():
    import torch  # noqa: PLC0415  # the only one here that needs it

    world, exposures = small_world()
    config = HistoryClickConfig(width=4, hidden=(8,))
    change = HistoryAugmenter(HistoryChanges(mask=0.9, chance=1.0))
    inputs, plain = (
        HistoryInput(world, exposures, train=np.arange(40), config=config, seed=0, change=one).eval()
        for one in (change, None)
    )
    rows = torch.arange(40)
    assert torch.equal(inputs(rows), plain(rows))
    assert not torch.equal(inputs.drawn(rows, Draws(1)), plain.drawn(rows, Draws(1)))
    assert torch.equal(inputs.drawn(rows, Draws(1)), inputs.drawn(rows, Draws(1)))
