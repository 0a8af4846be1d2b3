"""What every route needs: the engine of the application, and work done beside the event loop."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Path, Query, Request
from pydantic import BeforeValidator

from kinema.serving.auth import Principal, principal_of
from kinema.serving.engine import Engine
from kinema.serving.gallery import ViewDesk
from kinema.serving.likeness import Crowd
from kinema.serving.media import MediaDesk
from kinema.serving.people_names import PeopleNames
from kinema.serving.segments import read_segment
from kinema.serving.wire import NO_CONTROL, Id, Word

T = TypeVar("T")
Logged = tuple[bytes, "Future[None]"]
"""An answer, and what is done once its slate is durable."""


@dataclass(frozen=True, eq=False)
class ServiceParts:
    """What an application answers with.

    Attributes:
        engine: Started.
        pool: Where answers are computed, so that the event loop stays free.
        long_pool: Where those are computed that take seconds, so that the others need not wait.
        names: Of people, for those who may not see ids.
        file_searches: Who searches by a file.
        media: Takes clips in; None takes none.
        views: Shows clips; None shows none.
        max_batch: Events in one request.
        max_upload_bytes: Of one clip.
        max_image_bytes: Of a picture to search with.
        max_body_bytes: Of JSON.
        personal: Attributes of users that are masked for most, in small letters.
    """

    engine: Engine
    pool: Executor
    long_pool: Executor
    names: PeopleNames
    file_searches: Crowd = field(default_factory=lambda: Crowd(8))
    media: MediaDesk | None = None
    views: ViewDesk | None = None
    max_batch: int = 1000
    max_upload_bytes: int = 512 << 20
    max_image_bytes: int = 20 << 20
    max_body_bytes: int = 2 << 20
    personal: frozenset[str] = frozenset()

    async def run(self, work: Callable[..., T], *given: Any, **named: Any) -> T:
        """Do work in the pool."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, lambda: work(*given, **named))

    async def run_long(self, work: Callable[..., T], *given: Any, **named: Any) -> T:
        """Do work that takes seconds."""
        return await asyncio.get_running_loop().run_in_executor(self.long_pool, lambda: work(*given, **named))

    async def run_logged(self, work: Callable[[], Logged]) -> bytes:
        """Make an answer in the pool and wait until it is logged; the event loop is woken once, when it may be sent."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()

        def finish(body: bytes, error: BaseException | None) -> None:
            if answer.done():  # nobody waits any longer
                return
            if error is None:
                answer.set_result(body)
            else:
                answer.set_exception(error)

        def tell(body: bytes, error: BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):  # the service has ended
                loop.call_soon_threadsafe(finish, body, error)

        def make() -> None:
            try:
                body, logged = work()
            except Exception as error:  # noqa: BLE001  # it is raised where it is waited for
                tell(b"", error)
            else:
                logged.add_done_callback(lambda done: tell(body, done.exception()))

        queued = self.pool.submit(make)
        try:
            return await answer
        finally:
            queued.cancel()


async def written(done: "Future[None]") -> None:
    """Wait until something is durable."""
    await asyncio.wrap_future(done)


async def _parts(request: Request) -> ServiceParts:
    found: ServiceParts = request.app.state.parts
    return found


Who = Annotated[Principal, Depends(principal_of)]
Parts = Annotated[ServiceParts, Depends(_parts)]
ItemId = Annotated[Id, BeforeValidator(read_segment), Path(description="item id", json_schema_extra=NO_CONTROL)]
UserId = Annotated[Id, BeforeValidator(read_segment), Path(description="user id", json_schema_extra=NO_CONTROL)]
PathWord = Annotated[Word, BeforeValidator(read_segment)]
"""A part of a path that is no id."""
HowMany = Annotated[int, Query(alias="n", ge=1, le=1000, description="how many")]
Cursor = Annotated[
    str | None, Query(max_length=40, pattern=r"^[0-9]{1,18}$", description="where an earlier page ended")
]
PageSize = Annotated[int, Query(ge=1, le=1000, description="rows of a page")]
