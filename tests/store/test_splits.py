import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.errors import ConfigError, DataError
from kinema.store.histories import Histories
from kinema.store.splits import blocked_items, cold, leave_one_out, temporal

NUM_ITEMS = 9


def pack(logs):
    """Histories from lists of (time, item)."""
    flat = [event for log in logs for event in log]
    return Histories(
        np.concatenate([[0], np.cumsum([len(log) for log in logs])]).astype(np.int64),
        np.array([item for _, item in flat], dtype=np.int32),
        np.array([time for time, _ in flat], dtype=np.int64),
        NUM_ITEMS,
    )


def rows(histories):
    return [histories.of(row).tolist() for row in range(histories.num_users)]


def as_tuples(cases):
    """Cases as (user, time, history, targets)."""
    return list(
        zip(
            cases.users_C.tolist(),
            cases.timestamps_ms_C.tolist(),
            rows(cases.histories),
            rows(cases.targets),
            strict=True,
        )
    )


LOG = st.lists(st.tuples(st.integers(0, 12), st.integers(0, NUM_ITEMS - 1)), max_size=8).map(
    lambda events: sorted(events, key=lambda event: event[0])
)
LOGS = st.lists(LOG, min_size=1, max_size=6)
HIDDEN = st.lists(st.booleans(), min_size=NUM_ITEMS, max_size=NUM_ITEMS).map(np.array)


@given(LOGS, HIDDEN)
def test_leave_one_out_equals_its_naive_twin(logs, hidden):
    if max(len(log) for log in logs) < 3:
        return
    split = leave_one_out(pack(logs), hidden_V=hidden)
    items = [[item for _, item in log] for log in logs]
    assert rows(split.train) == [s[:-2] if len(s) >= 3 else s for s in items]
    for cases, back in ((split.valid, 2), (split.test, 1)):
        assert as_tuples(cases) == [
            (user, log[-back][0], items[user][:-back], [items[user][-back]])
            for user, log in enumerate(logs)
            if len(log) >= 3 and not hidden[items[user][-back]]
        ]
    trained = {item for row in rows(split.train) for item in row}
    assert split.cold_V.tolist() == [item not in trained for item in range(NUM_ITEMS)]


@given(LOGS, st.integers(1, 12), HIDDEN)
def test_temporal_equals_its_naive_twin_and_leaks_nothing(logs, test_from, hidden):
    histories = pack(logs)
    early = [t for log in logs for t, _ in log if t < test_from]
    if len(set(early)) < 2 or not any(t >= test_from for log in logs for t, _ in log):
        return
    split = temporal(histories, test_from_ms=test_from, valid_share=0.3, hidden_V=hidden)
    valid_from = split.valid.timestamps_ms_C.min() if len(split.valid) else None
    trained = [t for u, log in enumerate(logs) for t, _ in log[: split.train.lengths[u]]]
    if valid_from is not None:
        assert max(trained) < valid_from
        assert split.valid.timestamps_ms_C.max() < test_from
    assert max(trained) < test_from
    assert len(trained) + sum(t >= test_from for log in logs for t, _ in log) <= len(histories.items)
    expected = sorted(
        (t, user, place)
        for user, log in enumerate(logs)
        for place, (t, item) in enumerate(log)
        if t >= test_from and not hidden[item]
    )
    assert as_tuples(split.test) == [
        (user, t, [item for when, item in logs[user] if when < t], [logs[user][place][1]])
        for t, user, place in expected
    ]
    for cases in (split.valid, split.test):
        asked = np.repeat(cases.timestamps_ms_C, cases.histories.lengths)
        assert (cases.histories.timestamps_ms < asked).all()


@given(LOGS, st.integers(0, 5))
def test_cold_takes_the_held_items_out_of_everything_but_test_targets(logs, seed):
    if max(len(log) for log in logs) < 3:
        return
    split = cold(pack(logs), share=0.3, seed=seed)
    plain = leave_one_out(pack(logs))
    assert as_tuples(split.test) == [
        (user, when, [item for item in history if item not in held(split, plain)], targets)
        for user, when, history, targets in as_tuples(plain.test)
    ]
    assert not split.cold_V[split.valid.targets.items].any()
    for histories in (split.train, split.valid.histories, split.test.histories):
        assert not set(histories.items.tolist()) & held(split, plain)


def held(split, plain):
    """What the split held out, told from the items that are missing in training or in an input."""
    before = {*plain.train.items.tolist(), *plain.test.histories.items.tolist()}
    after = {*split.train.items.tolist(), *split.test.histories.items.tolist()}
    return before - after


def test_cold_holds_out_the_share_it_is_asked_for_and_the_same_for_the_same_seed():
    logs = [[(t, (user + t) % NUM_ITEMS) for t in range(8)] for user in range(20)]
    one, two, other = (
        cold(pack(logs), share=0.34, seed=1),
        cold(pack(logs), share=0.34, seed=1),
        cold(pack(logs), seed=2),
    )
    assert one.facts["items_held_out"] == one.cold_V.sum() == 3
    assert one.cold_V.tolist() == two.cold_V.tolist()
    assert other.facts["items_held_out"] == 1
    assert one.facts["test_cases_with_cold_target"] == int(one.cold_V[one.test.targets.items].sum()) > 0


def test_temporal_takes_the_last_fifth_unless_told_otherwise():
    split = temporal(pack([[(t, t % NUM_ITEMS) for t in range(100)]]))
    assert len(split.test) == 20
    assert len(split.valid) == 8
    assert split.train.lengths.tolist() == [72]
    assert split.facts["test_from"] == "1970-01-01T00:00:00+00:00"


def test_temporal_draws_at_most_the_cases_it_is_asked_for_still_in_time_order():
    split = temporal(pack([[(t, t % NUM_ITEMS) for t in range(100)] for _ in range(3)]), max_cases=10, seed=4)
    assert (len(split.valid), len(split.test)) == (10, 10)
    assert (np.diff(split.test.timestamps_ms_C) >= 0).all()
    again = temporal(pack([[(t, t % NUM_ITEMS) for t in range(100)] for _ in range(3)]), max_cases=10, seed=4)
    assert as_tuples(split.test) == as_tuples(again.test)


def test_events_of_one_millisecond_do_not_see_each_other():
    split = temporal(pack([[(0, 0), (1, 1), (5, 2), (5, 3), (6, 4)]]), test_from_ms=5)
    assert as_tuples(split.test) == [(0, 5, [0, 1], [2]), (0, 5, [0, 1], [3]), (0, 6, [0, 1, 2, 3], [4])]


def test_a_new_user_of_the_test_period_is_asked_with_an_empty_history():
    split = temporal(pack([[(0, 0), (1, 1), (9, 2)], [(9, 3)]]), test_from_ms=9)
    assert as_tuples(split.test)[1] == (1, 9, [], [3])
    assert split.facts["test_cases_with_empty_history"] == 1


def test_blocked_are_the_seen_the_unpublished_and_the_hidden_but_never_the_target():
    published = np.full(NUM_ITEMS, np.iinfo(np.int64).min)
    published[[4, 5]] = [50, 51]
    published[2] = 99
    hidden = np.zeros(NUM_ITEMS, dtype=bool)
    hidden[6] = True
    split = leave_one_out(pack([[(10, 0), (20, 1), (50, 2)]]), published_ms_V=published, hidden_V=hidden)
    blocked = blocked_items(split.test, published_ms_V=split.published_ms_V, hidden_V=split.hidden_V)
    assert np.flatnonzero(blocked[0]).tolist() == [0, 1, 5, 6]
    assert split.facts["test_targets_before_their_publication"] == 1
    assert split.facts["hidden_items"] == 1
    assert np.flatnonzero(blocked_items(split.test)[0]).tolist() == [0, 1]


def test_a_moment_beyond_the_calendar_is_stated_as_a_number():
    split = leave_one_out(pack([[(0, 0), (1, 1), (2**60, 2)]]))
    assert split.facts["test_last"] == f"{2**60} ms"


def test_a_log_that_cannot_be_split_is_refused():
    short = pack([[(0, 0), (1, 1)]])
    with pytest.raises(
        DataError, match="must have a user with at least 3 interactions, the longest of 1 histories has 2"
    ):
        leave_one_out(short)
    with pytest.raises(DataError, match="cold must have a user with at least 3"):
        cold(short)
    with pytest.raises(DataError, match="user number 1 goes back at place 3; sort the log"):
        leave_one_out(pack([[(0, 0), (1, 1)], [(5, 0), (4, 1), (6, 2)]]))
    with pytest.raises(DataError, match="the test period must have interactions of at least two moments"):
        temporal(pack([[(3, 0), (3, 1), (3, 2)]]))
    with pytest.raises(DataError, match="the validation period must have interactions of at least two moments"):
        temporal(pack([[(0, 0), (3, 1), (4, 2)]]), test_from_ms=3)
    with pytest.raises(DataError, match=r"none is at or after 1970-01-01T00:00:00"):
        temporal(pack([[(0, 0), (3, 1), (4, 2)]]), test_from_ms=5)
    with pytest.raises(DataError, match="hidden_V must have one entry per item, 9, has 2"):
        leave_one_out(pack([[(0, 0), (1, 1), (2, 2)]]), hidden_V=np.array([True, False]))


@pytest.mark.parametrize("name", ["test_share", "valid_share"])
def test_a_share_out_of_range_is_refused(name):
    log = pack([[(0, 0), (1, 1), (2, 2)]])
    with pytest.raises(ConfigError, match=rf"{name} must be in \(0, 1\), is 1.0"):
        temporal(log, **{name: 1.0})
    with pytest.raises(ConfigError, match=r"share must be in \(0, 1\), is 0"):
        cold(log, share=0)


@settings(max_examples=20)
@given(LOGS)
def test_facts_count_what_the_split_holds(logs):
    if max(len(log) for log in logs) < 3:
        return
    split = leave_one_out(pack(logs))
    assert split.facts["train_interactions"] == len(split.train.items)
    assert (split.facts["valid_cases"], split.facts["test_cases"]) == (len(split.valid), len(split.test))
    assert split.facts["cold_items"] == int(split.cold_V.sum())
