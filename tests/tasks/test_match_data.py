"""What is learnt from and what is asked: nothing that is asked was learnt, and measures agree with a plain count."""

import numpy as np
import pytest

from kinema.errors import DataError
from kinema.tasks.match_data import Pairs, split_pairs
from kinema.tasks.match_measures import chance, gain, means, measure


def texts(num_queries=60, num_items=50, *, moments=False, seed=0):
    random = np.random.default_rng(seed)
    query_N = np.repeat(np.arange(num_queries), 3)
    item_N = np.concatenate([random.permutation(num_items)[:3] for _ in range(num_queries)])
    moments_N = np.sort(random.integers(0, 1000, len(query_N))) if moments else None
    weights_N = np.ones(len(query_N), dtype=np.float32)
    return Pairs(tuple(f"q{one}" for one in range(num_queries)), query_N, item_N, weights_N, moments_N)


def sessions(num_items=50, *, seed=0, num=600):
    random = np.random.default_rng(seed)
    query_N = random.integers(0, num_items, num)
    item_N = (query_N + random.integers(1, 6, num)) % num_items
    return Pairs(
        tuple(f"v{one}" for one in range(num_items)),
        query_N,
        item_N,
        np.ones(num, dtype=np.float32),
        np.arange(num),
        query_items_Q=np.arange(num_items),
    )


@pytest.mark.parametrize("moments", [False, True])
def test_no_query_and_no_cold_item_is_both_learnt_and_asked(moments):
    pairs = texts(moments=moments)
    split = split_pairs(pairs, num_items=50, seed=1)
    assert not split.cold_V[pairs.item_N[split.train_N]].any()
    learnt = set(pairs.query_N[split.train_N].tolist())
    for kinds in split.cases.values():
        for kind, cases in kinds.items():
            assert not learnt & set(cases.query_C.tolist())
            assert split.cold_V[cases.items_T].all() == (kind == "cold")
    assert split.by_time is moments
    if moments:
        newest = pairs.moments_N[split.train_N].max()
        test = [pairs.moments_N[pairs.query_N == one].min() for one in split.cases["test"]["warm"].query_C]
        assert min(test) >= np.median(pairs.moments_N[split.train_N]) and newest > 0  # noqa: PT018  # one thought


def test_pairs_of_items_are_divided_by_time():
    pairs = sessions()
    split = split_pairs(pairs, num_items=50, seed=1)
    own_N = pairs.query_items_Q[pairs.query_N]
    assert not (split.cold_V[own_N[split.train_N]] | split.cold_V[pairs.item_N[split.train_N]]).any()
    last = pairs.moments_N[split.train_N].max()
    for kinds in split.cases.values():
        for cases in kinds.values():
            assert (pairs.moments_N[cases.pairs_T] > last).all()


def test_other_right_answers_and_the_item_itself_are_no_candidates():
    pairs = sessions()
    cases = split_pairs(pairs, num_items=50, seed=1).cases["test"]["warm"]
    blocked_CV = cases.blocked(0, len(cases), 50)
    assert blocked_CV[np.arange(len(cases)), pairs.query_items_Q[cases.query_C]].all()
    assert not blocked_CV[cases.rows_T, cases.items_T].any()
    words = texts()
    asked = split_pairs(words, num_items=50, seed=1).cases["test"]["warm"]
    blocked_CV = asked.blocked(0, len(asked), 50)
    for case, query in enumerate(asked.query_C):
        right = set(words.item_N[words.query_N == query].tolist())
        targets = set(asked.items_T[asked.rows_T == case].tolist())
        assert set(np.flatnonzero(blocked_CV[case]).tolist()) == right - targets


def test_measures_agree_with_a_plain_count_and_with_chance():
    pairs = texts()
    cases = split_pairs(pairs, num_items=50, seed=1).cases["test"]["warm"]
    random = np.random.default_rng(3)
    scores_CV = random.standard_normal((len(cases), 50))
    found = measure(lambda first, last: scores_CV[first:last], cases, num_items=50)
    blocked_CV = cases.blocked(0, len(cases), 50)
    for case in range(len(cases)):
        order = [one for one in np.argsort(-scores_CV[case]) if not blocked_CV[case, one]]
        targets = cases.items_T[cases.rows_T == case].tolist()
        places = sorted(order.index(one) for one in targets)
        assert found["recall@10"][case] == sum(one < 10 for one in places) / len(targets)
        assert found["mrr"][case] == pytest.approx(1 / (places[0] + 1))
    drawn = [
        means(measure(lambda *_, seed=seed: np.random.default_rng(seed).random((len(cases), 50)), cases, num_items=50))
        for seed in range(300)
    ]
    expected = means(chance(cases, num_items=50))
    for name in ("recall@10", "ndcg@10", "mrr"):
        assert np.mean([one[name] for one in drawn]) == pytest.approx(expected[name], rel=0.1)


def test_a_part_of_the_cases_keeps_what_belongs_to_them():
    cases = split_pairs(texts(), num_items=50, seed=1).cases["test"]["warm"]
    some = cases.take(3, seed=0)
    assert len(some) == 3
    assert some.take(5, seed=0) is some
    for case, query in enumerate(some.query_C):
        before = int(np.flatnonzero(cases.query_C == query)[0])
        assert set(some.items_T[some.rows_T == case]) == set(cases.items_T[cases.rows_T == before])
        assert (some.blocked(case, case + 1, 50) == cases.blocked(before, before + 1, 50)).all()


def test_a_gain_that_chance_explains_reaches_down_to_nothing():
    random = np.random.default_rng(0)
    noise = random.standard_normal(200)
    assert gain(noise, np.zeros(200), seed=0)[1] < 0
    assert gain(noise + 2, noise, seed=0)[1:] == pytest.approx((2.0, 2.0))


def test_too_little_to_learn_from_is_refused():
    with pytest.raises(
        DataError, match=r"pairs must be at least 20 of at least 20 items, are 9 of \d+; give more pairs"
    ):
        split_pairs(texts(3), num_items=50, seed=0)
    single = Pairs(("q",), np.zeros(60, int), np.arange(60), np.ones(60, np.float32))
    with pytest.raises(DataError, match="pairs must leave some to learn from, to choose by and to test, leave"):
        split_pairs(single, num_items=60, seed=0)
