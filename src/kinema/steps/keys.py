"""API keys of a project, as `kinema keys` shows them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from kinema.serving.keys import Key, create_key, list_keys, revoke_key
from kinema.store.service_protocols import Documents


@dataclass(frozen=True)
class KeyReport:
    """A key for people; moments are ISO 8601 in UTC, empty for none.

    Attributes:
        id: Public part of the key.
        name: What people call it.
        scopes: What it may do, by name.
        state: ``active``, ``expired`` or ``revoked``.
        created: When it was made.
        expires: From when on it is refused.
        last_used: To the hour.
        key: The whole key, secret included; only where it was made just now.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    state: str
    created: str
    expires: str
    last_used: str
    key: str | None = None


def issue_key(store: Documents, *, name: str, scopes: Iterable[str], expires_days: float | None = None) -> KeyReport:
    """Make a key; the report is the only place where it stands whole. Errors: `kinema.serving.keys.create_key`."""
    key, text = create_key(store, name=name, scopes=scopes, expires_days=expires_days)
    return _report(key, text)


def key_reports(store: Documents) -> list[KeyReport]:
    """All keys, the oldest first."""
    return [_report(key) for key in list_keys(store)]


def withdraw_key(store: Documents, key_id: str) -> KeyReport:
    """Revoke a key for good. Errors: `kinema.serving.keys.revoke_key`."""
    return _report(revoke_key(store, key_id))


def _report(key: Key, text: str | None = None) -> KeyReport:
    return KeyReport(
        id=key.id,
        name=key.name,
        scopes=tuple(sorted(key.scopes)),
        state=key.state(time.time_ns() // 1_000_000),
        created=_moment(key.created_ms),
        expires=_moment(key.expires_ms),
        last_used=_moment(key.last_used_ms),
        key=text,
    )


def _moment(ms: int | None) -> str:
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")
