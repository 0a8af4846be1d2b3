"""The store on a SQL database: SQLite in one file by default, PostgreSQL or MySQL by URL.

Bulk writing is columnar to the last step: a Polars frame per block, one transaction per block, a hundred rows per
statement. Nothing is held but the block and the two vocabularies.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DatabaseError, DBAPIError

from kinema.errors import BusyError, DataError, StaleArtifactError
from kinema.schema import Event, EventKind, Item, Reject, User
from kinema.store import bookkeeping, catalogue, documents, event_log, event_pages, removal, writes
from kinema.store import slates as slate_log
from kinema.store.changes import Changes
from kinema.store.dialect import beside, dialect_of, open_engines, read_url, shown
from kinema.store.protocols import SourceMark, StoreSummary, WriteCounts
from kinema.store.schema_upgrade import found_version, make_tables
from kinema.store.served import ServedReader, ServedWriter
from kinema.store.service_protocols import Arrival, Document, LoggedSlate, StoreState
from kinema.store.tables import EVENTS, ITEMS, REJECTS, SCHEMA_VERSION, USERS
from kinema.store.turns import Turns
from kinema.store.vocabulary import Vocabulary

T = TypeVar("T")


class SqlStore:
    """A `kinema.store.service_protocols.ServiceStore` in SQL; see there and in `kinema.store.protocols` for what it guarantees.

    Safe to share between threads; several processes may read while one writes, writers wait for each other.

    Example:
        >>> import tempfile, polars as pl
        >>> store = SqlStore.open(Path(tempfile.mkdtemp()) / "store.db")
        >>> store.write_items(pl.DataFrame({"id": ["a", "b"], "title": ["A", "B"]}))
        WriteCounts(new=2, known=0, rejected=0)
        >>> store.close()
    """

    def __init__(self, reader: Engine, writer: Engine, *, patience_s: float = 60) -> None:
        self._engine = reader
        self._writer = writer
        file = beside(reader.url)
        self.changes = Changes(None if file is None else Path(f"{file}-changes"))
        self._turns = Turns(None if file is None else Path(f"{file}-turn"), patience_s=patience_s)
        self._served = None if file is None else ServedWriter(writer, patience_s=patience_s)
        self._arrived = None if file is None else ServedReader(reader)
        self._dialect = dialect_of(reader)
        self._lock = threading.Lock()
        self._item_ids = Vocabulary(ITEMS)
        self._user_ids = Vocabulary(USERS)
        self._indexes: set[str] = set()

    @classmethod
    def open(cls, url_or_path: str | Path, *, patience_s: float = 60) -> "SqlStore":
        """Open a store; a new one is made where there is none, an older one brought up to date.

        Args:
            url_or_path: A SQLite file, or a URL: ``postgresql://USER@HOST/NAME``, ``mysql://USER@HOST/NAME``, ``sqlite:///FILE``.
            patience_s: How long a writer waits for another one before it gives up.

        Returns:
            The store.

        Raises:
            ConfigError: The URL names a database that is not served.
            DataError: The database cannot be reached, or the file is not a database.
            MissingExtraError: The database's driver is not installed.
            StaleArtifactError: The store was made by a later release.
        """
        url = read_url(url_or_path)
        store = cls(*open_engines(url, patience_s=patience_s), patience_s=patience_s)
        try:
            found = store._schema_version()
        except DatabaseError as error:
            store.close()
            remedy = "name another file" if url.drivername == "sqlite" else "check its address, name, user and password"
            reason = str(error.orig).strip().splitlines()[0]
            raise DataError(f"cannot open the store '{shown(url)}': {reason}; {remedy}") from error
        if found != SCHEMA_VERSION:
            store.close()
            raise StaleArtifactError(
                f"store '{shown(url)}' must have schema version {SCHEMA_VERSION}, has {found}; ingest into a new store"
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
        with self._writing() as connection:
            return writes.write_catalogue(
                connection, self._item_ids, ITEMS, frame, mark=mark, rejects=rejects, fill=fill, strict=strict
            )

    def write_users(
        self,
        frame: pl.DataFrame,
        *,
        mark: SourceMark | None = None,
        rejects: Sequence[Reject] = (),
        strict: bool = False,
    ) -> WriteCounts:
        """Insert or replace users."""
        with self._writing() as connection:
            return writes.write_catalogue(
                connection, self._user_ids, USERS, frame, mark=mark, rejects=rejects, strict=strict
            )

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
        with self._writing(events=True, others=create_items) as connection:
            return writes.write_events(
                connection,
                self._item_ids,
                self._user_ids,
                frame,
                mark=mark,
                rejects=rejects,
                create_items=create_items,
                strict=strict,
            )

    def mark(self, key: str) -> SourceMark | None:
        """The place reached in a source, None where it was never seen."""
        return self._read(lambda connection: bookkeeping.read_mark(connection, key))

    def items(self) -> pl.DataFrame:
        """All items by number."""
        return self._read(catalogue.read_items)

    def size(self) -> tuple[int, int]:
        """How many numbers of users and items are taken."""
        return self._read(lambda one: (bookkeeping.count_rows(one, USERS), bookkeeping.count_rows(one, ITEMS)))

    def media(self) -> pl.DataFrame:
        """Ids and media paths of all items, by number."""
        return self._read(catalogue.read_media)

    def users(self) -> pl.DataFrame:
        """All users by number."""
        return self._read(catalogue.read_users)

    def events(self, *, kinds: Sequence[EventKind] | None = None, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Events by (timestamp_ms, arrival)."""
        return self._read(lambda connection: event_log.read_events(connection, kinds=kinds, columns=columns))

    def user_events(self, user_id: str, *, limit: int = 1000, before_ms: int | None = None) -> list[Event]:
        """The newest events of one user, oldest first."""
        self._need_index("events_by_user")
        how: dict[str, Any] = {"limit": limit, "before_ms": before_ms}
        return self._read(lambda connection: event_log.read_user_events(connection, user_id, **how))

    def item_activity(self, item_id: str, *, since_ms: int = 0) -> pl.DataFrame:
        """How often what happened with an item, day by day."""
        return self._read(lambda connection: event_pages.item_activity(connection, item_id, since_ms=since_ms))

    def events_after(self, seq: int, *, limit: int = 10_000) -> list[Arrival]:
        """Events that arrived later than one, in the order of arrival."""
        self._need_index("events_by_seq")
        if self._arrived is not None:
            return self._arrived.events_after(seq, limit=limit)
        return self._read(lambda connection: event_log.read_arrivals(connection, seq, limit=limit))

    def event_page(
        self,
        *,
        after: int = -1,
        limit: int = 100,
        user_id: str | None = None,
        item_id: str | None = None,
        kinds: Sequence[EventKind] | None = None,
    ) -> list[tuple[int, Event]]:
        """Events behind an arrival number, in order."""
        self._need_index("events_by_seq" if user_id is None else "events_by_user")
        return self._read(
            lambda connection: event_pages.event_page(
                connection, after=after, limit=limit, user_id=user_id, item_id=item_id, kinds=kinds
            )
        )

    def delete_events(self, seqs: Sequence[int]) -> int:
        """Take events back."""
        self._need_index("events_by_seq")
        with self._writing() as connection:
            return event_pages.delete_events(connection, seqs)

    def item(self, item_id: str) -> Item | None:
        """One item."""
        return self._read(lambda connection: catalogue.read_item(connection, item_id))

    def user(self, user_id: str) -> User | None:
        """One user."""
        return self._read(lambda connection: catalogue.read_user(connection, user_id))

    def item_number(self, item_id: str) -> int | None:
        """The number of an item."""
        return self._read(lambda connection: catalogue.read_number(connection, ITEMS, item_id))

    def user_number(self, user_id: str) -> int | None:
        """The number of a user."""
        return self._read(lambda connection: catalogue.read_number(connection, USERS, user_id))

    def item_page(self, *, after: int = -1, limit: int = 100) -> list[tuple[int, Item]]:
        """Items behind a number, in order."""
        return self._read(lambda connection: catalogue.item_page(connection, after=after, limit=limit))

    def removed_items(self) -> list[int]:
        """Numbers of the deleted items."""
        return self._read(catalogue.removed_items)

    def user_page(self, *, after: int = -1, limit: int = 100, part: str = "") -> list[tuple[int, User]]:
        """Users behind a number, in order."""
        return self._read(lambda connection: catalogue.user_page(connection, after=after, limit=limit, part=part))

    def delete_item(self, item_id: str) -> bool:
        """Delete an item."""
        with self._writing() as connection:
            return removal.delete_item(connection, item_id)

    def erase_user(self, user_id: str) -> int | None:
        """Erase a user with everything known of them."""
        self._need_index("events_by_user")
        with self._writing() as connection:
            return removal.erase_user(connection, user_id)

    def write_slates(self, given: Sequence[LoggedSlate]) -> None:
        """Log slates."""
        self.write_served((), given)

    def write_served(
        self, events: Sequence[Event], slates: Sequence[LoggedSlate], *, create_items: bool = False
    ) -> WriteCounts:
        """Append a few events and log slates, in one transaction."""
        if self._served is not None and not create_items:
            with self._turn(events=bool(events)):
                found = self._served.write(events, slates)
            if found is not None:
                return found
        with self._writing(events=bool(events), others=create_items) as connection:
            slate_log.write_slates(connection, slates)
            known, frame = (self._item_ids, self._user_ids), event_log.event_frame(events)
            return (
                writes.write_events(connection, *known, frame, create_items=create_items) if events else WriteCounts()
            )

    def slate(self, slate_id: str) -> LoggedSlate | None:
        """One slate."""
        return self._read(lambda connection: slate_log.read_slate(connection, slate_id))

    def slates(self, *, since_ms: int = 0, scenario: str | None = None) -> pl.DataFrame:
        """Slates from a moment on, oldest first."""
        return self._read(lambda connection: slate_log.read_slates(connection, since_ms=since_ms, scenario=scenario))

    def user_slates(self, user_id: str, *, limit: int = 1000) -> list[LoggedSlate]:
        """The newest slates of one user, oldest first."""
        return self._read(lambda connection: slate_log.read_user_slates(connection, user_id, limit=limit))

    def document(self, room: str, key: str) -> Document | None:
        """One document."""
        return self._read(lambda connection: documents.read_document(connection, room, key))

    def documents(self, room: str) -> list[Document]:
        """All documents of a room, by key."""
        return self._read(lambda connection: documents.read_documents(connection, room))

    def put_document(self, room: str, key: str, value: Mapping[str, Any], *, expected: int | None = None) -> int:
        """Write a document and return its version."""
        with self._writing() as connection:
            return documents.write_document(connection, room, key, value, expected=expected)

    def delete_document(self, room: str, key: str) -> bool:
        """Remove a document."""
        with self._writing() as connection:
            return documents.delete_document(connection, room, key)

    def rejects(self) -> list[Reject]:
        """Everything set aside so far."""
        return self._read(bookkeeping.read_rejects)

    def set_aside(self, rejects: Sequence[Reject], *, all_of: str | None = None) -> int:
        """Record rejects found outside of an ingest."""
        with self._writing() as connection:
            if all_of is not None:
                bookkeeping.forget_mended(connection, all_of, rejects)
            return bookkeeping.save_rejects(connection, rejects)

    def summary(self) -> StoreSummary:
        """Counts; items and users that were removed do not count."""
        with self._engine.begin() as connection:
            first, last = connection.execute(
                select(func.min(EVENTS.c.timestamp_ms), func.max(EVENTS.c.timestamp_ms))
            ).one()
            kinds = event_log.count_kinds(connection)
            return StoreSummary(
                num_items=catalogue.count_live(connection, ITEMS),
                num_users=catalogue.count_live(connection, USERS),
                num_events=sum(kinds.values()),
                num_rejects=bookkeeping.count_rows(connection, REJECTS),
                first_ms=first,
                last_ms=last,
                kinds=kinds,
                version=bookkeeping.counter(connection, "version"),
            )

    def version(self) -> int:
        """Grows with every change of content."""
        return self._read(lambda connection: bookkeeping.counter(connection, "version"))

    def state(self) -> StoreState:
        """How far the store has come."""
        found = self._read(bookkeeping.counters)
        return StoreState(found["seq"] - 1, found["items"], found["users"], found["documents"])

    def meta(self, key: str) -> Any:
        """A small JSON value kept beside the data, None where absent."""
        return self._read(lambda connection: bookkeeping.fact(connection, f"meta/{key}"))

    def set_meta(self, key: str, value: Any) -> None:
        """Keep a small JSON value."""
        with self._writing() as connection:
            bookkeeping.save_fact(connection, f"meta/{key}", value)

    def close(self) -> None:
        """Release the database."""
        for part in (self._served, self._arrived, self._turns, self.changes):
            if part is not None:
                part.close()
        self._engine.dispose()

    def _schema_version(self) -> int:
        """The version of the tables, which are made or upgraded; an up-to-date store is only read."""
        found = self._read(found_version)
        if found is None or found < SCHEMA_VERSION:
            with self._dialect.making(self._engine) as connection:
                make_tables(connection)
            found = self._read(found_version)
        return found or 0

    def _need_index(self, name: str) -> None:
        if name not in self._indexes and self._dialect.make_index(self._engine, name):
            self._indexes.add(name)

    def _read(self, ask: Callable[[Connection], T]) -> T:
        """The answer to a question, all of it from one state of the database."""
        with self._explained(), self._engine.begin() as connection:
            return ask(connection)

    @contextmanager
    def _writing(self, *, events: bool = False, others: bool = True) -> Iterator[Connection]:
        """One transaction; where it fails nothing of it is left, in the database or in the vocabularies."""
        with self._turn(events=events, others=others):
            try:
                with self._explained(), self._writer.begin() as connection:
                    yield connection
            except BaseException:
                self._item_ids.forget()
                self._user_ids.forget()
                raise

    @contextmanager
    def _turn(self, *, events: bool, others: bool = False) -> Iterator[None]:
        """Alone to write, of all threads and processes; they are told whether it was events, or others things that they follow."""
        with self._lock, self._turns.turn():
            yield
            self.changes.tell(events=events, others=others)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors of the database that are the caller's to act on, in our words."""
        try:
            yield
        except Exception as error:
            if isinstance(error, DBAPIError) and self._dialect.is_busy(error):
                raise BusyError("the store is being written by another process; wait for it, then try again") from error
            cause = error.orig if isinstance(error, DBAPIError) else error
            if cause is not None and self._dialect.is_refusal(cause):
                raise DataError(f"the database refuses a value: {str(cause).strip().splitlines()[0]}") from error
            raise
