"""What a store guarantees to a running service, beside `kinema.store.protocols.Store`. The conformance suite holds each to it.

Guarantees:

1. Arrival numbers (``seq``) grow in the order in which writes become visible: who has read up to one and asks for what
   came after it misses nothing, whichever process wrote it. There may be gaps.
2. A deleted item keeps its number and its id, and nothing else: it is not found by its id, not listed, and hidden in `Store.items`,
   its text, media path and attributes empty. Writing an item of that id again brings the number back to life.
3. An erased user's events, slates and attributes are gone. Their number stays taken; the id, if it comes again, is a new
   user with a new number.
4. Documents are small JSON values by room and key. One that is written with ``expected`` is only written if its version is
   still that one, so that two who edit it at once do not lose each other's change.
5. `state` costs one indexed read: a service may ask for it several times a second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import polars as pl

from kinema.schema import Event, EventKind, Item, User
from kinema.store.changes import Changes
from kinema.store.protocols import Store, WriteCounts


@dataclass(frozen=True)
class StoreState:
    """How far a store has come; each number grows with every change of its kind and with nothing else.

    Attributes:
        seq: Arrival number that was given last, -1 before the first; the event that had it may be gone.
        items: Changes of items.
        users: Changes of users' attributes, erasures, and events taken back; a user whom an event has made is none.
        documents: Changes of documents.
    """

    seq: int
    items: int
    users: int
    documents: int


class Arrival(NamedTuple):
    """An event as a running service takes it in: what happened by numbers, in the order of arrival.

    Attributes:
        seq: Arrival number.
        user: Number of the user.
        item: Number of the item.
        timestamp_ms: When it happened, UTC milliseconds.
        kind: What, as text.
        value: See `kinema.schema.Event`.
        watch_ms: Time watched.
        slate_id: Of the slate that it came from.
        position: Place in that slate.
    """

    seq: int
    user: int
    item: int
    timestamp_ms: int
    kind: str
    value: float | None = None
    watch_ms: int | None = None
    slate_id: str | None = None
    position: int | None = None


@dataclass(frozen=True)
class LoggedSlate:
    """A slate as it was shown.

    Attributes:
        id: The recommendation's id, which events name as their ``slate_id``.
        user: User id; empty for a guest.
        timestamp_ms: When, UTC milliseconds.
        scenario: Its placement.
        variant: Of that scenario; empty without an experiment.
        model_version: What scored it.
        items: Item ids in order of position.
        propensities: Probability with which each was shown there, in (0, 1].
        context: JSON values.
    """

    id: str
    user: str
    timestamp_ms: int
    scenario: str
    variant: str
    model_version: str
    items: tuple[str, ...]
    propensities: tuple[float, ...]
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    """A small JSON value.

    Attributes:
        room: What it is of: ``keys``, ``media``, ``profiles``, ...
        key: Unique in its room.
        value: JSON object.
        version: 1 when new, one more with every change.
        updated_ms: UTC milliseconds.
    """

    room: str
    key: str
    value: Mapping[str, Any]
    version: int
    updated_ms: int


class Documents(Protocol):
    """The part of a store that keeps documents."""

    def document(self, room: str, key: str) -> Document | None:
        """One document."""

    def documents(self, room: str) -> list[Document]:
        """All documents of a room, by key."""

    def put_document(self, room: str, key: str, value: Mapping[str, Any], *, expected: int | None = None) -> int:
        """Write a document and return its version.

        Args:
            room: At most 32 characters.
            key: At most 200 characters.
            value: JSON object.
            expected: Version it must still have, 0 for one that must be new; None writes in any case.

        Raises:
            ConflictError: It has another version.
        """

    def delete_document(self, room: str, key: str) -> bool:
        """Remove a document; False where there was none."""


class ServiceStore(Store, Documents, Protocol):
    """A store that a service can run on.

    Attributes:
        changes: How often this machine's processes have written, without asking the database.
    """

    changes: Changes

    def state(self) -> StoreState:
        """How far the store has come."""

    def events_after(self, seq: int, *, limit: int = 10_000) -> list[Arrival]:
        """Events that arrived later than one, in the order of arrival.

        Args:
            seq: Arrival number; -1 for all.
            limit: Most of them.
        """

    def event_page(
        self,
        *,
        after: int = -1,
        limit: int = 100,
        user_id: str | None = None,
        item_id: str | None = None,
        kinds: Sequence[EventKind] | None = None,
    ) -> list[tuple[int, Event]]:
        """Events behind an arrival number, with their numbers, in the order of arrival; those of deleted items are left out.

        Args:
            after: Arrival number; -1 for all.
            limit: Most rows.
            user_id: Only this user's; None for everybody's.
            item_id: Only with this item.
            kinds: Only these.
        """

    def item_activity(self, item_id: str, *, since_ms: int = 0) -> pl.DataFrame:
        """How often what happened with an item, day by day.

        Args:
            item_id: The item.
            since_ms: Only from this moment on, UTC milliseconds.

        Returns:
            ``day`` as the number of days since the epoch in UTC, ``kind`` as text, ``count`` > 0; by day and kind.
        """

    def delete_events(self, seqs: Sequence[int]) -> int:
        """Take events back by their arrival numbers; how many there were."""

    def item_page(self, *, after: int = -1, limit: int = 100) -> list[tuple[int, Item]]:
        """Items behind a number, with their numbers, in order; deleted ones are left out."""

    def removed_items(self) -> list[int]:
        """Numbers of the deleted items, in order."""

    def user_page(self, *, after: int = -1, limit: int = 100, part: str = "") -> list[tuple[int, User]]:
        """Users behind a number whose id contains a part, with their numbers, in order; erased ones are left out."""

    def delete_item(self, item_id: str) -> bool:
        """Delete an item; False where there was none."""

    def erase_user(self, user_id: str) -> int | None:
        """Erase a user with everything known of them; the number of events that are gone, None where there was none."""

    def write_slates(self, slates: Sequence[LoggedSlate]) -> None:
        """Log slates; one whose id is logged already is left as it is."""

    def write_served(
        self, events: Sequence[Event], slates: Sequence[LoggedSlate], *, create_items: bool = False
    ) -> WriteCounts:
        """Append a few events and log slates; where the store has transactions, in one.

        Args:
            events: As `write_events` takes them.
            slates: As `write_slates` does.
            create_items: See `write_events`.

        Returns:
            What became of the events.
        """

    def slate(self, slate_id: str) -> LoggedSlate | None:
        """One slate."""

    def slates(self, *, since_ms: int = 0, scenario: str | None = None) -> pl.DataFrame:
        """Slates from a moment on, oldest first.

        Returns:
            ``id``, ``user`` (id), ``timestamp_ms``, ``scenario``, ``variant``, ``model_version``, ``items`` List(String),
            ``propensities`` List(Float64).
        """

    def user_slates(self, user_id: str, *, limit: int = 1000) -> list[LoggedSlate]:
        """The newest slates of one user, oldest first."""
