"""The store on a SQL database: SQLite in one file by default.

Bulk writing is columnar to the last step: a Polars frame per block, one transaction per block, a hundred rows per
statement. Nothing is held but the block and the two vocabularies.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Engine, Table, func, inspect, select
from sqlalchemy.exc import DatabaseError, OperationalError

from kinema.errors import DataError, StaleArtifactError
from kinema.schema import Event, EventKind, Item, Reject, User
from kinema.store import bookkeeping, catalogue, event_log
from kinema.store.dialect import index_by_user, open_engine
from kinema.store.protocols import SourceMark, StoreSummary, WriteCounts
from kinema.store.tables import EVENTS, ITEMS, METADATA, REJECTS, SCHEMA_VERSION, USERS
from kinema.store.text_json import read_object
from kinema.store.vocabulary import Vocabulary


class SqlStore:
    """A `kinema.store.protocols.Store` in SQL; see there for what it guarantees.

    Safe to share between threads; several processes may read while one writes, writers wait for each other.

    Example:
        >>> import tempfile, polars as pl
        >>> store = SqlStore.open(Path(tempfile.mkdtemp()) / "store.db")
        >>> store.write_items(pl.DataFrame({"id": ["a", "b"], "title": ["A", "B"]}))
        WriteCounts(new=2, known=0, rejected=0)
        >>> store.item_number("b")
        1
        >>> store.close()
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._lock = threading.Lock()
        self._item_ids = Vocabulary(ITEMS)
        self._user_ids = Vocabulary(USERS)
        self._is_indexed = False

    @classmethod
    def open(cls, url_or_path: str | Path) -> "SqlStore":
        """Open a store; a new one is made where there is none.

        Args:
            url_or_path: A file, or a URL such as ``sqlite:///store.db``.

        Returns:
            The store.

        Raises:
            ConfigError: The URL names a database that is not served.
            DataError: The file is not a database.
            StaleArtifactError: The store was made by a release with other tables.
        """
        store = cls(open_engine(url_or_path))
        try:
            found = store._schema_version()
        except DatabaseError as error:
            store.close()
            raise DataError(f"cannot open the store '{url_or_path}': {error.orig}; name another file") from error
        if found != SCHEMA_VERSION:
            store.close()
            raise StaleArtifactError(
                f"store '{url_or_path}' must have schema version {SCHEMA_VERSION}, has {found}; ingest into a new store"
            )
        return store

    def write_items(
        self,
        frame: pl.DataFrame,
        *,
        mark: SourceMark | None = None,
        rejects: Sequence[Reject] = (),
        fill: bool = False,
        strict: bool = False,
    ) -> WriteCounts:
        """Insert or replace items."""
        return self._write_catalogue(ITEMS, frame, mark, rejects, fill=fill, strict=strict)

    def write_users(
        self,
        frame: pl.DataFrame,
        *,
        mark: SourceMark | None = None,
        rejects: Sequence[Reject] = (),
        strict: bool = False,
    ) -> WriteCounts:
        """Insert or replace users."""
        return self._write_catalogue(USERS, frame, mark, rejects, strict=strict)

    def write_events(
        self,
        frame: pl.DataFrame,
        *,
        mark: SourceMark | None = None,
        rejects: Sequence[Reject] = (),
        create_items: bool = False,
        strict: bool = False,
    ) -> WriteCounts:
        """Append events."""
        with self._writing() as connection:
            source = self._start(connection, mark, EVENTS)
            self._item_ids.catch_up(connection)
            self._user_ids.catch_up(connection)
            number = partial(self._item_ids.add_missing, connection) if create_items else self._item_ids.numbers
            items = number(frame["item"])
            unknown = frame.filter(items.is_null())
            found = [*rejects, *_set_aside(unknown, "event", mark, lambda row: _unknown_item(row["item"]))]
            _refuse(found, strict=strict)
            good = frame.with_columns(item=items).filter(items.is_not_null())
            good = good.with_columns(user=self._user_ids.add_missing(connection, good["user"]))
            first = bookkeeping.counter(connection, "seq")
            new = event_log.insert_events(connection, good, first_seq=first)
            bookkeeping.raise_counter(connection, "seq", by=good.height if new else 0)
            _finish(connection, source, found, changed=new, curable=unknown.height)
        return WriteCounts(new, good.height - new, len(found))

    def _write_catalogue(
        self,
        table: Table,
        frame: pl.DataFrame,
        mark: SourceMark | None,
        rejects: Sequence[Reject],
        *,
        fill: bool = False,
        strict: bool,
    ) -> WriteCounts:
        vocabulary = self._item_ids if table is ITEMS else self._user_ids
        kind = _KINDS[table.name]
        with self._writing() as connection:
            source = self._start(connection, mark, table)
            vocabulary.catch_up(connection)
            done = catalogue.write_rows(connection, vocabulary, table, frame, source=source, fill=fill)
            found = [*rejects, *_set_aside(done.repeated, kind, mark, lambda row: _repeated(kind, row["id"]))]
            _refuse(found, strict=strict)
            _finish(connection, source, found, changed=done.new + done.changed)
        return WriteCounts(done.new, done.known, len(found))

    def _start(self, connection: Connection, mark: SourceMark | None, table: Table) -> int | None:
        """Save the mark first: rows name the source they come from. Returns the source's number."""
        if mark is None:
            return None
        source = bookkeeping.save_mark(connection, mark, kind=_KINDS[table.name])
        if mark.next_row == 0 and table is not EVENTS:
            catalogue.forget_source(connection, table, source)
        return source

    def mark(self, key: str) -> SourceMark | None:
        """The place reached in a source, None where it was never seen."""
        with self._engine.begin() as connection:
            return bookkeeping.read_mark(connection, key)

    def items(self) -> pl.DataFrame:
        """All items by number."""
        with self._engine.begin() as connection:
            return catalogue.read_items(connection)

    def size(self) -> tuple[int, int]:
        """Numbers of users and items."""
        with self._engine.begin() as connection:
            return bookkeeping.count_rows(connection, USERS), bookkeeping.count_rows(connection, ITEMS)

    def media(self) -> pl.DataFrame:
        """Ids and media paths of all items, by number."""
        with self._engine.begin() as connection:
            return catalogue.read_media(connection)

    def users(self) -> pl.DataFrame:
        """All users by number."""
        with self._engine.begin() as connection:
            return catalogue.read_users(connection)

    def events(self, *, kinds: Sequence[EventKind] | None = None, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Events by (timestamp_ms, arrival)."""
        with self._engine.begin() as connection:
            return event_log.read_events(connection, kinds=kinds, columns=columns)

    def user_events(self, user_id: str, *, limit: int = 1000) -> list[Event]:
        """The newest events of one user, oldest first."""
        if not self._is_indexed:
            index_by_user(self._engine)
            self._is_indexed = True
        with self._engine.begin() as connection:
            return event_log.read_user_events(connection, user_id, limit=limit)

    def item(self, item_id: str) -> Item | None:
        """One item."""
        with self._engine.begin() as connection:
            row = connection.execute(select(ITEMS).where(ITEMS.c.id == item_id)).one_or_none()
        return None if row is None else catalogue.as_item(row)

    def user(self, user_id: str) -> User | None:
        """One user."""
        with self._engine.begin() as connection:
            row = connection.execute(select(USERS).where(USERS.c.id == user_id)).one_or_none()
        return None if row is None else User(row.id, read_object(row.attributes))

    def item_number(self, item_id: str) -> int | None:
        """The number of an item."""
        with self._engine.begin() as connection:
            return connection.execute(select(ITEMS.c.num).where(ITEMS.c.id == item_id)).scalar()

    def user_number(self, user_id: str) -> int | None:
        """The number of a user."""
        with self._engine.begin() as connection:
            return connection.execute(select(USERS.c.num).where(USERS.c.id == user_id)).scalar()

    def rejects(self) -> list[Reject]:
        """Everything set aside so far."""
        with self._engine.begin() as connection:
            return bookkeeping.read_rejects(connection)

    def set_aside(self, rejects: Sequence[Reject], *, all_of: str | None = None) -> int:
        """Record rejects found outside of an ingest."""
        with self._writing() as connection:
            if all_of is not None:
                bookkeeping.forget_mended(connection, all_of, rejects)
            return bookkeeping.save_rejects(connection, rejects)

    def summary(self) -> StoreSummary:
        """Counts."""
        with self._engine.begin() as connection:
            first, last = connection.execute(
                select(func.min(EVENTS.c.timestamp_ms), func.max(EVENTS.c.timestamp_ms))
            ).one()
            kinds = event_log.count_kinds(connection)
            return StoreSummary(
                num_items=bookkeeping.count_rows(connection, ITEMS),
                num_users=bookkeeping.count_rows(connection, USERS),
                num_events=sum(kinds.values()),
                num_rejects=bookkeeping.count_rows(connection, REJECTS),
                first_ms=first,
                last_ms=last,
                kinds=kinds,
                version=bookkeeping.counter(connection, "version"),
            )

    def version(self) -> int:
        """Grows with every change of content."""
        with self._engine.begin() as connection:
            return bookkeeping.counter(connection, "version")

    def meta(self, key: str) -> Any:
        """A small JSON value kept beside the data, None where absent."""
        with self._engine.begin() as connection:
            return bookkeeping.fact(connection, f"meta/{key}")

    def set_meta(self, key: str, value: Any) -> None:
        """Keep a small JSON value."""
        with self._writing() as connection:
            bookkeeping.save_fact(connection, f"meta/{key}", value)

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

    def _schema_version(self) -> int:
        """The version of the tables, which are made where there are none; an existing store is only read."""
        with self._engine.begin() as connection:
            if inspect(connection).has_table("facts") and (found := bookkeeping.fact(connection, _SCHEMA)):
                return int(found)
        with self._writing() as connection:
            METADATA.create_all(connection)
            bookkeeping.save_fact(connection, _SCHEMA, SCHEMA_VERSION)
        return SCHEMA_VERSION

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One transaction; where it fails nothing of it is left, in the database or in the vocabularies."""
        with self._lock:
            try:
                with self._writer.begin() as connection:
                    yield connection
            except BaseException as error:
                self._item_ids.forget()
                self._user_ids.forget()
                if isinstance(error, OperationalError) and "locked" in str(error.orig):
                    raise DataError(
                        "the store is being written by another process; wait for it, then try again"
                    ) from error
                raise


_SCHEMA: Final = "schema_version"
_KINDS: Final = {"items": "item", "users": "user", "events": "event"}


def _finish(
    connection: Connection, source: int | None, found: Sequence[Reject], *, changed: int, curable: int = 0
) -> None:
    bookkeeping.save_rejects(connection, found, source=source)
    if source is not None and found:
        bookkeeping.count_rejects(connection, source, rejected=len(found), curable=curable)
    if changed:
        bookkeeping.raise_counter(connection, "version")


def _set_aside(
    rows: pl.DataFrame, kind: str, mark: SourceMark | None, reason: Callable[[dict[str, Any]], str]
) -> list[Reject]:
    """A reject for each row of a frame; its column ``row`` has their places in the file."""
    file = mark.file if mark else "direct write"
    found = []
    for row in rows.iter_rows(named=True):
        place = row.pop("row", None)
        raw = ",".join("" if value is None else str(value) for value in row.values())
        found.append(Reject(kind, file, place, reason(row), raw[:200]))
    return found


def _unknown_item(item: str) -> str:
    return f"item must be in the catalogue, is {item!r}; ingest its row, then this file again"


def _repeated(kind: str, its_id: str) -> str:
    return f"{kind} id must occur once in a file, {its_id!r} occurs again; the first row stands"


def _refuse(found: Sequence[Reject], *, strict: bool) -> None:
    if strict and found:
        first = found[0]
        raise DataError(f"'{first.file}' row {first.row}: {first.reason}")
