"""Maximal marginal relevance against a plain twin, and its limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.reranking.mmr import diversify, scaled
from kinema.reranking.quotas import Quota


def naive(scores, vectors, num, *, diversity, groups, max_per_group):
    """The definition, word by word."""
    low, high = min(scores), max(scores)
    relevance = [1.0 if high == low else (score - low) / (high - low) for score in scores]
    chosen = []
    while len(chosen) < min(num, len(scores)):
        left = [k for k in range(len(scores)) if k not in chosen]

        def full(k):
            return groups[k] >= 0 and sum(groups[c] == groups[k] for c in chosen) >= max_per_group

        within = [k for k in left if max_per_group is None or not full(k)] or left

        def value(k):
            if not chosen:
                return relevance[k]
            nearest = max(float(np.float32(vectors[k] @ vectors[c])) for c in chosen)
            return (1 - diversity) * relevance[k] - diversity * nearest

        chosen.append(max(within, key=lambda k: (value(k), -k)))
    return chosen


@st.composite
def problems(draw):
    size = draw(st.integers(1, 9))
    scores = sorted(draw(st.lists(st.integers(0, 8), min_size=size, max_size=size)), reverse=True)
    corners = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    groups = draw(st.lists(st.integers(-1, 2), min_size=size, max_size=size))
    return (
        np.array(scores, dtype=np.float64),
        np.eye(4, dtype=np.float32)[corners],
        draw(st.integers(0, 10)),
        draw(st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        np.array(groups),
        draw(st.sampled_from([None, 1, 2])),
    )


def quotas(groups, limit):
    return [] if limit is None else [Quota(groups, limit)]


@given(problems())
def test_the_fast_way_equals_the_definition(problem):
    scores, vectors, num, diversity, groups, limit = problem
    ours = diversify(scores, vectors, num, diversity=diversity, quotas=quotas(groups, limit))
    assert ours.tolist() == naive(scores, vectors, num, diversity=diversity, groups=groups, max_per_group=limit)


@given(problems())
def test_the_best_candidate_stays_first_and_none_appears_twice(problem):
    scores, vectors, num, diversity, groups, limit = problem
    places = diversify(scores, vectors, num, diversity=diversity, quotas=quotas(groups, limit))
    assert len(set(places.tolist())) == len(places) == min(num, len(scores))
    assert not len(places) or places[0] == 0


def test_no_diversity_keeps_the_order():
    vectors = np.ones((3, 1), dtype=np.float32)
    assert diversify(np.array([3.0, 2.0, 1.0]), vectors, 3, diversity=0.0).tolist() == [0, 1, 2]


def test_without_vectors_the_order_is_kept():
    assert diversify(np.array([3.0, 2.0, 1.0]), None, 2, diversity=0.9).tolist() == [0, 1]


def test_a_copy_of_the_first_item_moves_down():
    vectors = np.float32([[1, 0], [1, 0], [0, 1]])
    assert diversify(np.array([1.0, 0.9, 0.6]), vectors, 3, diversity=0.5).tolist() == [0, 2, 1]


def test_a_group_with_its_quota_waits_until_nothing_else_is_left():
    places = diversify(
        np.array([5.0, 4.0, 3.0, 2.0, 1.0]),
        None,
        5,
        diversity=0.0,
        quotas=quotas(np.array([0, 0, 0, 1, -1]), 1),
    )
    assert places.tolist() == [0, 3, 4, 1, 2]


def test_nothing_to_choose_from_is_an_empty_slate():
    assert diversify(np.empty(0), np.empty((0, 2), dtype=np.float32), 5, diversity=0.5).tolist() == []
    assert scaled(np.empty(0)).tolist() == []


@pytest.mark.parametrize("scores", [[2.0], [3.0, 3.0]])
def test_equal_scores_are_equally_relevant(scores):
    assert scaled(np.array(scores)).tolist() == [1.0] * len(scores)
