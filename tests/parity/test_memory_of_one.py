"""The memory asked by one user equals the memory asked by many; counting goes on while it is put together."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from kinema.flm import memory as memory_module
from kinema.flm.memory import ItemMemory
from kinema.flm.memory_updates import Updates
from kinema.store.histories import Histories

NUM_ITEMS = 12
LOGS = st.lists(st.lists(st.integers(0, NUM_ITEMS - 1), max_size=8, unique=True), min_size=1, max_size=6)


def stand_ins(seed):
    rng = np.random.default_rng(seed)
    return sparse.csr_matrix(
        np.float32(rng.random((NUM_ITEMS, NUM_ITEMS)) * (rng.random((NUM_ITEMS, NUM_ITEMS)) < 0.3))
    )


@settings(max_examples=60, deadline=None)
@given(LOGS, LOGS, st.none() | st.integers(0, 99), st.booleans())
def test_one_user_is_answered_as_among_many(lists, asked, seed, with_updates):
    memory = ItemMemory.fit(Histories.from_lists(lists, NUM_ITEMS), window=4)
    if with_updates:
        memory.update([1, 2], 3)
        memory.update([3], 1)
    smoothing = None if seed is None else stand_ins(seed)
    many = memory.scores(Histories.from_lists([*asked, []], NUM_ITEMS), smoothing_VV=smoothing)
    for row, history in enumerate(asked):
        one = memory.scores(Histories.from_lists([history], NUM_ITEMS), smoothing_VV=smoothing)
        np.testing.assert_allclose(one[0], many[row], rtol=1e-5, atol=1e-6)
        assert one.shape == (1, NUM_ITEMS)


def test_neighbours_know_of_updates_without_putting_the_memory_together():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1], [0, 2]], NUM_ITEMS), echo=0.0)
    memory.update([0], 2)
    memory.update([0], 5)
    before = memory.neighbours(0, 9)
    memory.fold()
    after = memory.neighbours(0, 9)
    assert before[0].tolist() == after[0].tolist()
    np.testing.assert_allclose(before[1], after[1], rtol=1e-6)
    assert memory.counts[0, 2] == pytest.approx(2)


def test_folding_nothing_changes_nothing():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1]], NUM_ITEMS))
    counts = memory.counts
    memory.fold()
    assert memory.counts is counts


def test_nothing_counted_is_an_empty_matrix():
    assert Updates().matrix(3).toarray().tolist() == [[0.0] * 3] * 3


def test_events_and_questions_go_on_while_the_memory_is_put_together():
    rng = np.random.default_rng(0)
    log = [rng.choice(NUM_ITEMS, 6, replace=False).tolist() for _ in range(120)]
    memory = ItemMemory.fit(Histories.from_lists([[]], NUM_ITEMS), window=3)
    done = threading.Event()

    def fold():
        while not done.is_set():
            memory.fold()
            memory.scores(Histories.from_lists([[1, 2]], NUM_ITEMS))

    folding = threading.Thread(target=fold)
    folding.start()
    for items in log:
        for place, item in enumerate(items):
            memory.update(items[:place], item)
    done.set()
    folding.join()
    refit = ItemMemory.fit(Histories.from_lists(log, NUM_ITEMS), window=3)
    np.testing.assert_allclose(memory.counts.toarray(), refit.counts.toarray(), rtol=1e-4)
    np.testing.assert_allclose(memory.totals, refit.totals, rtol=1e-4)


def test_a_service_does_not_wait_while_the_memory_is_put_together(monkeypatch):
    monkeypatch.setattr(memory_module, "_FOLD_AFTER", 5)
    rng = np.random.default_rng(0)
    log = [rng.choice(NUM_ITEMS, 6, replace=False).tolist() for _ in range(60)]
    memory = ItemMemory.fit(Histories.from_lists([[]], NUM_ITEMS), window=3)
    memory.folds_aside = True
    by_whom, fold = set(), memory.fold

    def told():
        by_whom.add(threading.current_thread().name)
        fold()

    memory.fold = told
    for items in log:
        for place, item in enumerate(items):
            memory.update(items[:place], item)
    for thread in threading.enumerate():
        if thread.name == "kinema-fold":
            thread.join()
    assert by_whom == {"kinema-fold"}
    refit = ItemMemory.fit(Histories.from_lists(log, NUM_ITEMS), window=3)
    np.testing.assert_allclose(memory.counts.toarray(), refit.counts.toarray(), rtol=1e-4)


@settings(max_examples=40, deadline=None)
@given(LOGS, st.lists(st.integers(0, NUM_ITEMS - 1), max_size=5, unique=True), st.booleans())
def test_links_are_the_neighbours_of_several_items_at_once(lists, asked, with_updates):
    memory = ItemMemory.fit(Histories.from_lists(lists, NUM_ITEMS))
    if with_updates:
        memory.update([1, 2], 3)
    others = np.array([3, 0, 7, 2])
    weights = memory.links(np.array(asked, dtype=np.int32), others)
    assert weights.shape == (len(asked), 4)
    for place, item in enumerate(asked):
        linked = dict(zip(*(part.tolist() for part in memory.neighbours(item, NUM_ITEMS)), strict=True))
        assert weights[place].tolist() == pytest.approx([linked.get(other, 0.0) for other in others.tolist()])
