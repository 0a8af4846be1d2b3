"""What a connection may send before there is a request, and between its parts."""

import json
import socket
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn

from kinema.serving import connections
from kinema.serving.connections import BoundedProtocol

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"


async def echo(scope, receive, send):
    """Answers with the size of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(size).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def address():
    with listening() as found:
        yield found


@contextmanager
def listening():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(echo, http=BoundedProtocol, log_level="error", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield bound.getsockname()
        server.should_exit = True
        thread.join(20)


def talk(address, *parts, pause=0.0):
    """All that comes back until the other side hangs up."""
    answer = b""
    with socket.create_connection(address, timeout=20) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            while piece := connection.recv(1 << 16):
                answer += piece
        except ConnectionError:
            pass
    return answer


def told(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]["code"]


CLOSE = b"Connection: close\r\n"


def test_requests_of_all_sizes_pass(address):
    chunked = b"".join(b"%x\r\n%b\r\n" % (size, b"a" * size) for size in (1, 70_000, 300_000)) + b"0\r\n\r\n"
    assert talk(address, HEAD + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n" + chunked).endswith(b"\r\n\r\n370001")
    large = HEAD + CLOSE + b"X-A: " + b"a" * 60_000 + b"\r\nContent-Length: 500000\r\n\r\n" + b"a" * 500_000
    assert talk(address, large).endswith(b"\r\n\r\n500000")


def test_requests_in_a_row_on_one_connection_pass(address):
    one = HEAD + b"Content-Length: 50000\r\n\r\n" + b"a" * 50_000
    last = HEAD + CLOSE + b"Content-Length: 3\r\n\r\nabc"
    answer = talk(address, one * 5 + last)
    assert (answer.count(b"200 OK"), answer.count(b"50000"), answer.endswith(b"3")) == (6, 5, True)


def test_a_head_in_small_pieces_passes(address):
    request = HEAD + CLOSE + b"Content-Length: 2\r\n\r\nab"
    assert talk(address, *(request[at : at + 1] for at in range(len(request)))).endswith(b"2")


@pytest.mark.parametrize(
    "parts",
    [
        HEAD + b"X-A: a\r\n" * 100_000,
        HEAD + b"X-A: " + b"a" * 1_000_000,
        b"POST /" + b"a" * 1_000_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 1_000_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + b"X-A: a\r\n" * 100_000,
    ],
    ids=["headers", "header", "address", "extension", "trailers"],
)
def test_what_has_no_end_is_cut(address, parts):
    assert told(talk(address, parts)) == (431, "header_too_large")


def test_what_is_no_http_is_told_so_in_our_form(address):
    assert told(talk(address, b"hello\r\n\r\n")) == (400, "bad_request")


def test_a_broken_request_behind_a_whole_one_ends_the_connection(address):
    answer = talk(address, HEAD + b"Content-Length: 1\r\n\r\na", b"hello\r\n\r\n", pause=0.2)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 400" in answer


def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with listening() as address:
        assert told(talk(address)) == (408, "timeout")
        assert told(talk(address, HEAD)) == (408, "timeout")
        whole = HEAD + b"Content-Length: 1\r\n\r\na"
        answer = talk(address, whole, b"POST", pause=0.05)
        assert answer.count(b"200 OK") == 1
        assert b"HTTP/1.1 408" in answer
        slow = talk(address, HEAD + CLOSE + b"Content-Length: 2\r\n\r\na", b"b", pause=0.4)
        assert slow.endswith(b"2")
