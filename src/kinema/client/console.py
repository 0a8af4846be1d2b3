"""What those who look at the catalogue and steer it ask, for threads; reached as ``client.console``."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kinema.client import console_calls
from kinema.client.console_calls import File
from kinema.serving.console_wire import (
    CatalogueCounts,
    CataloguePage,
    FramesOut,
    HistoryEvent,
    HistoryOut,
    InsightOut,
    MotionOut,
    PlacementOut,
    RejectsOut,
    UploadsOut,
)

if TYPE_CHECKING:
    from kinema.client.client import Client


class Console:
    """The catalogue as a table, decisions about items, what is known and seen of them.

    Args:
        client: Who sends the requests.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client

    def catalogue(self, q: str = "", *, offset: int = 0, limit: int = 50, **filters: Any) -> CataloguePage:
        """A page of the items that fit, and how many there are in all.

        Args:
            q: Words; each must be in id, title, categories or tags.
            offset: Items that are passed over.
            limit: Items of the page, 1..500.
            **filters: ``category``, ``language`` and ``state`` (one or a list), ``min_duration_ms``, ``max_duration_ms``,
                ``published_since``, ``sort`` and ``descending``.
        """
        wanted = {"offset": offset, "limit": limit, **filters}
        return self._client.send(console_calls.catalogue(q, wanted))

    def counts(self) -> CatalogueCounts:
        """Categories, languages and states with their numbers of items."""
        return self._client.send(console_calls.counts())

    def placement(self, item_id: str) -> PlacementOut:
        """Whether an item is hidden, boosted or pinned."""
        return self._client.send(console_calls.placement(item_id))

    def place(
        self, item_id: str, *, hidden: bool = False, boost: float = 0.0, position: int | None = None
    ) -> PlacementOut:
        """Decide where an item stands in every scenario from the next request on; without arguments it is left to itself again.

        Args:
            item_id: The item.
            hidden: It appears nowhere.
            boost: Added to its relevance, in [-1, 1].
            position: Its place in every slate, from 0.

        Raises:
            ChangedMeanwhileError: Another item has that place.
        """
        decided = {"hidden": hidden, "boost": boost, "position": position}
        return self._client.send(console_calls.place(item_id, decided))

    def insight(self, item_id: str, *, days: int = 365) -> InsightOut:
        """What the recommender knows of an item, and its events of so many days."""
        return self._client.send(console_calls.insight(item_id, days=days))

    def frames(self, item_id: str) -> FramesOut:
        """The moments of its clip that are seen, with the attention each has."""
        return self._client.send(console_calls.frames(item_id))

    def motion(self, item_id: str) -> MotionOut:
        """How things move in its clip."""
        return self._client.send(console_calls.motion(item_id))

    def file(self, item_id: str, what: File = "poster") -> bytes:
        """Its clip as browsers play it (``media``), its ``poster`` or its preview ``strip``, whole and in memory."""
        return self._client.fetch(console_calls.file(item_id, what))

    def frame(self, item_id: str, number: int) -> bytes:
        """The picture of one of its `frames`."""
        return self._client.fetch(console_calls.frame(item_id, number))

    def rejects(self, q: str = "", *, kind: str | None = None, offset: int = 0, limit: int = 50) -> RejectsOut:
        """What was set aside, and why."""
        return self._client.send(console_calls.rejects(q, kind, offset=offset, limit=limit))

    def uploads(self, *, status: Sequence[str] = (), limit: int = 50) -> UploadsOut:
        """The clips that were uploaded last, newest first."""
        return self._client.send(console_calls.uploads(status, limit=limit))

    def history(self, user_id: str, cursor: str | None = None, *, limit: int = 50) -> HistoryOut:
        """A page of what a user did, newest first, and the cursor of what was before."""
        return self._client.send(console_calls.history(user_id, cursor, limit=limit))

    def iter_history(self, user_id: str, page_size: int = 50) -> Iterator[HistoryEvent]:
        """Everything a user did, newest first, page by page as it is needed."""
        cursor = None
        while True:
            page = self.history(user_id, cursor, limit=page_size)
            yield from page.events
            cursor = page.next_cursor
            if cursor is None:
                return
