"""Sessions of the console: a key is shown once, and a cookie that scripts cannot read stands for it afterwards.

A session has the scopes of its key and ends with it, with its own time, or when it is ended. Only a hash of its token is kept, in the
store, so that all processes know it. What a page of another site has a browser send with the cookie is refused: a request that changes
something must say that it comes from the console (`check_console`).
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.types import Scope as Connection

from kinema.serving.keys import Key, KeyRing
from kinema.serving.problems import Problem
from kinema.store.service_protocols import Documents

ROOM: Final = "sessions"
COOKIE: Final = "kinema_session"
CONSOLE_HEADER: Final = "x-kinema-console"
MOST_PER_KEY: Final = 50
"""Sessions of one key; the oldest end when there are more."""
_HOUR_MS: Final = 3_600_000
_READING: Final = ("GET", "HEAD", "OPTIONS")
_TOKEN: Final = re.compile(r"kins_([a-z2-7]{16})_([A-Za-z0-9_-]{43})")
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_MOST_CACHED: Final = 10_000


@dataclass(frozen=True)
class Session:
    """A session without its secret.

    Attributes:
        id: Public part of its token.
        key_id: Of the key that it stands for.
        created_ms: UTC milliseconds.
        expires_ms: From when on it is refused.
    """

    id: str
    key_id: str
    created_ms: int
    expires_ms: int


class Sessions:
    """Begins, finds and ends sessions, with a short memory of what the store said.

    Args:
        documents: Where they are kept.
        ring: Says whether a session's key still stands.
        hours: How long one lasts.
        keep_seconds: How long an answer of the store is used again: the longest life of a session that another process has ended.
        clock: Seconds that only grow.
        now_ms: UTC milliseconds.
    """

    def __init__(
        self,
        documents: Documents,
        ring: KeyRing,
        *,
        hours: float = 12.0,
        keep_seconds: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self._documents, self._ring, self._hours = documents, ring, hours
        self._keep, self._clock = keep_seconds, clock
        self._now_ms = now_ms or _now_ms
        self._known: dict[str, tuple[float, Session | None, bytes]] = {}
        self._lock = Lock()

    def begin(self, key: Key) -> tuple[Session, str]:
        """A new session of a key that was shown; the session, and its token, which is kept nowhere."""
        now_ms = self._now_ms()
        self._tidy(key.id, now_ms)
        session_id, secret = "".join(secrets.choice(_LETTERS) for _ in range(16)), secrets.token_urlsafe(32)
        session = Session(session_id, key.id, now_ms, now_ms + round(self._hours * _HOUR_MS))
        value = {
            "key_id": key.id,
            "sha256": hashlib.sha256(secret.encode()).hexdigest(),
            "created_ms": session.created_ms,
            "expires_ms": session.expires_ms,
        }
        self._documents.put_document(ROOM, session_id, value, expected=0)
        return session, f"kins_{session_id}_{secret}"

    def remembers(self, token: str) -> bool:
        """Whether `find` will likely answer without the store."""
        parts = _TOKEN.fullmatch(token)
        found = None if parts is None else self._known.get(parts[1])
        return found is not None and self._clock() - found[0] < self._keep and self._ring.knows(_key_of(found[1]))

    def find(self, token: str) -> tuple[Session, Key] | None:
        """The session of a token and its key, or None: unknown, wrong, over, ended, or its key no longer stands. May read the store."""
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            return None
        entry = self._known.get(parts[1])
        if entry is None or self._clock() - entry[0] >= self._keep:
            entry = self._read(parts[1])
        _, session, digest = entry
        is_right = hmac.compare_digest(hashlib.sha256(parts[2].encode()).digest(), digest)
        if session is None or not is_right or session.expires_ms <= self._now_ms():
            return None
        key = self._ring.active(session.key_id)
        return None if key is None else (session, key)

    def end(self, token: str) -> bool:
        """End a session; False where the token is of none."""
        found = self.find(token)
        if found is None:
            return False
        with self._lock:
            self._known.pop(found[0].id, None)
        return self._documents.delete_document(ROOM, found[0].id)

    def _read(self, session_id: str) -> tuple[float, Session | None, bytes]:
        document, now = self._documents.document(ROOM, session_id), self._clock()
        entry: tuple[float, Session | None, bytes] = (now, None, bytes(32))
        if document is not None:
            value = document.value
            session = Session(session_id, value["key_id"], value["created_ms"], value["expires_ms"])
            entry = (now, session, bytes.fromhex(value["sha256"]))
        with self._lock:
            if len(self._known) >= _MOST_CACHED:
                self._known.clear()
            self._known[session_id] = entry
        return entry

    def _tidy(self, key_id: str, now_ms: int) -> None:
        """Forget what is over, and the oldest of a key that has many."""
        kept = self._documents.documents(ROOM)
        over = [one.key for one in kept if one.value["expires_ms"] <= now_ms]
        own = sorted(
            (one.value["created_ms"], one.key)
            for one in kept
            if one.value["key_id"] == key_id and one.value["expires_ms"] > now_ms
        )
        surplus = [one for _, one in own[: max(0, len(own) - MOST_PER_KEY + 1)]]
        for one in (*over, *surplus):
            self._documents.delete_document(ROOM, one)


def session_cookie(scope: Connection) -> str | None:
    """The token in a request's cookies; None where there is none."""
    for name, value in scope["headers"]:
        if name == b"cookie":
            for one in value.decode("latin-1").split(";"):
                key, _, text = one.strip().partition("=")
                if key == COOKIE:
                    return str(text)
    return None


def check_console(scope: Connection) -> None:
    """Refuse a request that changes something under a cookie, unless the console sent it.

    Other sites can have a browser send forms here, and its cookies with them; they cannot set a header of their own without
    being allowed to, and they cannot change the origin that the browser names.

    Raises:
        Problem: 403.
    """
    if scope["method"] in _READING:
        return
    headers: dict[bytes, Any] = dict(scope["headers"])
    if headers.get(CONSOLE_HEADER.encode()) != b"1":
        raise Problem(403, "a change under the cookie of a session needs the header 'X-Kinema-Console: 1'")
    check_origin(scope, needed=True)


def check_origin(scope: Connection, *, needed: bool) -> None:
    """Refuse what a page of another origin has sent.

    Args:
        scope: Of the request.
        needed: Refuse a request without the header, too.

    Raises:
        Problem: 403.
    """
    headers: dict[bytes, Any] = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    host = headers.get(b"host", b"").decode("latin-1")
    if not origin and not needed:
        return
    if not host or urlsplit(origin).netloc.lower() != host.lower():
        raise Problem(403, f"the Origin must be this service ('{host[:80]}'), is '{origin[:80]}'")


def _key_of(session: Session | None) -> str:
    return "" if session is None else session.key_id


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
