"""What a store guarantees, whatever database is behind it. `kinema.testing.store_conformance` holds each to it.

Guarantees:

1. A call that writes is one transaction: after it returns the rows are durable, before that none of them is visible.
2. Writing is idempotent. An item or user with a known id is replaced, column by column: a column that the frame lacks
   keeps its value. Within one source an id may occur once; the first row stands, later ones are set aside. An event that
   is already there (same id, or without id the same content) is counted as known and changes nothing.
3. Numbers are dense, start at 0, follow the order of first appearance and never change. They are the row numbers of
   every vector file.
4. Events come back ordered by (timestamp_ms, order of arrival), so that ties are broken the same way everywhere.
5. The place reached in a source file is saved in the same transaction as its rows: after a crash the next run goes on
   behind the last durable row, and neither loses nor repeats one. A mark at row 0 starts its source over: what was set
   aside for that file is forgotten.
6. ``version`` grows with every change of the content and with nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from kinema.schema import Event, EventKind, Item, Reject, User


@dataclass(frozen=True)
class SourceMark:
    """A place in a source file.

    Attributes:
        key: Identifies file, content and mapping; the same file with the same mapping has the same key.
        file: Its name for people.
        next_row: Rows before this one (counted from 0) are durable.
        position: Where the reader goes on; its own unit, such as a byte offset.
        done: The file has been read to its end.
        rejected: Rows of it that were set aside so far; this and ``curable`` are filled in by the store.
        curable: How many of those only wait for the catalogue: events of items that are not in it yet.
    """

    key: str
    file: str
    next_row: int = 0
    position: int = 0
    done: bool = False
    rejected: int = 0
    curable: int = 0


@dataclass(frozen=True)
class WriteCounts:
    """What one write did: rows that are new, rows that replaced or equal known ones, rows set aside."""

    new: int = 0
    known: int = 0
    rejected: int = 0

    def __add__(self, other: "WriteCounts") -> "WriteCounts":
        """The sum, field by field."""
        return WriteCounts(self.new + other.new, self.known + other.known, self.rejected + other.rejected)


@dataclass(frozen=True)
class StoreSummary:
    """Counts for `kinema check`."""

    num_items: int
    num_users: int
    num_events: int
    num_rejects: int
    first_ms: int | None
    last_ms: int | None
    kinds: dict[str, int] = field(default_factory=dict)
    version: int = 0


class Store(Protocol):
    """See the module docstring for the guarantees. Frames have the columns of `kinema.schema`.

    In frames that are written, ``categories`` and ``tags`` are List(String), ``attributes`` and ``context`` JSON text,
    and columns may be missing (their default is taken). In frames that are read, ``num`` is the row's number, and
    events carry ``user`` and ``item`` as numbers. A frame that is written may carry ``row``, its place in the file
    counted from 1, for rejects.

    With ``strict`` a row that would be set aside raises `DataError` and nothing of the frame is written.
    """

    def write_items(
        self,
        frame: pl.DataFrame,
        *,
        mark: SourceMark | None = None,
        rejects: Sequence[Reject] = (),
        fill: bool = False,
        strict: bool = False,
    ) -> WriteCounts:
        """Insert or replace items; save ``mark`` and ``rejects`` in the same transaction.

        With ``fill`` known items keep what they have and only their empty columns are set.
        """

    def write_users(
        self,
        frame: pl.DataFrame,
        *,
        mark: SourceMark | None = None,
        rejects: Sequence[Reject] = (),
        strict: bool = False,
    ) -> WriteCounts:
        """Insert or replace users."""

    def write_events(
        self,
        frame: pl.DataFrame,
        *,
        mark: SourceMark | None = None,
        rejects: Sequence[Reject] = (),
        create_items: bool = False,
        strict: bool = False,
    ) -> WriteCounts:
        """Append events. Unknown users are created; unknown items are created or their rows rejected."""

    def mark(self, key: str) -> SourceMark | None:
        """The place reached in a source, None where it was never seen."""

    def items(self) -> pl.DataFrame:
        """All items by number: ``num`` and the columns of `Item`."""

    def size(self) -> tuple[int, int]:
        """How many numbers of users and items are taken, removed ones too: the lengths of arrays by number."""

    def media(self) -> pl.DataFrame:
        """All items by number: ``id`` and ``media_path`` alone."""

    def users(self) -> pl.DataFrame:
        """All users by number: ``num``, ``id``, ``attributes``."""

    def events(self, *, kinds: Sequence[EventKind] | None = None, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Events by (timestamp_ms, arrival); ``user`` and ``item`` are numbers."""

    def user_events(self, user_id: str, *, limit: int = 1000, before_ms: int | None = None) -> list[Event]:
        """The newest events of one user, oldest first; empty for an unknown user. With ``before_ms`` only those before that moment."""

    def item(self, item_id: str) -> Item | None:
        """One item."""

    def user(self, user_id: str) -> User | None:
        """One user."""

    def item_number(self, item_id: str) -> int | None:
        """The number of an item."""

    def user_number(self, user_id: str) -> int | None:
        """The number of a user."""

    def rejects(self) -> list[Reject]:
        """Everything set aside so far, by file and row."""

    def set_aside(self, rejects: Sequence[Reject], *, all_of: str | None = None) -> int:
        """Record rejects found outside of an ingest (a clip that cannot be decoded); returns how many are new.

        With ``all_of`` these are all there are of that kind: earlier ones, found outside of an ingest too, that are not
        among them have been mended and are forgotten.
        """

    def summary(self) -> StoreSummary:
        """Counts."""

    def version(self) -> int:
        """Grows with every change of content."""

    def meta(self, key: str) -> Any:
        """A small JSON value kept beside the data, None where absent."""

    def set_meta(self, key: str, value: Any) -> None:
        """Keep a small JSON value."""

    def close(self) -> None:
        """Release the database."""
