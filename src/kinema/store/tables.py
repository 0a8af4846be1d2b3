"""The tables, in SQLAlchemy Core, so that one definition serves every SQL database.

Events carry item and user numbers, not ids: half the bytes, and the numbers are what every later stage wants. Text that
is empty is kept as NULL, because binding NULL to a wide row costs nothing when the column is left out of the statement.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.mysql import MEDIUMTEXT

from kinema.schema import EventKind

SCHEMA_VERSION: Final = 2
"""Raised when a table changes; an older store is upgraded when it is opened (`kinema.store.schema_upgrade`), a newer one refused."""

MAX_ID: Final = 256
"""Longest id in characters: what every database can index."""

KIND_CODES: Final[dict[EventKind, int]] = {
    EventKind.IMPRESSION: 0,
    EventKind.CLICK: 1,
    EventKind.WATCH: 2,
    EventKind.LIKE: 3,
    EventKind.DISLIKE: 4,
    EventKind.SHARE: 5,
    EventKind.COMMENT: 6,
    EventKind.FOLLOW: 7,
    EventKind.SKIP: 8,
    EventKind.RATING: 9,
    EventKind.PURCHASE: 10,
}
"""How kinds are kept in ``events.kind``. Codes are durable: add at the end, never renumber."""

METADATA: Final = MetaData()

LONG_TEXT: Final = Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")
"""MySQL's TEXT ends at 64 KiB."""

ITEMS: Final = Table(
    "items",
    METADATA,
    Column("num", Integer, primary_key=True, autoincrement=False),
    Column("id", String(MAX_ID), nullable=False, unique=True),
    Column("title", LONG_TEXT),
    Column("description", LONG_TEXT),
    Column("categories", LONG_TEXT),
    Column("tags", LONG_TEXT),
    Column("language", LONG_TEXT),
    Column("published_at", BigInteger),
    Column("duration_ms", BigInteger),
    Column("media_path", LONG_TEXT),
    Column("hidden", Boolean),
    Column("attributes", LONG_TEXT),
    Column("source", Integer),
    Column("deleted", Boolean),
)
"""``categories`` and ``tags`` hold JSON arrays, ``attributes`` a JSON object; ``source`` is the file that listed it last.

Of a deleted item only ``num``, ``id``, ``hidden`` and ``deleted`` are left."""

USERS: Final = Table(
    "users",
    METADATA,
    Column("num", Integer, primary_key=True, autoincrement=False),
    Column("id", String(MAX_ID), nullable=False, unique=True),
    Column("attributes", LONG_TEXT),
    Column("source", Integer),
    Column("deleted", Boolean),
)
"""An erased user's ``id`` is a random text that stands for nobody."""

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("timestamp_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("user", Integer, nullable=False),
    Column("item", Integer, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("id", String(MAX_ID)),
    Column("value", Double),
    Column("watch_ms", BigInteger),
    Column("session_id", LONG_TEXT),
    Column("slate_id", LONG_TEXT),
    Column("position", Integer),
    Column("propensity", Double),
    Column("context", LONG_TEXT),
    sqlite_with_rowid=False,
)
"""Clustered by time, then by the hash of the content (`kinema.store.event_keys`), with the arrival order in ``seq``.

One B-tree does three jobs: rows lie in time order, duplicates fall on the same key, and a log that arrives in time
order is appended at the right edge. A separate unique index on a random hash cost 1.5 to 2.5 times as much.
"""

EVENTS_BY_ID: Final = Index(
    "events_by_id",
    EVENTS.c.id,
    unique=True,
    sqlite_where=EVENTS.c.id.is_not(None),
    postgresql_where=EVENTS.c.id.is_not(None),
)
"""Owners' ids are compared as text: a hash of them could lose an event."""

SOURCES: Final = Table(
    "sources",
    METADATA,
    Column("num", Integer, primary_key=True, autoincrement=True),
    Column("key", String(128), nullable=False, unique=True),
    Column("file", LONG_TEXT, nullable=False),
    Column("next_row", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("done", Boolean, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("curable", BigInteger, nullable=False),
)

REJECTS: Final = Table(
    "rejects",
    METADATA,
    Column("num", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("file", String(700), nullable=False),
    Column("row", BigInteger, nullable=False),
    Column("reason", LONG_TEXT, nullable=False),
    Column("raw", LONG_TEXT, nullable=False),
    Column("source", Integer),
    UniqueConstraint("file", "kind", "row"),
)
"""``source`` is what was read when the row was found; ``row`` is 0 where the file as a whole is meant; NULL would not be unique."""

FACTS: Final = Table(
    "facts", METADATA, Column("key", String(128), primary_key=True), Column("value", LONG_TEXT, nullable=False)
)
"""Small JSON values beside the data."""

COUNTERS: Final = Table(
    "counters", METADATA, Column("name", String(32), primary_key=True), Column("value", BigInteger, nullable=False)
)

COUNTER_NAMES: Final = ("version", "seq", "items", "users", "documents")
"""``version`` of the content, ``seq`` of the next event, changes of items and users, changes of documents."""

REMOVALS: Final = Table(
    "removals",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("num", Integer, nullable=False),
    Column("back", Boolean, nullable=False),
)
"""Which items and users were removed, or came back, in that order: other processes mend their mirrors of the ids by it."""

SLATES: Final = Table(
    "slates",
    METADATA,
    Column("num", Integer, primary_key=True, autoincrement=True),
    Column("id", String(MAX_ID), nullable=False, unique=True),
    Column("user", String(MAX_ID)),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("scenario", String(MAX_ID), nullable=False),
    Column("variant", LONG_TEXT),
    Column("model_version", LONG_TEXT),
    Column("items", LONG_TEXT, nullable=False),
    Column("propensities", LONG_TEXT, nullable=False),
    Column("context", LONG_TEXT),
    Index("slates_by_user", "user", "timestamp_ms"),
    Index("slates_by_time", "timestamp_ms"),
)
"""What was shown. ``user`` is an id, not a number: slates are also shown to those whom the store does not know."""

DOCUMENTS: Final = Table(
    "documents",
    METADATA,
    Column("room", String(32), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("value", LONG_TEXT, nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)
"""Small JSON objects of the service."""

LAZY_INDEXES: Final[dict[str, tuple[str, ...]]] = {
    "events_by_user": ("user", "timestamp_ms"),
    "events_by_seq": ("seq",),
}
"""Indexes of events that the first question which needs one makes, not the ingest: sorting a million events by user takes
as long as writing them, and most work on a log never asks for one user."""
