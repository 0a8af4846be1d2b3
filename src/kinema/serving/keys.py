"""API keys: made, verified, listed, revoked. Only a hash of each is stored.

A key reads ``kin_<id>_<secret>``. The id is public: it finds the key and names it in logs and lists. The secret is 256 random
bits, so a plain SHA-256 of it is right: a slow hash (bcrypt, scrypt) defends words that people choose against guessing,
there is nothing to guess here, and it would cost a tenth of a second of every request that is not in the cache.

Scopes are an explicit set: none brings another with it. The key of an event collector that may only write cannot read
anybody's profile.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Any, Final

from kinema.errors import ConfigError, ConflictError, DataError
from kinema.store.service_protocols import Documents

ROOM: Final = "keys"
PREFIX: Final = "kin_"
DAY_MS: Final = 86_400_000
USED_EVERY_MS: Final = 3_600_000
"""How exact `Key.last_used_ms` is. A write per request would cost more than the answer."""
_ID: Final = re.compile(r"[a-z2-7]{10}")
_ID_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_MOST_CACHED: Final = 10_000


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    PERSONAL = "personal"


@dataclass(frozen=True)
class Key:
    """A key without its secret.

    Attributes:
        id: Public part.
        name: What people call it.
        scopes: What it may do.
        created_ms: UTC milliseconds.
        expires_ms: From when on it is refused; None for never.
        revoked_ms: When it was revoked; None for not.
        last_used_ms: To the hour; None before the first time.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    created_ms: int
    expires_ms: int | None = None
    revoked_ms: int | None = None
    last_used_ms: int | None = None

    def state(self, now_ms: int) -> str:
        """``active``, ``expired`` or ``revoked``."""
        if self.revoked_ms is not None:
            return "revoked"
        return "expired" if self.expires_ms is not None and self.expires_ms <= now_ms else "active"


def create_key(
    documents: Documents,
    *,
    name: str,
    scopes: Iterable[str],
    expires_days: float | None = None,
    now_ms: int | None = None,
) -> tuple[Key, str]:
    """Make a key.

    Args:
        documents: Where it is kept.
        name: 1..100 characters, for people.
        scopes: At least one of `Scope`.
        expires_days: After which it is refused; None for never.
        now_ms: UTC milliseconds; None for now.

    Returns:
        The key, and its text, which nobody can show again.

    Raises:
        ConfigError: The name is empty or too long, a scope is unknown, none is given, or the days are not positive.
    """
    now_ms = _now_ms() if now_ms is None else now_ms
    if not 1 <= len(name) <= 100:
        raise ConfigError(f"a key's name must have 1 to 100 characters, has {len(name)}")
    if expires_days is not None and not expires_days > 0:
        raise ConfigError(f"expires_days must be > 0, is {expires_days:g}")
    key = Key(
        id="".join(secrets.choice(_ID_LETTERS) for _ in range(10)),
        name=name,
        scopes=check_scopes(scopes),
        created_ms=now_ms,
        expires_ms=None if expires_days is None else now_ms + round(expires_days * DAY_MS),
    )
    secret = secrets.token_urlsafe(32)
    documents.put_document(ROOM, key.id, _value(key, _hash(secret)), expected=0)
    return key, f"{PREFIX}{key.id}_{secret}"


def check_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Scopes by name.

    Raises:
        ConfigError: One is unknown, or none is given.

    Example:
        >>> sorted(check_scopes(["write", "read"]))
        [<Scope.READ: 'read'>, <Scope.WRITE: 'write'>]
    """
    known = {scope.value for scope in Scope}
    asked = list(names)
    for one in asked:
        if one not in known:
            raise ConfigError(f"unknown scope '{one}'; known: {', '.join(Scope)}")
    if not asked:
        raise ConfigError(f"a key must have a scope, has none; known: {', '.join(Scope)}")
    return frozenset(Scope(one) for one in asked)


def list_keys(documents: Documents) -> list[Key]:
    """All keys, the oldest first."""
    found = (_key(one.key, one.value) for one in documents.documents(ROOM))
    return sorted(found, key=lambda key: (key.created_ms, key.id))


def name_of(documents: Documents, key_id: str) -> str:
    """What people call a key; empty where there is none."""
    document = documents.document(ROOM, key_id)
    return "" if document is None else str(document.value["name"])


def revoke_key(documents: Documents, key_id: str, *, now_ms: int | None = None) -> Key:
    """Revoke a key for good; services stop taking it within seconds. Revoking it again changes nothing.

    Raises:
        DataError: There is no such key.
    """
    while True:
        document = documents.document(ROOM, key_id)
        if document is None:
            named = [key.id for key in list_keys(documents) if key.name == key_id]
            said = f"it is the name of {', '.join(named)}" if named else "list them: kinema keys list"
            raise DataError(f"unknown key '{key_id[:80]}'; {said}")
        value = dict(document.value)
        if value.get("revoked_ms") is not None:
            return _key(key_id, value)
        value["revoked_ms"] = _now_ms() if now_ms is None else now_ms
        try:
            documents.put_document(ROOM, key_id, value, expected=document.version)
        except ConflictError:
            continue  # a service noted its use meanwhile
        return _key(key_id, value)


_Entry = tuple[float, Key | None, bytes]
"""When the store was read, the key, and the hash of its secret."""


class KeyRing:
    """Verifies keys, with a short memory of what the store said.

    Args:
        documents: Where keys are kept.
        keep_seconds: How long an answer of the store is used again: the longest life of a revoked key.
        clock: Seconds that only grow.
        now_ms: UTC milliseconds.
    """

    def __init__(
        self,
        documents: Documents,
        *,
        keep_seconds: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self._documents = documents
        self._keep = keep_seconds
        self._clock = clock
        self._now_ms = now_ms or _now_ms
        self._known: dict[str, _Entry] = {}
        self._lock = Lock()

    def remembers(self, text: str) -> bool:
        """Whether `verify` will answer without the store, in microseconds."""
        return self.knows(_parse(text)[0])

    def knows(self, key_id: str) -> bool:
        """Whether what the store said of a key may be used again."""
        found = self._known.get(key_id)
        return found is not None and self._clock() - found[0] < self._keep

    def verify(self, text: str) -> Key | None:
        """The key that a text is, or None: unknown, wrong, expired or revoked. May read the store."""
        key_id, secret = _parse(text)
        if not key_id:
            return None
        (_, key, digest), is_fresh = self._entry(key_id)
        is_right = hmac.compare_digest(hashlib.sha256(secret.encode()).digest(), digest)
        if key is None or not is_right or key.state(self._now_ms()) != "active":
            return None
        if not is_fresh:
            self._note_use(key)
        return key

    def active(self, key_id: str) -> Key | None:
        """A key by its public part, for those who have shown its secret before; None where it no longer stands. May read the store."""
        (_, key, _), is_fresh = self._entry(key_id)
        if key is None or key.state(self._now_ms()) != "active":
            return None
        if not is_fresh:
            self._note_use(key)
        return key

    def _entry(self, key_id: str) -> tuple[_Entry, bool]:
        """What the store says of a key, and whether it had said so already."""
        found = self._known.get(key_id)
        if found is not None and self._clock() - found[0] < self._keep:
            return found, True
        return self._read(key_id), False

    def _read(self, key_id: str) -> _Entry:
        document = self._documents.document(ROOM, key_id)
        now = self._clock()
        if document is None:
            entry: _Entry = (now, None, bytes(32))
        else:
            entry = (now, _key(key_id, document.value), bytes.fromhex(str(document.value["sha256"])))
        with self._lock:
            if len(self._known) >= _MOST_CACHED:
                self._known.clear()
            self._known[key_id] = entry
        return entry

    def _note_use(self, key: Key) -> None:
        now_ms = self._now_ms()
        if key.last_used_ms is not None and now_ms - key.last_used_ms < USED_EVERY_MS:
            return
        document = self._documents.document(ROOM, key.id)
        if document is None:
            return
        try:
            self._documents.put_document(
                ROOM, key.id, {**document.value, "last_used_ms": now_ms}, expected=document.version
            )
        except ConflictError:
            return  # another process has noted it, or the key was revoked this moment


def _parse(text: str) -> tuple[str, str]:
    """Id and secret, both empty where the text is no key."""
    parts = text.split("_", 2)
    if len(parts) != 3 or len(text) > 200 or parts[0] != "kin" or not _ID.fullmatch(parts[1]) or not text.isascii():
        return "", ""
    return parts[1], parts[2]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _value(key: Key, sha256: str) -> dict[str, Any]:
    return {
        "name": key.name,
        "sha256": sha256,
        "scopes": sorted(key.scopes),
        "created_ms": key.created_ms,
        "expires_ms": key.expires_ms,
        "revoked_ms": key.revoked_ms,
        "last_used_ms": key.last_used_ms,
    }


def _key(key_id: str, value: Mapping[str, Any]) -> Key:
    return Key(
        id=key_id,
        name=value["name"],
        scopes=frozenset(Scope(one) for one in value["scopes"]),
        created_ms=value["created_ms"],
        expires_ms=value.get("expires_ms"),
        revoked_ms=value.get("revoked_ms"),
        last_used_ms=value.get("last_used_ms"),
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
