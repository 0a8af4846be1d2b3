import sqlite3
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import inspect

from kinema.errors import BusyError, DataError, StaleArtifactError
from kinema.schema import EventKind, User
from kinema.store import event_log, schema_upgrade
from kinema.store.protocols import WriteCounts
from kinema.store.service_protocols import StoreState
from kinema.store.sql import SqlStore
from kinema.testing.service_conformance import ServiceConformance, some_slate
from kinema.testing.store_conformance import StoreConformance, some_events


class TestSqlStore(StoreConformance, ServiceConformance):
    def open_store(self, place):
        return SqlStore.open(place / "store.db")


@pytest.fixture
def store(tmp_path):
    store = SqlStore.open(tmp_path / "store.db")
    yield store
    store.close()


def test_a_url_opens_the_same_store_as_its_path(tmp_path):
    store = SqlStore.open(tmp_path / "deep" / "store.db")
    store.set_meta("x", 1)
    store.close()
    again = SqlStore.open(f"sqlite:///{tmp_path / 'deep' / 'store.db'}")
    assert again.meta("x") == 1
    again.close()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "store.db").write_text("this is a text file, not a database " * 100)
    with pytest.raises(DataError, match=r"cannot open the store '.*store.db': file is not a database"):
        SqlStore.open(tmp_path / "store.db")


def test_a_store_of_another_schema_version_is_refused(tmp_path):
    SqlStore.open(tmp_path / "store.db").close()
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.execute("UPDATE facts SET value = '99' WHERE key = 'schema_version'")
    connection.commit()
    connection.close()
    with pytest.raises(StaleArtifactError, match="must have schema version 2, has 99"):
        SqlStore.open(tmp_path / "store.db")


def test_a_store_of_a_former_release_is_upgraded_in_place(tmp_path):
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.executescript(Path(__file__).with_name("store_version_1.sql").read_text())
    connection.close()
    store = SqlStore.open(tmp_path / "store.db")
    assert store.items().select("id", "title", "tags", "hidden").rows() == [
        ("a", "A", ["x"], False),
        ("b", "B", [], False),
    ]
    assert store.user("u") == User("u", {"age": 30})
    assert (store.version(), store.meta("media_root"), store.mark("k").done) == (3, "media", True)
    assert store.events()["kind"].to_list() == ["watch", "click"]
    assert store.state() == StoreState(seq=1, items=0, users=0, documents=0)
    assert [event.item for event in store.events_after(0)] == [1]
    assert store.write_events(some_events(timestamp_ms=[2000, 1, 2], user="u", item="a")) == WriteCounts(new=2, known=1)
    assert store.delete_item("a")
    store.write_slates([some_slate()])
    store.close()
    again = SqlStore.open(tmp_path / "store.db")
    assert again.item("a") is None
    assert again.slate("s1") == some_slate()
    again.close()


def test_an_upgrade_that_fails_leaves_the_store_as_it_was(tmp_path, monkeypatch):
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.executescript(Path(__file__).with_name("store_version_1.sql").read_text())
    before = list(connection.iterdump())
    monkeypatch.setattr(schema_upgrade, "_add_column", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        SqlStore.open(tmp_path / "store.db")
    assert list(connection.iterdump()) == before
    connection.close()


def test_the_log_is_kept_in_write_ahead_mode(store, tmp_path):
    connection = sqlite3.connect(tmp_path / "store.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def indexes(store):
    return {one["name"] for one in inspect(store._engine).get_indexes("events")}


def test_the_index_by_user_is_made_by_the_first_question_about_a_user(store):
    store.write_events(some_events(), create_items=True)
    assert "events_by_user" not in indexes(store)
    assert len(store.user_events("u1")) == 2
    assert "events_by_user" in indexes(store)


def test_a_question_about_a_user_does_not_wait_for_a_writer(store, tmp_path):
    store.write_events(some_events(), create_items=True)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert len(store.user_events("u1")) == 2
    assert "events_by_user" not in indexes(store)
    other.close()


def test_what_fails_halfway_leaves_nothing(store, monkeypatch):
    monkeypatch.setattr(event_log, "insert_events", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.write_events(some_events(), create_items=True)
    monkeypatch.undo()
    assert store.items().height == 0
    store.write_events(some_events(item="z"), create_items=True)
    assert store.items()["id"].to_list() == ["z"]


def test_writing_while_another_process_writes_is_a_clear_error(tmp_path):
    store = SqlStore.open(tmp_path / "store.db", patience_s=0.05)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(BusyError, match="the store is being written by another process; wait for it"):
        store.set_meta("x", 1)
    other.execute("ROLLBACK")
    other.close()
    store.set_meta("x", 1)
    store.close()


def test_threads_share_one_store(store):
    def write(thread):
        for turn in range(5):
            times = [thread * 1000 + turn * 10 + place for place in range(3)]
            store.write_events(some_events(user=f"u{thread}", timestamp_ms=times), create_items=True)
            store.user_events(f"u{thread}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.summary().num_events == 60
    assert store.summary().num_users == 4


def random_events(seed, size):
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "user": rng.integers(0, 30, size).astype(str),
            "item": rng.integers(0, 20, size).astype(str),
            "timestamp_ms": rng.integers(0, 50, size),
            "kind": rng.choice([kind.value for kind in EventKind], size),
            "watch_ms": pl.Series(rng.integers(0, 9, size)).set(pl.Series(rng.random(size) < 0.5), None),
            "value": rng.normal(size=size),
            "session_id": rng.choice(["a", "b", ""], size),
        }
    )


@pytest.mark.parametrize("rows_per_read", [7, 100, 10_000])
def test_reading_numbers_in_bulk_agrees_with_reading_rows(store, monkeypatch, rows_per_read):
    monkeypatch.setattr(event_log, "_ROWS_PER_READ", rows_per_read)
    written = random_events(0, 500)
    store.write_events(written, create_items=True)
    names = ["user", "item", "timestamp_ms", "kind", "watch_ms"]
    by_rows = store.events()
    assert store.events(columns=names).equals(by_rows.select(names))
    some = [EventKind.CLICK, EventKind.LIKE]
    assert store.events(columns=names, kinds=some).equals(store.events(kinds=some).select(names))
    items, users = (dict(frame.select("id", "num").iter_rows()) for frame in (store.items(), store.users()))
    expected = written.unique(maintain_order=True).sort("timestamp_ms", maintain_order=True)
    assert by_rows["user"].to_list() == [users[one] for one in expected["user"]]
    assert by_rows["item"].to_list() == [items[one] for one in expected["item"]]
    assert by_rows["value"].to_list() == expected["value"].to_list()
    assert by_rows["watch_ms"].to_list() == expected["watch_ms"].to_list()
    assert by_rows["kind"].to_list() == expected["kind"].to_list()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from("xy"),
            st.integers(0, 2),
            st.sampled_from(["click", "like"]),
            st.one_of(st.none(), st.integers(0, 2)),
        ),
        max_size=12,
    ),
    st.integers(0, 12),
)
def test_events_are_a_set_however_they_are_cut_into_writes(tmp_path, rows, cut):
    (tmp_path / "p.db").unlink(missing_ok=True)
    for rest in tmp_path.glob("p.db-*"):
        rest.unlink()
    store = SqlStore.open(tmp_path / "p.db")
    types = {"user": pl.String, "item": pl.String, "timestamp_ms": pl.Int64, "kind": pl.String, "watch_ms": pl.Int64}
    frame = pl.DataFrame(rows, schema=types, orient="row")
    new = sum(store.write_events(part, create_items=True).new for part in (frame[:cut], frame[cut:], frame))
    assert new == len(set(rows)) == store.summary().num_events
    store.close()


def test_few_events_are_kept_as_many_are(store, monkeypatch):
    written = random_events(1, 60).with_columns(
        id=pl.Series([f"e{n}" if n % 3 else "" for n in range(60)]),
        watch_ms=pl.col("watch_ms").cast(pl.Float64),
        value=pl.when(pl.int_range(60) == 5).then(float("inf")).otherwise("value"),
        context=pl.lit("{}"),
    )
    few = store.write_events(written, create_items=True)
    kept = store.events()
    monkeypatch.setattr(event_log, "_FEW", 0)
    assert store.write_events(written).known == few.new + few.known
    assert kept["value"].null_count() == 1
    assert store.events().equals(kept)
