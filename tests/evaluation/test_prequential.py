import numpy as np
import pytest

from kinema.errors import DataError
from kinema.evaluation.baselines.prequential import PrequentialMemory
from kinema.flm.memory import ItemMemory
from kinema.store.histories import Histories
from kinema.store.splits import Cases

TURN = 1000


def drifting(num_users=60):
    """Before the turn 1 follows 0, afterwards 2 does; each user watches a pair at a moment of its own."""
    lists, times = [], []
    for user in range(num_users):
        late = user >= num_users // 2
        moment = 10 * user + (TURN if late else 0)
        lists.append([0, 2 if late else 1])
        times.append([moment, moment + 1])
    log = Histories.from_lists(lists, 4)
    return Histories(log.offsets, log.items, np.array(times).ravel().astype(np.int64), 4)


def asked(log, users):
    moments = log.timestamps_ms[log.offsets[1:][users] - 1]
    first = Histories.from_lists([[0]] * len(users), 4)
    empty = Histories.from_lists([[]] * len(users), 4)
    return Cases(users.astype(np.int32), moments, first, empty)


def ranker(log, **changes):
    early = log.take(np.arange(30))
    return PrequentialMemory("online", ItemMemory.fit(early), log, counted_until_ms=TURN, **changes)


def test_a_memory_that_counts_on_follows_a_turn_and_one_that_stands_still_does_not():
    log = drifting()
    online = ranker(log, every=1)
    cases = asked(log, np.arange(30, 60))
    scores = online.score(cases)
    still = ItemMemory.fit(log.take(np.arange(30))).scores(cases.histories)
    assert scores[0, 1] > scores[0, 2]
    assert scores[-1, 2] > scores[-1, 1] * 0.9
    assert scores[-1, 2] > still[-1, 2]


def test_what_happens_later_changes_no_score():
    log = drifting()
    cases = asked(log, np.arange(30, 45))
    items = log.items.copy()
    items[log.timestamps_ms >= cases.timestamps_ms_C[-1]] = 3
    changed = Histories(log.offsets, items, log.timestamps_ms, 4)
    np.testing.assert_array_equal(ranker(log, every=1).score(cases), ranker(changed, every=1).score(cases))


def test_batches_change_nothing():
    log = drifting()
    users = np.arange(30, 60)
    whole, parts = ranker(log), ranker(log)
    expected = whole.score(asked(log, users))
    found = np.concatenate([parts.score(asked(log, part)) for part in np.array_split(users, 4)])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_cases_out_of_order_are_refused():
    log = drifting()
    online = ranker(log)
    online.score(asked(log, np.array([40])))
    with pytest.raises(DataError, match="must come in the order of time"):
        online.score(asked(log, np.array([35])))
