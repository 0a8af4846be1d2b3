"""The same for asyncio, the twin of `kinema.client.console.Console`: what its methods take is said there."""

from collections.abc import AsyncIterator, Sequence
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
    from kinema.client.async_client import AsyncClient


class AsyncConsole:
    """The catalogue as a table, decisions about items, what is known and seen of them.

    Args:
        client: Who sends the requests.
    """

    def __init__(self, client: "AsyncClient") -> None:
        self._client = client

    async def catalogue(self, q: str = "", *, offset: int = 0, limit: int = 50, **filters: Any) -> CataloguePage:
        """A page of the items that fit, and how many there are in all."""
        wanted = {"offset": offset, "limit": limit, **filters}
        return await self._client.send(console_calls.catalogue(q, wanted))

    async def counts(self) -> CatalogueCounts:
        """Categories, languages and states with their numbers of items."""
        return await self._client.send(console_calls.counts())

    async def placement(self, item_id: str) -> PlacementOut:
        """Whether an item is hidden, boosted or pinned."""
        return await self._client.send(console_calls.placement(item_id))

    async def place(
        self, item_id: str, *, hidden: bool = False, boost: float = 0.0, position: int | None = None
    ) -> PlacementOut:
        """Decide where an item stands in every scenario from the next request on; without arguments it is left to itself again."""
        decided = {"hidden": hidden, "boost": boost, "position": position}
        return await self._client.send(console_calls.place(item_id, decided))

    async def insight(self, item_id: str, *, days: int = 365) -> InsightOut:
        """What the recommender knows of an item, and its events of so many days."""
        return await self._client.send(console_calls.insight(item_id, days=days))

    async def frames(self, item_id: str) -> FramesOut:
        """The moments of its clip that are seen, with the attention each has."""
        return await self._client.send(console_calls.frames(item_id))

    async def motion(self, item_id: str) -> MotionOut:
        """How things move in its clip."""
        return await self._client.send(console_calls.motion(item_id))

    async def file(self, item_id: str, what: File = "poster") -> bytes:
        """Its clip as browsers play it (``media``), its ``poster`` or its preview ``strip``, whole and in memory."""
        return await self._client.fetch(console_calls.file(item_id, what))

    async def frame(self, item_id: str, number: int) -> bytes:
        """The picture of one of its `frames`."""
        return await self._client.fetch(console_calls.frame(item_id, number))

    async def rejects(self, q: str = "", *, kind: str | None = None, offset: int = 0, limit: int = 50) -> RejectsOut:
        """What was set aside, and why."""
        return await self._client.send(console_calls.rejects(q, kind, offset=offset, limit=limit))

    async def uploads(self, *, status: Sequence[str] = (), limit: int = 50) -> UploadsOut:
        """The clips that were uploaded last, newest first."""
        return await self._client.send(console_calls.uploads(status, limit=limit))

    async def history(self, user_id: str, cursor: str | None = None, *, limit: int = 50) -> HistoryOut:
        """A page of what a user did, newest first, and the cursor of what was before."""
        return await self._client.send(console_calls.history(user_id, cursor, limit=limit))

    async def iter_history(self, user_id: str, page_size: int = 50) -> AsyncIterator[HistoryEvent]:
        """Everything a user did, newest first, page by page as it is needed."""
        cursor = None
        while True:
            page = await self.history(user_id, cursor, limit=page_size)
            for event in page.events:
                yield event
            cursor = page.next_cursor
            if cursor is None:
                return
