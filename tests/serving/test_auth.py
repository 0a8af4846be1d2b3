import asyncio
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from fastapi.testclient import TestClient
from kept_documents import KeptDocuments

from kinema.errors import ConfigError
from kinema.serving.access import Access, default_rules
from kinema.serving.auth import Asker, Guard, check_open
from kinema.serving.keys import KeyRing, Scope, create_key, revoke_key
from kinema.serving.problems import install_problem_handlers
from kinema.serving.rates import Rate, Rates
from kinema.serving.tokens import Tokens

ISSUER_KEY = Ed25519PrivateKey.generate()


class Service:
    """An application behind a guard, with a store of keys."""

    def __init__(self, **options):
        self.documents = KeptDocuments()
        self.told = []
        app = FastAPI()
        install_problem_handlers(app)

        @app.get("/health/live")
        async def live() -> str:
            return "yes"

        @app.get("/v1/items")
        async def items(asker: Asker) -> dict[str, str]:
            return {"asker": asker.id, "kind": asker.kind, "personal": str(asker.sees_personal)}

        @app.post("/v1/events")
        async def events() -> str:
            return "taken"

        @app.get("/console/me")
        async def me(asker: Asker) -> str:
            return asker.id

        app.add_middleware(
            Guard,
            access=Access(default_rules()),
            ring=KeyRing(self.documents),
            on_failure=self.told.append,
            on_limited=lambda scope: self.told.append(f"limited {scope}"),
            **options,
        )
        self.app = app
        self.client = TestClient(app, base_url="http://127.0.0.1")

    def key(self, *scopes, **options):
        return create_key(self.documents, name="n", scopes=scopes or ["read"], **options)

    def get(self, path="/v1/items", **headers):
        return self.client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.fixture
def service():
    return Service()


def problem(answer):
    return answer.json()["error"]


def test_nobody_asks_without_a_key(service):
    answer = service.get()
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="kinema"'
    assert problem(answer) == {
        "code": "unauthorized",
        "message": "a key is needed: send 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
        "field": None,
    }
    assert service.told == ["missing"]


def test_health_needs_no_key(service):
    assert service.get("/health/live").json() == "yes"


def test_a_key_is_taken_from_either_header(service):
    key, text = service.key()
    for headers in ({"authorization": f"Bearer {text}"}, {"authorization": f"bearer  {text}"}, {"x_api_key": text}):
        assert service.get(**headers).json() == {"asker": f"key:{key.id}", "kind": "key", "personal": "False"}


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer kin_aaaaaaaaaa_" + "x" * 43},
        {"authorization": "Bearer "},
        {"authorization": "Bearer a.b.c"},
        {"authorization": "Basic YTpi"},
        {"x_api_key": "guess"},
        {"x_api_key": b"\xff\xfe"},
        {"x_api_key": ""},
    ],
)
def test_a_wrong_key_is_refused_without_telling_why(service, headers):
    answer = service.get(**headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="kinema", error="invalid_token"'
    assert problem(answer)["message"] == "the key or token is unknown, expired or revoked"
    assert service.told == ["invalid"]


def test_a_bearer_that_is_wrong_is_not_rescued_by_another_header(service):
    _, text = service.key()
    assert service.get(authorization="Bearer nonsense", x_api_key=text).status_code == 401


def test_a_key_does_what_its_scopes_say_and_no_more(service):
    _, text = service.key("read")
    answer = service.client.post("/v1/events", headers={"x-api-key": text})
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == 'Bearer realm="kinema", error="insufficient_scope", scope="write"'
    assert problem(answer)["message"] == "this needs the scope 'write', the key has: read"
    _, text = service.key("write")
    assert service.client.post("/v1/events", headers={"x-api-key": text}).status_code == 200
    assert service.get(x_api_key=text).status_code == 403
    assert service.told == ["forbidden", "forbidden"]


def test_what_no_rule_names_needs_admin_even_where_there_is_nothing(service):
    _, text = service.key("read", "write")
    assert service.get("/secret", x_api_key=text).status_code == 403
    _, text = service.key("admin")
    assert service.get("/secret", x_api_key=text).status_code == 404


def test_personal_fields_are_for_admin_and_personal(service):
    for scopes in (["read", "admin"], ["read", "personal"]):
        _, text = service.key(*scopes)
        assert service.get(x_api_key=text).json()["personal"] == "True"


def test_a_revoked_key_is_refused_once_it_is_forgotten():
    service = Service()
    key, text = service.key()
    clock = [0.0]
    guard = Guard(
        service.app,
        access=Access(default_rules()),
        ring=KeyRing(service.documents, keep_seconds=3, clock=lambda: clock[0]),
    )
    client = TestClient(guard)
    # the inner guard would refuse too, so only what the outer one answers is looked at
    assert client.get("/v1/items", headers={"x-api-key": text}).status_code == 200
    revoke_key(service.documents, key.id)
    clock[0] = 3.5
    assert client.get("/v1/items", headers={"x-api-key": text}).status_code == 401


def test_a_token_of_the_issuer_is_a_principal():
    tokens = Tokens(issuer="i", audience="a", keys={"": ISSUER_KEY.public_key()})
    service = Service(tokens=tokens)
    told = {"iss": "i", "aud": "a", "sub": "anna", "exp": time.time() + 60, "scope": "read"}
    text = jwt.encode(told, ISSUER_KEY, algorithm="EdDSA")
    assert service.get(authorization=f"Bearer {text}").json()["asker"] == "jwt:anna"
    assert service.get(authorization=f"Bearer {text[:-4]}AAAA").status_code == 401


def test_too_many_requests_are_told_when_to_come_again():
    service = Service(rates=Rates({Scope.READ: Rate(1, 2)}))
    _, text = service.key()
    _, other = service.key()
    found = [service.get(x_api_key=text) for _ in range(3)]
    assert [one.status_code for one in found] == [200, 200, 429]
    assert int(found[2].headers["retry-after"]) >= 1
    assert problem(found[2])["code"] == "too_many_requests"
    assert service.get(x_api_key=other).status_code == 200
    assert service.told == ["limited read"]


def test_a_guesser_is_slowed_and_right_keys_of_the_same_address_are_not():
    service = Service(rates=Rates({}, failures=Rate(1, 3)))
    _, text = service.key()
    assert [service.get(x_api_key=f"guess {n}").status_code for n in range(5)] == [401, 401, 401, 429, 429]
    assert service.get(x_api_key=text).status_code == 200


def test_the_open_mode_lets_everybody_of_this_machine_in():
    service = Service(open=True)
    assert service.get().json() == {"asker": "open", "kind": "open", "personal": "True"}
    assert service.client.post("/v1/events").status_code == 200


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}, {"origin": "null"}])
def test_the_open_mode_refuses_pages_of_other_sites(headers):
    answer = Service(open=True).get(**headers)
    assert answer.status_code == 403
    assert "the open mode" in problem(answer)["message"]


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "127.9.9.9"])
def test_the_open_mode_answers_on_every_name_of_loopback(host):
    assert Service(open=True).get(host=host, origin=f"http://{host}").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "", "example.com", "localhost.example.com"])
def test_the_open_mode_must_listen_on_loopback(host):
    with pytest.raises(ConfigError, match=r"--open serves without keys and must listen on loopback \(127.0.0.1\), is"):
        check_open(host, open=True)
    check_open(host, open=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_may_be_open(host):
    check_open(host, open=True)


def test_a_public_page_that_wants_to_know_who_asks_says_so(service):
    answer = service.get("/console/me")
    assert (answer.status_code, problem(answer)["message"]) == (401, "a key is needed here")


def test_the_path_below_a_root_path_is_what_counts(service):
    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def ask(path):
        sent = []

        async def send(message):
            sent.append(message)

        guard = Guard(inner, access=Access(default_rules()))
        await guard({"type": "http", "method": "GET", "path": path, "root_path": "/kinema", "headers": []}, None, send)
        return sent[0]["status"]

    assert asyncio.run(ask("/kinema/health/live")) == 204
    assert asyncio.run(ask("/kinema/v1/items")) == 401


def test_a_web_socket_is_closed(service):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(Guard(service.app, access=Access([]))({"type": "websocket"}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
