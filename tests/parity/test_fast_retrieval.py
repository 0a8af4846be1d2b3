"""What a request takes from lists that were kept equals what it would find by looking at everything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.retrieval import asked_before
from kinema.retrieval.content import ContentRetriever, unit_rows
from kinema.retrieval.fresh import FreshRetriever, ages_ms
from kinema.retrieval.kept import Changes, KeptWhile
from kinema.retrieval.nearby import Nearby
from kinema.retrieval.popularity import PopularityRetriever, Segments
from kinema.retrieval.query import Query
from kinema.retrieval.top import first_allowed, top
from kinema.store.histories import Histories

SEEDS = st.integers(0, 2**32 - 1)


def query(history, size, *, allowed=None, now_ms=0, profile=None):
    allowed_V = np.ones(size, dtype=bool) if allowed is None else allowed
    return Query(Histories.from_lists([list(history)], size), allowed_V, now_ms, None, profile)


def items(found):
    return [one.item for one in found]


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 8), st.integers(1, 12), st.floats(0.1, 1.0))
def test_lists_of_near_items_give_what_comparing_with_everything_gives(seed, num_near, num, share):
    rng = np.random.default_rng(seed)
    vectors = unit_rows(rng.normal(size=(60, 3)))
    vectors[rng.integers(0, 60, 4)] = 0
    asked = query(rng.choice(60, 6, replace=False), 60, allowed=rng.random(60) < share)
    quick, whole = (ContentRetriever(vectors, num_near=near) for near in (num_near, 1000))
    for _ in range(2):
        assert items(quick(asked, num)) == items(whole(asked, num))


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 3), st.integers(1, 12), st.integers(1, 20))
def test_what_is_asked_again_with_other_rules_is_what_would_be_found_anew(seed, num_near, num, depth):
    rng = np.random.default_rng(seed)
    vectors = unit_rows(rng.normal(size=(60, 3)))
    quick, whole = (ContentRetriever(vectors, num_near=near) for near in (num_near, 1000))
    history = rng.choice(60, 6, replace=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asked_before, "_DEPTH", depth)
        for _ in range(4):
            asked = query(history, 60, allowed=rng.random(60) < rng.random())
            assert items(quick(asked, num)) == items(whole(asked, num))


def test_a_question_that_comes_again_reads_no_lists(monkeypatch):
    vectors = unit_rows(np.random.default_rng(0).normal(size=(60, 3)))
    retriever = ContentRetriever(vectors, num_near=3)
    asked = query([1, 2, 3], 60)
    first = items(retriever(asked, 2))
    monkeypatch.setattr(Nearby, "scores", None)
    assert items(retriever(asked, 2)) == first


def test_lists_are_kept_and_the_longest_unused_goes_first(monkeypatch):
    monkeypatch.setattr("kinema.retrieval.nearby._MOST_NUMBERS", 2 * 2 * 3)
    vectors = unit_rows(np.random.default_rng(0).normal(size=(20, 3)))
    nearby = Nearby(vectors, np.ones(20, dtype=bool), num_near=3)
    for item in (0, 1, 0, 2):
        nearby.scores(np.array([item]), np.ones(1))
    assert list(nearby._kept) == [0, 2]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([None, 0, 40, 50, 90, 100, 101]), min_size=1, max_size=20), SEEDS, st.integers(0, 9))
def test_the_newest_in_order_equal_the_definition(dates, seed, num):
    published = np.array([np.iinfo(np.int64).min if date is None else date for date in dates])
    allowed = np.random.default_rng(seed).random(len(dates)) < 0.7
    found = FreshRetriever(published, window_ms=50)(query([], len(dates), allowed=allowed, now_ms=100), num)
    age = ages_ms(published, 100)
    assert items(found) == top(-age, num, allowed & (age >= 0) & (age <= 50)).tolist()
    assert [one.score for one in found] == [-age[item] for item in items(found)]


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 12))
def test_the_most_watched_follow_counts_that_change_in_place(seed, num):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 5, 30).astype(np.float64)
    retriever = PopularityRetriever(counts)
    for _ in range(4):
        allowed = rng.random(30) < 0.5
        assert items(retriever(query([], 30, allowed=allowed), num)) == top(counts, num, allowed).tolist()
        item = int(rng.integers(30))
        counts[item] += 1
        retriever.changes.tell(item)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 12))
def test_what_has_just_been_watched_is_in_its_place_while_the_order_waits(seed, num):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 5, 30).astype(np.float64)
    retriever = PopularityRetriever(counts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kinema.retrieval.popularity.patience", lambda _: 9)
        for _ in range(6):
            allowed = rng.random(30) < 0.5
            assert items(retriever(query([], 30, allowed=allowed), num)) == top(counts, num, allowed).tolist()
            item = int(rng.integers(30))
            counts[item] += rng.integers(1, 4)
            retriever.changes.tell(item)
    assert len(retriever._leaders._kept) == 1


def test_where_few_of_the_most_watched_are_allowed_all_items_are_looked_at(monkeypatch):
    monkeypatch.setattr("kinema.retrieval.popularity._NUM_LEADERS", 3)
    counts, allowed = np.arange(10.0), np.arange(10) < 6
    assert items(PopularityRetriever(counts)(query([], 10, allowed=allowed), 2)) == [5, 4]


def test_the_most_watched_of_a_segment_follow_counts_that_change_in_place():
    one = np.array([0]), np.array([0.0]), np.array([np.inf])
    segments = Segments(("de",), *one, np.array([[0.0, 4.0, 0.0]]), prior=2.0)
    counts = np.array([1.0, 4.0, 4.0])
    retriever = PopularityRetriever(counts, segments)
    asked = query([], 3, profile=np.float32([1.0]))
    assert items(retriever(asked, 3)) == [1, 2, 0]
    counts[0] += 40
    retriever.changes.tell(0)
    segments.changes.tell(0)
    assert items(retriever(asked, 3)) == [1, 0, 2]


def test_what_is_kept_has_a_bound_and_follows_every_change():
    kept, changes = KeptWhile(most=2), Changes()
    made = []
    for name in ("a", "b", "a", "c", "b"):
        kept.get(changes, name, lambda name=name: made.append(name))
    assert made == ["a", "b", "c"]
    changes.tell(2)
    kept.get(changes, "b", lambda: made.append("waits"), waiting=1)
    assert "waits" not in made
    kept.get(changes, "b", lambda: made.append("again"))
    assert made[-1] == "again"
    assert len(kept._kept) <= 2


@given(st.lists(st.booleans(), max_size=40), st.integers(-1, 12))
def test_the_first_allowed_are_found_wherever_they_stand(allowed, num):
    order = np.random.default_rng(len(allowed)).permutation(len(allowed))
    expected = [item for item in order.tolist() if allowed[item]][: max(num, 0)]
    assert first_allowed(order, np.array(allowed, dtype=bool), num).tolist() == expected


def test_a_long_list_is_looked_at_in_parts():
    allowed = np.zeros(5000, dtype=bool)
    allowed[[4000, 4999]] = True
    assert first_allowed(np.arange(5000), allowed, 2).tolist() == [4000, 4999]
