import json

import pytest

from kinema.serving.direct import DirectPaths, plain_event, plain_query
from kinema.serving.wire import EventsOut, RecommendOut, SimilarOut
from small_service import small_client

JSON = [(b"content-type", b"application/json; charset=utf-8")]
EVENT = {"user_id": "ann", "item_id": "a", "kind": "click"}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with small_client(tmp_path_factory.mktemp("direct")) as made:
        yield made


@pytest.fixture
def framework(client, monkeypatch):
    """The same client, with nothing answered directly."""

    async def pass_on(self, scope, receive, send):
        await self._app(scope, receive, send)

    def ask(*given, **named):
        with monkeypatch.context() as changed:
            changed.setattr(DirectPaths, "__call__", pass_on)
            return client.request(*given, **named)

    return ask


def same(answer, other):
    """Whether two answers differ in nothing but the recommendation's id."""
    one, two = answer.json(), other.json()
    for each in (one, two):
        each.pop("recommendation_id", None)
        for step in each.get("trace") or ():
            step.pop("milliseconds")
            step["detail"].pop("now_ms", None)
    headers = [{name for name in each.headers if name != "content-length"} for each in (answer, other)]
    return (answer.status_code, one, *headers[:1]) == (other.status_code, two, *headers[1:])


@pytest.mark.parametrize(
    "address",
    [
        "/v1/users/ann/recommendations",
        "/v1/users/ann/recommendations?n=2&scenario=home&explain=false&debug=true",
        "/v1/users/nobody%20known/recommendations?n=3&unknown=1",
        "/v1/users/%C3%BC/recommendations?n=3",
        "/v1/users/films%2F7/recommendations?n=3",
        "/v1/users/ann/recommendations?n=0",
        "/v1/users/ann/recommendations?n=1001",
        "/v1/users/ann/recommendations?n=2&n=3",
        "/v1/users/ann/recommendations?n=",
        "/v1/users/ann/recommendations?explain=1",
        "/v1/users/ann/recommendations?explain=maybe",
        "/v1/users/ann/recommendations?scenario=",
        "/v1/users/ann/recommendations?scenario=hme",
        "/v1/users/ann/recommendations?scenario=h%6Fme",
        "/v1/users//recommendations",
        "/v1/users/ann/recommendations/",
    ],
)
def test_recommendations_are_those_of_the_framework(client, framework, address):
    assert same(client.get(address), framework("GET", address))


@pytest.mark.parametrize(
    "how",
    [
        {"json": EVENT},
        {"json": EVENT | {"item_id": "unknown"}},
        {"json": EVENT | {"kind": "stare"}},
        {"json": EVENT | {"extra": 1}},
        {"json": {"events": [EVENT, {}]}},
        {"json": {"events": []}},
        {"json": []},
        {"content": b"", "headers": {"content-type": "application/json"}},
        {"content": b"{", "headers": {"content-type": "application/json"}},
        {"content": json.dumps(EVENT)},
        {"content": json.dumps(EVENT), "headers": {"content-type": "text/plain"}},
        {"content": json.dumps(EVENT), "headers": {"content-type": "application/hal+json"}},
        {"content": b'{"user_id": "ann", "item_id": "a", "kind": "click", "value": 1e400}'},
    ],
)
def test_events_are_answered_as_by_the_framework(client, framework, how):
    assert same(client.post("/v1/events", **how), framework("POST", "/v1/events", **how))


def test_what_is_sent_is_what_the_document_says(client):
    for query in ("", "?debug=true", "?explain=false&n=3"):
        body = client.get(f"/v1/users/ann/recommendations{query}").content
        found = RecommendOut.model_validate_json(body, strict=True)
        assert json.loads(found.model_dump_json()) == json.loads(body)
    body = client.get("/v1/items/a/similar").content
    assert json.loads(SimilarOut.model_validate_json(body, strict=True).model_dump_json()) == json.loads(body)
    body = client.post("/v1/events", json=EVENT).content
    assert json.loads(EventsOut.model_validate_json(body, strict=True).model_dump_json()) == json.loads(body)


def test_both_are_counted_by_the_templates_of_their_routes(client):
    client.get("/v1/users/ann/recommendations")
    client.post("/v1/events", json=EVENT)
    told = client.get("/metrics").text
    assert 'route="/v1/users/{user_id}/recommendations"' in told
    assert 'route="/v1/events"' in told


def test_only_what_is_plain_is_read():
    assert plain_query(b"") == {}
    assert plain_query(b"n=10&explain=false") == {"n": "10", "explain": "false"}
    for text in (b"n=1&n=2", b"n=01", b"n=%31", b"debug=yes", b"scenario=a+b", b"%6E=3", b"&"):
        assert plain_query(text) is None, text


def test_only_one_whole_event_is_read():
    body = {"type": "http.request", "body": json.dumps(EVENT).encode()}
    assert plain_event(JSON, [body]).item_id == "a"
    half = len(body["body"]) // 2
    parts = [body | {"body": body["body"][:half], "more_body": True}, body | {"body": body["body"][half:]}]
    assert plain_event(JSON, parts).item_id == "a"
    assert plain_event(JSON, [parts[0], {"type": "http.disconnect"}]) is None
    assert plain_event(JSON * 2, [body]) is None
    assert plain_event([], [body]) is None
