"""Slates of the town drawn again follow its own policy and its own probabilities."""

import numpy as np
import polars as pl
import pytest

from kinema.sources.town.events import simulate
from kinema.sources.town.redrawing import redraw_slates, shown_click_probs
from kinema.sources.town.rules import Rules
from kinema.sources.town.truth import Clicks, Truth
from kinema.sources.town.world import plan_world


@pytest.fixture(scope="module", name="town")
def made_town():
    rules = Rules()
    world = plan_world(seed=3, num_clips=60, num_users=150, rules=rules)
    log, sessions = simulate(world, rules, seed=3, num_events=6000, durations_ms_V=np.full(60, 4000))
    clicked = log.filter(pl.col("kind") == "click")
    clicks = Clicks(*(clicked[name].to_numpy() for name in ("user", "item", "timestamp_ms")))
    ids = tuple(f"v{one}" for one in range(60)), tuple(f"u{one}" for one in range(150))
    return Truth(3, rules, world, sessions, clicks, *ids), log


def shown(log):
    clicked = log.filter(pl.col("kind") == "click").select("slate", "item", clicked=pl.lit(value=True))
    impressions = log.filter(pl.col("kind") == "impression")
    return impressions.join(clicked, on=["slate", "item"], how="left").with_columns(
        pl.col("clicked").fill_null(value=False)
    )


def test_the_probabilities_of_what_was_shown_are_its_rates(town):
    truth, log = town
    rows = shown(log)
    probs = shown_click_probs(
        truth,
        users_N=rows["user"].to_numpy(),
        items_N=rows["item"].to_numpy(),
        times_ms_N=rows["timestamp_ms"].to_numpy(),
        positions_N=rows["position"].to_numpy(),
    )
    clicked = rows["clicked"].to_numpy()
    error = np.sqrt((probs * (1 - probs)).sum()) / len(probs)
    assert abs(probs.mean() - clicked.mean()) < 4 * error
    high = probs > np.median(probs)
    assert clicked[high].mean() > clicked[~high].mean() + 0.2


def test_redrawn_slates_show_what_was_open_as_often_as_the_log(town):
    truth, log = town
    rows = shown(log)
    moments = rows.unique(["user", "timestamp_ms"], maintain_order=True)
    users, times = moments["user"].to_numpy(), moments["timestamp_ms"].to_numpy()
    found = redraw_slates(truth, users_C=users, times_ms_C=times, times=4, seed=0)
    assert (truth.world.published_ms_V[found.items_N] <= times[found.moments_N]).all()
    assert not truth.clicked_before(users, times)[found.moments_N, found.items_N].any()
    assert np.bincount(found.positions_N).tolist() == [4 * len(users)] * truth.rules.slate_length
    assert found.click_probs_N.mean() == pytest.approx(rows["clicked"].mean(), abs=0.04)
    topics = [
        np.bincount(truth.world.topics_V[one], minlength=8) / len(one)
        for one in (found.items_N, rows["item"].to_numpy())
    ]
    np.testing.assert_allclose(*topics, atol=0.05)


def test_equal_seeds_draw_equal_slates(town):
    truth, log = town
    moments = shown(log).unique(["user", "timestamp_ms"], maintain_order=True).head(20)
    users, times = moments["user"].to_numpy(), moments["timestamp_ms"].to_numpy()
    first, again, other = (
        redraw_slates(truth, users_C=users, times_ms_C=times, times=2, seed=one) for one in (5, 5, 6)
    )
    np.testing.assert_array_equal(first.items_N, again.items_N)
    assert (first.items_N != other.items_N).any()
