import json

import pytest
from kept_documents import KeptDocuments

from kinema.errors import ConfigError, ConflictError, DataError
from kinema.serving.keys import DAY_MS, Key, KeyRing, Scope, create_key, list_keys, revoke_key


@pytest.fixture
def documents():
    return KeptDocuments()


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.seconds = 1_000.0

    def __call__(self):
        return self.seconds

    def ms(self):
        return round(self.seconds * 1000)


def ring_with(documents, clock):
    return KeyRing(documents, keep_seconds=3, clock=clock, now_ms=clock.ms)


def test_a_key_is_verified_and_carries_its_scopes(documents):
    key, text = create_key(documents, name="shop", scopes=["read", "write"])
    found = KeyRing(documents).verify(text)
    assert found is not None
    assert (found.id, found.name) == (key.id, "shop")
    assert found.scopes == {Scope.READ, Scope.WRITE}


def test_the_secret_is_nowhere_in_the_store_and_is_long_enough(documents):
    key, text = create_key(documents, name="shop", scopes=["read"])
    secret = text.removeprefix(f"kin_{key.id}_")
    assert len(secret) == 43  # 32 bytes
    assert secret not in json.dumps([one.value for one in documents.kept.values()])


def test_two_keys_of_one_name_differ(documents):
    texts = {create_key(documents, name="n", scopes=["read"])[1] for _ in range(20)}
    assert len(texts) == 20


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text.replace("kin_", "kim_"),
        lambda text: text[:4] + "aaaaaaaaaa" + text[14:],
        lambda text: text[:15],
        lambda text: "",
        lambda text: "kin__",
        lambda text: "kin_" + "a" * 5000,
        lambda text: text[:15] + "ä" * 43,
        lambda text: text.upper(),
    ],
)
def test_what_is_no_key_is_refused(documents, spoil):
    _, text = create_key(documents, name="shop", scopes=["read"])
    assert KeyRing(documents).verify(spoil(text)) is None


def test_a_text_that_cannot_be_a_key_does_not_cost_a_read(documents):
    KeyRing(documents).verify("kin_0123_x")
    assert documents.reads == 0


def test_the_hot_path_does_not_read_the_store(documents):
    _, text = create_key(documents, name="shop", scopes=["read"])
    clock = Clock()
    ring = ring_with(documents, clock)
    assert not ring.remembers(text)
    assert ring.verify(text)
    before = documents.reads
    assert ring.remembers(text)
    assert ring.verify(text)
    assert documents.reads == before


def test_a_wrong_secret_of_a_cached_key_is_refused(documents):
    _, text = create_key(documents, name="shop", scopes=["read"])
    ring = KeyRing(documents)
    assert ring.verify(text)
    assert ring.verify(text[:15] + "x" * 43) is None


def test_a_revoked_key_dies_when_the_cache_does(documents):
    key, text = create_key(documents, name="shop", scopes=["read"])
    clock = Clock()
    ring = ring_with(documents, clock)
    assert ring.verify(text)
    revoke_key(documents, key.id)
    clock.seconds += 3.1
    assert ring.verify(text) is None


def test_an_unknown_id_is_remembered_for_as_long(documents):
    clock = Clock()
    ring = ring_with(documents, clock)
    for _ in range(5):
        assert ring.verify("kin_aaaaaaaaaa_" + "x" * 43) is None
    assert documents.reads == 1


def test_the_cache_is_bounded(documents, monkeypatch):
    monkeypatch.setattr("kinema.serving.keys._MOST_CACHED", 10)
    ring = KeyRing(documents)
    for letter in "abcdefghijklmnopqrstuvwxyz":
        ring.verify(f"kin_{letter * 10}_secret")
    assert len(ring._known) <= 10


def test_a_key_expires_although_it_is_cached(documents):
    clock = Clock()
    _, text = create_key(documents, name="n", scopes=["read"], expires_days=1 / 86_400, now_ms=clock.ms())
    ring = ring_with(documents, clock)
    assert ring.verify(text)
    clock.seconds += 1
    assert ring.verify(text) is None


def test_last_use_is_noted_to_the_hour(documents):
    clock = Clock()
    key, text = create_key(documents, name="n", scopes=["read"], now_ms=clock.ms())
    ring = ring_with(documents, clock)
    ring.verify(text)
    first = list_keys(documents)[0].last_used_ms
    assert first == clock.ms()
    clock.seconds += 60
    ring.verify(text)
    assert list_keys(documents)[0].last_used_ms == first
    clock.seconds += 3600
    ring.verify(text)
    assert list_keys(documents)[0].last_used_ms == clock.ms()
    assert documents.kept["keys", key.id].version == 3


def test_noting_the_use_never_undoes_a_revocation(documents):
    key, text = create_key(documents, name="n", scopes=["read"])

    class Racing(KeptDocuments):
        kept = documents.kept

        def __init__(self):
            self.reads = 0

        def put_document(self, room, key_id, value, *, expected=None):
            revoke_key(documents, key.id)
            return super().put_document(room, key_id, value, expected=expected)

    assert KeyRing(Racing()).verify(text)
    assert list_keys(documents)[0].state(0) == "revoked"


def test_revoking_goes_on_when_a_service_writes_at_the_same_time(documents):
    key, _ = create_key(documents, name="n", scopes=["read"])
    real, tries = documents.put_document, []

    def first_conflicts(*args, **kwargs):
        tries.append(1)
        if len(tries) == 1:
            raise ConflictError("changed")
        return real(*args, **kwargs)

    documents.put_document = first_conflicts
    assert revoke_key(documents, key.id, now_ms=5).revoked_ms == 5
    assert revoke_key(documents, key.id, now_ms=9).revoked_ms == 5
    assert len(tries) == 2


def test_a_list_tells_states_and_is_oldest_first(documents):
    late, _ = create_key(documents, name="late", scopes=["read"], now_ms=DAY_MS)
    old, _ = create_key(documents, name="old", scopes=["admin"], expires_days=0.5, now_ms=0)
    assert [one.name for one in list_keys(documents)] == ["old", "late"]
    assert [one.state(DAY_MS) for one in list_keys(documents)] == ["expired", "active"]
    revoke_key(documents, late.id)
    assert list_keys(documents)[1].state(DAY_MS) == "revoked"
    assert isinstance(old, Key)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": ""}, "a key's name must have 1 to 100 characters, has 0"),
        ({"name": "n" * 101}, "has 101"),
        ({"scopes": ["root"]}, "unknown scope 'root'; known: read, write, admin, personal"),
        ({"scopes": []}, "a key must have a scope, has none"),
        ({"expires_days": 0}, "expires_days must be > 0, is 0"),
        ({"expires_days": float("nan")}, "expires_days must be > 0, is nan"),
    ],
)
def test_a_wrong_key_is_not_made(documents, wrong, message):
    with pytest.raises(ConfigError, match=message):
        create_key(documents, **{"name": "n", "scopes": ["read"], **wrong})
    assert not documents.kept


def test_revoking_an_unknown_key_says_so(documents):
    with pytest.raises(DataError, match="unknown key 'nobody'; list them: kinema keys list"):
        revoke_key(documents, "nobody")


def test_revoking_a_key_by_its_name_tells_its_id(documents):
    made = [create_key(documents, name="shop", scopes=["read"], now_ms=n)[0].id for n in (1, 2)]
    with pytest.raises(DataError, match=f"unknown key 'shop'; it is the name of {made[0]}, {made[1]}"):
        revoke_key(documents, "shop")
