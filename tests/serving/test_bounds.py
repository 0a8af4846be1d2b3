import asyncio
import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse

from kinema.serving.bounds import Bounds, Limits, parse_json
from kinema.serving.problems import Problem

SMALL = Limits(
    max_body_bytes=100,
    body_bytes_by_path={"/v1/items/*/media": 1000},
    max_path_bytes=50,
    max_query_bytes=40,
    body_seconds=30.0,
    answer_seconds=30.0,
)
HASTY = replace(SMALL, body_seconds=0.05, answer_seconds=0.05)


async def echo(scope, receive, send):
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await PlainTextResponse(str(size))(scope, receive, send)


def ask(app=echo, *, path="/v1/events", raw_path=None, query=b"", headers=(), parts=(b"",), pause=0.0, limits=SMALL):
    """One request at the level of ASGI, where a test can send what no client would: (status, headers, body)."""
    sent = []
    waiting = list(parts)

    async def receive():
        if not waiting:
            await asyncio.sleep(10)
            return {"type": "http.disconnect"}
        if pause:
            await asyncio.sleep(pause)
        part = waiting.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode() if raw_path is None else raw_path,
        "query_string": query,
        "headers": list(headers),
    }
    asyncio.run(Bounds(app, limits=limits)(scope, receive, send))
    start = sent[0]
    body = b"".join(one.get("body", b"") for one in sent[1:])
    return start["status"], dict(start["headers"]), body


def chunked(*parts):
    return {"headers": [(b"transfer-encoding", b"chunked")], "parts": parts}


def told(body):
    return json.loads(body)["error"]


def test_a_body_within_the_limits_passes_whole():
    assert ask(**chunked(b"a" * 60, b"b" * 40))[2] == b"100"


def test_an_announced_body_that_is_too_large_is_refused_before_it_is_read():
    status, headers, body = ask(headers=[(b"content-length", b"101")])
    assert (status, headers[b"connection"]) == (413, b"close")
    assert told(body) == {"code": "too_large", "message": "the body must have at most 100 bytes", "field": None}


def test_a_body_without_a_length_is_stopped_at_the_same_byte():
    assert ask(**chunked(b"a" * 60, b"b" * 41))[0] == 413


def test_a_body_that_is_longer_than_announced_is_stopped():
    assert ask(headers=[(b"content-length", b"10")], parts=(b"a" * 200,))[0] == 413


def test_an_application_that_hides_the_refusal_does_not_change_it():
    async def hides(scope, receive, send):
        try:
            await receive()
        except Problem:
            await PlainTextResponse("the body could not be read", 400)(scope, receive, send)

    assert ask(hides, **chunked(b"a" * 101))[0] == 413


def test_a_path_can_have_a_limit_of_its_own():
    assert ask(path="/v1/items/v1/media", **chunked(b"a" * 900))[2] == b"900"
    assert ask(path="/v1/items/v1/media", **chunked(b"a" * 1001))[0] == 413


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"", b"1" * 19, "٣".encode(), b"0x10"])
def test_a_length_that_is_no_number_is_refused(length):
    status, _, body = ask(headers=[(b"content-length", length)])
    assert (status, told(body)["message"]) == (400, "Content-Length must be a number of bytes")


def test_a_body_that_does_not_come_is_given_up():
    status, headers, body = ask(pause=0.04, limits=HASTY, **chunked(*[b"a"] * 20))
    assert (status, headers[b"connection"]) == (408, b"close")
    assert "the body must arrive within" in told(body)["message"]


def test_a_large_body_in_chunks_earns_its_time():
    limits = replace(SMALL, max_body_bytes=1 << 20, body_seconds=0.5)
    assert ask(pause=0.1, limits=limits, **chunked(*[b"a" * 131_072] * 6))[2] == b"786432"  # each brings two seconds
    assert ask(pause=0.1, limits=limits, **chunked(*[b"a"] * 6))[0] == 408


def test_an_answer_that_does_not_come_is_given_up():
    async def hangs(scope, receive, send):
        await receive()
        await asyncio.sleep(5)

    status, _, body = ask(hangs, limits=HASTY)
    assert (status, told(body)["code"]) == (503, "timeout")
    assert told(body)["message"] == "no answer within 0.05 s"


def test_an_answer_that_has_begun_may_take_its_time():
    async def streams(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0.1)
        await send({"type": "http.response.body", "body": b"done"})

    assert ask(streams, limits=HASTY)[2] == b"done"


def test_errors_of_the_application_pass_through():
    async def fails(scope, receive, send):
        raise Problem(418, "a teapot")

    with pytest.raises(Problem, match="a teapot"):
        ask(fails)

    async def late(scope, receive, send):
        raise TimeoutError("of something inside")

    with pytest.raises(TimeoutError, match="of something inside"):
        ask(late)


@pytest.mark.parametrize(
    ("address", "status", "message"),
    [
        ({"path": "/" + "a" * 50}, 414, "the path must have at most 50 bytes, has 51"),
        ({"query": b"q=" + b"a" * 39}, 414, "the query must have at most 40 bytes, has 41"),
        ({"query": b"q=%ff"}, 400, "the query must be UTF-8 without NUL characters"),
        ({"query": b"q=%00"}, 400, "the query must be UTF-8 without NUL characters"),
        ({"query": b"q=\xff"}, 400, "the query must be UTF-8"),
        ({"raw_path": b"/v1/items/%C3"}, 400, "the path must be UTF-8 without NUL characters"),
        ({"raw_path": b"/v1/items/%00"}, 400, "the path must be UTF-8 without NUL characters"),
        ({"raw_path": b"/v1/\xff"}, 400, "the path must be UTF-8"),
    ],
)
def test_a_hostile_address_is_refused(address, status, message):
    found, _, body = ask(**address)
    assert found == status
    assert message in told(body)["message"]


def test_a_percent_sign_that_means_itself_passes():
    assert ask(query=b"q=100%25%zz")[0] == 200


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1.5, "text", [], {}, {"a": [1, {"b": "ü"}]}, (1 << 63) - 1, -(1 << 63), 1e18, "1e999", "9" * 30],
)
def test_json_is_read_as_it_is(value):
    assert parse_json(json.dumps(value).encode()) == value


def test_a_batch_of_a_thousand_events_is_read():
    batch = [{"id": f"e{n}", "timestamp_ms": 1_700_000_000_000 + n, "context": {"place": "home"}} for n in range(1000)]
    assert parse_json(json.dumps(batch).encode()) == batch


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body must be JSON, is empty"),
        (b"{", "the body must be JSON: "),
        (b'{"a": NaN}', "the body must be JSON: "),
        (b"[Infinity]", "the body must be JSON: "),
        (b"[-Infinity]", "the body must be JSON: "),
        (b"[1e999]", "the body must be JSON: number is infinity"),
        (b"1" * 400, "the body must be JSON: number is infinity"),
        (b'"\xff\xfe"', "the body must be JSON: str is not valid UTF-8"),
        (b'"\\ud800"', "the body must be JSON: "),
        (b"\xef\xbb\xbf{}", "the body must be JSON: "),
        (b'{"a": 1,}', "the body must be JSON: "),
        (b"{'a': 1}", "the body must be JSON: "),
        (b"[1]garbage", "the body must be JSON: "),
        (b"[9223372036854775808]", "a number must be within 64 bits"),
        (b"[-9223372036854775809]", "a number must be within 64 bits"),
        (b"[18446744073709551616]", "a number must be within 64 bits"),
        (b"[1e19]", "a number must be within 64 bits"),
        (b"[1E+300]", "a number must be within 64 bits"),
        (b"[999999999999999999e9]", "a number must be within 64 bits"),
        (b'"a\\u0000b"', "text must not contain the NUL character"),
        (b'{"a\\u0000b": 1}', "text must not contain the NUL character"),
        (b"[" * 33 + b"]" * 33, "JSON must be at most 32 deep"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "JSON must be at most 32 deep"),
        (b"[" * 1000 + b"]" * 1000, "JSON must be at most 32 deep"),
        (b"[" * 100_000 + b"]" * 100_000, "the body must be JSON: "),
        (b"[" * 100_000, "the body must be JSON: "),
    ],
)
def test_hostile_json_is_a_bad_request(body, message):
    with pytest.raises(Problem, match=r"JSON|number|text") as caught:
        parse_json(body)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")
    assert caught.value.message.startswith(message)


def test_depth_is_counted_exactly():
    assert parse_json(b"[" * 32 + b"]" * 32)
    assert parse_json(b"[[1],[2],[3]]", max_depth=2) == [[1], [2], [3]]
    with pytest.raises(Problem, match="at most 2 deep"):
        parse_json(b"[[1],[2],[[3]]]", max_depth=2)


@given(st.binary(max_size=60) | st.text('[]{}",:0123456789eE+-.\\u truefalsn', max_size=60).map(str.encode))
def test_no_bytes_bring_the_reader_down(body):
    with contextlib.suppress(Problem):
        assert parse_json(body) == json.loads(body)
