"""Popularity now, and among people like the user."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.errors import DataError
from kinema.retrieval.popularity import (
    DAY_MS,
    PopularityRetriever,
    count_segments,
    decayed_counts,
    recency_weights,
)
from kinema.retrieval.query import Query
from kinema.store.features import Profiles
from kinema.store.histories import Histories


def log(rows, num_items=3):
    """Histories from lists of (item, day)."""
    lengths = [len(row) for row in rows]
    flat = [pair for row in rows for pair in row]
    return Histories(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array([item for item, _ in flat], dtype=np.int32),
        np.array([day * DAY_MS for _, day in flat], dtype=np.int64),
        num_items,
    )


def test_an_interaction_counts_half_after_one_half_life():
    counts = decayed_counts(log([[(0, 0), (1, 30)]]), now_ms=30 * DAY_MS, half_life_days=30)
    assert counts.tolist() == [0.5, 1.0, 0.0]


def test_now_is_the_newest_interaction_unless_it_is_given():
    assert decayed_counts(log([[(0, 0), (1, 30)]]), half_life_days=30).tolist() == [0.5, 1.0, 0.0]


def test_what_happens_later_is_not_known_yet():
    assert decayed_counts(log([[(0, 0), (1, 30)]]), now_ms=0).tolist() == [1.0, 0.0, 0.0]


def test_an_empty_log_makes_nothing_popular():
    assert decayed_counts(log([[]])).tolist() == [0.0, 0.0, 0.0]


@given(st.integers(0, 10_000), st.floats(0.1, 1000))
def test_weights_lie_between_zero_and_one(age_days, half_life):
    weight = recency_weights(np.array([0]), now_ms=age_days * DAY_MS, half_life_days=half_life)[0]
    assert 0 <= weight <= 1


PROFILES = Profiles(np.float32([[1, 0, -1], [1, 0, -1], [0, 1, 1], [0, 1, 1]]), ("country=de", "country=fr", "age"))
LOG = log([[(0, 0)], [(0, 0), (2, 0)], [(1, 0)], [(1, 0), (2, 0)]])


def test_segments_prefer_what_people_alike_watch():
    segments = count_segments(LOG, PROFILES, prior=1.0)
    popularity = decayed_counts(LOG)
    german = segments.shares(np.float32([1, 0, 0]), popularity)
    french = segments.shares(np.float32([0, 1, 0]), popularity)
    assert german[0] > french[0]
    assert french[1] > german[1]
    assert german.sum() == pytest.approx(1.0)


def test_numbers_are_cut_into_thirds_and_zero_means_not_given():
    values = np.float32([[-2], [-1], [-0.5], [0.5], [1], [2], [0]])
    segments = count_segments(log([[(0, 0)]] * 7), Profiles(values, ("age",)))
    assert segments.names == ("age: low", "age: middle", "age: high")
    assert [segments.of(row).tolist() for row in values] == [[0], [0], [1], [1], [2], [2], []]


def test_a_number_nobody_gave_makes_no_segment():
    assert count_segments(log([[(0, 0)]]), Profiles(np.float32([[0.0]]), ("age",))).names == ()


def test_a_user_without_attributes_gets_the_whole_audience():
    popularity = decayed_counts(LOG)
    shares = count_segments(LOG, PROFILES).shares(np.zeros(3, dtype=np.float32), popularity)
    assert shares == pytest.approx(popularity / popularity.sum())


def test_a_large_prior_leaves_only_the_whole_audience():
    popularity = decayed_counts(LOG)
    shares = count_segments(LOG, PROFILES, prior=1e9).shares(np.float32([1, 0, 0]), popularity)
    assert shares == pytest.approx(popularity / popularity.sum(), abs=1e-6)


def test_segments_of_an_empty_log_are_all_zero():
    segments = count_segments(log([[]]), Profiles(np.float32([[1]]), ("country=de",)))
    assert segments.shares(np.float32([1]), np.zeros(3)).tolist() == [0.0, 0.0, 0.0]


def test_profiles_of_other_users_are_refused():
    with pytest.raises(DataError, match="one row per user, got 4 rows for 1 users"):
        count_segments(log([[(0, 0)]]), PROFILES)


def test_a_profile_row_of_another_width_is_refused():
    with pytest.raises(DataError, match="more than 2 columns, got 1"):
        count_segments(LOG, PROFILES).of(np.float32([1]))


def test_the_retriever_uses_the_segment_where_a_profile_is_known():
    retrieve = PopularityRetriever(decayed_counts(LOG), count_segments(LOG, PROFILES, prior=1.0))
    history, allowed = Histories.from_lists([[]], 3), np.ones(3, dtype=bool)
    anyone = retrieve(Query(history, allowed, 0), 3)
    french = retrieve(Query(history, allowed, 0, profile_P=np.float32([0, 1, 1])), 3)
    assert [one.item for one in anyone] == [0, 1, 2]
    assert [one.item for one in french] == [1, 2, 0]
