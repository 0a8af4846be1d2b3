import polars as pl
import pytest

from database_places import store_url
from kinema.errors import BusyError, ConfigError, DataError, StaleArtifactError
from kinema.store import mongo_connection, mongo_turn, mongo_writes
from kinema.store.mongo import MongoStore
from kinema.store.protocols import SourceMark, WriteCounts
from kinema.testing.service_conformance import ServiceConformance
from kinema.testing.store_conformance import StoreConformance, some_events


class TestMongo(StoreConformance, ServiceConformance):
    @pytest.fixture(autouse=True)
    def server(self, request):
        self.request = request

    def open_store(self, place):
        return MongoStore.open(store_url(self.request, "mongo", place))


@pytest.fixture
def url(request, tmp_path):
    return store_url(request, "mongo", tmp_path)


@pytest.fixture
def store(url):
    store = MongoStore.open(url)
    yield store
    store.close()


@pytest.fixture
def quick_lease(monkeypatch):
    monkeypatch.setattr(mongo_turn, "LEASE_S", 0.05)


def test_a_writer_who_waits_in_vain_is_told(store, url):
    other = MongoStore.open(url, patience_s=0.05)
    with store._turn(), pytest.raises(BusyError, match="the store is being written by another process; wait for it"):
        other.put_document("room", "key", {})
    assert other.put_document("room", "key", {}) == 1
    other.close()


def test_what_a_writer_left_behind_is_never_seen_and_the_next_one_removes_it(store, url, monkeypatch, quick_lease):
    store.write_events(some_events(), create_items=True)
    before, summary = store.state(), store.summary()
    dying = mongo_turn._take(store._database, 1)
    frame = some_events(user="late", item=["late", "a", "b"], timestamp_ms=[0, 1, 9999])
    with monkeypatch.context() as patch:
        patch.setattr(mongo_turn.Turn, "commit", lambda *_, **__: None)
        mongo_writes.write_events(dying, frame, mark=None, rejects=[], create_items=True, strict=False)
    other = MongoStore.open(url)
    assert store._database.events.count_documents({}) == 6
    assert (other.state(), other.summary()) == (before, summary)
    assert len(other.events_after(-1)) == other.events().height == 3
    assert (other.item("late"), other.user("late"), other.user_events("late")) == (None, None, [])
    assert (other.items().height, len(other.item_page()), other.size()) == (2, 2, (2, 2))
    other.write_items(pl.DataFrame({"id": ["new"]}))
    assert store._database.events.count_documents({}) == 3
    assert store.item_number("new") == 2
    assert store.state().seq == before.seq
    assert store.state().users > before.users
    with pytest.raises(DataError, match="this process stood still while it wrote and another one has taken over"):
        dying.commit(seq=3)
    other.close()


def test_a_write_that_fails_leaves_nothing(store, monkeypatch):
    version = store.version()
    monkeypatch.setattr(mongo_writes, "finish", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.write_events(some_events(), create_items=True)
    monkeypatch.undo()
    assert store._database.events.count_documents({}) == store._database.items.count_documents({}) == 0
    assert store.version() > version
    assert store.write_events(some_events(), create_items=True).new == 3
    assert store.items()["num"].to_list() == [0, 1]


def test_a_block_that_was_written_without_its_mark_is_written_again_and_repeats_nothing(store, monkeypatch):
    frame = pl.DataFrame({"id": ["a", "b"], "title": ["A", "B"], "row": [1, 2]})
    mark = SourceMark("k", "items.csv", 2)
    monkeypatch.setattr(mongo_writes, "put", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.write_items(frame, mark=mark)
    monkeypatch.undo()
    assert store.mark("k") is None
    assert store.write_items(frame, mark=mark) == WriteCounts(known=2)
    again = store.write_items(frame, mark=SourceMark("k", "items.csv", 4))
    assert again == WriteCounts(rejected=2)


def test_a_store_of_another_layout_is_refused(store, url):
    store._database.meta.update_one({"_id": "state"}, {"$set": {"schema": 9}})
    with pytest.raises(
        StaleArtifactError, match="the MongoDB store must have layout 1, has 9; ingest into a new store"
    ):
        MongoStore.open(url)


@pytest.mark.parametrize("given", ["mongodb://u:topsecret@h", "mongodb://u:top@secret@h/n", "mongodb://"])
def test_a_url_that_is_none_is_refused_without_showing_it(given):
    with pytest.raises(ConfigError, match="the store's url must be mongodb://USER@HOST/NAME") as caught:
        MongoStore.open(given)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_server_that_is_not_there_is_named_without_its_password(monkeypatch):
    monkeypatch.setattr(mongo_connection, "_PATIENCE_MS", 100)
    with pytest.raises(DataError) as caught:
        MongoStore.open("mongodb://kinema:topsecret@127.0.0.1:1/shop?authSource=admin")
    message = str(caught.value)
    assert message.startswith("cannot open the store 'mongodb://***@127.0.0.1:1/shop': ")
    assert "topsecret" not in message
