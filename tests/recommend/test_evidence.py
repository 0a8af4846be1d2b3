"""Contributions on one scale, checked against the definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_world import WorldMemory, history, world_content, world_memory

from kinema.recommend.evidence import ContentSpace, Leading, connections, standing, z_scores
from kinema.retrieval.content import unit_rows


@given(st.integers(0, 2**32 - 1), st.integers(3, 12))
def test_the_strength_is_the_z_score_of_the_cosine_among_the_catalogue(seed, size):
    rng = np.random.default_rng(seed)
    rows = unit_rows(rng.normal(size=(size, 4)))
    rows[1] = 0
    space = ContentSpace.of("text", rows)
    [found] = space.nearest(np.array([2]), np.array([0]))
    cosines = np.array([rows[0] @ row for place, row in enumerate(rows) if place != 1], dtype=np.float64)
    assert found.strength == pytest.approx((rows[0] @ rows[2] - cosines.mean()) / cosines.std(), rel=1e-3, abs=1e-3)
    assert found.facts["cosine"] == pytest.approx(rows[0] @ rows[2], abs=1e-4)


def test_the_nearest_watched_item_is_named_and_the_newer_one_of_two_equals():
    space = ContentSpace.of("text", unit_rows(np.array([[1.0, 0], [1, 0], [0, 1], [1, 0.2]])))
    [found] = space.nearest(np.array([3]), np.array([0, 1, 2]))
    assert found.watched == 1


def test_an_item_without_the_modality_has_no_contribution():
    space = ContentSpace.of("motion", world_content()["motion"])
    assert space.nearest(np.array([4, 5]), np.array([0])) == [None, None]


def test_a_history_without_the_modality_has_no_contribution():
    space = ContentSpace.of("motion", world_content()["motion"])
    assert space.nearest(np.array([0]), np.array([4])) == [None]
    assert space.nearest(np.array([0]), np.array([], dtype=int)) == [None]


def test_where_all_items_are_equal_nothing_stands_out():
    space = ContentSpace.of("text", np.ones((4, 1), dtype=np.float32))
    assert space.nearest(np.array([2]), np.array([0]))[0].strength == 0.0


def test_a_transition_names_the_watched_item_and_its_count():
    [found, none] = connections(world_memory(), np.array([4, 2]), history(3, 0), num_items=6)
    assert (found.watched, found.facts) == (0, {"weight": 8.0})
    assert found.strength > 1
    assert none is None


def test_between_two_watched_items_the_newer_one_counts_more():
    counts = np.zeros((4, 4))
    counts[0, 3] = counts[1, 3] = 2.0
    [found] = connections(WorldMemory(counts), np.array([3]), history(0, 1, num_items=4), num_items=4)
    assert found.watched == 1


def test_ranks_count_from_one_and_equals_share_the_better_one():
    values = np.array([5.0, 9.0, 5.0, np.nan, 1.0])
    found = standing("popularity", values, values, num_items=5)
    assert [None if one is None else one.facts["rank"] for one in found] == [2, 1, 2, None, 4]
    assert found[0].facts["out_of"] == 4


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20))
def test_z_scores_have_mean_zero_and_deviation_one_or_are_all_zero(values):
    scores = z_scores(np.array(values))
    assert scores.mean() == pytest.approx(0, abs=1e-6)
    assert scores.std() == pytest.approx(1, abs=1e-6) or not scores.any()


def test_z_scores_of_nothing_finite_stay_that_way():
    assert np.isnan(z_scores(np.array([np.nan]))).all()


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 5.5, 40.0]), min_size=3, max_size=20), st.integers(1, 8))
def test_the_top_of_a_list_of_counts_says_what_the_whole_list_says(values, most):
    counts = np.array(values)
    logs = np.log1p(counts)
    whole = standing("popularity", logs, logs, num_items=len(counts))
    limit = min(most, len(counts))
    found = Leading.of(counts, most).contributions("popularity", counts)
    assert found == [one if one.facts["rank"] <= limit and counts[k] > 0 else None for k, one in enumerate(whole)]


def test_many_items_stand_where_they_would_stand_alone():
    values = np.random.default_rng(0).integers(0, 9, 60).astype(float)
    together = standing("model", values, values, num_items=60)
    assert together == [standing("model", values, values[[item]], num_items=60)[0] for item in range(60)]


def test_ranks_are_estimated_from_a_sample():
    [found] = standing("model", np.arange(10.0), np.array([6.5]), num_items=1000)
    assert found.facts == {"rank": 301, "out_of": 1000}
