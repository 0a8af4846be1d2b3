"""MovieLens-100K: the evaluator and the baselines against loops written for this test alone."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from kinema.evaluation.baselines.ease import fit_ease
from kinema.evaluation.baselines.item_knn import fit_item_knn
from kinema.evaluation.baselines.popularity import fit_popularity
from kinema.evaluation.baselines.random_order import RandomRanker
from kinema.evaluation.offline import chance_level, evaluate
from kinema.evaluation.protocol import FunctionRanker
from kinema.store.histories import Histories
from kinema.store.splits import leave_one_out

NUM_ASKED, LONGEST = 40, 30


@pytest.fixture(scope="module")
def logs(data_dir):
    """Lists of (time, item) by user, sorted by (time, row of the file), ids numbered in ascending order."""
    path = data_dir / "ml-100k" / "u.data"
    if not path.is_file():
        pytest.skip("MovieLens-100K is not in the data folder")
    by_user = {}
    for row, line in enumerate(path.read_text(encoding="ascii").splitlines()):
        user, item, _, time = map(int, line.split("\t"))
        by_user.setdefault(user, []).append((time, row, item - 1))
    return [[(time, item) for time, _, item in sorted(events)] for _, events in sorted(by_user.items())]


@pytest.fixture(scope="module")
def sequences(logs):
    return [[item for _, item in log] for log in logs]


@pytest.fixture(scope="module")
def split(logs, sequences):
    packed = Histories.from_lists(sequences, 1682)
    times = np.array([1000 * time for log in logs for time, _ in log], dtype=np.int64)
    return leave_one_out(replace(packed, timestamps_ms=times))


@pytest.fixture(scope="module")
def small(split):
    """A few users with short histories: the naive loops are slow."""
    return split.test.take(np.flatnonzero(split.test.histories.lengths < LONGEST)[:NUM_ASKED])


def naive_ndcg(sequences, score):
    """Mean NDCG@10 of the same users, each item compared with the target by hand."""
    gains = []
    for items in [items for items in sequences if len(items) <= LONGEST][:NUM_ASKED]:
        scores, target, seen = score(items[:-1]), items[-1], set(items[:-1])
        rank = 1 + sum(s >= scores[target] for i, s in enumerate(scores) if i != target and i not in seen)
        gains.append(1 / math.log2(rank + 1) if rank <= 10 else 0.0)
    return sum(gains) / len(gains)


def test_popularity_equals_counting_by_hand(sequences, split, small):
    counts = [0] * 1682
    for items in sequences:
        for item in items[:-2]:
            counts[item] += 1
    result = evaluate(fit_popularity(split.train), small, split, num_resamples=0)
    assert result.rows["all"].mean("ndcg@10") == pytest.approx(naive_ndcg(sequences, lambda _: counts), abs=1e-12)


def test_item_knn_equals_co_watches_counted_by_hand(sequences, split, small):
    trained = [items[:-2] for items in sequences]
    watchers = [[] for _ in range(1682)]
    for user, items in enumerate(trained):
        for item in items:
            watchers[item].append(user)
    known = {}

    def neighbours(item):
        if item not in known:
            together = Counter(other for user in watchers[item] for other in trained[user])
            own = len(watchers[item])
            similar = {
                other: count / (math.sqrt(own * len(watchers[other])) + 20)
                for other, count in together.items()
                if other != item
            }
            known[item] = sorted(similar.items(), key=lambda pair: (-np.float32(pair[1]), pair[0]))[:50]
        return known[item]

    def score(history):
        scores = [0.0] * 1682
        for age, item in enumerate(reversed(history)):
            for other, similarity in neighbours(item):
                scores[other] += 0.75**age * similarity
        return [s or len(watchers[i]) / 1e9 - 1 for i, s in enumerate(scores)]

    ranker = fit_item_knn(split.train, neighbours=50, shrinkage=20.0, decay=0.75)
    result = evaluate(ranker, small, split, num_resamples=0)
    assert result.rows["all"].mean("ndcg@10") == pytest.approx(naive_ndcg(sequences, score), abs=1e-6)


def test_ease_equals_its_formula_in_double_precision(sequences, split, small):
    matrix = np.zeros((len(sequences), 1682))
    for user, items in enumerate(sequences):
        matrix[user, items[:-2]] = 1
    inverse = np.linalg.inv(matrix.T @ matrix + 200 * np.eye(1682))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    result = evaluate(fit_ease(split.train, regularisation=200.0), small, split, num_resamples=0)
    expected = naive_ndcg(sequences, lambda history: weights[history].sum(axis=0).tolist())
    assert result.rows["all"].mean("ndcg@10") == pytest.approx(expected, abs=1e-6)


def test_the_oracle_is_perfect_and_a_random_order_is_chance(split):
    answers = dict(zip(split.test.users_C.tolist(), split.test.targets.items.tolist(), strict=True))

    def know(cases):
        scores = np.zeros((len(cases), 1682), dtype=np.float32)
        scores[np.arange(len(cases)), [answers[user] for user in cases.users_C.tolist()]] = 1
        return scores

    oracle = evaluate(FunctionRanker("oracle", know), split.test, split, num_resamples=0)
    assert oracle.rows["all"].mean("ndcg@10") == 1
    chance = chance_level(split.test, split, num_resamples=0).rows["all"]
    assert chance.mean("recall@10") == pytest.approx(float(np.mean(10 / (1682 - split.test.histories.lengths))))
    runs = [evaluate(RandomRanker(s), split.test, split, num_resamples=0).rows["all"] for s in range(5)]
    error = math.sqrt(chance.mean("recall@10") / (5 * 943))
    assert abs(np.mean([run.mean("recall@10") for run in runs]) - chance.mean("recall@10")) < 4 * error


def test_baselines_keep_the_values_recorded_for_the_settings_that_tuning_chose(split):
    train = split.train
    rankers = (
        fit_popularity(train),
        fit_item_knn(train, neighbours=100, shrinkage=0.0, decay=0.6),
        fit_ease(train, regularisation=50.0),
        fit_ease(train, regularisation=800.0, decay=0.9, name="EASE recency"),
    )
    found = {
        ranker.name: evaluate(ranker, split.test, split, num_resamples=0).rows["all"].mean("ndcg@10")
        for ranker in rankers
    }
    assert found == pytest.approx(
        {"popularity": 0.0432, "item-kNN": 0.0996, "EASE": 0.0722, "EASE recency": 0.0981}, abs=0.0002
    )
