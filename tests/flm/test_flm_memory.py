import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from kinema.errors import DataError
from kinema.flm.memory import ItemMemory
from kinema.flm.memory_counts import row_sums, strongest
from kinema.flm.memory_query import decayed_query
from kinema.store.histories import Histories

NUM_ITEMS = 7
LOGS = st.lists(st.lists(st.integers(0, NUM_ITEMS - 1), max_size=8, unique=True), min_size=1, max_size=5)


def naive_counts(lists, *, window, decay, echo, num_items=NUM_ITEMS):
    counts = np.zeros((num_items, num_items))
    for items in lists:
        for later in range(len(items)):
            for earlier in range(max(0, later - window), later):
                weight = decay ** (later - earlier - 1)
                counts[items[earlier], items[later]] += weight
                counts[items[later], items[earlier]] += echo * weight
    return counts


def naive_scores(counts, totals, history, *, window, query_decay):
    raw = np.zeros(len(totals))
    for age, item in enumerate(reversed(history)):
        if age < window:
            for other in range(len(totals)):
                scale = max(totals[item], 1e-6) ** 0.5 * max(totals[other], 1e-6) ** 0.3
                raw[other] += query_decay**age * counts[item, other] / scale
    return np.log1p(raw / (raw.mean() or 1))


@settings(deadline=None, max_examples=40, derandomize=True)
@given(LOGS, st.integers(1, 9), st.sampled_from([0.3, 0.9, 1.0]), st.sampled_from([0.0, 0.5, 1.0]))
def test_transitions_are_counted_like_by_the_naive_twin(lists, window, decay, echo):
    memory = ItemMemory.fit(Histories.from_lists(lists, NUM_ITEMS), window=window, decay=decay, echo=echo)
    expected = naive_counts(lists, window=window, decay=decay, echo=echo)
    np.testing.assert_allclose(memory.counts.toarray(), expected, rtol=1e-5)
    np.testing.assert_allclose(memory.totals, expected.sum(axis=1), rtol=1e-5)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(LOGS, LOGS, st.integers(1, 9), st.sampled_from([0.4, 1.0]))
def test_scores_equal_the_naive_twin(lists, asked, window, query_decay):
    memory = ItemMemory.fit(Histories.from_lists(lists, NUM_ITEMS), window=window, query_decay=query_decay)
    found = memory.scores(Histories.from_lists(asked, NUM_ITEMS))
    counts = naive_counts(lists, window=window, decay=0.9, echo=0.5)
    for row, history in enumerate(asked):
        expected = naive_scores(counts, counts.sum(axis=1), history, window=window, query_decay=query_decay)
        np.testing.assert_allclose(found[row], expected, rtol=1e-3, atol=1e-5)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(LOGS, st.booleans())
def test_updating_event_by_event_equals_a_refit_on_the_longer_log(lists, read_between):
    memory = ItemMemory.fit(Histories.from_lists([[]] * len(lists), NUM_ITEMS), window=3)
    for items in lists:
        for place, item in enumerate(items):
            memory.update(items[:place], item)
            if read_between:
                memory.counts.sum()
    refit = ItemMemory.fit(Histories.from_lists(lists, NUM_ITEMS), window=3)
    asked = Histories.from_lists([*lists, [0, 3]], NUM_ITEMS)
    np.testing.assert_allclose(memory.scores(asked), refit.scores(asked), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(memory.totals, refit.totals, rtol=1e-5)
    np.testing.assert_allclose(memory.counts.toarray(), refit.counts.toarray(), rtol=1e-5)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(LOGS, st.lists(st.integers(0, 9), min_size=12, max_size=12))
def test_counting_on_equals_a_refit_on_the_longer_log(lists, cuts):
    before = [items[:cut] for items, cut in zip(lists, cuts, strict=False)]
    memory = ItemMemory.fit(Histories.from_lists(before, NUM_ITEMS), window=3)
    log = Histories.from_lists(lists, NUM_ITEMS)
    assert memory.count_on(log) == sum(map(len, lists)) - sum(map(len, before))
    refit = ItemMemory.fit(log, window=3)
    np.testing.assert_allclose(memory.totals, refit.totals, rtol=1e-5)
    np.testing.assert_allclose(memory.counts.toarray(), refit.counts.toarray(), rtol=1e-5)
    assert memory.count_on(log) == 0


def test_counting_on_meets_new_users_and_items_and_leaves_other_copies_alone():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1]], 2), echo=0.0)
    served = memory.copy()
    assert served.count_on(Histories.from_lists([[0, 1, 2], [1, 2]], 3)) == 3
    assert served.counts.toarray().tolist() == [[0.0, 1.0, pytest.approx(0.9)], [0.0, 0.0, 2.0], [0.0, 0.0, 0.0]]
    assert memory.counts.shape == (2, 2)
    assert memory.count_on(Histories.from_lists([[0, 1]], 2)) == 0


def test_a_memory_that_does_not_know_what_it_has_counted_counts_nothing_on():
    empty = ItemMemory(sparse.csr_matrix((2, 2), dtype=np.float32), np.zeros(2, dtype=np.float32))
    assert empty.count_on(Histories.from_lists([[0, 1]], 2)) == 0
    assert not empty.counts.nnz


def test_scores_before_and_after_folding_are_the_same():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1, 2], [2, 3]], NUM_ITEMS))
    memory.update([0, 1], 5)
    asked = Histories.from_lists([[1], [5, 0]], NUM_ITEMS)
    pending = memory.scores(asked)
    memory.counts.sum()
    np.testing.assert_allclose(memory.scores(asked), pending, rtol=1e-6)


def test_only_the_strongest_followers_are_kept_and_the_lower_number_wins_a_tie():
    rows = sparse.csr_matrix(np.float32([[1, 3, 3, 2], [0, 0, 5, 0], [1, 1, 1, 1], [0, 0, 0, 0]]))
    expected = [[0, 3, 3, 0], [0, 0, 5, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert strongest(rows, 2).toarray().tolist() == expected


def test_the_memory_stays_bounded_while_events_come_in():
    random = np.random.default_rng(0)
    memory = ItemMemory.fit(Histories.from_lists([[0, 1]], 40), num_neighbours=4)
    for _ in range(60):
        items = random.choice(40, 6, replace=False)
        memory.update(items[:-1], int(items[-1]))
    assert np.diff(memory.counts.indptr).max() <= 4
    assert memory.totals.sum() > memory.counts.sum()


def test_a_folding_memory_does_not_lose_the_totals_of_dropped_followers():
    lists = [[0, item] for item in range(1, 7)]
    memory = ItemMemory.fit(Histories.from_lists(lists, NUM_ITEMS), num_neighbours=2)
    assert memory.counts[0].nnz == 2
    assert memory.totals[0] == 6


def test_growing_adds_items_that_nothing_follows_and_leaves_the_rest():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1, 2]], 3))
    before = memory.counts.toarray()
    memory.grow(5)
    assert memory.num_items == 5
    assert memory.counts.toarray()[:3, :3].tolist() == before.tolist()
    assert memory.totals.tolist()[3:] == [0, 0]
    assert memory.scores(Histories.from_lists([[4], [0]], 5)).shape == (2, 5)


def test_growing_to_a_smaller_catalogue_changes_nothing():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1, 2]], 3))
    memory.grow(1)
    assert memory.num_items == 3


def test_an_event_of_a_new_item_grows_the_memory_even_with_events_pending():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1]], 2), decay=0.5)
    memory.update([0], 1)
    memory.scores(Histories.from_lists([[0]], 2))
    memory.update([0, 1], 4)
    assert memory.num_items == 5
    assert memory.counts.toarray()[0].tolist() == [0, 2, 0, 0, 0.5]
    assert memory.scores(Histories.from_lists([[1]], 5))[0].argmax() == 4


def test_an_unknown_follower_or_an_empty_history_scores_zero():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1]], 3))
    assert not memory.scores(Histories.from_lists([[], [2]], 3)).any()


def test_a_negative_item_number_is_refused():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1]], 2))
    with pytest.raises(DataError, match=r"item numbers must be >= 0, got -1 after \[0\]; use the store's numbers"):
        memory.update([0], -1)
    with pytest.raises(DataError, match="item numbers must be >= 0"):
        memory.update([-3], 1)


def test_a_copy_does_not_hear_of_updates():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1]], 3), window=5, query_decay=0.4, num_neighbours=9)
    copied = memory.copy()
    memory.update([0], 2)
    assert copied.counts[0, 2] == 0
    assert memory.counts[0, 2] == 1
    assert copied.totals[0] == 1
    assert (copied.window, copied.query_decay, copied.num_neighbours) == (5, 0.4, 9)


def test_neighbours_come_strongest_first_weighed_down_by_how_common_they_are():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1], [0, 1], [0, 2], [0, 3], [4, 2], [5, 2]], 6), echo=0.0)
    items, weights = memory.neighbours(0, 2)
    counts, totals = memory.counts.toarray(), memory.totals
    expected = counts[0] * np.maximum(totals, 1e-6) ** -0.3
    assert items.tolist() == [1, 2]
    np.testing.assert_allclose(weights, expected[items], rtol=1e-5)


def test_smoothing_with_the_identity_changes_nothing():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1, 2], [3, 1, 0]], 4))
    asked = Histories.from_lists([[0], [3, 2]], 4)
    same = memory.scores(asked, smoothing_VV=sparse.identity(4, dtype=np.float32, format="csr"))
    np.testing.assert_allclose(same, memory.scores(asked), rtol=1e-5)


def test_a_cold_item_is_reached_through_the_items_that_stand_in_for_it():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1], [0, 1]], 4))
    stand_in = sparse.csr_matrix(np.float32([[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]))
    scores = memory.scores(Histories.from_lists([[0]], 4), smoothing_VV=stand_in)[0]
    assert scores[2] == scores[1] > scores[3]


def test_the_newest_interactions_of_a_query_count_most():
    query = decayed_query(Histories.from_lists([[0, 1, 2], []], 3), window=2, decay=0.5, num_items=4)
    assert query.toarray().tolist() == [[0, 0.5, 1, 0], [0, 0, 0, 0]]
    assert row_sums(query).tolist() == [1.5, 0]
