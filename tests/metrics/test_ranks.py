import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kinema.errors import DataError
from kinema.metrics.ranks import target_ranks, top_items

SCORES = st.one_of(st.sampled_from([0.0, 1.0, 2.0]), st.sampled_from([np.nan, np.inf, -np.inf]))


def naive_ranks(scores, targets, blocked):
    """One list sorted by hand: better first, non-targets before targets of the same score, unscored last."""
    value = [s if np.isfinite(s) else -np.inf for s in scores]
    candidates = [i for i in range(len(scores)) if not blocked[i] or i in targets]
    order = sorted(candidates, key=lambda i: (-value[i], i in targets, targets.index(i) if i in targets else 0))
    return [order.index(target) + 1 for target in targets]


@given(st.data())
def test_ranks_equal_those_of_a_list_sorted_by_hand(data):
    num_cases, num_items = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 7))
    scores = data.draw(hnp.arrays(np.float32, (num_cases, num_items), elements=SCORES))
    blocked = data.draw(hnp.arrays(bool, (num_cases, num_items)))
    targets = [
        data.draw(st.lists(st.integers(0, num_items - 1), unique=True, min_size=1, max_size=3))
        for _ in range(num_cases)
    ]
    rows = np.repeat(np.arange(num_cases), [len(one) for one in targets])
    found = target_ranks(scores, rows_T=rows, items_T=np.concatenate(targets), blocked_CV=blocked)
    expected = [
        rank
        for row, one in enumerate(targets)
        for rank in naive_ranks(scores[row].tolist(), one, blocked[row].tolist())
    ]
    assert found.tolist() == expected


def test_more_targets_than_one_block_are_ranked_alike():
    scores = np.random.default_rng(0).random((700, 11))
    rows, items = np.arange(700), np.arange(700) % 11
    expected = 1 + (scores > scores[rows, items][:, None]).sum(axis=1)
    assert target_ranks(scores, rows_T=rows, items_T=items).tolist() == expected.tolist()


def test_a_model_that_scores_everything_alike_ranks_its_target_last():
    assert target_ranks(np.zeros((1, 9)), rows_T=np.array([0]), items_T=np.array([3])).tolist() == [9]


def test_a_target_that_cannot_be_scored_ranks_behind_all_others_that_cannot():
    scores = np.array([[1.0, -np.inf, np.nan, np.inf, -np.inf]])
    assert target_ranks(scores, rows_T=np.array([0]), items_T=np.array([3])).tolist() == [5]


def test_the_given_scores_are_left_as_they_were():
    scores = np.array([[1.0, np.nan, 3.0]])
    target_ranks(scores, rows_T=np.array([0]), items_T=np.array([0]), blocked_CV=np.array([[False, False, True]]))
    np.testing.assert_array_equal(scores, [[1.0, np.nan, 3.0]])


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"blocked_CV must have the shape of the scores \(1, 3\), has \(1, 2\)"):
        target_ranks(
            np.zeros((1, 3)), rows_T=np.array([0]), items_T=np.array([0]), blocked_CV=np.zeros((1, 2), dtype=bool)
        )
    with pytest.raises(DataError, match="one row and one item each, got 1 rows, 2 items"):
        target_ranks(np.zeros((1, 3)), rows_T=np.array([0]), items_T=np.array([0, 1]))


@given(st.data())
def test_slates_equal_those_of_a_list_sorted_by_hand(data):
    num_cases, num_items = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 7))
    num_places = data.draw(st.integers(1, 9))
    scores = data.draw(hnp.arrays(np.float32, (num_cases, num_items), elements=SCORES))
    blocked = data.draw(hnp.arrays(bool, (num_cases, num_items)))
    found = top_items(scores, num_places=num_places, blocked_CV=blocked)
    for row in range(num_cases):
        shown = [i for i in range(num_items) if np.isfinite(scores[row, i]) and not blocked[row, i]]
        best = sorted(shown, key=lambda i: (-scores[row, i], i))[:num_places]
        assert found[row].tolist() == best + [-1] * (num_places - len(best))
