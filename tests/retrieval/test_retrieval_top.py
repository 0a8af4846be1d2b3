"""The n best of an array, with ties settled the same way on every run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.retrieval.top import as_candidates, best_places, top

SCORES = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, np.nan, np.inf, -np.inf]), max_size=30)


def test_the_best_come_first_and_ties_go_to_the_lower_number():
    assert top(np.array([1.0, 3.0, 3.0, 2.0, 3.0]), 4).tolist() == [1, 2, 4, 3]


def test_a_tie_for_the_last_place_goes_to_the_lower_number():
    assert top(np.array([0.0, 1.0, 1.0, 1.0, 5.0]), 2).tolist() == [4, 1]


@pytest.mark.parametrize("num", [0, -3])
def test_nothing_asked_is_nothing_answered(num):
    assert top(np.array([1.0, 2.0]), num).tolist() == []


def test_items_outside_the_mask_are_never_returned():
    assert top(np.array([5.0, 4.0, 3.0]), 3, np.array([False, True, True])).tolist() == [1, 2]


@given(scores=SCORES, num=st.integers(0, 35))
def test_the_fast_way_equals_a_full_sort(scores, num):
    scores_V = np.array(scores, dtype=np.float64)
    naive = sorted((item for item in range(len(scores)) if np.isfinite(scores[item])), key=lambda i: (-scores[i], i))
    assert top(scores_V, num).tolist() == naive[:num]


def test_candidates_carry_source_and_score():
    found = as_candidates(np.array([0.25, 0.5]), 5, np.ones(2, dtype=bool), source="flm")
    assert [(one.item, one.source, one.score) for one in found] == [(1, "flm", 0.5), (0, "flm", 0.25)]


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, np.nan]), max_size=30), st.integers(0, 12), st.integers(0, 99))
def test_of_equal_scores_the_lower_number_wins_whatever_the_order(scores, num, seed):
    numbers = np.random.default_rng(seed).permutation(len(scores))
    found = best_places(np.array(scores), num, None, numbers)
    order = sorted((-score, number) for score, number in zip(scores, numbers.tolist(), strict=True) if score == score)  # noqa: PLR0124
    assert numbers[found].tolist() == [number for _, number in order[:num]]
