import json

import numpy as np
import pytest

from kinema.errors import DataError
from kinema.evaluation.baselines.random_order import RandomRanker
from kinema.evaluation.bootstrap import percentile_interval, resampled_means
from kinema.evaluation.offline import evaluate
from kinema.evaluation.protocol import FunctionRanker
from kinema.evaluation.results import compare
from kinema.store.histories import Histories
from kinema.store.splits import leave_one_out


@pytest.fixture(scope="module")
def split():
    random = np.random.default_rng(1)
    return leave_one_out(Histories.from_lists([random.choice(30, 6, replace=False) for _ in range(200)], 30))


def helped(seed, share, split, name="helped"):
    """A random order that puts the right item in front for a share of the users."""
    answers = {int(u): int(i) for u, i in zip(split.test.users_C, split.test.targets.items, strict=True)}

    def score(cases):
        scores = RandomRanker(seed).score(cases).copy()
        for row, user in enumerate(cases.users_C):
            if user % 100 < 100 * share:
                scores[row, answers[int(user)]] = 2
        return scores

    return FunctionRanker(name, score)


def test_resampling_users_gives_the_textbook_error_of_a_mean():
    values = np.random.default_rng(0).random((500, 1))
    samples = resampled_means(values, np.arange(500), num_resamples=3000, seed=4)
    assert samples.std() == pytest.approx(values.std() / np.sqrt(500), rel=0.06)
    assert samples.mean() == pytest.approx(values.mean(), abs=0.002)


def test_cases_of_one_user_do_not_make_an_interval_narrower():
    values = np.repeat(np.random.default_rng(0).random(50), 20)[:, None]
    users = np.repeat(np.arange(50), 20)
    clustered = resampled_means(values, users, num_resamples=2000).std()
    once = resampled_means(values[::20], users[::20], num_resamples=2000).std()
    assert clustered == pytest.approx(once, rel=0.05)


def test_a_resampled_mean_is_one_over_cases_not_over_users():
    values, users = np.array([[0.0], [1.0], [1.0], [1.0]]), np.array([0, 1, 1, 1])
    found = set(np.round(resampled_means(values, users, num_resamples=200)[:, 0], 6))
    assert found == {0.0, 0.75, 1.0}


def test_drawing_in_blocks_covers_every_resample(monkeypatch):
    values, users = np.random.default_rng(0).random((40, 2)), np.arange(40)
    monkeypatch.setattr("kinema.evaluation.bootstrap._CELLS", 100)
    samples = resampled_means(values, users, num_resamples=7)
    assert samples.shape == (7, 2)
    assert ((samples > 0.2) & (samples < 0.8)).all()


def test_without_cases_there_is_no_bootstrap():
    with pytest.raises(DataError, match="at least one case, got none"):
        resampled_means(np.empty((0, 1)), np.array([], dtype=int))


def test_without_resamples_the_ends_are_undefined():
    interval = percentile_interval(0.5, np.array([]))
    assert interval.mean == 0.5
    assert np.isnan([interval.low, interval.high]).all()


def test_intervals_hold_the_true_mean_about_as_often_as_they_say():
    random = np.random.default_rng(7)
    inside = 0
    for seed in range(200):
        values = random.random((80, 1))
        samples = resampled_means(values, np.arange(80), num_resamples=300, seed=seed)
        interval = percentile_interval(float(values.mean()), samples[:, 0])
        inside += interval.low <= 0.5 <= interval.high
    assert 0.88 <= inside / 200 <= 0.99


def test_a_ranker_does_not_differ_from_itself(split):
    one = evaluate(RandomRanker(), split.test, split)
    found = compare(one, one)
    assert (found.mean, found.low, found.high, found.p_value, found.is_clear) == (0, 0, 0, 1, False)


def test_a_real_gain_is_clear_though_the_intervals_overlap(split):
    strong = evaluate(helped(1, 0.5, split), split.test, split)
    weak = evaluate(helped(1, 0.44, split), split.test, split)
    found = compare(strong, weak, metric="ndcg@10")
    assert strong.rows["all"].interval("ndcg@10").low < weak.rows["all"].interval("ndcg@10").high
    assert found.is_clear
    assert found.p_value < 0.05
    assert compare(weak, strong).mean == pytest.approx(-found.mean)


def test_the_same_seed_gives_the_same_interval(split):
    one = evaluate(RandomRanker(), split.test, split, seed=3).to_dict()
    two = evaluate(RandomRanker(), split.test, split, seed=3).to_dict()
    assert one["rows"] == two["rows"]
    assert one["rows"] != evaluate(RandomRanker(), split.test, split, seed=4).to_dict()["rows"]


def test_a_result_is_strict_json(split):
    document = evaluate(RandomRanker(), split.test, split, num_resamples=0).to_dict()
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again["rows"]["all"]["metrics"]["ndcg@10"]["low"] is None
    assert again["rows"]["all"]["num_users"] == 200


def test_results_that_cannot_be_compared_are_refused(split):
    one = evaluate(RandomRanker(), split.test, split)
    with pytest.raises(DataError, match="must be asked the same cases"):
        compare(one, evaluate(RandomRanker(), split.valid, split))
    with pytest.raises(DataError, match="must share seed and number of resamples"):
        compare(one, evaluate(RandomRanker(), split.test, split, seed=1))
    with pytest.raises(DataError, match="row 'frozen' must be in both results"):
        compare(one, one, row="frozen")
    with pytest.raises(DataError, match=r"metric must be one of .*, is 'ndcg@7'; pass its k to evaluate"):
        compare(one, one, metric="ndcg@7")
