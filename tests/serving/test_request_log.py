import json
import logging
import time

import jwt
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from fastapi.testclient import TestClient
from kept_documents import KeptDocuments

from kinema.logs import get_logger
from kinema.serving.access import Access, default_rules
from kinema.serving.auth import Guard
from kinema.serving.keys import KeyRing, create_key
from kinema.serving.privacy import Pseudonyms, Redaction
from kinema.serving.request_log import RequestLog, configure_service_logs
from kinema.serving.tokens import Tokens

PSEUDONYMS = Pseudonyms(b"a key of sixteen bytes and more")
ISSUER_KEY = Ed25519PrivateKey.generate()
USER = "anna-4711"


class Lines:
    """What standard error has said so far."""

    def __init__(self, capsys):
        self._capsys = capsys
        self._said = ""

    def text(self):
        self._said += self._capsys.readouterr().err
        return self._said

    def __call__(self):

        return [json.loads(one) for one in self.text().splitlines()]


@pytest.fixture
def lines(capsys):
    """What is logged, as JSON; structlog and logging are put back as they were."""
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure_service_logs(redaction=Redaction(PSEUDONYMS, ["email"]))

    yield Lines(capsys)
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def service(lines):
    documents = KeptDocuments()
    key, text = create_key(documents, name="n", scopes=["read", "write"])
    app = FastAPI()

    @app.get("/v1/users/{user_id}")
    async def user(user_id: str) -> str:
        get_logger("test").warning("looked up", user=user_id, authorization=f"Bearer {text}", email="a@b.example")
        logging.getLogger("a.library").warning("connected to %s", "postgresql://me:hunter2@db/shop")
        return user_id

    @app.put("/v1/users/{user_id}")
    async def fails(user_id: str) -> str:
        raise RuntimeError(f"cannot store user '{user_id}' for {text}")

    @app.get("/health/live")
    async def live() -> str:
        return "yes"

    tokens = Tokens(issuer="i", audience="a", keys={"": ISSUER_KEY.public_key()})
    app.add_middleware(Guard, access=Access(default_rules()), ring=KeyRing(documents), tokens=tokens)
    app.add_middleware(RequestLog, pseudonyms=PSEUDONYMS)
    client = TestClient(app, headers={"authorization": f"Bearer {text}"})
    client.key, client.key_text = key, text
    return client


def test_a_request_has_one_line(service, lines):
    service.get(f"/v1/users/{USER}?token=hunter2")
    line = lines()[-1]
    assert line.pop("ms") >= 0
    assert line.pop("timestamp")
    assert len(line.pop("request_id")) == 32
    assert line == {
        "room": "request",
        "event": "request",
        "level": "info",
        "method": "GET",
        "route": "/v1/users/{user_id}",
        "status": 200,
        "principal": f"key:{service.key.id}",
    }


def test_neither_the_key_nor_the_person_nor_a_password_is_logged(service, lines):
    service.get(f"/v1/users/{USER}?token=hunter2")
    service.put(f"/v1/users/{USER}")
    service.get(f"/v1/users/{USER}", headers={"authorization": service.key_text + "x"})
    text = lines.text()
    assert text.count("looked up") == 1
    assert "cannot store user '***'" in text
    for secret in (USER, service.key_text, service.key_text.rsplit("_", 1)[1], "hunter2", "a@b.example"):
        assert secret not in text
    assert PSEUDONYMS.of(USER) in text


def test_what_libraries_log_goes_the_same_way(service, lines):
    service.get("/v1/users/u", headers={"x-request-id": "abc-1"})
    line = next(one for one in lines() if "connected" in one["event"])
    assert line["event"] == "connected to postgresql://***@db/shop"
    assert (line["level"], line["request_id"]) == ("warning", "abc-1")


def test_an_error_that_a_library_logs_loses_what_it_quotes(lines):
    logging.getLogger("a.library").error("gave up", exc_info=ValueError(f"no row for '{USER}'"))
    line = lines()[-1]
    assert line["event"] == "gave up"
    assert line["trace"][-1] == "ValueError: no row for '***'"
    assert USER not in lines.text()


@pytest.mark.parametrize("sent", ["abc-1", "A.b_c-9", "x" * 64])
def test_a_sane_request_id_is_taken_and_returned(service, lines, sent):
    assert service.get("/v1/users/u", headers={"x-request-id": sent}).headers["x-request-id"] == sent
    assert {one["request_id"] for one in lines()} == {sent}


@pytest.mark.parametrize("sent", ["", "x" * 65, 'a"b', "a b", "a\tb", b"\xff", "${jndi:x}"])
def test_another_request_id_is_replaced(service, sent):
    found = service.get("/v1/users/u", headers={"x-request-id": sent}).headers["x-request-id"]
    assert len(found) == 32


def test_refusals_have_an_id_and_a_line_too(service, lines):
    answer = service.get("/v1/users/u", headers={"authorization": ""})
    assert (answer.status_code, lines()[-1]["status"]) == (401, 401)
    assert answer.headers["x-request-id"] == lines()[-1]["request_id"]
    assert lines()[-1]["principal"] == ""


def test_an_unexpected_error_is_answered_without_its_reason(service, lines):
    answer = service.put(f"/v1/users/{USER}")
    assert answer.status_code == 500
    assert answer.json() == {
        "error": {
            "code": "internal",
            "message": "the service failed to answer; its log has the reason under this request's id",
            "field": None,
        }
    }
    error, access = lines()[-2:]
    assert error["request_id"] == access["request_id"] == answer.headers["x-request-id"]
    assert (error["event"], error["error"], access["status"]) == ("request failed", "RuntimeError", 500)
    assert error["trace"][-1] == f"RuntimeError: cannot store user '***' for kin_{service.key.id}_***"


def test_the_subject_of_a_token_is_a_person(service, lines):
    told = {"iss": "i", "aud": "a", "sub": USER, "exp": time.time() + 60, "scope": "read"}
    text = jwt.encode(told, ISSUER_KEY, algorithm="EdDSA")
    assert service.get("/v1/users/u", headers={"authorization": f"Bearer {text}"}).status_code == 200
    assert lines()[-1]["principal"] == f"jwt:{PSEUDONYMS.of(f'jwt:{USER}')}"
    assert text not in lines.text()
    assert USER not in lines.text()


def test_probes_are_quiet_while_they_succeed(service, lines):
    service.get("/health/live")
    assert lines() == []


def test_the_id_of_a_request_ends_with_it(service, lines):
    service.get("/v1/users/u")
    get_logger("test").warning("later")
    assert "request_id" not in lines()[-1]


def test_lines_can_be_for_people(lines):
    configure_service_logs(redaction=Redaction(PSEUDONYMS), as_json=False)
    get_logger("test").info("hello", user=USER)
    text = lines.text()
    assert "hello" in text
    assert PSEUDONYMS.of(USER) in text
