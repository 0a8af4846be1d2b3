"""Reciprocal rank fusion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.ranking.fusion import fuse_ranks


def test_the_published_formula_up_to_scale():
    ranks = np.array([[0, 3, -1], [2, -1, 1]])
    published = np.array([1 / 61 + 1 / 63, 1 / 64, 1 / 62])
    ours = fuse_ranks(ranks, [1.0, 1.0], offset=61.0)
    assert ours / ours[0] == pytest.approx(published / published[0])


def test_first_everywhere_is_one_and_nowhere_is_zero():
    assert fuse_ranks(np.array([[0, -1], [0, -1]]), [0.3, 0.7], offset=1.0).tolist() == [1.0, 0.0]


def test_a_source_without_trust_does_not_count():
    assert fuse_ranks(np.array([[0, 5], [5, 0]]), [1.0, 0.0], offset=1.0)[0] == 1.0


@pytest.mark.parametrize("weights", [[], [0.0]])
def test_without_any_trust_all_are_equal(weights):
    assert fuse_ranks(np.full((len(weights), 2), 0), weights, offset=1.0).tolist() == [0.0, 0.0]


@given(st.permutations(range(6)), st.permutations(range(6)), st.floats(0.01, 10))
def test_a_better_rank_never_lowers_the_score(first, second, weight):
    ranks = np.array([first, second])
    scores = fuse_ranks(ranks, [1.0, weight], offset=10.0)
    for a in range(6):
        for b in range(6):
            if (ranks[:, a] <= ranks[:, b]).all():
                assert scores[a] >= scores[b]


def test_at_offset_one_a_quarter_of_the_weight_gets_every_fifth_place():
    popular, new = np.arange(20), np.arange(20)
    ranks = np.array([np.concatenate([popular, np.full(20, -1)]), np.concatenate([np.full(20, -1), new])])
    order = np.argsort(-fuse_ranks(ranks, [1.0, 0.25], offset=1.0), kind="stable")
    assert [place for place in range(20) if order[place] >= 20] == [4, 9, 14, 19]
