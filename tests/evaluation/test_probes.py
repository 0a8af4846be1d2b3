"""Held-out items say whether one encoder is better than another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.errors import DataError
from kinema.evaluation.probes import (
    compare,
    hold_out,
    matching_rank,
    nearest_by,
    neighbour_ndcg,
    standardised,
    watched_together,
)
from kinema.store.histories import Histories

EVERYTHING = np.ones(40, dtype=bool)


def blocks(spread, seed=0):
    """40 items in 4 groups of 10."""
    centres = 5 * np.random.default_rng(7).normal(size=(4, 8))
    return (np.repeat(centres, 10, axis=0) + spread * np.random.default_rng(seed).normal(size=(40, 8))).astype(
        np.float32
    )


def grouped_log():
    random = np.random.default_rng(0)
    return Histories.from_lists([(random.permutation(10)[:6] + 10 * (user % 4)).tolist() for user in range(200)], 40)


@given(st.integers(30, 3000), st.integers(0, 9))
def test_a_tenth_is_held_out_but_enough_to_decide_and_nothing_is_on_both_sides(count, seed):
    learn, held_out = hold_out(np.arange(count) * 2, seed=seed)
    assert len(held_out) == min(max(round(count / 10), 20), count // 3)
    assert sorted([*learn, *held_out]) == list(range(0, 2 * count, 2))


def test_too_few_items_are_refused():
    with pytest.raises(DataError, match=r"adaptation needs >= 30 items with content, .*, has 29"):
        hold_out(np.arange(29), seed=0)


def test_vectors_that_group_as_people_watch_win():
    cases = watched_together(grouped_log(), held_out=np.arange(0, 40, 2), candidates_V=EVERYTHING)
    assert len(cases.items_C) == 20
    assert np.diff(cases.offsets).max() <= 10
    good, bad = (neighbour_ndcg(blocks(spread), cases, candidates_V=EVERYTHING) for spread in (0.1, 50.0))
    assert good.mean() > 0.9
    assert bad.mean() < 0.5
    assert compare(bad, good, seed=0).better
    assert not compare(good, bad, seed=0).better
    assert not compare(good, good, seed=0).better


def test_only_candidates_are_right_answers_and_are_ranked():
    half = np.arange(40) % 10 < 5
    cases = watched_together(grouped_log(), held_out=np.flatnonzero(half)[::2], candidates_V=half)
    assert half[cases.targets_T].all()
    vectors = blocks(0.1)
    vectors[~half] = np.nan
    assert neighbour_ndcg(np.nan_to_num(vectors), cases, candidates_V=half).mean() > 0.9


def test_items_that_hardly_anyone_watched_are_not_asked():
    log = Histories.from_lists([[0, 1]] * 4 + [[2, 3]] * 5, num_items=40)
    cases = watched_together(log, held_out=np.array([0, 2, 9]), candidates_V=EVERYTHING)
    assert cases.items_C.tolist() == [2]
    assert cases.targets_T.tolist() == [3]


def test_without_a_log_the_nearest_by_other_vectors_are_right():
    cases = nearest_by(blocks(0.1, seed=1), held_out=np.array([0, 15]), candidates_V=EVERYTHING)
    assert np.diff(cases.offsets).tolist() == [10, 10]
    assert 0 not in cases.targets_T[:10]
    assert set(cases.targets_T[:9]) == set(range(1, 10))
    assert (neighbour_ndcg(blocks(0.1, seed=1), cases, candidates_V=EVERYTHING) == 1).all()


def test_a_title_finds_its_description():
    rows = np.eye(300, dtype=np.float32)
    assert (matching_rank(rows, rows, np.arange(300)) == 1).all()
    assert matching_rank(rows[:1] + rows[1:2] * 2, rows, np.array([0])).tolist() == [0.5]


def test_directions_that_all_items_share_do_not_count():
    vectors = blocks(0.1)
    shifted = (vectors * np.arange(1, 9) + 1000).astype(np.float32)
    assert standardised(shifted, EVERYTHING) == pytest.approx(standardised(vectors, EVERYTHING), abs=1e-2)
    constant = np.ones((40, 3), dtype=np.float32)
    assert (standardised(constant, EVERYTHING) == 0).all()


def test_comparisons_of_too_few_or_different_cases_are_refused():
    with pytest.raises(DataError, match="needs >= 10 cases, the same for both, has 9 and 9"):
        compare(np.zeros(9), np.ones(9), seed=0)
    with pytest.raises(DataError, match="has 12 and 11"):
        compare(np.zeros(12), np.ones(11), seed=0)
