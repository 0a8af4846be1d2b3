"""Both clients against a service, method by method."""

import asyncio

import pytest

from kinema.client.async_client import AsyncClient
from kinema.client.client import Client
from kinema.client.errors import (
    InvalidRequestError,
    NotBuiltYetError,
    NotFoundError,
    ServiceUnreachableError,
    UnsentEventsError,
    UploadFailedError,
)
from kinema.client.retries import Retries
from kinema.schema import EventKind
from kinema.serving.app import create_app
from kinema.serving.options import ServiceOptions
from kinema.serving.wire import EventIn, SessionEvent
from kinema.steps.serving import make_engine
from served import Clips, served
from small_service import ITEMS, small_project

AT_ONCE = Retries(first_seconds=0)
MP4 = b"\x00\x00\x00\x18ftypmp42" + bytes(100)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    with small_project(folder) as project:
        clips = Clips(folder)
        with served(project, create_app(make_engine(project), ServiceOptions(is_open=True), clips=clips)) as url:
            yield url, project, clips


@pytest.fixture
def client(service):
    with Client(service[0], api_key="", retries=AT_ONCE) as connected:
        yield connected


def event(user, item, kind="watch", **more):
    return EventIn(user_id=user, item_id=item, kind=kind, **more)


def ids(answer):
    return [one.item_id for one in answer.items]


def test_recommendations(client, service):
    answer = client.recommend("ann", 2, context={"device": "tv"})
    assert ids(answer)[0] == "d"
    assert service[1].store.slate(answer.recommendation_id).context == {"device": "tv"}
    assert "d" not in ids(client.recommend("ann", exclude=["d"]))
    debugged = client.recommend("ann", 1, explain=False, debug=True)
    assert debugged.trace
    assert debugged.items[0].reason is None
    session = [SessionEvent(item_id="d", kind=EventKind.WATCH)]
    assert ids(client.recommend_guest(session, 1)) == ids(client.recommend_guest(["d"], 1)) == ["c"]


def test_similar_items_audiences_and_search(client):
    assert ids(client.similar("a", 1)) == ["b"]
    with pytest.raises(NotBuiltYetError, match="the audience of item 'd' needs its content or a model"):
        client.audience("d", 3)
    found = client.search("otters", 5, categories=["nature"])
    assert ids(found)[:2] == ["a", "b"]
    assert found.query == "otters"
    assert ids(client.search("otters", published_since="2020-01-01")) == [], "their dates are not known"
    assert ids(client.search("otters", max_duration_ms=60_000)) == [], "nor how long they are"


def test_items(client):
    made = client.put_item("new", title="A kite in the wind", tags=["kite"], published_at="2024-01-01")
    assert (made.title, made.published_at, made.recommendable) == ("A kite in the wind", 1_704_067_200_000, True)
    assert client.get_item("new") == made
    assert {one.item_id for one in client.iter_items(page_size=2)} >= {*ITEMS, "new"}
    page = client.list_items(limit=2)
    assert [one.item_id for one in page.items] == ["a", "b"]
    assert [one.item_id for one in client.list_items(page.next_cursor, 1).items] == ["c"]
    assert client.delete_item("new").deleted
    with pytest.raises(NotFoundError, match=r"unknown item 'new' \(404 not_found") as caught:
        client.get_item("new")
    assert caught.value.field == "item_id"


def test_users(client):
    assert client.put_user("zoe", {"country": "pt"}).attributes == {"country": "pt"}
    assert client.get_user("zoe").attributes == {"country": "pt"}
    assert "zoe" in {one.user_id for one in client.iter_users(page_size=2)}
    client.log(event("zoe", "a"))
    assert client.delete_user("zoe").events == 1
    with pytest.raises(NotFoundError):
        client.get_user("zoe")


def test_a_profile_and_everything_that_is_kept(client):
    client.log(event("pia", "a"))
    assert [(one.name, one.weight) for one in client.get_profile("pia").topics] == [("nature", 1.0)]
    assert client.put_profile("pia", {"nature": 0.0}).topics[0].weight == 0.0
    assert not {"a", "b"} & set(ids(client.recommend("pia")))
    kept = client.export_user("pia")
    assert ([one.item_id for one in kept.events], len(kept.slates), kept.topics) == (["a"], 1, {"nature": 0.0})


def test_an_id_with_signs_of_addresses_is_one_id(client):
    for its_id in ("a b", "50%", "ü?x=1#y", "a:b"):
        client.put_user(its_id, {"n": 1})
        assert client.get_user(its_id).user_id == its_id


def test_events(client, service):
    single = event("log", "a")
    assert client.log(single).accepted == 1
    answer = client.log([event("log", "b", event_id="mine"), event("log", "nothing"), event("log", "c")])
    assert (answer.accepted, [one.index for one in answer.rejected]) == (2, [1])
    stored = service[1].store.user_events("log")
    assert [one.item for one in stored] == ["a", "b", "c"]
    assert (len(stored[0].id), stored[1].id) == (32, "mine")
    assert client.log([]).accepted == 0
    with pytest.raises(NotFoundError, match="unknown item 'nothing'; put it first"):
        client.log(event("log", "nothing"))


def test_more_events_than_a_request_holds(client, service):
    events = [event("many", "a", timestamp_ms=place) for place in range(1500)] + [event("many", "nothing")] * 600
    answer = client.log(events)
    assert (answer.accepted, len(answer.rejected), answer.rejected[0].index) == (1500, 600, 1500)
    assert answer.rejected[-1].index == 2099
    assert len(service[1].store.user_events("many", limit=5000)) == 1500


def test_events_sent_in_the_background(client, service):
    with client.events.buffer(max_events=50) as buffer:
        for place in range(120):
            buffer.add(event("background", "a", timestamp_ms=place))
        buffer.flush()
        assert (buffer.num_sent, buffer.num_waiting) == (120, 0)
        buffer.add(event("background", "b"))
    assert len(service[1].store.user_events("background")) == 121


def test_events_that_are_refused_are_told_in_the_end(client):
    buffer = client.events.buffer()
    buffer.add(event("background", "nothing"))
    buffer.add(event("background", "c"))
    with pytest.raises(UnsentEventsError, match=r"^1 were refused, the first: unknown item 'nothing'") as caught:
        buffer.close()
    assert caught.value.rejected[0][0].item_id == "nothing"
    assert caught.value.events == ()
    assert (buffer.num_sent, buffer.rejected) == (1, caught.value.rejected)


def test_a_clip(client, service, tmp_path):
    clip = tmp_path / "otters.mp4"
    clip.write_bytes(MP4)
    told = []
    job = client.upload("clip", clip, title="Sailing home", progress=lambda job: told.append(job.status))
    assert job.status == told[-1] == "recommendable"
    assert client.get_item("clip").has_media
    assert client.job(job.job_id) == job
    assert client.upload("clip", clip, wait=False).item_id == "clip"
    service[2].bad = True
    with pytest.raises(UploadFailedError, match="the clip of 'clip' could not be used: cannot decode it") as caught:
        client.upload("clip", clip)
    assert caught.value.job.status == "failed"
    service[2].bad = False
    (tmp_path / "no.txt").write_text("words")
    with pytest.raises(InvalidRequestError, match="a clip must be a video file") as refused:
        client.upload("clip", tmp_path / "no.txt")
    assert refused.value.status == 415
    late = pytest.raises(ServiceUnreachableError, match=r"the clip of 'clip' is queued after 0 s; wait on for job \w+")
    with late:
        client.wait_for(job.model_copy(update={"status": "queued"}), timeout_seconds=0)


def test_the_client_for_asyncio(service, tmp_path):
    clip = tmp_path / "otters.mp4"
    clip.write_bytes(MP4)

    async def use():
        async with AsyncClient(service[0], api_key="", retries=AT_ONCE) as client:
            assert ids(await client.recommend("ann", 1)) == ["d"]
            assert ids(await client.recommend_guest(["d"], 1)) == ["c"]
            assert ids(await client.similar("a", 1)) == ["b"]
            with pytest.raises(NotBuiltYetError, match="the audience of item 'd' needs its content or a model"):
                await client.audience("d")
            assert ids(await client.search("otters"))[:2] == ["a", "b"]
            assert (await client.put_item("async", title="Rain")).title == "Rain"
            assert (await client.get_item("async")).title == "Rain"
            assert len((await client.list_items(limit=2)).items) == 2
            assert "async" in {one.item_id async for one in client.iter_items(page_size=3)}
            assert (await client.delete_item("async")).deleted
            assert (await client.put_user("yan", {"n": 1})).attributes == {"n": 1}
            assert (await client.get_user("yan")).user_id == "yan"
            assert len((await client.list_users(limit=2)).users) == 2
            assert "yan" in {one.user_id async for one in client.iter_users(page_size=2)}
            assert (await client.put_profile("yan", {})).user_id == "yan"
            assert (await client.get_profile("yan")).num_events == 0
            assert (await client.export_user("yan")).attributes == {"n": 1}
            assert (await client.delete_user("yan")).events == 0
            assert (await client.log(event("asy", "a"))).accepted == 1
            assert (await client.log([event("asy", "b"), event("asy", "nothing")])).rejected[0].index == 1
            assert (await client.upload("clip2", clip)).status == "recommendable"
            assert (await client.job((await client.upload("clip2", clip, wait=False)).job_id)).item_id == "clip2"
            async with client.events.buffer(max_events=10) as buffer:
                for place in range(25):
                    buffer.add(event("asy", "c", timestamp_ms=place))
                await buffer.flush()
                assert (buffer.num_sent, buffer.num_waiting) == (25, 0)
                buffer.add(event("asy", "d"))
            refused = await client.events.buffer().__aenter__()
            refused.add(event("asy", "nothing"))
            with pytest.raises(UnsentEventsError, match="1 were refused"):
                await refused.close()
            assert refused.rejected[0][1].code == "not_found"

    asyncio.run(use())
    assert len(service[1].store.user_events("asy")) == 28


def test_a_service_that_is_not_there():
    client = Client("http://127.0.0.1:9", retries=Retries(attempts=2, first_seconds=0))
    with pytest.raises(ServiceUnreachableError, match=r"no answer from http://127.0.0.1:9"):
        client.get_item("a")
