"""Requests that no honest client sends, to a service in a process of its own: each gets its 4xx, and the next one its answer."""

import json
import socket
from pathlib import Path

import pytest

from hostile_names import NAMES, SQL
from running_service import RunningService
from small_service import ITEMS, small_project

HEAD = b"Host: 127.0.0.1\r\nConnection: close\r\n"
EVENT = b'{"user_id": "u", "item_id": "a", "kind": "click"}'
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    place = tmp_path_factory.mktemp("hostile")
    with small_project(place) as project:
        folder = project.folder
    with RunningService(folder) as running:
        running.folder = folder
        yield running


@pytest.fixture(autouse=True)
def _alive(service):
    """After each of them the process is there, and answers."""
    yield
    assert service.process.poll() is None
    assert not [line for line in service.lines if '"level":"error"' in line]
    assert service.http.get("/v1/users/ann/recommendations").status_code == 200


def raw(service, data):
    """What comes back for some bytes: (status, body)."""
    host, port = service.address.removeprefix("http://").split(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        try:
            connection.sendall(data)
            while piece := connection.recv(1 << 16):
                answer += piece
        except ConnectionError:
            pass  # it has said all it had to say
    return int(answer.split(None, 2)[1]), answer.partition(b"\r\n\r\n")[2]


def is_problem(body):
    told = json.loads(body)["error"]
    assert set(told) == {"code", "message", "field"}
    assert "Traceback" not in told["message"]
    assert "/site-packages/" not in told["message"]
    return told


def get(path, *more):
    return b"GET " + path + b" HTTP/1.1\r\n" + HEAD + b"".join(more) + b"\r\n"


def post(*headers, body=EVENT):
    return b"POST /v1/events HTTP/1.1\r\n" + HEAD + JSON + b"".join(headers) + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"
CONNECTIONS = {
    "a method in small letters": (b"get /v1/items HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
    "TRACE": (b"TRACE /v1/items HTTP/1.1\r\n" + HEAD + b"\r\n", 405),
    "CONNECT": (b"CONNECT example.com:80 HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
    "PROPFIND": (b"PROPFIND /v1/items HTTP/1.1\r\n" + HEAD + b"\r\n", 405),
    "a method nobody knows": (b"FETCHALL /v1/items HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
    "an override of the method": (get(b"/v1/users/zoe/profile", b"X-HTTP-Method-Override: DELETE\r\n"), 404),
    "HTTP/2 without asking": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a version nobody speaks": (b"GET / HTTP/3.7\r\n" + HEAD + b"\r\n", 400),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\n" + HEAD + b"\r\n", 404),
    "two hosts": (b"GET /v1/items HTTP/1.1\r\nHost: evil.example\r\n" + HEAD + b"\r\n", 403),
    "another host": (b"GET /v1/items HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 403),
    "another origin": (get(b"/v1/items", b"Origin: https://evil.example\r\n"), 403),
    "two lengths": (post(b"Content-Length: 5\r\nContent-Length: 49\r\n"), 400),
    "a length and chunks": (post(b"Content-Length: 5\r\n", CHUNKED, body=b"31\r\n" + EVENT + b"\r\n0\r\n\r\n"), 400),
    "chunks of another name": (post(b"Transfer-Encoding: xchunked\r\n", body=b"0\r\n\r\n"), 400),
    "a negative length": (post(b"Content-Length: -5\r\n"), 400),
    "a length with a sign": (post(b"Content-Length: +49\r\n"), 400),
    "a length beyond 64 bits": (post(b"Content-Length: 99999999999999999999999\r\n"), 400),
    "a length beyond the limit": (post(b"Content-Length: 999999999\r\n"), 413),
    "a length that is too small": (post(b"Content-Length: 5\r\n"), 400),
    "a chunk's size beyond 64 bits": (post(CHUNKED, body=b"FFFFFFFFFFFFFFFFF\r\n" + EVENT), 400),
    "a chunk's size that is no number": (post(CHUNKED, body=b"zz\r\n" + EVENT), 400),
    "chunks without end": (post(CHUNKED, body=(b"ffff\r\n" + b"[" * 65_535 + b"\r\n") * 40), 413),
    "an extension without end": (post(CHUNKED, body=b"31;" + b"a" * 2_000_000), 431),
    "trailers without end": (post(CHUNKED, body=b"0\r\n" + b"X-A: a\r\n" * 200_000), 431),
    "headers without end": (b"GET / HTTP/1.1\r\n" + HEAD + b"X-A: a\r\n" * 200_000, 431),
    "a header without end": (b"GET / HTTP/1.1\r\n" + HEAD + b"X-A: " + b"a" * 2_000_000, 431),
    "an address without end": (b"GET /" + b"a" * 2_000_000, 431),
    "a long path": (get(b"/v1/items/" + b"a" * 9000), 414),
    "a long query": (get(b"/v1/items?q=" + b"a" * 20_000), 414),
    "a NUL in a header": (get(b"/v1/items", b"X-A: a\0b\r\n"), 400),
    "a header over two lines": (get(b"/v1/items", b"X-A: a\r\n b\r\n"), 400),
    "line feeds alone": (b"GET /v1/items HTTP/1.1\nHost: 127.0.0.1\n\n", 400),
    "a space before a colon": (b"GET / HTTP/1.1\r\nHost : 127.0.0.1\r\nConnection: close\r\n\r\n", 400),
    "a path that is no ASCII": ("GET /v1/items/ü HTTP/1.1\r\n".encode() + HEAD + b"\r\n", 400),
    "overlong UTF-8": (get(b"/v1/items/%C0%AF"), 400),
    "a surrogate in a path": (get(b"/v1/items/%ED%A0%80"), 400),
    "a NUL in a path": (get(b"/v1/items/a%00b"), 400),
    "a NUL in a query": (get(b"/v1/search?q=a%00b"), 400),
    "half a percent sign": (get(b"/v1/items/%zz%1"), 404),
    "a line break in a path": (get(b"/v1/items/a%0D%0ASet-Cookie:%20a=b"), 422),
    "a path out of the assets": (get(b"/docs/assets/../../../../../../../../etc/passwd"), 404),
    "an encoded path out of them": (get(b"/docs/assets/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd"), 404),
    "dots encoded": (get(b"/docs/assets/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd"), 404),
    "backslashes": (get(b"/docs/assets/..%5c..%5c..%5cetc%5cpasswd"), 404),
    "more slashes": (get(b"//v1///items"), 404),
    "a compressed body": (post(b"Content-Encoding: gzip\r\nContent-Length: 4\r\n", body=b"\x1f\x8b\x08\0"), 415),
    "a body compressed twice": (post(b"Content-Encoding: gzip, br\r\nContent-Length: 4\r\n", body=b"1234"), 415),
    "bytes at random": (bytes(range(255, 0, -1)) * 8, 400),
    "a greeting in TLS": (bytes.fromhex("16030100f4010000f00303") + bytes(200), 400),
}


@pytest.mark.parametrize(("data", "status"), CONNECTIONS.values(), ids=list(CONNECTIONS))
def test_a_connection_that_is_no_client_is_refused(service, data, status):
    found, body = raw(service, data)
    assert found == status, body
    is_problem(body)


def test_a_client_that_hangs_up_is_no_failure(service):
    host, port = service.address.removeprefix("http://").split(":")
    for data in (b"", b"GET ", post(b"Content-Length: 500\r\n"), post(CHUNKED, body=b"5\r\nab")):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(data)
    assert service.http.get("/health/live").status_code == 200
    counted = service.http.get("/metrics").text
    assert 'status="500"' not in counted
    assert 'status="5xx"' not in counted


def test_a_websocket_is_refused(service):
    ask = (
        b"GET /v1/items HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert raw(service, ask)[0] == 403


def test_a_header_of_the_caller_comes_back_only_where_it_is_sane(service):
    for given in ("a\tb", "a%0d%0aSet-Cookie: x=1", "x" * 500, "<script>"):
        answer = service.http.get("/health/live", headers={"X-Request-Id": given})
        assert given not in str(answer.headers)
        assert "set-cookie" not in answer.headers


def nested(depth, opens=b"[", closes=b"]"):
    return (
        b'{"user_id": "u", "item_id": "a", "kind": "click", "context": {"x": ' + opens * depth + closes * depth + b"}}"
    )


def with_value(value):
    return b'{"user_id": "u", "item_id": "a", "kind": "click", ' + value + b"}"


BODIES = {
    "nothing": (b"", 400),
    "no JSON": (b"user_id=u", 400),
    "half of it": (EVENT[:-1], 400),
    "more behind it": (EVENT + EVENT, 400),
    "a comment": (b"/* */" + EVENT, 400),
    "a list": (b"[" + EVENT + b"]", 422),
    "a number": (b"1", 422),
    "null": (b"null", 422),
    "100,000 lists": (b"[" * 100_000 + b"]" * 100_000, 400),
    "100,000 lists that do not end": (b"[" * 100_000, 400),
    "100,000 objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
    "1,000 levels in a context": (nested(1000), 400),
    "40 levels in a context": (nested(40), 400),
    "40 levels of objects": (nested(40, b'{"a": ', b"1}")[:-40], 400),
    "NaN": (with_value(b'"value": NaN'), 400),
    "Infinity": (with_value(b'"value": Infinity'), 400),
    "minus Infinity": (with_value(b'"value": -Infinity'), 400),
    "1e400": (with_value(b'"value": 1e400'), 400),
    "10 to the 400": (with_value(b'"watch_ms": 1' + b"0" * 400), 400),
    "100,000 digits": (with_value(b'"watch_ms": ' + b"9" * 100_000), 400),
    "just beyond 64 bits": (with_value(b'"watch_ms": 9223372036854775808'), 400),
    "the most of 64 bits": (with_value(b'"watch_ms": 9223372036854775807'), 422),
    "the least of 64 bits": (with_value(b'"watch_ms": -9223372036854775808'), 422),
    "a moment beyond the calendar": (with_value(b'"timestamp_ms": 9000000000000000'), 422),
    "a date beyond the calendar": (with_value(b'"timestamp_ms": "99999-01-01"'), 422),
    "the first of all dates": (with_value(b'"timestamp_ms": "0001-01-01T00:00:00+23:59"'), 422),
    "the last of all dates": (with_value(b'"timestamp_ms": "9999-12-31T23:59:59-23:59"'), 422),
    "half a character": (with_value(b'"session_id": "\xc3"'), 400),
    "overlong UTF-8": (with_value(b'"session_id": "\xc0\xaf"'), 400),
    "UTF-16": (EVENT.decode().encode("utf-16"), 400),
    "a mark of the byte order": (b"\xef\xbb\xbf" + EVENT, 400),
    "a surrogate": (with_value(b'"session_id": "\\ud800"'), 400),
    "surrogates in the wrong order": (with_value(b'"session_id": "\\udc00\\ud800"'), 400),
    "a surrogate as a name": (with_value(b'"context": {"\\ud800": 1}'), 400),
    "a NUL": (with_value(b'"session_id": "\\u0000"'), 400),
    "a NUL as a name": (with_value(b'"context": {"a\\u0000b": 1}'), 400),
    "a control character": (with_value(b'"session_id": "\\u001b[31m"'), 422),
    "a long id": (with_value(b'"session_id": "' + b"a" * 257 + b'"'), 422),
    "a field nobody knows": (with_value(b'"__proto__": {"admin": true}'), 422),
    "an object for a text": (b'{"user_id": {"$ne": ""}, "item_id": "a", "kind": "click"}', 422),
    "a list for a text": (b'{"user_id": ["u"], "item_id": "a", "kind": "click"}', 422),
    "a text for a number": (with_value(b'"watch_ms": "many"'), 422),
    "a kind nobody knows": (b'{"user_id": "u", "item_id": "a", "kind": "__class__"}', 422),
    "300 keys": (with_value(b'"context": {' + b",".join(b'"k%d": 1' % n for n in range(300)) + b"}"), 422),
    "1,001 events": (b'{"events": [' + b",".join([EVENT] * 1001) + b"]}", 413),
    "events that are none": (b'{"events": [1, null, [], "a"]}', 422),
    "3 MB": (b'{"a": "' + b"a" * 3_000_000 + b'"}', 413),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=list(BODIES))
def test_a_body_that_is_no_event_is_refused(service, body, status):
    answer = service.http.post("/v1/events", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text[:300]
    is_problem(answer.content)


def test_a_name_that_comes_twice_means_the_last(service):
    body = b'{"user_id": "first", "user_id": "last", "item_id": "a", "kind": "click"}'
    assert (
        service.http.post("/v1/events", content=body, headers={"Content-Type": "application/json"}).status_code == 200
    )
    assert service.http.get("/v1/users/first").status_code == 404
    assert service.http.get("/v1/users/last").status_code == 200


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data", "jpeg", "\xff"],
)
def test_a_body_of_another_type_is_refused(service, kind):
    answer = service.http.post("/v1/events", content=EVENT, headers=[(b"Content-Type", kind.encode("latin-1"))])
    assert answer.status_code == 415
    is_problem(answer.content)


def quoted(name):
    return "".join(f"%{byte:02X}" for byte in name.encode())


def test_an_id_is_an_id_and_nothing_else(service):
    http, before = service.http, [sorted(place.iterdir()) for place in (service.folder, service.folder.parent)]
    items = [{"ItemId": name, "Comment": name[:200], "Labels": [name[:200]]} for name in NAMES]
    assert http.post("/api/items", json=items).json() == {"RowAffected": len(NAMES)}
    events = [
        {"user_id": name, "item_id": name, "kind": "click", "session_id": name, "context": {name[:100]: name}}
        for name in NAMES
    ]
    assert http.post("/v1/events", json={"events": events}).json() == {"accepted": len(NAMES), "rejected": []}
    for name in NAMES:
        path = f"/v1/items/{quoted(name)}"
        found = http.get(path).json()
        assert (found["item_id"], found["title"], found["tags"]) == (name, name[:200], [name[:200]])
        assert http.get(f"/api/item/{quoted(name)}").json()["ItemId"] == name
        exported = http.get(f"/v1/users/{quoted(name)}/export").json()["events"]
        assert [(one["item_id"], one["session_id"], one["context"]) for one in exported] == [
            (name, name, {name[:100]: name})
        ]
        assert http.get(f"/api/feedback/{quoted(name)}/{quoted(name)}").json()[0]["UserId"] == name
        assert http.delete(f"/v1/users/{quoted(name)}").json()["events"] == 1
        assert http.delete(path).status_code == 200
        assert http.get(path).status_code == 404
    assert [http.get(f"/v1/items/{one}").status_code for one in ITEMS] == [200] * len(ITEMS)
    assert before == [sorted(place.iterdir()) for place in (service.folder, service.folder.parent)]


def test_an_id_that_is_written_by_its_path_is_the_same(service):
    for name in ("films/7", "%2F", "100%", "a%2Fb", "\u202egpj.exe"):
        assert service.http.put(f"/v1/users/{quoted(name)}", json={}).json()["user_id"] == name
        assert service.http.get(f"/v1/users/{quoted(name)}").json()["user_id"] == name


def test_ids_that_look_alike_are_not_the_same(service):
    alike = ["\u00e9t\u00e9", "e\u0301te\u0301", "\u212b", "\u00c5", "K", "\u212a", "a", "A", "\uff41", "ß", "ss"]
    for number, name in enumerate(alike):
        service.http.put(f"/v1/users/{quoted(name)}", json={"attributes": {"number": number}})
    found = [service.http.get(f"/v1/users/{quoted(name)}").json()["attributes"]["number"] for name in alike]
    assert found == list(range(len(alike)))


QUERIES = [
    *(f"/v1/search?q={quoted(text)}" for text in NAMES),
    *(f"/v1/search?q=otters&category={quoted(text)}" for text in SQL),
    *(f"/v1/search?q=otters&user_id={quoted(text)}" for text in NAMES[:20]),
    *(f"/v1/users/ann/recommendations?scenario={quoted(text)}" for text in NAMES[:20]),
    *(f"/v1/items/a/similar?modality={quoted(text)}" for text in NAMES[:20]),
    *(f"/v1/{what}?cursor={quoted(text)}" for what in ("items", "users") for text in NAMES[:20]),
    *(f"/api/{what}/{quoted(text)}" for what in ("latest", "popular", "feedback", "recommend") for text in NAMES),
    *(f"/v1/media/{quoted(text)}" for text in NAMES),
    *(f"/v1/experiments/{quoted(text)}" for text in NAMES[:20]),
    *(
        f"/v1/users/ann/recommendations?n={number}"
        for number in ("0", "-1", "1001", "1e3", "9" * 400, "NaN", "0x10", "1;2", "", "[]", "true", "१")
    ),
    *(f"/v1/search?q=a&user_weight={number}" for number in ("nan", "inf", "-inf", "1e400", "2", "-0.1", "1_0")),
    *(f"/v1/search?q=a&published_since={moment}" for moment in ("9" * 18, "9" * 400, "-1", "2026-13-01", "0001-01-01")),
    *(f"/api/items?n={number}&cursor={number}" for number in ("9" * 18, "9" * 400, "-1", "nan")),
    *(f"/api/popular?offset={number}" for number in ("9" * 18, "9" * 400, "-1", "nan")),
    "/v1/search?" + "&".join(f"category=c{number}" for number in range(500)),
    "/v1/search?q=" + "a" * 1001,
    "/v1/search?q=" + quoted("(" * 300),
    "/v1/search?q=" + quoted("\u0301" * 300),
]


def test_no_query_fails(service):
    found = {path: service.http.get(path) for path in QUERIES}
    assert {path: one.status_code for path, one in found.items() if one.status_code >= 500} == {}
    for one in found.values():
        if one.status_code >= 400:
            is_problem(one.content)
    assert len(service.http.get("/v1/items").json()["items"]) == len(ITEMS)


FORM = b"multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="q"\r\n\r\notters\r\n'
FORMS = {
    "no boundary": (b"multipart/form-data", PART + b"--b--\r\n", 400),
    "another boundary": (b"multipart/form-data; boundary=c", PART + b"--b--\r\n", 400),
    "an endless boundary": (b"multipart/form-data; boundary=" + b"b" * 5000, PART, 400),
    "a boundary that is no ASCII": (b"multipart/form-data; boundary=\xff", PART, 400),
    "nothing": (FORM, b"", 422),
    "no end": (FORM, PART, 422),
    "5,000 fields": (FORM, PART * 5000 + b"--b--\r\n", 400),
    "5,000 files": (FORM, PART.replace(b'"q"', b'"image"; filename="a"') * 5000 + b"--b--\r\n", 400),
    "5,000 headers of a part": (FORM, b"--b\r\n" + b"X-A: a\r\n" * 5000 + b"\r\nx\r\n--b--\r\n", 400),
    "a part without a name": (FORM, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", 400),
    "a field of 1 MB": (FORM, PART.replace(b"otters", b"o" * 1_000_000) + b"--b--\r\n", 400),
    "a field twice": (FORM, PART * 2 + b"--b--\r\n", 422),
    "a field nobody knows": (FORM, PART.replace(b'"q"', b'"__class__"') + b"--b--\r\n", 422),
    "a file nobody knows": (FORM, PART.replace(b'"q"', b'"file"; filename="a"') + b"--b--\r\n", 422),
    "a picture that is no file": (FORM, PART.replace(b'"q"', b'"image"') + b"--b--\r\n", 422),
    "a path as a filename": (
        FORM,
        PART.replace(b'"q"', b'"image"; filename="../../../../tmp/kinema-was-here.png"') + b"--b--\r\n",
        415,
    ),
    "a NUL in a filename": (FORM, PART.replace(b'"q"', b'"image"; filename="a\0.png"') + b"--b--\r\n", 415),
    "a NUL in a field": (FORM, PART.replace(b"otters", b"a\0b") + b"--b--\r\n", 422),
    "half a character in a field": (FORM, PART.replace(b"otters", b"a\xc3") + b"--b--\r\n", 200),
    "a charset nobody knows": (FORM + b"; charset=nothing", PART + b"--b--\r\n", 200),
    "a compressed part": (
        FORM,
        PART.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n") + b"--b--\r\n",
        200,
    ),
}


@pytest.mark.parametrize(("kind", "body", "status"), FORMS.values(), ids=list(FORMS))
def test_a_form_that_is_none_is_refused(service, kind, body, status):
    answer = service.http.post("/v1/search", content=body, headers=[(b"Content-Type", kind)])
    assert answer.status_code == status, answer.text[:300]
    if status >= 400:
        is_problem(answer.content)
    assert not Path("/tmp/kinema-was-here.png").exists()
