import time

import orjson
import pytest
import redis

from kinema.schema import Event, EventKind
from kinema.serving.engine import Engine
from kinema.serving.problems import Problem
from kinema.serving.stream import StreamReader
from kinema.steps.live_world import ProjectWorlds
from redis_server import redis_server
from small_service import small_project

STREAM = "kinema:events"


@pytest.fixture(scope="module")
def server():
    with redis_server() as url:
        yield url


@pytest.fixture
def broker(server):
    client = redis.Redis.from_url(server)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def engine(tmp_path):
    with small_project(tmp_path) as project:
        made = Engine(store=project.store, worlds=ProjectWorlds(project))
        made.start()
        yield made
        made.stop()


@pytest.fixture
def reader(engine, server, broker):
    started = []

    def start(**options):
        made = StreamReader(engine, url=server, **options)
        made.start()
        started.append(made)
        return made

    yield start
    for one in started:
        one.stop()


def until(holds, seconds=15):
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert holds()


def event(**more):
    return {"user_id": "eve", "item_id": "d", "kind": "watch", **more}


def test_an_event_of_the_stream_is_in_the_next_answer(reader, broker, engine):
    reader()
    broker.xadd(STREAM, {"event": orjson.dumps(event(watch_ms=7))})
    until(lambda: engine.world.people.history("eve") is not None)
    assert engine.store.user_events("eve")[0].watch_ms == 7
    until(lambda: broker.xpending(STREAM, "kinema")["pending"] == 0)


def test_a_message_may_have_a_field_for_each_part(reader, broker, engine):
    reader()
    broker.xadd(STREAM, event(watch_ms="12", context='{"device": "tv"}'))
    until(lambda: engine.store.user_events("eve"))
    found = engine.store.user_events("eve")[0]
    assert (found.watch_ms, found.context) == (12, {"device": "tv"})


def test_what_was_in_the_stream_before_the_group_is_read_too(reader, broker, engine):
    for item in "abc":
        broker.xadd(STREAM, event(item_id=item))
    reader()
    until(lambda: len(engine.store.user_events("eve")) == 3)


def test_what_cannot_be_taken_is_set_aside_with_its_reason(reader, broker, engine):
    broker.xadd(STREAM, event(item_id="nope"))
    broker.xadd(STREAM, {"event": b"{"})
    broker.xadd(STREAM, {"event": b'{"user_id": "eve", "item_id": "d"}'})
    broker.xadd(STREAM, {b"\xff": b"\xff"})
    broker.xadd(STREAM, event())
    reader()
    until(lambda: engine.store.user_events("eve") and broker.xpending(STREAM, "kinema")["pending"] == 0)
    reasons = [fields[b"reason"].decode() for _, fields in broker.xrange(f"{STREAM}:rejected")]
    assert len(reasons) == 4
    assert reasons[0] == "unknown item 'nope'; put it first"
    assert reasons[2] == "kind is required"
    assert len(engine.store.user_events("eve")) == 1


def test_what_a_dead_consumer_has_read_is_taken_over_and_written_once(reader, broker, engine):
    broker.xgroup_create(STREAM, "kinema", id="0", mkstream=True)
    its_id = broker.xadd(STREAM, event())
    broker.xreadgroup("kinema", "dead", {STREAM: ">"})
    moment = int(its_id.split(b"-")[0])
    known = Event("eve", "d", moment, EventKind.WATCH, id=f"redis:{STREAM}:{its_id.decode()}")
    engine.write([known]).result()  # it had been written, too, and the process died before it said so
    time.sleep(0.1)
    reader(idle_ms=50)
    until(lambda: broker.xpending(STREAM, "kinema")["pending"] == 0)
    assert len(engine.store.user_events("eve")) == 1


def test_nothing_is_acknowledged_that_was_not_written(reader, broker, engine, monkeypatch):
    refusals = []

    def full(*_, **__):
        refusals.append(1)
        raise Problem(503, "full")

    monkeypatch.setattr(engine, "write", full)
    reader(idle_ms=100)
    broker.xadd(STREAM, event())
    until(lambda: refusals)
    assert broker.xpending(STREAM, "kinema")["pending"] == 1
    monkeypatch.undo()
    until(lambda: engine.store.user_events("eve"))
    until(lambda: broker.xpending(STREAM, "kinema")["pending"] == 0)


def test_a_broker_that_is_away_stops_nothing(engine):
    reader = StreamReader(engine, url="redis://127.0.0.1:1")
    reader.start()
    time.sleep(0.2)
    assert engine.keeper.is_ready
    reader.stop()
