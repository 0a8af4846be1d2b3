import os
import stat

import pytest

from kinema.errors import ConfigError
from kinema.serving.auth import Principal
from kinema.serving.keys import Scope
from kinema.serving.privacy import (
    KEY_VARIABLE,
    Pseudonyms,
    Redaction,
    error_trace,
    mask_fields,
    read_pseudonym_key,
    without_secrets,
)

KEY = b"a key of sixteen bytes and more"
SECRET = "kin_abcdefghij_" + "s3cret-_" * 5


def test_a_pseudonym_is_stable_keyed_and_tells_nothing():
    names, others = Pseudonyms(KEY), Pseudonyms(KEY + b"!")
    assert names.of("anna") == Pseudonyms(KEY).of("anna")
    assert len({names.of("anna"), names.of("bert"), others.of("anna")}) == 3
    assert "anna" not in names.of("anna")
    assert names.of("\ud800").startswith("p_")


def test_a_short_key_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="the key of pseudonyms must have at least 16 bytes, has 5"):
        Pseudonyms(b"short")
    monkeypatch.setenv(KEY_VARIABLE, "short")
    with pytest.raises(ConfigError, match="KINEMA_PSEUDONYM_KEY must hold at least 16 bytes, has 5"):
        read_pseudonym_key(tmp_path)
    monkeypatch.delenv(KEY_VARIABLE)
    (tmp_path / "pseudonym.key").write_text("short")
    (tmp_path / "pseudonym.key").chmod(0o600)
    with pytest.raises(ConfigError, match=r"pseudonym\.key must hold at least 16 bytes, has 5"):
        read_pseudonym_key(tmp_path)


def test_the_key_is_made_once_for_its_owner_alone(tmp_path, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    old = os.umask(0)
    try:
        key = read_pseudonym_key(tmp_path)
    finally:
        os.umask(old)
    path = tmp_path / "pseudonym.key"
    assert len(key) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_pseudonym_key(tmp_path) == key
    path.chmod(0o644)
    with pytest.raises(ConfigError, match=r"must be readable by its owner alone, has mode 644; run: chmod 600"):
        read_pseudonym_key(tmp_path)


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "k" * 20)
    assert read_pseudonym_key(tmp_path) == b"k" * 20
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"sent {SECRET} today", "sent kin_abcdefghij_*** today"),
        ("cookie kins_abcdefghijklmnop_s3cret-_x", "cookie kins_abcdefghijklmnop_***"),
        ("token eyJhbGciOi.eyJzdWIi.c2ln failed", "token *** failed"),
        ("Authorization: Bearer abc123", "Authorization: Bearer ***"),
        ("basic YTpi", "basic ***"),
        ("postgresql://anna:hunter2@db/shop", "postgresql://***@db/shop"),
        ("redis://:hunter2@db:6379/0", "redis://***@db:6379/0"),
        ("GET /x?a=1&api_key=hunter2&b=2", "GET /x?a=1&api_key=***&b=2"),
        ("https://shop.example/a?b=c", "https://shop.example/a?b=c"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_texts_lose_their_secrets(text, told):
    assert without_secrets(text) == told


def redact(personal=("email",), **line):
    return dict(Redaction(Pseudonyms(KEY), personal)(None, "info", line))


@pytest.mark.parametrize(
    "name", ["authorization", "X-API-Key", "x_api_key", "api_key", "password", "db_password", "cookie", "jwt_token"]
)
def test_secret_fields_are_masked_whatever_they_hold(name):
    assert redact(**{name: "hunter2"}) == {name: "***"}
    assert redact(**{name: ["hunter2"]}) == {name: "***"}


def test_people_get_pseudonyms_and_personal_fields_a_mask():
    name = Pseudonyms(KEY).of
    found = redact(user="anna", user_id=17, users=["anna", "bert"], Email="a@b.example", count=3, none=None)
    assert found == {
        "user": name("anna"),
        "user_id": name("17"),
        "users": [name("anna"), name("bert")],
        "Email": "***",
        "count": 3,
        "none": None,
    }


def test_what_is_nested_is_found():
    found = redact(request={"headers": {"authorization": "x"}, "body": [{"user": "anna", "email": "e"}], "ok": True})
    assert found["request"]["headers"] == {"authorization": "***"}
    assert found["request"]["body"] == [{"user": Pseudonyms(KEY).of("anna"), "email": "***"}]
    assert found["request"]["ok"] is True


def test_objects_are_written_as_texts_without_secrets():
    assert redact(error=ValueError(f"bad {SECRET}")) == {"error": "bad kin_abcdefghij_***"}


def failing():
    try:
        {}["anna"]
    except KeyError as error:
        raise ValueError(f"no such user 'anna' with {SECRET}") from error


def test_a_trace_says_where_and_what_kind_but_not_whom():
    with pytest.raises(ValueError, match="anna") as caught:
        failing()
    lines = error_trace(caught.value)
    assert lines[1] == "KeyError: '***'"
    assert lines[-1] == "ValueError: no such user '***' with kin_abcdefghij_***"
    assert any("test_privacy.py" in one and one.endswith("failing") for one in lines)
    assert "anna" not in " ".join(lines)
    line = redact(exc_info=caught.value)
    assert line["trace"] == lines
    assert "exc_info" not in line


def test_a_trace_of_errors_that_name_each_other_ends():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert error_trace(first) == ["ValueError: b", "ValueError: a"]


def principal(*scopes):
    return Principal("key:a", frozenset(Scope(one) for one in scopes), "key:a", "key")


def test_personal_fields_are_masked_for_keys_that_may_not_see_them():
    attributes = {"Email": "a@b.example", "age": 30, "home": {"street": "x", "city": "y"}, "past": [{"street": "z"}]}
    personal = frozenset(("email", "street"))
    assert mask_fields(attributes, personal, principal("read")) == {
        "Email": "***",
        "age": 30,
        "home": {"street": "***", "city": "y"},
        "past": [{"street": "***"}],
    }
    for scope in ("admin", "personal"):
        assert mask_fields(attributes, personal, principal(scope)) == attributes
    assert mask_fields(attributes, frozenset(), principal("read")) == attributes
