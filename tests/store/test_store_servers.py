import threading

import polars as pl
import pytest
from sqlalchemy import inspect

from database_places import store_url
from kinema.errors import BusyError, DataError
from kinema.schema import Reject
from kinema.store import dialect_mysql, event_log
from kinema.store.sql import SqlStore
from kinema.testing.service_conformance import ServiceConformance
from kinema.testing.store_conformance import StoreConformance, some_events


class TestPostgresql(StoreConformance, ServiceConformance):
    @pytest.fixture(autouse=True)
    def server(self, request):
        self.request = request

    def open_store(self, place):
        return SqlStore.open(store_url(self.request, "postgresql", place))


class TestMysql(StoreConformance, ServiceConformance):
    @pytest.fixture(autouse=True)
    def server(self, request):
        self.request = request

    def open_store(self, place):
        return SqlStore.open(store_url(self.request, "mysql", place))


@pytest.fixture(params=["postgresql", "mysql"])
def url(request, tmp_path):
    return store_url(request, request.param, tmp_path)


def test_many_events_are_kept_as_few_are(url, monkeypatch):
    store = SqlStore.open(url)
    size = 500
    values = [
        1 / 3,
        1e-300,
        5e-324,
        1.7976931348623157e308,
        -0.1,
        1e16,
        12345678901234567890.0,
        float("nan"),
        3.0,
        None,
    ]
    texts = ["", "'", "\\", "\\'; --", "\n\t", "影", "\U0001f3ac", '"', "%s", "{}"]
    log = pl.DataFrame(
        {
            "user": [f"u{n % 7}" for n in range(size)],
            "item": [f"i{n % 5}" for n in range(size)],
            "timestamp_ms": [n // 3 - 50 for n in range(size)],
            "kind": [("click", "like", "watch")[n % 3] for n in range(size)],
            "value": [values[n % 10] for n in range(size)],
            "session_id": [texts[n // 2 % 10] for n in range(size)],
            "id": [f"e{n}" if n % 4 else "" for n in range(size)],
        }
    )
    store.write_events(log, create_items=True)
    few = SqlStore.open(url)
    monkeypatch.setattr(event_log, "_FEW", size)
    assert few.write_events(log).new == 0
    events = store.events()
    written = log.unique(["user", "item", "timestamp_ms", "kind", "session_id", "id"], maintain_order=True)
    finite = written["value"].fill_nan(None).to_list()
    assert events["value"].to_list() == finite
    assert events["session_id"].to_list() == [text or None for text in written["session_id"]]
    names = ["user", "item", "timestamp_ms"]
    assert store.events(columns=names).equals(events.select(names))
    few.close()
    store.close()


def test_numbers_are_read_though_the_fast_way_fails(request, tmp_path, monkeypatch):
    store = SqlStore.open(store_url(request, "mysql", tmp_path))
    monkeypatch.setattr(dialect_mysql, "_SESSION", "SET SESSION group_concat_max_len = 4")
    short = SqlStore.open(store_url(request, "mysql", tmp_path))
    store.write_events(some_events(), create_items=True)
    assert short.events(columns=["timestamp_ms"])["timestamp_ms"].to_list() == [1000, 2000, 3000]
    short.close()
    store.close()


def test_an_index_is_made_when_nobody_writes(url):
    store = SqlStore.open(url)
    store.write_events(some_events(), create_items=True)

    def indexes():
        return {one["name"] for one in inspect(store._engine).get_indexes("events")}

    with store._writer.begin():
        assert len(store.events_after(-1)) == 3
        assert "events_by_seq" not in indexes()
    assert len(store.events_after(0)) == 2
    assert len(store.user_events("u1")) == 2
    assert indexes() >= {"events_by_seq", "events_by_user"}
    again = SqlStore.open(url)
    assert len(again.events_after(1)) == 1
    again.close()
    store.close()


def test_a_writer_who_waits_in_vain_is_told(url):
    one, other = SqlStore.open(url), SqlStore.open(url, patience_s=0.2)
    with (
        one._writer.begin(),
        pytest.raises(BusyError, match="the store is being written by another process; wait for it"),
    ):
        other.set_meta("x", 1)
    other.set_meta("x", 1)
    one.close()
    other.close()


def test_a_value_that_the_database_cannot_keep_is_refused(request, tmp_path):
    store = SqlStore.open(store_url(request, "postgresql", tmp_path))
    with pytest.raises(DataError, match="the database refuses a value: PostgreSQL text fields cannot contain NUL"):
        store.write_items(pl.DataFrame({"id": ["a"], "title": ["a\0b"]}))
    with pytest.raises(DataError, match="the database refuses a value: PostgreSQL text fields cannot contain NUL"):
        store.item("a\0")
    assert store.size() == (0, 0)
    store.close()


def test_a_value_that_would_be_cut_is_refused(url):
    store = SqlStore.open(url)
    with pytest.raises(DataError, match="refuses a value"):
        store.set_aside([Reject("clip", "x" * 800, None, "no frames")])
    with pytest.raises(DataError, match="refuses a value"):
        store.set_aside([Reject("clip", "x" * 800, None, "no frames")] * 2)
    assert store.rejects() == []
    store.close()


def test_a_block_of_long_texts_is_written(url):
    store = SqlStore.open(url)
    texts = ["é" * 300_000, "", "x" * 2_000_000, "short"] * 3
    store.write_items(pl.DataFrame({"id": [f"i{n}" for n in range(12)], "description": texts}))
    assert store.items()["description"].to_list() == texts
    store.close()


def test_stores_that_are_opened_at_once_make_the_tables_once(url):
    found = []
    threads = [threading.Thread(target=lambda: found.append(SqlStore.open(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.version() for store in found] == [0] * 4
    for store in found:
        store.close()
