import threading

import polars as pl
import pytest

from kinema.errors import BusyError, DataError
from kinema.schema import Event, EventKind
from kinema.serving.problems import Problem, problem_of
from kinema.serving.writer import Writer
from kinema.store.event_log import event_frame
from kinema.store.service_protocols import LoggedSlate
from small_service import small_project


def event(item, user="u", its_id=""):
    return Event(user, item, 5, EventKind.CLICK, id=its_id)


def slate(its_id):
    return LoggedSlate(its_id, "u", 1, "home", "", "m", ("a",), (1.0,))


class Slow:
    """A store whose first write waits until it is let go, so that others queue up behind it."""

    def __init__(self, store):
        self.store = store
        self.go = threading.Event()
        self.sizes, self.rounds = [], []

    def write_served(self, events, slates, *, create_items=False):
        if events:
            self.go.wait(10)
            self.sizes.append(len(events))
        self.rounds.append((len(events), len(slates)))
        return self.store.write_served(events, slates, create_items=create_items)


@pytest.fixture
def store(tmp_path):
    with small_project(tmp_path) as project:
        yield project.store


@pytest.fixture
def slow(store):
    return Slow(store)


@pytest.fixture
def writer(slow):
    made = Writer(slow, applied=lambda: None)
    made.start()
    yield made
    slow.go.set()
    made.close()


def test_who_waits_while_something_is_written_shares_the_next_transaction(writer, slow):
    first = writer.events([event("a")])
    while writer.num_waiting:
        pass
    others = [writer.events([event("b", f"u{number}")]) for number in range(5)]
    slow.go.set()
    for done in (first, *others):
        done.result(10)
    assert slow.sizes == [1, 5]


def test_an_event_that_is_acknowledged_is_durable(writer, slow, store):
    slow.go.set()
    writer.events([event("a", "eve")]).result(10)
    assert [one.item for one in store.user_events("eve")] == ["a"]


def test_of_several_requests_only_the_one_to_blame_is_refused(writer, slow, store):
    first = writer.events([event("a")])
    while writer.num_waiting:
        pass
    good, bad = writer.events([event("b", "eve")]), writer.events([event("gone", "fay"), event("c", "fay")])
    slow.go.set()
    first.result(10)
    good.result(10)
    with pytest.raises(Problem, match="1 of 2 events name an item that is gone"):
        bad.result(10)
    assert [one.item for one in store.user_events("eve")] == ["b"]
    assert [one.item for one in store.user_events("fay")] == ["c"]


def test_items_are_made_where_that_is_wanted(writer, slow, store):
    slow.go.set()
    writer.events([event("new")], create_items=True).result(10)
    assert store.item("new") is not None


def test_a_slate_is_logged_once(writer, store, slow):
    slow.go.set()
    for _ in range(2):
        writer.slate(slate("s1")).result(10)
    assert store.slates().height == 1


def test_events_and_slates_that_wait_share_one_transaction(writer, slow, store):
    first = writer.events([event("a")])
    while writer.num_waiting:
        pass
    version, written = store.changes.read(), [writer.events([event("b")]), writer.slate(slate("s1"))]
    slow.go.set()
    for done in (first, *written):
        done.result(10)
    assert store.changes.read()[0] == version[0] + 2
    assert slow.rounds == [(1, 0), (1, 1)]


def test_a_slate_that_waits_with_a_refused_event_is_logged(writer, slow, store):
    first = writer.events([event("a")])
    while writer.num_waiting:
        pass
    bad, good = writer.events([event("gone")]), writer.slate(slate("s1"))
    slow.go.set()
    first.result(10)
    good.result(10)
    with pytest.raises(Problem, match="1 of 1 events name an item that is gone"):
        bad.result(10)
    assert store.slate("s1") == slate("s1")


def test_one_that_cannot_be_kept_fails_alone(writer, slow, store):
    first = writer.events([event("a")])
    while writer.num_waiting:
        pass
    bad, good = writer.events([event("a", its_id="e" * 257)]), writer.slate(slate("s1"))
    slow.go.set()
    first.result(10)
    good.result(10)
    with pytest.raises(DataError, match="event id must have 1 to 256 characters, has 257"):
        bad.result(10)


def test_what_waits_is_written_before_the_end(store, slow):
    writer = Writer(slow, applied=lambda: None)
    writer.start()
    waiting = [writer.events([event("a", f"u{number}")]) for number in range(3)]
    slow.go.set()
    writer.close()
    assert all(done.result(0) is None for done in waiting)
    with pytest.raises(Problem, match="the service stops; try again in a second"):
        writer.slate(slate("s2"))


def test_a_store_that_fails_is_told_to_everyone_who_waits():
    class Broken:
        def write_served(self, events, _slates, **_):
            raise OSError("disk full") if events else DataError("no")

    writer = Writer(Broken(), applied=lambda: None)
    writer.start()
    with pytest.raises(OSError, match="disk full"):
        writer.events([event("a")]).result(10)
    with pytest.raises(DataError, match="no"):
        writer.slate(slate("s")).result(10)
    writer.close()


def test_while_the_store_is_busy_all_who_wait_are_told_once_and_to_come_again():
    class Busy:
        go, rounds = threading.Event(), 0

        def write_served(self, *_, **__):
            self.go.wait(10)
            self.rounds += 1
            raise BusyError("the store is being written by another process; wait for it, then try again")

    busy = Busy()
    writer = Writer(busy, applied=lambda: None)
    writer.start()
    asked = [writer.events([event(item)]) for item in "abc"]
    busy.go.set()
    for one in asked:
        with pytest.raises(BusyError) as caught:
            one.result(10)
        told = problem_of(caught.value)
        assert (told.status, told.code, told.headers) == (503, "unavailable", {"Retry-After": "2"})
    assert busy.rounds <= 2  # the first alone, then all who waited meanwhile
    writer.close()


def test_too_many_who_wait_are_sent_away(store, slow, monkeypatch):
    monkeypatch.setattr("kinema.serving.writer._MOST_WAITING", 1)
    writer = Writer(slow, applied=lambda: None)
    writer.slate(slate("s1"))
    with pytest.raises(Problem, match="1 requests wait to be written; try again in a second"):
        writer.slate(slate("s2"))


def test_columns_have_their_types_also_where_all_values_are_missing():
    frame = event_frame([event("a")])
    assert frame.schema["watch_ms"] == pl.Int64
    assert frame["context"].to_list() == ["{}"]
