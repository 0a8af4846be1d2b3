"""The whole service, closed: what a key may do, what it is shown, what is told of it."""

import re

import pytest
from fastapi.testclient import TestClient

from kinema.serving.access import Access, default_rules
from kinema.serving.keys import Scope, create_key
from kinema.steps.serving import make_app
from small_service import small_project


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with small_project(tmp_path_factory.mktemp("guarded")) as project:
        keys = {
            name: create_key(project.store, name=name, scopes=name.split("+"))[1]
            for name in ("read", "write", "admin", "read+personal", "read+write+admin")
        }
        with TestClient(make_app(project, log=True), base_url="http://shop.example") as client:

            def ask(scopes, method, path, **more):
                headers = {"x-api-key": keys[scopes]} if scopes else {}
                return client.request(method, path, headers=headers, **more)

            ask.app, ask.keys = client.app, keys
            ask(
                "read+write+admin",
                "PUT",
                "/v1/users/ann",
                json={"attributes": {"email": "a@b.example", "country": "de"}},
            )
            yield ask


def test_every_path_but_probes_and_signing_in_needs_a_key(service):
    rules = Access(default_rules())
    public = re.compile(r"(/api)?/health/\w+|/v1/session")
    for path, operations in service.app.openapi()["paths"].items():
        for method in operations:
            needed = rules.needed(method.upper(), re.sub(r"\{[^}]+\}", "x", path))
            assert (needed is None) == bool(public.fullmatch(path)), (method, path)
            administers = path.startswith(("/v1/keys", "/v1/models", "/v1/scenarios", "/v1/experiments"))
            assert needed is not Scope.ADMIN or administers or "users" in path or "user/" in path, (method, path)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/users/ann/recommendations"), ("POST", "/v1/search"), ("GET", "/api/users")]
)
def test_without_a_key_nothing_is_answered(service, method, path):
    answer = service("", method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    assert answer.headers["x-request-id"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_scope_is_needed_for_each_kind_of_request(service):
    event = {"user_id": "bob", "item_id": "a", "kind": "click"}
    assert service("read", "GET", "/v1/users/ann/recommendations").status_code == 200
    assert service("read", "POST", "/v1/events", json=event).status_code == 403
    assert service("write", "POST", "/v1/events", json=event).status_code == 200
    assert service("write", "GET", "/v1/users/ann/recommendations").status_code == 403
    assert service("read", "GET", "/v1/users/ann/export").status_code == 403
    assert service("admin", "GET", "/v1/users/ann/export").status_code == 200
    assert service("write", "DELETE", "/v1/users/bob").status_code == 403


@pytest.mark.parametrize(("scopes", "email"), [("read", "***"), ("read+personal", "a@b.example")])
def test_personal_fields_are_for_those_who_may_see_them(service, scopes, email):
    told = {"email": email, "country": "de"}
    assert service(scopes, "GET", "/v1/users/ann").json()["attributes"] == told
    assert service(scopes, "GET", "/api/user/ann").json()["Labels"] == told
    page = service(scopes, "GET", "/v1/users").json()
    assert ("a@b.example" in str(page)) == (email != "***")
    page = service(scopes, "GET", "/api/users").json()
    assert ("a@b.example" in str(page)) == (email != "***")


def test_refusals_are_counted_and_no_key_is_told(service):
    service("", "GET", "/v1/items")
    text = service("read", "GET", "/metrics").text
    assert 'kinema_auth_failures_total{reason="missing"}' in text
    assert 'kinema_requests_total{method="GET",route="/v1/items",status="401"}' not in text  # it never got to a route
    assert not [one for one in service.keys.values() if one in text]


def test_hostile_requests_end_in_4xx(service):
    everything = "read+write+admin"
    for body in (b"[" * 5000, b'{"a":NaN}', b"\xff\xfe", b'{"user_id":"\\u0000"}', b"1e999", b"{}" * 3_000_000):
        for path in ("/v1/events", "/v1/search", "/v1/users/ann/recommendations"):
            answer = service(everything, "POST", path, content=body)
            assert 400 <= answer.status_code < 500, (path, body[:20], answer.text)
            assert set(answer.json()["error"]) == {"code", "message", "field"}
    for path in (
        "/v1/items/%00",
        "/v1/items/%ff",
        "/v1/items/" + "a" * 5000,
        "/v1/search?q=%ff",
        "/v1/search?q=" + "a" * 9000,
    ):
        assert 400 <= service(everything, "GET", path).status_code < 500, path
