"""Orders of candidates are judged as plainly defined, and the second opinion counts no more than validation says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.tasks.rerank_cases import (
    WEIGHTS,
    RerankCase,
    best_weight,
    blended,
    careful_weight,
    gain_interval,
    judge,
    order_of,
)


def case(grades, right=None, *, first=0):
    count = len(grades)
    items = np.arange(first, first + count)
    found = {int(item) for item, grade in zip(items, grades, strict=True) if grade}
    return RerankCase(
        "q",
        items,
        tuple(map(str, items)),
        np.arange(count, 0, -1.0),
        np.array(grades, np.float32),
        frozenset(right or found),
    )


def plain_ndcg(order, right, cut=10):
    gained = sum(1 / np.log2(place + 2) for place, item in enumerate(order[:cut]) if item in right)
    return gained / sum(1 / np.log2(place + 2) for place in range(min(cut, len(right))))


@given(st.lists(st.booleans(), min_size=2, max_size=15).filter(any), st.integers(0, 3), st.integers(0, 99))
def test_the_numbers_are_those_of_the_definition(grades, num_missed, seed):
    missed = frozenset(range(100, 100 + num_missed))
    one = case(grades, missed | {place for place, grade in enumerate(grades) if grade})
    reads = np.random.default_rng(seed).normal(size=len(grades))
    found = judge([one], [reads], weight=1.0)
    order = np.argsort(-reads, kind="stable").tolist()
    assert found["ndcg"][0] == pytest.approx(plain_ndcg(order, one.right))
    first = next(place for place, item in enumerate(order) if item in one.right)
    assert found["mrr"][0] == pytest.approx(1 / (first + 1) if first < 10 else 0.0)


def test_without_weight_the_order_of_the_search_stays():
    one = case([0, 1, 0])
    assert judge([one], [np.array([0.0, 0.0, 9.0])], weight=0.0) == judge([one])
    assert order_of(np.zeros(4)).tolist() == [0, 1, 2, 3]


def test_equal_scores_of_one_side_leave_the_other_alone():
    assert blended(np.ones(3), np.array([1.0, 2.0, 3.0]), 0.5).tolist() == pytest.approx([-0.6124, 0, 0.6124], abs=1e-4)
    assert blended(np.empty(0), np.empty(0), 0.5).shape == (0,)


def test_the_smallest_of_equally_good_weights_is_taken_and_a_useless_reading_counts_nothing():
    cases = [case([1, 0, 0])] * 3
    assert best_weight(cases, [np.array([0.0, 5.0, 9.0])] * 3) == (0.0, 1.0)
    late = [case([0, 0, 1])] * 3
    weight, value = best_weight(late, [np.array([0.0, 0.0, 9.0])] * 3)
    assert value == 1.0
    assert weight in WEIGHTS
    assert 0 < weight < 1


def test_a_case_among_some_items_keeps_order_and_what_is_right():
    few = case([1, 0, 1, 1]).only(np.array([False, True, True, True]))
    assert few.items_K.tolist() == [1, 2, 3]
    assert few.right == {2, 3}
    assert few.texts_K == ("1", "2", "3")
    assert few.grades_K.tolist() == [0.0, 1.0, 1.0]


def test_the_interval_of_a_gain_holds_it():
    random = np.random.default_rng(0)
    before = random.random(200)
    low, high = gain_interval(before, before + random.normal(0.1, 0.1, 200), seed=1)
    assert 0.05 < low < 0.1 < high < 0.15


FIRST, LAST = [1, 0, 0], [0, 0, 1]
RIGHT, WRONG = np.array([0.0, 0.0, 9.0]), np.array([0.0, 5.0, 9.0])


def test_a_gain_that_few_queries_had_by_luck_counts_nothing():
    """One query of nine gains all there is to gain, the others lose a little of it: the best weight is above 0."""
    cases = [case(LAST)] + [case(FIRST)] * 8
    reads = [RIGHT] + [np.array([9.0, 0.0, 0.0])] * 8
    assert best_weight(cases, reads)[0] > 0
    found = careful_weight(cases, reads)
    assert (found.weight, found.best, found.queries) == (0.0, best_weight(cases, reads)[0], 9)
    gains = judge(cases, reads, weight=found.best)["ndcg"] - judge(cases)["ndcg"]
    assert found.error == pytest.approx(gains.std(ddof=1) / 3)
    assert gains.mean() <= found.error
    assert found.ndcg == pytest.approx(judge(cases)["ndcg"].mean())
    assert found.best_ndcg == pytest.approx(judge(cases, reads, weight=found.best)["ndcg"].mean())


def test_a_gain_that_most_queries_have_is_kept_and_the_smallest_weight_that_has_it_taken():
    cases = [case(LAST)] * 12 + [case(FIRST)] * 3
    reads = [RIGHT] * 12 + [np.array([9.0, 0.0, 0.0])] * 3
    found = careful_weight(cases, reads)
    assert found.weight == found.best == best_weight(cases, reads)[0] > 0
    assert found.error > 0


def test_the_weight_lies_between_none_and_the_best_where_more_is_not_shown_to_be_better():
    """Nearly all is gained at a small weight; a single query wants more."""
    slow = np.array([0.0, -0.01, 0.02])
    cases, reads = [case(LAST)] * 20, [RIGHT] * 19 + [slow]
    reads[-1] = np.array([3.0, 0.0, 3.2])
    found = careful_weight(cases, reads)
    assert 0 < found.weight < found.best
    assert found.ndcg < found.best_ndcg


def test_a_single_query_a_harmful_reading_and_one_that_changes_nothing_count_nothing():
    assert careful_weight([case(LAST)], [RIGHT]).weight == 0.0
    assert careful_weight([case(LAST)], [RIGHT]).error is None
    for reads in (WRONG, np.zeros(3)):
        found = careful_weight([case(FIRST)] * 5, [reads] * 5)
        assert (found.weight, found.best, found.error) == (0.0, 0.0, 0.0)


def test_chance_alone_seldom_makes_a_reading_count():
    """Readings that know nothing: the best weight is above 0 in most draws, the careful one in few, and never far wrong."""
    random = np.random.default_rng(5)
    best, careful = [], []
    for _ in range(60):
        grades = [random.permutation([1, 1, 0, 0, 0, 0, 0, 0]).tolist() for _ in range(9)]
        cases, reads = [case(one) for one in grades], [random.normal(size=8) for _ in grades]
        best.append(best_weight(cases, reads)[0] > 0)
        careful.append(careful_weight(cases, reads).weight > 0)
    assert np.mean(careful) < 0.35
    assert np.mean(best) > 0.6
