import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.errors import ConfigError, DataError
from kinema.evaluation.baselines.ease import fit_ease
from kinema.evaluation.baselines.item_knn import fit_item_knn
from kinema.evaluation.baselines.matrices import query_matrix
from kinema.evaluation.baselines.popularity import fit_popularity, fit_recent_popularity
from kinema.evaluation.baselines.random_order import RandomRanker
from kinema.evaluation.baselines.tuning import Trial, tune_ease, tune_on_valid, tuned_baselines
from kinema.evaluation.offline import evaluate
from kinema.store.histories import Histories
from kinema.store.splits import Cases, leave_one_out

NUM_ITEMS = 8
LISTS = st.lists(st.lists(st.integers(0, NUM_ITEMS - 1), unique=True, max_size=6), min_size=2, max_size=8).filter(any)


def asking(lists):
    histories = Histories.from_lists(lists, NUM_ITEMS)
    empty = Histories.from_lists([[] for _ in lists], NUM_ITEMS)
    users = np.arange(len(lists), dtype=np.int32)
    return Cases(users, np.zeros(len(lists), dtype=np.int64), histories, empty)


def dense(lists):
    matrix = np.zeros((len(lists), NUM_ITEMS))
    for row, items in enumerate(lists):
        matrix[row, items] = 1
    return matrix


def decayed(lists, decay):
    matrix = np.zeros((len(lists), NUM_ITEMS))
    for row, items in enumerate(lists):
        for age, item in enumerate(reversed(items)):
            matrix[row, item] = decay**age
    return matrix


@settings(max_examples=40)
@given(LISTS, st.sampled_from([1.0, 0.5]), st.sampled_from([0.0, 3.0]), st.integers(1, NUM_ITEMS))
def test_item_knn_equals_a_dense_twin(lists, decay, shrinkage, neighbours):
    ranker = fit_item_knn(
        Histories.from_lists(lists, NUM_ITEMS), neighbours=neighbours, shrinkage=shrinkage, decay=decay
    )
    matrix = dense(lists)
    together, counts = matrix.T @ matrix, matrix.sum(axis=0)
    similar = np.zeros((NUM_ITEMS, NUM_ITEMS))
    for i in range(NUM_ITEMS):
        for j in range(NUM_ITEMS):
            if i != j and together[i, j]:
                similar[i, j] = together[i, j] / (np.sqrt(counts[i] * counts[j]) + shrinkage)
        # Ties are judged in the ranker's own precision, or rounding would decide them.
        order = sorted(range(NUM_ITEMS), key=lambda j, i=i: (-np.float32(similar[i, j]), j))
        similar[i, order[neighbours:]] = 0
    expected = decayed(lists, decay) @ similar
    found = ranker.score(asking(lists))
    evidence = expected > 0
    np.testing.assert_allclose(found[evidence], expected[evidence], rtol=1e-5)
    backfill = np.broadcast_to(counts / (counts.max() + 1) - 1, expected.shape)
    np.testing.assert_allclose(found[~evidence], backfill[~evidence], rtol=1e-5)


@settings(max_examples=40)
@given(LISTS, st.sampled_from([1.0, 0.5]), st.floats(0.5, 100))
def test_ease_equals_the_constrained_least_squares_it_solves(lists, decay, regularisation):
    ranker = fit_ease(Histories.from_lists(lists, NUM_ITEMS), regularisation=regularisation, decay=decay)
    matrix = dense(lists)
    known = np.flatnonzero(matrix.sum(axis=0))
    weights = np.zeros((len(known), len(known)))
    for place in range(len(known)):
        others = np.delete(np.arange(len(known)), place)
        inputs = matrix[:, known[others]]
        weights[others, place] = np.linalg.solve(
            inputs.T @ inputs + regularisation * np.eye(len(others)), inputs.T @ matrix[:, known[place]]
        )
    np.testing.assert_allclose(ranker.weights_EE, weights, atol=1e-4)
    found = ranker.score(asking(lists))
    filled = [row for row, items in enumerate(lists) if items]
    expected = decayed(lists, decay)[:, known] @ weights
    np.testing.assert_allclose(found[filled][:, known], expected[filled], atol=1e-3)
    assert np.isneginf(np.delete(found, known, axis=1)).all()


def test_ease_makes_its_symmetric_inverse_in_blocks(monkeypatch):
    random = np.random.default_rng(0)
    train = Histories.from_lists([random.choice(23, 6, replace=False) for _ in range(40)], 23)
    whole = fit_ease(train)
    monkeypatch.setattr("kinema.evaluation.baselines.ease._BLOCK", 5)
    np.testing.assert_allclose(fit_ease(train).weights_EE, whole.weights_EE, atol=1e-6)


def test_item_knn_is_the_same_in_blocks(monkeypatch):
    random = np.random.default_rng(0)
    train = Histories.from_lists([random.choice(23, 6, replace=False) for _ in range(40)], 23)
    whole = fit_item_knn(train, neighbours=4)
    monkeypatch.setattr("kinema.evaluation.baselines.item_knn._CELLS", 60)
    assert (fit_item_knn(train, neighbours=4).similar_VV != whole.similar_VV).nnz == 0


def test_ease_keeps_the_most_watched_items_when_there_are_too_many():
    ranker = fit_ease(Histories.from_lists([[0, 1], [1, 2], [1, 2], [3]], NUM_ITEMS), max_items=2)
    assert ranker.items_E.tolist() == [1, 2]


def test_a_user_without_history_gets_what_is_popular():
    train = Histories.from_lists([[0, 1], [1, 2], [1, 2, 3], []], NUM_ITEMS)
    for ranker in (fit_ease(train), fit_item_knn(train), fit_popularity(train)):
        assert np.argsort(-ranker.score(asking([[]]))[0], kind="stable")[:2].tolist() == [1, 2]


def test_newer_items_weigh_more():
    assert query_matrix(Histories.from_lists([[4, 2, 0]], NUM_ITEMS), decay=0.5).toarray()[0, [4, 2, 0]].tolist() == [
        0.25,
        0.5,
        1.0,
    ]


def test_recent_popularity_forgets_at_its_half_life():
    ranker = fit_recent_popularity(Histories.from_lists([[0] * 4 + [1, 2]], NUM_ITEMS), half_life_ms=2)
    ages = [5, 4, 3, 2]
    assert ranker.scores_V[0] == pytest.approx(sum(2 ** (-age / 2) for age in ages))
    assert ranker.scores_V[2] == 1


def test_random_orders_differ_between_users_and_moments_and_repeat():
    cases = asking([[], []])
    scores = RandomRanker(1).score(cases)
    assert (scores[0] != scores[1]).any()
    np.testing.assert_array_equal(scores[1:], RandomRanker(1).score(cases.take(np.array([1]))))
    later = Cases(cases.users_C, cases.timestamps_ms_C + 1, cases.histories, cases.targets)
    assert (RandomRanker(1).score(later) != scores).any()
    assert (RandomRanker(2).score(cases) != scores).any()


@pytest.fixture(scope="module")
def drifting():
    """Users who watch one group of items and then another: only the newest items tell the next one."""
    random = np.random.default_rng(2)
    lists = []
    for _ in range(150):
        first, second = random.choice(5, 2, replace=False)
        lists.append([*(8 * first + random.permutation(8)[:6]), *(8 * second + random.permutation(8)[:5])])
    return leave_one_out(Histories.from_lists(lists, 40))


def test_tuning_keeps_what_is_best_on_validation(drifting):
    tuned = tune_on_valid([Trial({"seed": seed}, lambda seed=seed: RandomRanker(seed)) for seed in range(5)], drifting)
    values = [value for _, value in tuned.trials]
    assert tuned.params == {"seed": int(np.argmax(values))}
    valid = evaluate(tuned.ranker, drifting.valid, drifting, num_resamples=0).rows["all"].mean("ndcg@10")
    assert valid == pytest.approx(max(values))


def test_tuning_never_looks_at_the_test_cases(drifting):
    class Trap:
        def __getattr__(self, name):
            pytest.fail(f"the test cases were asked for {name}")

    object.__setattr__(shadow := type(drifting)(**vars(drifting)), "test", Trap())
    assert [one.ranker.name for one in tuned_baselines(shadow)] == [
        "popularity",
        "recent popularity",
        "item-kNN",
        "EASE",
        "EASE recency",
    ]


def test_tuning_uses_at_most_the_cases_it_may(drifting):
    asked = []

    class Counting(RandomRanker):
        def score(self, cases):
            asked.append(len(cases))
            return super().score(cases)

    tune_on_valid([Trial({}, Counting)], drifting, max_cases=17)
    assert sum(asked) == 17


def test_knowing_the_order_pays_where_the_order_is_all_there_is(drifting):
    by_name = {one.ranker.name: one for one in tuned_baselines(drifting)}
    value = {
        name: evaluate(one.ranker, drifting.test, drifting, num_resamples=0).rows["all"].mean("ndcg@10")
        for name, one in by_name.items()
    }
    assert value["EASE recency"] > value["EASE"] > value["popularity"]
    assert by_name["EASE"].params["decay"] == 1
    assert len(by_name["EASE"].trials) == 3


def test_values_out_of_range_are_refused(drifting):
    train = drifting.train
    with pytest.raises(ConfigError, match="neighbours must be >= 1, is 0"):
        fit_item_knn(train, neighbours=0)
    with pytest.raises(ConfigError, match="shrinkage must be >= 0, is -1"):
        fit_item_knn(train, shrinkage=-1.0)
    for fit in (fit_item_knn, fit_ease):
        with pytest.raises(ConfigError, match=r"decay must be in \(0, 1\], is 0"):
            fit(train, decay=0)
    with pytest.raises(ConfigError, match=r"decay must be in \(0, 1\], is 2"):
        query_matrix(train, decay=2)
    with pytest.raises(ConfigError, match="regularisation must be > 0, is 0"):
        fit_ease(train, regularisation=0)
    with pytest.raises(ConfigError, match="half_life_ms must be > 0, is 0"):
        fit_recent_popularity(train, half_life_ms=0)
    with pytest.raises(ConfigError, match="decays must hold 1"):
        tune_ease(drifting, decays=(0.5,))
    with pytest.raises(DataError, match="at least one trial, got none"):
        tune_on_valid([], drifting)


def test_a_log_that_ease_cannot_solve_is_refused():
    with pytest.raises(DataError, match="at least one training interaction"):
        fit_ease(Histories.from_lists([[]], NUM_ITEMS))
    twins = Histories.from_lists([[0, 1]] * 3, NUM_ITEMS)
    with pytest.raises(DataError, match="cannot invert its Gram matrix with regularisation 1e-12; raise it"):
        fit_ease(twins, regularisation=1e-12)
