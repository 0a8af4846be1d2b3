"""Writing and reading the ``documents`` table."""

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, and_, delete, insert, select, update

from kinema.errors import ConflictError, DataError
from kinema.store import bookkeeping
from kinema.store.service_protocols import Document
from kinema.store.tables import DOCUMENTS

_LONGEST: Final = {"room": 32, "key": 200}


def read_document(connection: Connection, room: str, key: str) -> Document | None:
    """One document."""
    row = connection.execute(select(DOCUMENTS).where(_is(room, key))).one_or_none()
    return None if row is None else _as_document(row)


def read_documents(connection: Connection, room: str) -> list[Document]:
    """All documents of a room, by key."""
    rows = connection.execute(select(DOCUMENTS).where(DOCUMENTS.c.room == room))
    return sorted((_as_document(row) for row in rows), key=lambda one: one.key)


def document_text(room: str, key: str, value: Mapping[str, Any]) -> str:
    """The JSON text of a document that may be written.

    Raises:
        DataError: A name is empty or too long, or the value is not a JSON object.

    Example:
        >>> document_text("keys", "a", {"scopes": ["read"]})
        '{"scopes":["read"]}'
    """
    for name, text in (("room", room), ("key", key)):
        if not 0 < len(text) <= _LONGEST[name]:
            raise DataError(f"a document's {name} must have 1 to {_LONGEST[name]} characters, has {len(text)}")
    try:
        return json.dumps(dict(value), allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise DataError(f"document '{room}/{key}' must be a JSON object: {error}") from error


def check_version(room: str, key: str, *, found: int, expected: int | None) -> None:
    """Refuse to write over a change that the writer has not seen.

    Raises:
        ConflictError: The version is not the expected one.
    """
    if expected is not None and found != expected:
        raise ConflictError(f"document '{room}/{key}' must be at version {expected}, is at {found}; read it again")


def write_document(
    connection: Connection, room: str, key: str, value: Mapping[str, Any], *, expected: int | None
) -> int:
    """Write a document and return its version."""
    text = document_text(room, key, value)
    found = connection.execute(select(DOCUMENTS.c.version).where(_is(room, key))).scalar() or 0
    check_version(room, key, found=found, expected=expected)
    content = {"value": text, "version": found + 1, "updated_ms": time.time_ns() // 1_000_000}
    if found:
        connection.execute(update(DOCUMENTS).where(_is(room, key)).values(**content))
    else:
        connection.execute(insert(DOCUMENTS).values(room=room, key=key, **content))
    bookkeeping.raise_counters(connection, documents=1)
    return found + 1


def delete_document(connection: Connection, room: str, key: str) -> bool:
    """Remove a document; False where there was none."""
    gone = connection.execute(delete(DOCUMENTS).where(_is(room, key))).rowcount
    bookkeeping.raise_counters(connection, documents=gone)
    return gone > 0


def _is(room: str, key: str) -> Any:
    return and_(DOCUMENTS.c.room == room, DOCUMENTS.c.key == key)


def _as_document(row: Any) -> Document:
    return Document(row.room, row.key, json.loads(row.value), row.version, row.updated_ms)
