import pytest
from kept_documents import KeptDocuments

from kinema.serving.keys import KeyRing, create_key, revoke_key
from kinema.serving.problems import Problem
from kinema.serving.sessions import MOST_PER_KEY, ROOM, Sessions, check_console, session_cookie

HOUR_MS = 3_600_000


class Desk:
    """Sessions in two processes with one clock."""

    def __init__(self):
        self.documents = KeptDocuments()
        self.seconds = 1_700_000_000.0
        self.key, self.text = create_key(self.documents, name="Console", scopes=["read", "admin"], now_ms=self.now_ms())
        self.here, self.there = self.process(), self.process()

    def now_ms(self):
        return round(self.seconds * 1000)

    def process(self):
        told = {"clock": lambda: self.seconds, "now_ms": self.now_ms}
        return Sessions(self.documents, KeyRing(self.documents, **told), hours=12, **told)


@pytest.fixture
def desk():
    return Desk()


def test_a_session_stands_for_its_key_in_every_process(desk):
    session, token = desk.here.begin(desk.key)
    for process in (desk.here, desk.there):
        found, key = process.find(token)
        assert (found, key.id, key.scopes) == (session, desk.key.id, desk.key.scopes)
    assert session.expires_ms - session.created_ms == 12 * HOUR_MS


def test_of_a_token_only_a_hash_is_kept(desk):
    _, token = desk.here.begin(desk.key)
    assert token.split("_", 2)[2] not in str(desk.documents.kept)


@pytest.mark.parametrize(
    "change", [lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"), lambda _: "kins_a_b"]
)
def test_a_token_that_is_not_quite_right_is_none(desk, change):
    _, token = desk.here.begin(desk.key)
    assert desk.here.find(change(token)) is None
    assert desk.here.find(f"kins_{'a' * 16}_{'x' * 43}") is None
    assert desk.here.find(desk.text) is None
    assert not desk.here.remembers("kins_a_b")


def test_a_session_ends_when_its_time_is_over(desk):
    _, token = desk.here.begin(desk.key)
    desk.seconds += 12 * 3600 - 1
    assert desk.here.find(token) is not None
    desk.seconds += 1
    assert desk.here.find(token) is None


def test_a_session_ends_with_its_key(desk):
    _, token = desk.here.begin(desk.key)
    assert desk.there.find(token) is not None
    revoke_key(desk.documents, desk.key.id, now_ms=desk.now_ms())
    desk.seconds += 3
    assert desk.there.find(token) is None


def test_a_session_that_was_ended_is_over_everywhere(desk):
    _, token = desk.here.begin(desk.key)
    assert desk.there.find(token) is not None
    assert desk.here.end(token)
    assert desk.here.find(token) is None
    desk.seconds += 3
    assert desk.there.find(token) is None
    assert not desk.here.end(token)


def test_what_the_store_said_is_remembered_for_a_moment(desk):
    _, token = desk.here.begin(desk.key)
    assert not desk.here.remembers(token)
    desk.here.find(token)
    reads = desk.documents.reads
    assert desk.here.remembers(token)
    desk.here.find(token)
    assert desk.documents.reads == reads
    desk.seconds += 3
    assert not desk.here.remembers(token)


def test_a_new_session_removes_those_that_are_over_and_the_oldest_of_many(desk):
    first = desk.here.begin(desk.key)[1]
    for _ in range(MOST_PER_KEY):
        desk.seconds += 1
        newest = desk.here.begin(desk.key)[1]
    assert len(desk.documents.documents(ROOM)) == MOST_PER_KEY
    assert desk.there.find(first) is None
    assert desk.there.find(newest) is not None
    desk.seconds += 13 * 3600
    desk.here.begin(desk.key)
    assert len(desk.documents.documents(ROOM)) == 1


def asked(method="POST", **headers):
    told = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"method": method, "headers": told}


def test_the_cookie_is_found_among_others():
    assert session_cookie(asked(cookie="a=b; kinema_session=kins_x; c=d")) == "kins_x"
    assert session_cookie(asked(cookie="kinema_sessions=no")) is None
    assert session_cookie(asked()) is None


def test_a_change_must_come_from_the_console():
    check_console(asked("GET"))
    check_console(asked(x_kinema_console="1", host="shop.example:8000", origin="http://shop.example:8000"))
    with pytest.raises(Problem, match="a change under the cookie of a session needs the header 'X-Kinema-Console: 1'"):
        check_console(asked(host="shop.example", origin="https://shop.example"))
    for origin in ("https://evil.example", "https://shop.example.evil.example", "null", ""):
        with pytest.raises(Problem, match=r"the Origin must be this service \('shop.example'\), is '"):
            check_console(asked(x_kinema_console="1", host="shop.example", origin=origin))
