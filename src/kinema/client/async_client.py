"""The client for asyncio, the twin of `kinema.client.client.Client`: what its methods take and raise is said there."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from kinema.client import calls
from kinema.client.async_buffer import AsyncEvents
from kinema.client.async_console import AsyncConsole
from kinema.client.calls import Answered, Call, Weights, made
from kinema.client.errors import ClientError, NotFoundError, error_of
from kinema.client.exchange import Told, Waiting, checked_url, headers_of, request_of, unreachable
from kinema.client.retries import Retries
from kinema.extras import require
from kinema.serving.profile_wire import ProfileIn, ProfileOut
from kinema.serving.wire import (
    AudienceOut,
    Deleted,
    EventIn,
    EventsOut,
    Export,
    ItemIn,
    ItemOut,
    ItemPage,
    MediaJob,
    RecommendOut,
    SearchIn,
    SearchOut,
    SessionEvent,
    SimilarOut,
    UserIn,
    UserOut,
    UserPage,
)

if TYPE_CHECKING:
    import httpx2

    from kinema.client.async_operations import AsyncOperations

_PIECE: Final = 1 << 20


class AsyncClient:
    """A connection to a service. Use it in one event loop; close it, or use it in an ``async with``.

    Args:
        url: Where the service is.
        api_key: A key or token; None takes the environment's ``KINEMA_API_KEY``, and without that none is sent.
        timeout_seconds: For a connection, and between two pieces of an answer.
        retries: When a request is sent again.
        transport: In place of the network, for tests.

    Raises:
        MissingExtraError: The extra ``client`` is not installed.

    Example:
        >>> import httpx2
        >>> def service(request):
        ...     return httpx2.Response(200, json={"user_id": "u1", "attributes": {"country": "de"}})
        >>> async def ask():
        ...     async with AsyncClient(transport=httpx2.MockTransport(service)) as client:
        ...         return await client.get_user("u1")
        >>> asyncio.run(ask()).attributes
        {'country': 'de'}
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout_seconds: float = 10.0,
        retries: Retries | None = None,
        transport: "httpx2.AsyncBaseTransport | None" = None,
    ) -> None:
        require("httpx2")
        import httpx2  # noqa: PLC0415  # comes with the extra

        how = {"base_url": checked_url(url), "headers": headers_of(api_key), "timeout": timeout_seconds}
        self._http = httpx2.AsyncClient(**how, transport=transport)  # type: ignore[arg-type]  # named above
        self._retries = retries or Retries()
        self._sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self.events = AsyncEvents(self.log)
        self.console = AsyncConsole(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def operations(self) -> "AsyncOperations":
        """Models, scenarios, experiments and health, for those who run the service."""
        from kinema.client.async_operations import AsyncOperations  # noqa: PLC0415  # brings what most clients never ask

        return AsyncOperations(self.send)

    async def close(self) -> None:
        """Release the connections."""
        await self._http.aclose()

    # Answers

    async def recommend(
        self,
        user_id: str,
        n: int = 10,
        *,
        scenario: str = "home",
        exclude: Sequence[str] = (),
        session: Iterable[SessionEvent | str] = (),
        session_id: str | None = None,
        context: Mapping[str, Any] | None = None,
        explain: bool = True,
        debug: bool = False,
    ) -> RecommendOut:
        """Items for a user, by everything they did up to this moment."""
        asked = calls.asked(
            n=n,
            scenario=scenario,
            exclude=exclude,
            session=session,
            session_id=session_id,
            context=context,
            explain=explain,
            debug=debug,
        )
        return await self.send(calls.recommend(user_id, asked))

    async def recommend_guest(
        self,
        session: Iterable[SessionEvent | str] = (),
        n: int = 10,
        *,
        scenario: str = "home",
        exclude: Sequence[str] = (),
        session_id: str | None = None,
        context: Mapping[str, Any] | None = None,
        explain: bool = True,
        debug: bool = False,
    ) -> RecommendOut:
        """Items for somebody who is not known, by what they did in this session; see `recommend`."""
        asked = calls.asked(
            n=n,
            scenario=scenario,
            exclude=exclude,
            session=session,
            session_id=session_id,
            context=context,
            explain=explain,
            debug=debug,
        )
        return await self.send(calls.recommend_guest(asked))

    async def similar(self, item_id: str, n: int = 10, *, modality: str | None = None, user_id: str = "") -> SimilarOut:
        """Items like an item, by content and behaviour or by one modality; ``user_id`` is who looks."""
        return await self.send(calls.similar(item_id, num_items=n, modality=modality, user_id=user_id))

    async def audience(self, item_id: str, n: int = 10) -> AudienceOut:
        """Users who should see an item."""
        return await self.send(calls.audience(item_id, num_users=n))

    async def search(
        self,
        q: str,
        n: int = 10,
        *,
        user_id: str | None = None,
        user_weight: float | None = None,
        categories: Sequence[str] = (),
        languages: Sequence[str] = (),
        min_duration_ms: int | None = None,
        max_duration_ms: int | None = None,
        published_since: int | str | None = None,
        hide_seen: bool = False,
    ) -> SearchOut:
        """Items that answer words."""
        asked = made(
            SearchIn,
            q=q,
            n=n,
            user_id=user_id,
            user_weight=user_weight,
            categories=list(categories),
            languages=list(languages),
            min_duration_ms=min_duration_ms,
            max_duration_ms=max_duration_ms,
            published_since=published_since,
            hide_seen=hide_seen,
        )
        return await self.send(calls.search(asked))

    # Items and users

    async def put_item(self, item_id: str, item: ItemIn | None = None, **fields: Any) -> ItemOut:
        """Make an item or replace it; it is recommendable when this returns."""
        return await self.send(calls.put_item(item_id, made(ItemIn, **fields) if item is None else item))

    async def get_item(self, item_id: str) -> ItemOut:
        """One item."""
        return await self.send(calls.get_item(item_id))

    async def delete_item(self, item_id: str) -> Deleted:
        """Delete an item: it is in no next answer."""
        return await self.send(calls.delete_item(item_id))

    async def list_items(self, cursor: str | None = None, limit: int = 100) -> ItemPage:
        """A page of items, and the cursor of the next."""
        return await self.send(calls.list_items(cursor, limit))

    async def iter_items(self, page_size: int = 100) -> AsyncIterator[ItemOut]:
        """All items, page by page as they are needed."""
        cursor = None
        while True:
            page = await self.list_items(cursor, page_size)
            for one in page.items:
                yield one
            cursor = page.next_cursor
            if cursor is None:
                return

    async def put_user(self, user_id: str, attributes: Mapping[str, Any] | None = None) -> UserOut:
        """Make a user or replace their attributes; the next answer knows them."""
        return await self.send(calls.put_user(user_id, made(UserIn, attributes=dict(attributes or {}))))

    async def get_user(self, user_id: str) -> UserOut:
        """One user."""
        return await self.send(calls.get_user(user_id))

    async def delete_user(self, user_id: str) -> Deleted:
        """Erase a person: attributes, events, logged answers."""
        return await self.send(calls.delete_user(user_id))

    async def list_users(self, cursor: str | None = None, limit: int = 100) -> UserPage:
        """A page of users, and the cursor of the next."""
        return await self.send(calls.list_users(cursor, limit))

    async def iter_users(self, page_size: int = 100) -> AsyncIterator[UserOut]:
        """All users, page by page as they are needed."""
        cursor = None
        while True:
            page = await self.list_users(cursor, page_size)
            for one in page.users:
                yield one
            cursor = page.next_cursor
            if cursor is None:
                return

    async def get_profile(self, user_id: str) -> ProfileOut:
        """What a user is interested in, by topic and modality."""
        return await self.send(calls.get_profile(user_id))

    async def put_profile(self, user_id: str, topics: Weights = None, modalities: Weights = None) -> ProfileOut:
        """Set weights, 0..10: 0 shows none of a topic; of what is given, that which is left out goes back to 1."""
        return await self.send(calls.put_profile(user_id, made(ProfileIn, topics=topics, modalities=modalities)))

    async def export_user(self, user_id: str) -> Export:
        """Everything that is kept of a user."""
        return await self.send(calls.export_user(user_id))

    # Clips

    async def upload(
        self,
        item_id: str,
        path: str | Path,
        *,
        title: str = "",
        wait: bool = True,
        progress: Told | None = None,
        timeout_seconds: float = 600.0,
    ) -> MediaJob:
        """Send the clip of an item; an item that is unknown is made."""
        job = await self.send(calls.upload(item_id, Path(path), title=title))
        return await self.wait_for(job, progress=progress, timeout_seconds=timeout_seconds) if wait else job

    async def job(self, job_id: str) -> MediaJob:
        """How far a clip has come."""
        return await self.send(calls.job(job_id))

    async def wait_for(
        self, job: MediaJob, *, progress: Told | None = None, timeout_seconds: float = 600.0
    ) -> MediaJob:
        """Wait until a clip is recommendable; see `upload`."""
        waiting = Waiting(job, progress, timeout_seconds)
        while not waiting.is_over():
            await self._sleep(waiting.pause())
            waiting.told(await self.job(job.job_id))
        return waiting.job

    # Events

    async def log(self, events: EventIn | Iterable[EventIn]) -> EventsOut:
        """Log one event or several; what was accepted is durable, and in the users' next answers."""
        moment = time.time_ns() // 1_000_000
        if isinstance(events, EventIn):
            return await self.send(calls.log_one(calls.stamped(events, now_ms=moment)))
        given = [calls.stamped(event, now_ms=moment) for event in events]
        logged = calls.Logged(given)
        for first, part in calls.parts_of(given):
            try:
                logged.answered(first, await self.send(calls.log_batch(part)))
            except ClientError as error:
                logged.failed(first, error)
        return logged.out()

    async def send(self, call: Call[Answered]) -> Answered:
        """Send a request, again where that may help; its answer, checked."""
        return call.read(await self.fetch(call))

    async def fetch(self, call: Call[Any]) -> bytes:
        """The body of the answer to a request; see `send`."""
        import httpx2  # noqa: PLC0415  # the same

        attempt = 0
        while True:
            error: ClientError
            try:
                response = await self._ask(call)
            except httpx2.TransportError as failure:
                error = unreachable(failure, str(self._http.base_url))
            else:
                if response.is_success:
                    return bytes(response.content)
                error = error_of(response.status_code, response.content, headers=response.headers, now_s=time.time())
            if attempt and call.done is not None and isinstance(error, NotFoundError):
                return str(call.done.model_dump_json()).encode()
            seconds = self._retries.wait(attempt, error, share=random.random()) if call.repeatable else None  # noqa: S311
            if seconds is None:
                raise error
            await self._sleep(seconds)
            attempt += 1

    async def _ask(self, call: Call[Any]) -> "httpx2.Response":
        if call.file is None:
            return await self._http.request(**request_of(call))
        return await self._http.request(**request_of(call), content=_pieces(call.file))


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    """A file piece by piece, read beside the event loop."""
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
