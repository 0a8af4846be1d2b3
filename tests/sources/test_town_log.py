"""The town's log: in order, never impossible, and drawn with the probabilities it states."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from town_service import DURATIONS_MS, town_service

from kinema.sources.town.events import simulate
from kinema.sources.town.rules import MOTIONS, STYLES, TOPICS, Rules
from kinema.sources.town.taste import click_probs, exhibit_probs, freshness, taste
from kinema.sources.town.world import draw_profiles, plan_world


@pytest.fixture(scope="module")
def service():
    return town_service()


def _impressions(service):
    """Impressions with the true click probability of each, and whether it was clicked."""
    world, rules, events, truth = service
    place = ["user", "item", "slate", "position"]
    clicks = events.filter(pl.col("kind") == "click").select(*place, clicked=pl.lit(1))
    shown = events.filter(pl.col("kind") == "impression").join(clicks, on=place, how="left", maintain_order="left")
    session_N = shown["session"].to_numpy()
    taste_NV = taste(world, rules, users_C=shown["user"].to_numpy(), focus_C=truth.sessions.focus_N[session_N])
    fresh_NV = freshness(world, rules, truth.sessions.starts_ms_N[session_N])
    probs_NV = click_probs(world, rules, taste_CV=taste_NV, fresh_CV=fresh_NV)
    position_N = shown["position"].to_numpy()
    probs_N = probs_NV[np.arange(len(shown)), shown["item"].to_numpy()] * rules.examine_prob**position_N
    return shown, probs_N, shown["clicked"].fill_null(0).to_numpy()


def test_events_are_in_time_order_and_about_as_many_as_asked_for(service):
    events = service[2]
    assert events["timestamp_ms"].is_sorted()
    assert abs(len(events) - 8000) < 800
    assert set(events["kind"]) == {"impression", "click", "watch", "skip", "like"}


def test_a_click_follows_its_impression_and_is_followed_by_a_watch_or_a_skip(service):
    events = service[2]
    place = ["user", "item", "slate", "position", "propensity", "session"]
    times = events.group_by(place).agg(
        *(pl.col("timestamp_ms").filter(pl.col("kind") == kind).alias(kind) for kind in ("impression", "click")),
        pl.col("timestamp_ms").filter(pl.col("kind").is_in(["watch", "skip"])).alias("after"),
        pl.col("timestamp_ms").filter(pl.col("kind") == "like").alias("like"),
    )
    assert (times["impression"].list.len() == 1).all()
    clicked = times.filter(pl.col("click").list.len() > 0)
    assert (clicked["click"].list.len() == 1).all()
    assert (clicked["after"].list.len() == 1).all()
    assert (clicked["impression"].list.first() < clicked["click"].list.first()).all()
    assert (clicked["click"].list.first() < clicked["after"].list.first()).all()
    assert times.filter((pl.col("like").list.len() > 0) & (pl.col("click").list.len() == 0)).is_empty()


def test_no_clip_is_shown_before_it_is_published_or_after_it_was_clicked(service):
    world, _, events, _ = service
    assert (world.published_ms_V[events["item"].to_numpy()] <= events["timestamp_ms"].to_numpy()).all()
    clicks = events.filter(pl.col("kind") == "click").select("user", "item", clicked="timestamp_ms")
    assert clicks.select("user", "item").is_unique().all()
    later = events.filter(pl.col("kind") == "impression").join(clicks, on=["user", "item"])
    assert (later["timestamp_ms"] < later["clicked"]).all()


def test_a_slate_shows_three_different_clips_at_one_moment(service):
    shown = service[2].filter(pl.col("kind") == "impression")
    slates = shown.group_by("slate").agg("position", pl.n_unique("item", "timestamp_ms", "user"))
    assert all(positions == [0, 1, 2] for positions in slates["position"].to_list())
    assert (slates["item"] == 3).all()
    assert (slates["timestamp_ms"] == 1).all()


def test_watch_times_fit_the_kind(service):
    events = service[2]
    share = events["watch_ms"] / DURATIONS_MS[0]
    assert share.filter(events["kind"] == "skip").is_between(0, 0.15).all()
    watched = share.filter(events["kind"] == "watch")
    assert watched.is_between(0, 2.01).all()
    assert (watched > 1).any()
    assert (
        share.filter(~events["kind"].is_in(["watch", "skip"])).null_count()
        == (~events["kind"].is_in(["watch", "skip"])).sum()
    )


def test_sessions_of_a_user_never_overlap(service):
    sessions = service[3].sessions
    table = pl.DataFrame({"user": sessions.users_N, "start": sessions.starts_ms_N, "end": sessions.ends_ms_N})
    table = table.sort("user", "start").with_columns(before=pl.col("end").shift().over("user"))
    assert (table["start"] > table["before"]).drop_nulls().all()


def test_the_logged_propensity_is_the_probability_of_the_draw_and_these_sum_to_one(service):
    world, rules, events, truth = service
    shown = events.filter(pl.col("kind") == "impression")
    clicks = events.filter(pl.col("kind") == "click")
    for slate in shown["slate"].unique(maintain_order=True)[::40].to_list():
        rows = shown.filter(pl.col("slate") == slate)
        user, session, when = rows["user"][0], rows["session"][0], rows["timestamp_ms"][0]
        start_ms = truth.sessions.starts_ms_N[session]
        before = clicks.filter((pl.col("user") == user) & (pl.col("timestamp_ms") < when))["item"].to_numpy()
        open_1V = (world.published_ms_V <= start_ms)[None]
        open_1V[0, before] = False
        taste_1V = taste(world, rules, users_C=np.array([user]), focus_C=truth.sessions.focus_N[[session]])
        fresh_1V = freshness(world, rules, np.array([start_ms]))
        for item, propensity in rows.select("item", "propensity").iter_rows():
            probs_V = exhibit_probs(world, rules, taste_CV=taste_1V, fresh_CV=fresh_1V, open_CV=open_1V)[0]
            assert probs_V.sum() == pytest.approx(1.0)
            assert probs_V[item] == pytest.approx(propensity)
            assert 0 < propensity <= 1
            open_1V[0, item] = False


def test_clips_are_clicked_as_often_as_the_true_probabilities_say(service):
    shown, probs_N, clicked_N = _impressions(service)
    position_N = shown["position"].to_numpy()
    groups = [position_N == position for position in range(3)]
    groups += [(probs_N >= low) & (probs_N < low + 0.25) for low in (0.0, 0.25, 0.5, 0.75)]
    for group in groups:
        spread = np.sqrt((probs_N * (1 - probs_N))[group].sum())
        assert abs((clicked_N - probs_N)[group].sum()) < 4 * spread


def test_a_tenth_of_the_clips_is_cold_and_gets_its_share_of_the_test_clicks(service):
    world, _, events, truth = service
    assert world.cold_V.sum() == 20
    test = events.filter((pl.col("kind") == "click") & (pl.col("timestamp_ms") > truth.cutoff_ms))
    assert len(test) > 300
    assert world.cold_V[test["item"].to_numpy()].mean() > 0.12


def test_topic_style_and_motion_are_planted_evenly_and_independently():
    world = plan_world(seed=7, num_clips=440, num_users=1, rules=Rules())
    warm_V = ~world.cold_V
    for values_V, names in ((world.topics_V, TOPICS), (world.styles_V, STYLES), (world.motions_V, MOTIONS)):
        counts = np.bincount(values_V[warm_V], minlength=len(names))
        assert counts.max() - counts.min() <= 1
    for one_V, other_V in ((world.topics_V, world.styles_V), (world.topics_V, world.motions_V)):
        seen = np.histogram2d(one_V[warm_V], other_V[warm_V], bins=(8, other_V.max() + 1))[0]
        expected = seen.sum(1, keepdims=True) * seen.sum(0) / seen.sum()
        assert ((seen - expected) ** 2 / expected).sum() < 2.2 * seen.size


def test_profiles_hint_at_the_tastes_and_the_rest_of_them_does_not():
    world = plan_world(seed=1, num_clips=20, num_users=3000, rules=Rules())
    profiles = draw_profiles(world, Rules(), seed=1)
    first_U = world.topic_tastes_UT.argmax(axis=1)
    by_hobby = [np.bincount(first_U[np.array(profiles["hobby"]) == h]).max() for h in set(profiles["hobby"])]
    by_country = [np.bincount(first_U[np.array(profiles["country"]) == c]).max() for c in set(profiles["country"])]
    assert sum(by_hobby) / 3000 > 0.6
    assert sum(by_country) / 3000 < 0.35


def test_a_town_with_few_clips_ends_sessions_early_instead_of_repeating():
    world = plan_world(seed=2, num_clips=20, num_users=3, rules=Rules())
    events, _ = simulate(world, Rules(), seed=2, num_events=2000, durations_ms_V=np.full(20, 3000))
    clicks = events.filter(pl.col("kind") == "click")
    assert clicks.select("user", "item").is_unique().all()
    assert len(clicks) <= 60


@settings(deadline=None)
@given(closed=st.sets(st.integers(0, 19), max_size=19), user=st.integers(0, 4), focus=st.integers(0, 7))
def test_the_logging_policy_is_a_distribution_over_the_open_clips(closed, user, focus):
    rules = Rules()
    world = plan_world(seed=5, num_clips=20, num_users=5, rules=rules)
    open_1V = np.ones((1, 20), dtype=bool)
    open_1V[0, list(closed)] = False
    taste_1V = taste(world, rules, users_C=np.array([user]), focus_C=np.array([focus]))
    fresh_1V = freshness(world, rules, np.array([world.end_ms]))
    probs_1V = exhibit_probs(world, rules, taste_CV=taste_1V, fresh_CV=fresh_1V, open_CV=open_1V)
    assert probs_1V.sum() == pytest.approx(1.0)
    assert (probs_1V[~open_1V] == 0).all()
    assert (probs_1V[open_1V] >= rules.uniform_share / open_1V.sum()).all()
