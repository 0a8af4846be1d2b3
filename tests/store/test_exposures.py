"""Impressions get what came of them, and logs without impressions get drawn ones."""

import numpy as np
import polars as pl
import pytest

from kinema.errors import DataError
from kinema.schema import EventKind
from kinema.store.exposures import WITHIN_MS, exposures_of, sampled_exposures


def log(*rows):
    """(user, item, moment, kind, watch_ms) rows."""
    names = ["user", "item", "timestamp_ms", "kind", "watch_ms"]
    frame = pl.DataFrame([dict(zip(names, [*row, None][:5], strict=True)) for row in rows])
    return frame.with_columns(
        pl.col("user", "item").cast(pl.Int32),
        pl.col("watch_ms").cast(pl.Int64),
        position=pl.lit(None, dtype=pl.Int32),
        propensity=pl.lit(None, dtype=pl.Float64),
    )


def test_an_outcome_belongs_to_the_newest_impression_before_it():
    shown = exposures_of(
        log((0, 5, 100, "impression"), (0, 5, 200, "impression"), (0, 5, 250, "click"), (0, 6, 200, "impression"))
    )
    assert shown.times_ms_N.tolist() == [100, 200, 200]
    assert shown.outcomes["click"].tolist() == [False, True, False]


def test_an_outcome_too_late_or_of_another_user_belongs_to_nobody():
    late = WITHIN_MS + 101
    shown = exposures_of(log((0, 5, 100, "impression"), (0, 5, late, "click"), (1, 5, 150, "like")))
    assert not shown.outcomes["click"].any()
    assert not shown.outcomes["like"].any()


def test_times_watched_are_added_up():
    shown = exposures_of(log((0, 5, 100, "impression"), (0, 5, 110, "watch", 300), (0, 5, 120, "watch", 200)))
    assert shown.watch_ms_N.tolist() == [500]
    assert shown.positions_N.tolist() == [-1]
    assert np.isnan(shown.propensities_N).all()
    assert len(shown.take(np.array([False]))) == 0


def test_a_log_without_impressions_is_refused():
    with pytest.raises(DataError, match="a log must have impressions for clicks to be told from what was passed over"):
        exposures_of(log((0, 5, 100, "click")))


def test_drawn_items_are_none_that_the_user_has_met():
    events = log(*[(user, item, 10 * item, "click") for user in range(20) for item in range(user % 3, 30, 3)])
    drawn = sampled_exposures(events, kind=EventKind.CLICK, num_items=30, num_negatives=3, seed=1)
    assert drawn.sampled
    clicked = drawn.outcomes["click"]
    assert clicked.sum() == events.height
    assert (drawn.items_N[clicked] % 3 == drawn.users_N[clicked] % 3).all()
    assert (drawn.items_N[~clicked] % 3 != drawn.users_N[~clicked] % 3).all()
    assert (np.diff(drawn.times_ms_N) >= 0).all()


def test_a_log_without_interactions_is_refused():
    with pytest.raises(DataError, match="a log must have events of kind like, has none"):
        sampled_exposures(log((0, 5, 100, "click")), kind=EventKind.LIKE, num_items=9)
