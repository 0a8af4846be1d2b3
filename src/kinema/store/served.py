"""What a service writes and reads many times a second, a few events and slates, by SQLite's driver alone.

The same rows as `kinema.store.writes` and `kinema.store.slates` write and `kinema.store.event_log` reads, on connections that are
kept: frames and SQLAlchemy's statements cost ten times as much as the database. Whatever is not plain to write, such as an event of
an item that is not there, is left to those.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from threading import Lock
from typing import Any, Final

from sqlalchemy import Engine, PoolProxiedConnection, Table

from kinema.errors import BusyError
from kinema.schema import Event
from kinema.store.dialect_sqlite import insert_statement
from kinema.store.event_keys import event_key
from kinema.store.event_log import as_arrival, event_row, stored_event
from kinema.store.protocols import WriteCounts
from kinema.store.service_protocols import Arrival, LoggedSlate
from kinema.store.slates import slate_row
from kinema.store.tables import EVENTS, SLATES
from kinema.store.vocabulary import check_length

_RAISE: Final = "UPDATE counters SET value = value + ? WHERE name = ?"


class ServedWriter:
    """Writes a service's events and slates. One thread at a time.

    Args:
        engine: Of SQLite.
        patience_s: How long it waits for another writer.
    """

    def __init__(self, engine: Engine, *, patience_s: float) -> None:
        self._engine, self._patience_ms = engine, round(patience_s * 1000)
        self._kept: PoolProxiedConnection | None = None

    def write(self, events: Sequence[Event], slates: Sequence[LoggedSlate]) -> WriteCounts | None:
        """Write all of it or nothing.

        Returns:
            What became of the events; None where nothing was written, because they are not plain.

        Raises:
            BusyError: Another process was writing for too long.
            DataError: An id is empty or too long.
        """
        cursor = self._cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            found = _write_events(cursor, events)
            if found is not None:
                _insert(cursor, SLATES, [slate_row(one) for one in slates])
            cursor.execute("ROLLBACK" if found is None else "COMMIT")
        except BaseException as error:
            if cursor.connection.in_transaction:
                cursor.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                told = "the store is being written by another process; wait for it, then try again"
                raise BusyError(told) from error
            raise
        finally:
            cursor.close()
        return found

    def close(self) -> None:
        """Give the connection back."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _cursor(self) -> sqlite3.Cursor:
        if self._kept is None:
            self._kept = self._engine.raw_connection()
            self._kept.cursor().execute(f"PRAGMA busy_timeout = {self._patience_ms}")
            # The pool's next user of the connection sets it anew.
            self._kept.info.pop("patience_ms", None)
        made: sqlite3.Cursor = self._kept.cursor()  # type: ignore[assignment]  # of this driver
        return made


class ServedReader:
    """Reads what has arrived, from any thread.

    Args:
        engine: Of SQLite.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine, self._lock = engine, Lock()
        self._kept: PoolProxiedConnection | None = None

    def events_after(self, seq: int, *, limit: int) -> list[Arrival]:
        """See `kinema.store.service_protocols.ServiceStore.events_after`."""
        with self._lock:
            if self._kept is None:
                self._kept = self._engine.raw_connection()
            cursor = self._kept.cursor()
            try:
                cursor.execute(_ARRIVALS, (seq, limit))
                return [as_arrival(row) for row in cursor.fetchall()]
            finally:
                cursor.close()

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            if self._kept is not None:
                self._kept.close()
                self._kept = None


_ARRIVALS: Final = f"SELECT {', '.join(Arrival._fields)} FROM events WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608  # our own names


def _write_events(cursor: sqlite3.Cursor, events: Sequence[Event]) -> WriteCounts | None:
    """Append events; None where one of them is not plain."""
    if not events:
        return WriteCounts()
    items, _ = _numbers(cursor, "items", [event.item for event in events])
    users, gone = _numbers(cursor, "users", [event.user for event in events])
    if gone or any(event.item not in items for event in events):
        return None
    newcomers = list(dict.fromkeys(event.user for event in events if event.user not in users))
    users |= _add_users(cursor, newcomers)
    first = cursor.execute("SELECT value FROM counters WHERE name = 'seq'").fetchone()[0]
    rows = []
    for seq, event in enumerate(events, first):
        if event.id:
            check_length(event.id, of="event")
        row = stored_event(event_row(event) | {"user": users[event.user], "item": items[event.item]})
        rows.append(row | {"key": event_key(row), "seq": seq})
    new = _insert(cursor, EVENTS, rows)
    raised = (("seq", len(events) if new else 0), ("version", int(new + len(newcomers) > 0)))
    cursor.executemany(_RAISE, [(by, name) for name, by in raised if by])
    return WriteCounts(new, len(events) - new)


def _numbers(cursor: sqlite3.Cursor, table: str, ids: Iterable[str]) -> tuple[dict[str, int], bool]:
    """Numbers of those that are there, and whether one of them was removed."""
    asked = list(dict.fromkeys(ids))
    rows = cursor.execute(_question(table, len(asked)), asked).fetchall()
    return {row[0]: row[1] for row in rows if not row[2]}, any(row[2] for row in rows)


@cache
def _question(table: str, num: int) -> str:
    return f"SELECT id, num, deleted FROM {table} WHERE id IN ({', '.join('?' * num)})"  # noqa: S608  # our own names


def _add_users(cursor: sqlite3.Cursor, ids: Sequence[str]) -> dict[str, int]:
    """Number new users."""
    if not ids:
        return {}
    for one in ids:
        check_length(one, of="user")
    last = cursor.execute("SELECT max(num) FROM users").fetchone()[0]
    numbers = {one: number for number, one in enumerate(ids, 0 if last is None else last + 1)}
    cursor.executemany("INSERT INTO users (id, num) VALUES (?, ?)", list(numbers.items()))
    return numbers


def _insert(cursor: sqlite3.Cursor, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows whose keys are not there, and count them."""
    if not rows:
        return 0
    text, order = insert_statement(table, tuple(dict.fromkeys(name for row in rows for name in row)), 1)
    cursor.executemany(text, [[row.get(name) for name in order] for row in rows])
    return cursor.rowcount
