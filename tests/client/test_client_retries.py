"""What is sent again, when, and what callers are told, against a service that is written down here."""

import asyncio
import json
import subprocess
import sys

import httpx2
import pytest

from kinema.client.async_client import AsyncClient
from kinema.client.client import Client
from kinema.client.errors import (
    BufferFullError,
    ChangedMeanwhileError,
    ClientError,
    InvalidRequestError,
    NotAllowedError,
    ServiceFailedError,
    ServiceUnreachableError,
    TooManyRequestsError,
    UnsentEventsError,
    error_of,
)
from kinema.client.retries import Retries
from kinema.errors import ConfigError, KinemaError, MissingExtraError
from kinema.serving.wire import EventIn

USER = {"user_id": "u", "attributes": {}}


def problem(status, code="x", headers=None):
    body = {"error": {"code": code, "message": "no", "field": None}}
    return httpx2.Response(status, json=body, headers=headers)


class Service:
    """Answers with what it is given, one after the other, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, request):
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **how):
        client = Client(api_key="k", transport=httpx2.MockTransport(self), **how)
        client.waits = []
        client._sleep = client.waits.append
        return client


def event(item="a", **more):
    return EventIn(user_id="u", item_id=item, kind="click", **more)


def test_reading_is_tried_again_with_growing_waits(monkeypatch):
    monkeypatch.setattr("random.random", lambda: 1.0)
    service = Service(problem(503), httpx2.ConnectError("away"), problem(502), httpx2.Response(200, json=USER))
    client = service.client()
    assert client.get_user("u").user_id == "u"
    assert client.waits == [0.2, 0.4, 0.8]


def test_in_the_end_the_error_is_told():
    client = Service(*[problem(503, "unavailable", {"X-Request-ID": "r1"})] * 4).client()
    with pytest.raises(ServiceFailedError, match=r"no \(503 unavailable, request r1\)") as caught:
        client.get_user("u")
    assert (caught.value.request_id, len(client.waits)) == ("r1", 3)
    away = Service(httpx2.ReadTimeout("too slow")).client(retries=Retries(attempts=1))
    with pytest.raises(ServiceUnreachableError, match="too slow") as caught:
        away.get_user("u")
    assert isinstance(caught.value.__cause__, httpx2.ReadTimeout)
    assert isinstance(caught.value, KinemaError)


def test_the_service_says_how_long_to_wait(monkeypatch):
    monkeypatch.setattr("random.random", lambda: 0.5)
    service = Service(problem(429, headers={"Retry-After": "3"}), httpx2.Response(200, json=USER))
    client = service.client()
    client.get_user("u")
    assert client.waits == [3.1]
    patient = Service(problem(429, headers={"Retry-After": "3600"})).client()
    with pytest.raises(TooManyRequestsError) as caught:
        patient.get_user("u")
    assert (caught.value.retry_after, patient.waits) == (3600.0, [])


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, NotAllowedError),
        (403, NotAllowedError),
        (409, ChangedMeanwhileError),
        (500, ServiceFailedError),
    ],
)
def test_what_is_our_fault_or_nobodys_is_not_tried_again(status, kind):
    client = Service(problem(status)).client()
    with pytest.raises(kind) as caught:
        client.get_user("u")
    assert (type(caught.value), caught.value.status, client.waits) == (kind, status, [])


def test_an_upload_is_sent_once(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    service = Service(problem(503))
    with pytest.raises(ServiceFailedError):
        service.client().upload("a", tmp_path / "a.mp4")
    assert len(service.asked) == 1
    assert service.asked[0].read() == b"x"


def test_a_deletion_that_was_done_the_first_time_is_done():
    client = Service(httpx2.ReadError("cut off"), problem(404)).client()
    assert client.delete_item("a").deleted
    with pytest.raises(ClientError):
        Service(problem(404)).client().delete_item("a")


def test_an_event_is_sent_again_under_the_same_id_and_moment():
    service = Service(problem(503), httpx2.Response(200, json={"accepted": 1}))
    service.client().log(event())
    first, second = (json.loads(request.content) for request in service.asked)
    assert first == second
    assert (len(first["event_id"]), first["timestamp_ms"] > 0) == (32, True)


def test_parts_that_were_not_sent_are_named():
    service = Service(httpx2.Response(200, json={"accepted": 1000}), problem(403))
    with pytest.raises(UnsentEventsError, match=r"^500 events were not sent: no \(403 x\)$") as caught:
        service.client().log(event(timestamp_ms=place) for place in range(1500))
    assert caught.value.events[0].timestamp_ms == 1000
    assert all(one.event_id for one in caught.value.events)


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("KINEMA_API_KEY", "from-there")
    for given, sent in ((None, "Bearer from-there"), ("mine", "Bearer mine"), ("", None)):
        service = Service(httpx2.Response(200, json=USER))
        Client(api_key=given, transport=httpx2.MockTransport(service)).get_user("u")
        assert service.asked[0].headers.get("authorization") == sent


def test_what_answers_is_not_the_service():
    with pytest.raises(ServiceFailedError, match="the answer to GET /v1/users/u is not the service's: Invalid JSON"):
        Service(httpx2.Response(200, text="<html>")).client().get_user("u")
    error = error_of(502, b"<html>Bad gateway", headers={}, now_s=0)
    assert str(error) == "the answer is not the service's: <html>Bad gateway (502 http)"
    assert error_of(404, b"", headers={}, now_s=0).message == "the answer is not the service's: it is empty"


def test_retry_after_may_be_a_date_or_nonsense():
    date = {"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}
    assert error_of(503, b"", headers=date, now_s=40.0).retry_after == 60.0
    assert error_of(503, b"", headers={"retry-after": "soon"}, now_s=0).retry_after is None


def test_arguments_are_checked_before_anything_is_sent():
    client = Service().client()
    with pytest.raises(InvalidRequestError, match="n must be less than or equal to 1000") as caught:
        client.recommend("u", 5000)
    assert caught.value.field == "n"
    for its_id in ("", ".", "..", "a/b"):
        with pytest.raises(InvalidRequestError, match="an id in an address must not be empty or have a slash, is"):
            client.get_user(its_id)
    with pytest.raises(InvalidRequestError, match="unknown key 'titel' in the request, did you mean 'title'"):
        client.put_item("a", titel="x")
    with pytest.raises(InvalidRequestError, match="url must begin with http:// or https://, is 'localhost:8000'"):
        Client("localhost:8000")
    with pytest.raises(ConfigError, match="attempts must be >= 1, is 0"):
        Retries(attempts=0)
    with pytest.raises(ConfigError, match="the seconds of retries must be >= 0"):
        Retries(most_seconds=-1)


def test_a_buffer_loses_nothing_in_silence():
    buffer = Service(*[problem(403)] * 10).client().events.buffer()
    for place in range(3):
        buffer.add(event(timestamp_ms=place))
    with pytest.raises(UnsentEventsError):
        buffer.flush()
    assert buffer.num_waiting == 3
    with pytest.raises(UnsentEventsError, match=r"^3 events were not sent: no \(403 x\)$") as caught:
        buffer.close()
    assert [one.timestamp_ms for one in caught.value.events] == [0, 1, 2]
    assert isinstance(caught.value.__cause__, NotAllowedError)
    with pytest.raises(ClientError, match="the buffer is closed and takes no more events"):
        buffer.add(event())
    buffer.close()


def test_a_buffer_tries_again():
    service = Service(problem(403), httpx2.Response(200, json={"accepted": 2}))
    with service.client().events.buffer(max_seconds=0.01) as buffer:
        buffer.add(event("a"))
        with pytest.raises(UnsentEventsError):
            buffer.flush()
        buffer.add(event("b"))
        buffer.flush()
    assert [one["item_id"] for one in json.loads(service.asked[1].content)["events"]] == ["a", "b"]


def test_a_buffer_that_is_full_says_so():
    service = Service(*[problem(403)] * 10)
    buffer = service.client().events.buffer(max_events=2, max_waiting=2)
    buffer.add(event())
    with pytest.raises(UnsentEventsError):
        buffer.flush()
    buffer.add(event())
    with pytest.raises(BufferFullError, match=r"2 events wait to be sent, the most there may be: no \(403 x\)"):
        buffer.add(event())
    with pytest.raises(UnsentEventsError):
        buffer.close()
    with pytest.raises(ConfigError, match=r"a buffer must have max_seconds > 0 and 1 <= max_events <= max_waiting"):
        service.client().events.buffer(max_events=0)


def test_a_buffer_survives_what_nobody_expected():
    buffer = Service(RuntimeError("a bug")).client().events.buffer()
    buffer.add(event())
    with pytest.raises(UnsentEventsError, match="1 events were not sent: RuntimeError: a bug"):
        buffer.close()


def test_the_twin_for_asyncio_behaves_alike():
    async def use():
        service = Service(
            problem(503), httpx2.ReadError("cut"), httpx2.Response(200, json=USER), problem(403), problem(403)
        )
        service.answers += [problem(403), httpx2.ReadError("cut"), problem(404)]
        waits = []

        async def sleep(seconds):
            waits.append(seconds)

        async with AsyncClient(api_key="", transport=httpx2.MockTransport(service)) as client:
            client._sleep = sleep
            assert (await client.get_user("u")).user_id == "u"
            assert len(waits) == 2
            with pytest.raises(NotAllowedError):
                await client.get_user("u")
            buffer = client.events.buffer(max_events=1, max_waiting=1, max_seconds=60)
            with pytest.raises(ClientError, match="the buffer is not open and takes no events"):
                buffer.add(event())
            await buffer.__aenter__()
            buffer.add(event())
            with pytest.raises(UnsentEventsError):
                await buffer.flush()
            with pytest.raises(BufferFullError):
                buffer.add(event())
            with pytest.raises(UnsentEventsError) as caught:
                await buffer.close()
            await buffer.close()
            assert len(caught.value.events) == 1
            assert (await client.delete_item("a")).deleted

    asyncio.run(use())


def test_the_client_brings_neither_torch_nor_the_web_framework():
    heavy = ("torch", "fastapi", "starlette", "polars", "numpy", "sqlalchemy")
    script = f"import kinema.client.client, kinema.client.async_client, sys; print([one for one in {heavy} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_its_extra_the_client_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("kinema.extras.is_installed", lambda module: module != "httpx2")
    with pytest.raises(
        MissingExtraError, match=r"httpx2 is needed for the client .* run: pip install 'kinema\[client\]'"
    ):
        Client()
