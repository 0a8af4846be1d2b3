"""Signing in to the console, through the whole service."""

import pytest
from fastapi.testclient import TestClient

from kinema.serving.keys import create_key, revoke_key
from kinema.serving.sessions import COOKIE
from kinema.steps.serving import make_app
from small_service import small_client, small_project

SITE = {"x-kinema-console": "1", "origin": "https://shop.example"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    with small_project(tmp_path_factory.mktemp("sessions")) as made:
        yield made


@pytest.fixture(scope="module")
def app(project):
    app = make_app(project)
    with TestClient(app, base_url="https://shop.example"):
        yield app


@pytest.fixture
def client(app):
    return TestClient(app, base_url="https://shop.example")


@pytest.fixture(scope="module")
def key(project):
    return create_key(project.store, name="Console", scopes=["read", "admin"])


def sign_in(client, text, **headers):
    return client.post("/v1/session", json={"key": text}, headers=headers)


def test_a_key_is_shown_once_and_a_cookie_stands_for_it(client, key):
    assert client.get("/v1/session").json() == {
        "open": False,
        "active": False,
        "scopes": [],
        "key_id": None,
        "name": None,
        "expires_ms": None,
    }
    assert client.get("/v1/items").status_code == 401
    answer = sign_in(client, key[1])
    assert answer.status_code == 200
    told = answer.json()
    assert (told["active"], told["scopes"], told["name"]) == (True, ["admin", "read"], "Console")
    assert key[1] not in answer.text
    cookie = answer.headers["set-cookie"]
    for one in ("HttpOnly", "Path=/", "SameSite=strict", "Secure", "Max-Age=43200"):
        assert one in cookie
    assert client.get("/v1/items").status_code == 200
    assert client.get("/v1/session").json() == told


def test_a_wrong_key_gets_no_session(client):
    answer = sign_in(client, "kin_aaaaaaaaaa_" + "x" * 43)
    assert answer.status_code == 401
    assert answer.json()["error"] == {
        "code": "unauthorized",
        "message": "the key is unknown, expired or revoked",
        "field": "key",
    }
    assert "set-cookie" not in answer.headers


def test_a_page_of_another_site_can_sign_nobody_in(client, key):
    assert sign_in(client, key[1], origin="https://evil.example").status_code == 403
    form = client.post("/v1/session", content=f'{{"key": "{key[1]}"}}', headers={"content-type": "text/plain"})
    assert form.status_code == 415


def test_changes_under_the_cookie_come_from_the_console_alone(client, key):
    sign_in(client, key[1])
    body = {"name": "mine", "scopes": ["read"]}
    assert client.post("/v1/keys", json=body).status_code == 403
    assert client.post("/v1/keys", json=body, headers={"x-kinema-console": "1"}).status_code == 403
    evil = SITE | {"origin": "https://evil.example"}
    assert client.post("/v1/keys", json=body, headers=evil).status_code == 403
    assert client.post("/v1/keys", json=body, headers=SITE).status_code == 201


def test_a_session_has_the_scopes_of_its_key(client, key):
    sign_in(client, key[1])
    event = {"user_id": "bob", "item_id": "a", "kind": "click"}
    answer = client.post("/v1/events", json=event, headers=SITE)
    assert answer.status_code == 403
    assert answer.json()["error"]["message"] == "this needs the scope 'write', the key has: admin, read"


def test_who_signs_out_is_out(client, key):
    sign_in(client, key[1])
    kept = client.cookies[COOKIE]
    assert client.delete("/v1/session").status_code == 403
    assert client.delete("/v1/session", headers=SITE).json()["active"] is False
    assert COOKIE not in client.cookies
    client.cookies[COOKIE] = kept
    answer = client.get("/v1/items")
    assert answer.status_code == 401
    assert answer.json()["error"]["message"] == "the session is over; sign in again"
    assert client.get("/v1/session").json()["active"] is False
    client.cookies.clear()
    assert client.delete("/v1/session").status_code == 200


def test_a_revoked_key_takes_its_sessions_along(client, project):
    made, text = create_key(project.store, name="Short", scopes=["read"])
    revoke_key(project.store, made.id)
    assert sign_in(client, text).status_code == 401


def test_a_key_in_a_header_is_told_what_it_may(client, key):
    told = client.get("/v1/session", headers={"x-api-key": key[1]}).json()
    assert (told["active"], told["scopes"], told["expires_ms"]) == (True, ["admin", "read"], None)
    assert client.get("/v1/session", headers={"x-api-key": "guess"}).status_code == 401


def test_signing_in_cannot_be_tried_without_end(client, key):
    answers = [sign_in(client, "guess") for _ in range(40)]
    assert {one.status_code for one in answers} == {401, 429}
    refused = answers[-1]
    assert refused.json()["error"]["message"].startswith("too many attempts to sign in; come again in ")
    assert int(refused.headers["retry-after"]) >= 1
    assert sign_in(client, key[1]).status_code == 429


def test_an_open_service_asks_nobody(tmp_path):
    with small_client(tmp_path) as client:
        told = client.get("/v1/session").json()
        assert (told["open"], told["active"], told["scopes"]) == (True, True, ["admin", "personal", "read", "write"])
        for answer in (sign_in(client, "anything"), client.delete("/v1/session")):
            assert (answer.json()["open"], "set-cookie" in answer.headers) == (True, False)
