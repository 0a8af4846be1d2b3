"""The store on MongoDB; `kinema.store.mongo_turn` says what stands in for transactions."""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from kinema.errors import DataError, StaleArtifactError
from kinema.extras import require
from kinema.schema import EVENT_COLUMNS, ITEM_COLUMNS, Event, EventKind, Item, Reject, User
from kinema.store import mongo_events, mongo_removal
from kinema.store import mongo_reads as reads
from kinema.store import mongo_writes as writes
from kinema.store.changes import Changes
from kinema.store.documents import check_version, document_text
from kinema.store.event_log import event_frame
from kinema.store.mongo_connection import connected
from kinema.store.mongo_turn import STATE, Turn, make_state, taking_turn
from kinema.store.protocols import SourceMark, StoreSummary, WriteCounts
from kinema.store.service_protocols import Arrival, Document, LoggedSlate, StoreState
from kinema.store.tables import KIND_CODES
from kinema.store.vocabulary import check_lengths

SCHEMA_VERSION: Final = 1
_INDEXES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "items": (("id",),),
    "users": (("id",),),
    "events": (("seq",), ("user", "timestamp_ms", "seq"), ("id",), ("timestamp_ms", "seq")),
    "slates": (("user", "timestamp_ms"), ("timestamp_ms",)),
    "documents": (("room", "key"),),
}


class MongoStore:
    """A `kinema.store.service_protocols.ServiceStore` in MongoDB; safe to share between threads and processes."""

    def __init__(self, client: Any, database: Any, *, patience_s: float) -> None:
        self.changes = Changes(None)
        self._client = client
        self._database = database
        self._patience_s = patience_s
        self._lock = threading.Lock()

    @classmethod
    def open(cls, url: str, *, patience_s: float = 60) -> "MongoStore":
        """Open a store; a new one is made where there is none.

        Args:
            url: ``mongodb://USER@HOST/NAME`` or ``mongodb+srv://...``.
            patience_s: How long a writer waits for another one before it gives up.

        Raises:
            ConfigError: The URL is not one, or names no database. Its text never shows the URL.
            DataError: The server cannot be reached.
            MissingExtraError: pymongo is not installed.
            StaleArtifactError: The store was made by a release with another layout.
        """
        errors = require("pymongo").errors
        client, database = connected(url)
        store = cls(client, database, patience_s=patience_s)
        try:
            found = make_state(database, schema=SCHEMA_VERSION)
            for name, indexes in _INDEXES.items():
                for columns in indexes:
                    database[name].create_index([(column, 1) for column in columns])
        except errors.PyMongoError as error:
            store.close()
            shown, reason = re.sub(r"//[^/@]*@", "//***@", url).split("?")[0], str(error).split(",")[0]
            raise DataError(
                f"cannot open the store '{shown}': {reason}; check its address, user and password"
            ) from None
        if found != SCHEMA_VERSION:
            store.close()
            raise StaleArtifactError(
                f"the MongoDB store must have layout {SCHEMA_VERSION}, has {found}; ingest into a new store"
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
        with self._turn() as turn:
            return writes.write_catalogue(turn, "items", frame, mark=mark, rejects=rejects, fill=fill, strict=strict)

    def write_users(
        self,
        frame: pl.DataFrame,
        *,
        mark: SourceMark | None = None,
        rejects: Sequence[Reject] = (),
        strict: bool = False,
    ) -> WriteCounts:
        """Insert or replace users."""
        with self._turn() as turn:
            return writes.write_catalogue(turn, "users", frame, mark=mark, rejects=rejects, strict=strict)

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
        with self._turn(events=True) as turn:
            return writes.write_events(
                turn, frame, mark=mark, rejects=rejects, create_items=create_items, strict=strict
            )

    def mark(self, key: str) -> SourceMark | None:
        """The place reached in a source."""
        doc = self._database.sources.find_one({"_id": key})
        return None if doc is None else SourceMark(key=doc.pop("_id"), **doc)

    def items(self) -> pl.DataFrame:
        """All items by number."""
        return reads.item_frame(self._committed("items"), ("num", *ITEM_COLUMNS))

    def size(self) -> tuple[int, int]:
        """How many numbers of users and items are taken."""
        state = self._state()
        return state["num_users"], state["num_items"]

    def media(self) -> pl.DataFrame:
        """Ids and media paths of all items, by number."""
        return reads.item_frame(self._committed("items"), ("id", "media_path"))

    def users(self) -> pl.DataFrame:
        """All users by number."""
        return reads.user_frame(self._committed("users"))

    def events(self, *, kinds: Sequence[EventKind] | None = None, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Events by (timestamp_ms, arrival)."""
        where = _of_kinds(kinds) | {"seq": {"$lt": self._state()["seq"]}}
        docs = self._database.events.find(where).sort([("timestamp_ms", 1), ("seq", 1)])
        return reads.event_frame(docs, EVENT_COLUMNS if columns is None else columns)

    def user_events(self, user_id: str, *, limit: int = 1000, before_ms: int | None = None) -> list[Event]:
        """The newest events of one user, oldest first."""
        number = self.user_number(user_id)
        if number is None:
            return []
        where = {"user": number, "seq": {"$lt": self._state()["seq"]}}
        where |= {} if before_ms is None else {"timestamp_ms": {"$lt": before_ms}}
        return mongo_events.newest_events(self._database, where, user_id=user_id, limit=limit)

    def events_after(self, seq: int, *, limit: int = 10_000) -> list[Arrival]:
        """Events that arrived later than one, in the order of arrival."""
        where = {"seq": {"$gt": seq, "$lt": self._state()["seq"]}}
        return [reads.as_arrival(doc) for doc in self._database.events.find(where).sort([("seq", 1)]).limit(limit)]

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
        where = _of_kinds(kinds)
        for name, number in (
            ("user", -1 if user_id is None else self.user_number(user_id)),
            ("item", -1 if item_id is None else self.item_number(item_id)),
        ):
            if number is None:
                return []
            where |= {} if number < 0 else {name: number}
        return mongo_events.event_page(self._database, where, after=after, end=self._state()["seq"], limit=limit)

    def item_activity(self, item_id: str, *, since_ms: int = 0) -> pl.DataFrame:
        """How often what happened with an item, day by day."""
        where = {"item": self.item_number(item_id), "seq": {"$lt": self._state()["seq"]}}
        return mongo_events.item_activity(self._database, where | {"timestamp_ms": {"$gte": since_ms}})

    def delete_events(self, seqs: Sequence[int]) -> int:
        """Take events back."""
        with self._turn() as turn:
            return mongo_events.delete_events(turn, seqs)

    def item(self, item_id: str) -> Item | None:
        """One item."""
        doc = self._find("items", item_id)
        return None if doc is None else reads.as_item(doc)

    def user(self, user_id: str) -> User | None:
        """One user."""
        doc = self._find("users", user_id)
        return None if doc is None else reads.as_user(doc)

    def item_number(self, item_id: str) -> int | None:
        """The number of an item."""
        doc = self._find("items", item_id)
        return None if doc is None else int(doc["_id"])

    def user_number(self, user_id: str) -> int | None:
        """The number of a user."""
        doc = self._find("users", user_id)
        return None if doc is None else int(doc["_id"])

    def item_page(self, *, after: int = -1, limit: int = 100) -> list[tuple[int, Item]]:
        """Items behind a number, in order."""
        return [(doc["_id"], reads.as_item(doc)) for doc in self._page("items", after, limit)]

    def removed_items(self) -> list[int]:
        """Numbers of the deleted items."""
        return [doc["_id"] for doc in self._database.items.find({"deleted": True}).sort([("_id", 1)])]

    def user_page(self, *, after: int = -1, limit: int = 100, part: str = "") -> list[tuple[int, User]]:
        """Users behind a number, in order."""
        named = {"id": {"$regex": re.escape(part), "$options": "i"}} if part else {}
        return [(doc["_id"], reads.as_user(doc)) for doc in self._page("users", after, limit, named)]

    def delete_item(self, item_id: str) -> bool:
        """Delete an item."""
        with self._turn() as turn:
            return mongo_removal.delete_item(turn, item_id)

    def erase_user(self, user_id: str) -> int | None:
        """Erase a user with everything known of them."""
        with self._turn() as turn:
            return mongo_removal.erase_user(turn, user_id)

    def write_slates(self, given: Sequence[LoggedSlate]) -> None:
        """Log slates."""
        for name, of in (("id", "slate"), ("user", "user"), ("scenario", "scenario")):
            values = [getattr(one, name) for one in given]
            check_lengths(pl.Series([one for one in values if one], dtype=pl.String), of=of)
        order = time.time_ns()
        for place, one in enumerate(given):
            doc = reads.slate_doc(one, order=order + place)
            self._database.slates.update_one({"_id": one.id}, {"$setOnInsert": doc}, upsert=True)

    def write_served(
        self, events: Sequence[Event], slates: Sequence[LoggedSlate], *, create_items: bool = False
    ) -> WriteCounts:
        """Append a few events, then log slates."""
        found = self.write_events(event_frame(events), create_items=create_items) if events else WriteCounts()
        self.write_slates(slates)
        return found

    def slate(self, slate_id: str) -> LoggedSlate | None:
        """One slate."""
        doc = self._database.slates.find_one({"_id": slate_id})
        return None if doc is None else reads.as_slate(doc)

    def slates(self, *, since_ms: int = 0, scenario: str | None = None) -> pl.DataFrame:
        """Slates from a moment on, oldest first."""
        where: dict[str, Any] = {"timestamp_ms": {"$gte": since_ms}}
        if scenario is not None:
            where["scenario"] = scenario
        return reads.slate_frame(self._database.slates.find(where).sort([("timestamp_ms", 1), ("order", 1)]))

    def user_slates(self, user_id: str, *, limit: int = 1000) -> list[LoggedSlate]:
        """The newest slates of one user, oldest first."""
        newest = [("timestamp_ms", -1), ("order", -1)]
        docs = list(self._database.slates.find({"user": user_id}).sort(newest).limit(limit))
        return [reads.as_slate(doc) for doc in reversed(docs)]

    def document(self, room: str, key: str) -> Document | None:
        """One document."""
        doc = self._database.documents.find_one({"_id": reads.document_id(room, key)})
        return None if doc is None else reads.as_document(doc)

    def documents(self, room: str) -> list[Document]:
        """All documents of a room, by key."""
        found = [reads.as_document(doc) for doc in self._database.documents.find({"room": room})]
        return sorted(found, key=lambda one: one.key)

    def put_document(self, room: str, key: str, value: Mapping[str, Any], *, expected: int | None = None) -> int:
        """Write a document and return its version."""
        text = document_text(room, key, value)
        with self._turn() as turn:
            old = self.document(room, key)
            found = 0 if old is None else old.version
            check_version(room, key, found=found, expected=expected)
            turn.keep()
            content = {"value": text, "version": found + 1, "updated_ms": time.time_ns() // 1_000_000}
            its = {"_id": reads.document_id(room, key), "room": room, "key": key}
            writes.put(self._database.documents, its | content)
            turn.commit(documents=1)
            return found + 1

    def delete_document(self, room: str, key: str) -> bool:
        """Remove a document."""
        with self._turn() as turn:
            turn.keep()
            gone = int(self._database.documents.delete_one({"_id": reads.document_id(room, key)}).deleted_count)
            turn.commit(documents=gone)
            return gone > 0

    def rejects(self) -> list[Reject]:
        """Everything set aside so far."""
        found = [one for _, one in reads.read_rejects(self._database)]
        return sorted(found, key=lambda one: (one.file, one.row or writes.WHOLE_FILE, one.kind))

    def set_aside(self, rejects: Sequence[Reject], *, all_of: str | None = None) -> int:
        """Record rejects found outside of an ingest."""
        with self._turn() as turn:
            turn.keep()
            places = {(one.file, one.row) for one in rejects if one.kind == all_of}
            for doc, one in reads.read_rejects(self._database) if all_of is not None else ():
                if one.kind == all_of and doc["source"] is None and (one.file, one.row) not in places:
                    self._database.rejects.delete_one({"_id": doc["_id"]})
            new = writes.save_rejects(self._database, rejects)
            turn.commit()
            return new

    def summary(self) -> StoreSummary:
        """Counts; items and users that were removed do not count."""
        state, database = self._state(), self._database
        where = {"seq": {"$lt": state["seq"]}}
        ends = [next(iter(database.events.find(where).sort([("timestamp_ms", way)]).limit(1)), None) for way in (1, -1)]
        groups = database.events.aggregate([{"$match": where}, {"$group": {"_id": "$kind", "count": {"$sum": 1}}}])
        kinds = {reads.NAMES[one["_id"]]: one["count"] for one in sorted(groups, key=lambda one: one["_id"])}
        first, last = [None if doc is None else doc["timestamp_ms"] for doc in ends]
        return StoreSummary(
            num_items=database.items.count_documents({"_id": {"$lt": state["num_items"]}} | reads.ALIVE),
            num_users=database.users.count_documents({"_id": {"$lt": state["num_users"]}} | reads.ALIVE),
            num_events=sum(kinds.values()),
            num_rejects=database.rejects.count_documents({}),
            first_ms=first,
            last_ms=last,
            kinds=kinds,
            version=state["version"],
        )

    def version(self) -> int:
        """Grows with every change of content."""
        return self._state()["version"]

    def state(self) -> StoreState:
        """How far the store has come."""
        state = self._state()
        return StoreState(state["seq"] - 1, state["items"], state["users"], state["documents"])

    def meta(self, key: str) -> Any:
        """A small JSON value kept beside the data."""
        doc = self._database.facts.find_one({"_id": key})
        return None if doc is None else json.loads(doc["value"])

    def set_meta(self, key: str, value: Any) -> None:
        """Keep a small JSON value."""
        writes.put(self._database.facts, {"_id": key, "value": json.dumps(value)})

    def close(self) -> None:
        """Release the database."""
        self.changes.close()
        self._client.close()

    def _state(self) -> dict[str, int]:
        found: dict[str, int] = self._database.meta.find_one({"_id": STATE})
        return found

    def _find(self, name: str, its_id: str) -> dict[str, Any] | None:
        """An item or user that is committed and was not removed."""
        doc: dict[str, Any] | None = self._database[name].find_one({"id": its_id} | reads.ALIVE)
        return None if doc is None or doc["_id"] >= self._state()[f"num_{name}"] else doc

    def _committed(self, name: str) -> Any:
        return self._database[name].find({"_id": {"$lt": self._state()[f"num_{name}"]}}).sort([("_id", 1)])

    def _page(self, name: str, after: int, limit: int, also: Mapping[str, Any] = MappingProxyType({})) -> Any:
        where = {"_id": {"$gt": after, "$lt": self._state()[f"num_{name}"]}, **also} | reads.ALIVE
        return self._database[name].find(where).sort([("_id", 1)]).limit(limit)

    @contextmanager
    def _turn(self, *, events: bool = False) -> Iterator[Turn]:
        with self._lock, taking_turn(self._database, patience_s=self._patience_s) as turn:
            yield turn
        self.changes.tell(events=events, others=True)


def _of_kinds(kinds: Sequence[EventKind] | None) -> dict[str, Any]:
    return {} if kinds is None else {"kind": {"$in": [KIND_CODES[EventKind(kind)] for kind in kinds]}}
