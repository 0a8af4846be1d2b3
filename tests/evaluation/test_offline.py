import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.errors import DataError
from kinema.evaluation.baselines.random_order import RandomRanker
from kinema.evaluation.offline import chance_level, evaluate
from kinema.evaluation.protocol import FunctionRanker, ScorerRanker, blind
from kinema.store.features import Profiles
from kinema.store.histories import Histories
from kinema.store.splits import Cases, Split, cold, leave_one_out

NUM_ITEMS = 40


@pytest.fixture(scope="module")
def split():
    random = np.random.default_rng(5)
    lists = [random.choice(NUM_ITEMS, size=random.integers(3, 12), replace=False) for _ in range(60)]
    return cold(Histories.from_lists(lists, NUM_ITEMS), share=0.2, seed=3)


def constant(value):
    return FunctionRanker("constant", lambda cases: np.full((len(cases), NUM_ITEMS), value, dtype=np.float32))


def table_ranker(scores_UV, name="table"):
    return FunctionRanker(name, lambda cases: scores_UV[cases.users_C])


def naive_rank(scores, case_history, target, candidates):
    others = [i for i in candidates if i != target and i not in case_history]
    return 1 + sum(scores[i] >= scores[target] for i in others)


def test_an_oracle_scores_one_everywhere(split):
    answers = np.zeros((60, NUM_ITEMS), dtype=np.float32)
    answers[split.test.users_C, split.test.targets.items] = 1
    result = evaluate(table_ranker(answers), split.test, split, num_resamples=50)
    for row in result.rows.values():
        assert row.mean("ndcg@10") == row.mean("recall@5") == row.mean("mrr@20") == 1
        assert row.interval("ndcg@10").low == 1


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf])
def test_scores_that_say_nothing_are_worth_nothing(split, value):
    result = evaluate(constant(value), split.test, split, num_resamples=0)
    assert result.rows["all"].mean("recall@20") == 0


def test_ranks_equal_a_naive_loop_over_all_candidates(split):
    scores = np.random.default_rng(0).integers(0, 9, size=(60, NUM_ITEMS)).astype(np.float32)
    result = evaluate(table_ranker(scores), split.test, split, ks=(NUM_ITEMS,), batch_size=7, num_resamples=0)
    for row, candidates in (
        ("all", range(NUM_ITEMS)),
        ("warm", range(NUM_ITEMS)),
        ("cold", range(NUM_ITEMS)),
        ("cold among cold", np.flatnonzero(split.cold_V)),
    ):
        cases = split.test.take(result.rows[row].cases_R)
        expected = [
            1 / naive_rank(scores[user], set(cases.histories.of(c)), cases.targets.of(c)[0], candidates)
            for c, user in enumerate(cases.users_C)
        ]
        assert result.rows[row].values(f"mrr@{NUM_ITEMS}").tolist() == pytest.approx(expected)


def test_warm_and_cold_cases_are_all_cases_and_cold_means_absent_from_training(split):
    result = evaluate(constant(1.0), split.test, split, num_resamples=0)
    warm, cold_row = result.rows["warm"].cases_R, result.rows["cold"].cases_R
    assert sorted([*warm, *cold_row]) == list(range(len(split.test)))
    trained = set(split.train.items.tolist())
    assert {int(split.test.targets.items[c]) in trained for c in warm} == {True}
    assert {int(split.test.targets.items[c]) in trained for c in cold_row} == {False}


def test_a_ranker_cannot_read_the_answers(split):
    seen = []

    def peek(cases):
        seen.append(len(cases.targets.items))
        return np.zeros((len(cases), NUM_ITEMS), dtype=np.float32)

    evaluate(FunctionRanker("peek", peek), split.test, split, num_resamples=0)
    assert set(seen) == {0}


@pytest.mark.parametrize("batch_size", [1, 13, 1000])
def test_the_batch_size_changes_nothing(split, batch_size):
    one = evaluate(RandomRanker(2), split.test, split, num_resamples=20, batch_size=batch_size)
    two = evaluate(RandomRanker(2), split.test, split, num_resamples=20)
    assert one.to_dict()["rows"] == two.to_dict()["rows"]
    assert dict(one.catalogue) == pytest.approx(dict(two.catalogue), nan_ok=True)


def test_items_of_the_history_never_fill_a_slate(split):
    watched = np.zeros((60, NUM_ITEMS), dtype=np.float32)
    for row, user in enumerate(split.test.users_C):
        watched[user, split.test.histories.of(row)] = 9
    shown = evaluate(table_ranker(watched), split.test, split, slate_length=3, num_resamples=0)
    free = evaluate(constant(0.0), split.test, split, slate_length=3, num_resamples=0)
    assert shown.catalogue["coverage"] == free.catalogue["coverage"]


def test_chance_is_the_mean_of_many_random_orders(split):
    expected = chance_level(split.test, split, num_resamples=0)
    runs = [evaluate(RandomRanker(seed), split.test, split, num_resamples=0) for seed in range(60)]
    for row in expected.rows:
        found = np.mean([run.rows[row].mean("ndcg@10") for run in runs])
        spread = np.std([run.rows[row].mean("ndcg@10") for run in runs]) / np.sqrt(len(runs))
        assert abs(found - expected.rows[row].mean("ndcg@10")) < 4 * spread


def test_random_recall_is_k_over_the_number_of_candidates():
    lists = [[u % 7, 7 + u % 5, 20 + u % 80] for u in range(30)]
    split = leave_one_out(Histories.from_lists(lists, 100))
    assert chance_level(split.test, split, num_resamples=0).rows["all"].mean("recall@10") == pytest.approx(10 / 98)


def test_unpublished_and_hidden_items_are_no_candidates():
    published = np.full(5, np.iinfo(np.int64).min)
    published[3] = 100
    hidden = np.array([False, False, False, False, True])
    split = leave_one_out(Histories.from_lists([[0, 1, 2]], 5), published_ms_V=published, hidden_V=hidden)
    scores = np.array([[9, 9, 1, 9, 9]], dtype=np.float32)
    result = evaluate(table_ranker(scores), split.test, split, num_resamples=0)
    assert result.rows["all"].mean("mrr@5") == 1
    assert result.rows["all"].mean_candidates == 1


def test_a_case_with_several_targets_counts_each_and_is_mixed_when_only_some_are_cold():
    histories = Histories.from_lists([[0, 1], [0, 2]], 6)
    targets = Histories.from_lists([[1, 5], [1]], 6)
    cases = Cases(
        np.array([0, 1], dtype=np.int32),
        np.array([9, 9], dtype=np.int64),
        Histories.from_lists([[0], [0]], 6),
        targets,
    )
    cold_V = histories.item_counts() == 0
    split = Split(
        "own", histories, cases, cases, cold_V, np.full(6, np.iinfo(np.int64).min), np.zeros(6, dtype=bool), {}
    )
    scores = np.array([[0, 5, 4, 3, 2, 1], [0, 1, 9, 0, 0, 0]], dtype=np.float32)
    result = evaluate(table_ranker(scores), cases, split, ks=(2,), num_resamples=0)
    assert result.rows["all"].values("recall@2").tolist() == [0.5, 1.0]
    assert result.rows["warm"].cases_R.tolist() == [1]
    assert "cold" not in result.rows


def test_scores_that_are_no_numbers_are_counted(split):
    def sick(cases):
        scores = RandomRanker().score(cases)
        scores[:, 0] = np.nan
        scores[:, 1] = np.inf
        return scores

    result = evaluate(FunctionRanker("sick", sick), split.test, split, num_resamples=0)
    seen = sum(int(item in (0, 1)) for item in split.test.histories.items)
    assert result.num_invalid == 2 * len(split.test) - seen


def test_diversity_needs_content_and_is_undefined_without(split):
    content = np.eye(NUM_ITEMS, dtype=np.float32)
    with_content = evaluate(RandomRanker(), split.test, split, content_VD=content, num_resamples=0)
    without = evaluate(RandomRanker(), split.test, split, num_resamples=0)
    assert with_content.catalogue["diversity"] == pytest.approx(1)
    assert without.to_dict()["catalogue"]["diversity"] is None


def test_a_scorer_is_asked_with_the_profiles_of_the_users_of_each_case(split):
    class Spy:
        def score(self, histories, profiles_CP=None, *, branch="fused", moments_C=None):
            self.asked = (histories.num_users, profiles_CP, branch)
            return np.zeros((histories.num_users, NUM_ITEMS), dtype=np.float32)

    spy = Spy()
    profiles = Profiles(np.arange(60, dtype=np.float32)[:, None], ("age",))
    evaluate(ScorerRanker("memory", spy, profiles, "memory"), split.test, split, num_resamples=0)
    assert spy.asked[0] == len(split.test)
    assert spy.asked[1][:, 0].tolist() == split.test.users_C.tolist()
    assert spy.asked[2] == "memory"
    evaluate(ScorerRanker("fused", spy), split.test, split, num_resamples=0)
    assert spy.asked[1:] == (None, "fused")


def test_progress_ends_with_all_cases(split):
    calls = []
    evaluate(
        RandomRanker(),
        split.test,
        split,
        batch_size=32,
        num_resamples=0,
        progress=lambda done, total, note="": calls.append((done, total, note)),
    )
    assert calls[-1] == (len(split.test), len(split.test), "random")
    assert len(calls) == 2


def test_wrong_shapes_and_no_cases_are_refused(split):
    with pytest.raises(DataError, match=r"scores of ranker 'flat' must have shape \(60, 40\), have \(40,\)"):
        evaluate(FunctionRanker("flat", lambda cases: np.zeros(NUM_ITEMS)), split.test, split)
    with pytest.raises(DataError, match="must have at least one case, the cold split has none here"):
        evaluate(RandomRanker(), split.test.take(np.array([], dtype=np.int64)), split)
    with pytest.raises(DataError, match="every case must have a target, case 0 has none"):
        evaluate(RandomRanker(), blind(split.test), split)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.1, 50))
def test_only_the_order_of_scores_matters(seed, scale):
    lists = [[0, 1, 2], [3, 1, 5, 4], [2, 6, 7]]
    split = leave_one_out(Histories.from_lists(lists, 8))
    scores = np.random.default_rng(seed).integers(-3, 3, size=(3, 8)).astype(np.float32)
    one = evaluate(table_ranker(scores), split.test, split, num_resamples=0)
    two = evaluate(table_ranker(scores * np.float32(scale) + 7), split.test, split, num_resamples=0)
    np.testing.assert_array_equal(one.rows["all"].values_RM, two.rows["all"].values_RM)
