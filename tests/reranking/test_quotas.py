"""Limits on the places of a group."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kinema.reranking.quotas import Places, Quota, first_within


def test_places_that_are_taken_before_count():
    places = Places(3, [Quota(np.array([4, 5, 4]), most=1, taken={4: 1})])
    assert places.free().tolist() == [False, True, False]


def test_several_limits_hold_together():
    places = Places(4, [Quota(np.array([0, 0, 1, 1]), most=1), Quota(np.array([7, 8, 7, 8]), most=1)])
    places.fill(0)
    assert places.free().tolist() == [False, False, False, True]


def test_a_full_group_takes_a_place_before_the_slate_stays_short():
    places = Places(2, [Quota(np.array([0, 0]), most=1)])
    places.fill(0)
    assert places.free().tolist() == [False, True]


def test_no_candidates_are_no_places():
    assert first_within([Quota(np.empty(0, dtype=np.int64), 1)], 5, num_candidates=0, least=3).tolist() == []
    assert Places(0).free().tolist() == []


@given(st.lists(st.integers(-1, 3), max_size=40), st.integers(1, 3), st.integers(0, 30), st.integers(0, 10))
def test_the_pool_is_the_first_of_what_could_be_of_use(groups, most, size, least):
    array = np.array(groups, dtype=np.int64)
    least = min(least, size)
    found = first_within([Quota(array, most)], size, num_candidates=len(groups), least=least).tolist()
    useful = [k for k, group in enumerate(groups) if group < 0 or groups[:k].count(group) < 4 * most][:size]
    assert set(useful) <= set(found)
    assert found == sorted(set(found))
    assert len(found) == max(len(useful), min(least, len(groups)))
