"""The client for threads: every path of the service as a method that returns a checked answer."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from kinema.client import calls
from kinema.client.buffer import Events
from kinema.client.calls import Answered, Call, Weights, made
from kinema.client.console import Console
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

    from kinema.client.operations import Operations


class Client:
    """A connection to a service. Safe to share between threads; close it, or use it in a ``with``.

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
        >>> with Client("http://127.0.0.1:8000", transport=httpx2.MockTransport(service)) as client:
        ...     client.get_user("u1").attributes
        {'country': 'de'}
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout_seconds: float = 10.0,
        retries: Retries | None = None,
        transport: "httpx2.BaseTransport | None" = None,
    ) -> None:
        require("httpx2")
        import httpx2  # noqa: PLC0415  # comes with the extra

        how = {"base_url": checked_url(url), "headers": headers_of(api_key), "timeout": timeout_seconds}
        self._http = httpx2.Client(**how, transport=transport)  # type: ignore[arg-type]  # named above
        self._retries = retries or Retries()
        self._sleep: Callable[[float], None] = time.sleep
        self.events = Events(self.log)
        self.console = Console(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def operations(self) -> "Operations":
        """Models, scenarios, experiments and health, for those who run the service."""
        from kinema.client.operations import Operations  # noqa: PLC0415  # brings what most clients never ask

        return Operations(self.send)

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    # Answers

    def recommend(
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
        """Items for a user, by everything they did up to this moment.

        Args:
            user_id: Who; somebody unknown gets what is popular, and the answer's notice says so.
            n: How many, 1..1000.
            scenario: Placement.
            exclude: Items not to be shown.
            session: What happened beside what is stored, oldest first; a text is an item that was clicked.
            session_id: Keeps a guest in one variant of an experiment.
            context: Kept with the logged answer.
            explain: Say why each item is here.
            debug: Show what each stage did.

        Raises:
            InvalidRequestError: An argument is out of range.
        """
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
        return self.send(calls.recommend(user_id, asked))

    def recommend_guest(
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
        return self.send(calls.recommend_guest(asked))

    def similar(self, item_id: str, n: int = 10, *, modality: str | None = None, user_id: str = "") -> SimilarOut:
        """Items like an item, by content and behaviour or by one modality; ``user_id`` is who looks."""
        return self.send(calls.similar(item_id, num_items=n, modality=modality, user_id=user_id))

    def audience(self, item_id: str, n: int = 10) -> AudienceOut:
        """Users who should see an item."""
        return self.send(calls.audience(item_id, num_users=n))

    def search(
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
        """Items that answer words.

        Args:
            q: Words to look for.
            n: How many, 1..1000.
            user_id: Whose taste counts a little.
            user_weight: How much, in [0, 1]; None leaves it to the service.
            categories: Only items of these.
            languages: Only items in these.
            min_duration_ms: Only items that last at least so long.
            max_duration_ms: Only items that last at most so long.
            published_since: UTC milliseconds or ISO 8601.
            hide_seen: Leave out what the user has seen.
        """
        taste = {"user_id": user_id, "user_weight": user_weight, "hide_seen": hide_seen}
        asked = made(
            SearchIn,
            q=q,
            n=n,
            categories=list(categories),
            languages=list(languages),
            min_duration_ms=min_duration_ms,
            max_duration_ms=max_duration_ms,
            published_since=published_since,
            **taste,
        )
        return self.send(calls.search(asked))

    # Items and users

    def put_item(self, item_id: str, item: ItemIn | None = None, **fields: Any) -> ItemOut:
        """Make an item or replace it; it is recommendable when this returns.

        Args:
            item_id: Its id.
            item: The item as it is to be; None takes the fields.
            **fields: Of `kinema.serving.wire.ItemIn`: ``title``, ``categories``, ``tags``, ...
        """
        return self.send(calls.put_item(item_id, made(ItemIn, **fields) if item is None else item))

    def get_item(self, item_id: str) -> ItemOut:
        """One item.

        Raises:
            NotFoundError: There is none.
        """
        return self.send(calls.get_item(item_id))

    def delete_item(self, item_id: str) -> Deleted:
        """Delete an item: it is in no next answer."""
        return self.send(calls.delete_item(item_id))

    def list_items(self, cursor: str | None = None, limit: int = 100) -> ItemPage:
        """A page of items, and the cursor of the next."""
        return self.send(calls.list_items(cursor, limit))

    def iter_items(self, page_size: int = 100) -> Iterator[ItemOut]:
        """All items, page by page as they are needed."""
        cursor = None
        while True:
            page = self.list_items(cursor, page_size)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def put_user(self, user_id: str, attributes: Mapping[str, Any] | None = None) -> UserOut:
        """Make a user or replace their attributes; the next answer knows them."""
        return self.send(calls.put_user(user_id, made(UserIn, attributes=dict(attributes or {}))))

    def get_user(self, user_id: str) -> UserOut:
        """One user.

        Raises:
            NotFoundError: There is none.
        """
        return self.send(calls.get_user(user_id))

    def delete_user(self, user_id: str) -> Deleted:
        """Erase a person: attributes, events, logged answers."""
        return self.send(calls.delete_user(user_id))

    def list_users(self, cursor: str | None = None, limit: int = 100) -> UserPage:
        """A page of users, and the cursor of the next."""
        return self.send(calls.list_users(cursor, limit))

    def iter_users(self, page_size: int = 100) -> Iterator[UserOut]:
        """All users, page by page as they are needed."""
        cursor = None
        while True:
            page = self.list_users(cursor, page_size)
            yield from page.users
            cursor = page.next_cursor
            if cursor is None:
                return

    def get_profile(self, user_id: str) -> ProfileOut:
        """What a user is interested in, by topic and modality."""
        return self.send(calls.get_profile(user_id))

    def put_profile(self, user_id: str, topics: Weights = None, modalities: Weights = None) -> ProfileOut:
        """Set weights, 0..10: 0 shows none of a topic; of what is given, that which is left out goes back to 1."""
        return self.send(calls.put_profile(user_id, made(ProfileIn, topics=topics, modalities=modalities)))

    def export_user(self, user_id: str) -> Export:
        """Everything that is kept of a user."""
        return self.send(calls.export_user(user_id))

    # Clips

    def upload(
        self,
        item_id: str,
        path: str | Path,
        *,
        title: str = "",
        wait: bool = True,
        progress: Told | None = None,
        timeout_seconds: float = 600.0,
    ) -> MediaJob:
        """Send the clip of an item; an item that is unknown is made.

        Args:
            item_id: Whose clip it is.
            path: Of the video file.
            title: Of an item that is made.
            wait: Return when it is recommendable; False when the file is safe.
            progress: Told the job whenever its status changes.
            timeout_seconds: Longest wait.

        Raises:
            UploadFailedError: The clip cannot be used; the item keeps its text.
            ServiceUnreachableError: It is not recommendable in time; `wait_for` goes on waiting.
        """
        job = self.send(calls.upload(item_id, Path(path), title=title))
        return self.wait_for(job, progress=progress, timeout_seconds=timeout_seconds) if wait else job

    def job(self, job_id: str) -> MediaJob:
        """How far a clip has come."""
        return self.send(calls.job(job_id))

    def wait_for(self, job: MediaJob, *, progress: Told | None = None, timeout_seconds: float = 600.0) -> MediaJob:
        """Wait until a clip is recommendable; see `upload`."""
        waiting = Waiting(job, progress, timeout_seconds)
        while not waiting.is_over():
            self._sleep(waiting.pause())
            waiting.told(self.job(job.job_id))
        return waiting.job

    # Events

    def log(self, events: EventIn | Iterable[EventIn]) -> EventsOut:
        """Log one event or several; what was accepted is durable, and in the users' next answers.

        Each event gets an id and a moment where it has none, so that a request can be sent again; who calls again after an
        error gives events ids of their own. More than 1,000 are sent in parts. See `Events.buffer` for events that nobody
        waits for.

        Raises:
            InvalidRequestError: None of them could be taken.
            NotFoundError: Their items are unknown.
            UnsentEventsError: Some parts were sent, and those that it names were not.
        """
        moment = time.time_ns() // 1_000_000
        if isinstance(events, EventIn):
            return self.send(calls.log_one(calls.stamped(events, now_ms=moment)))
        given = [calls.stamped(event, now_ms=moment) for event in events]
        logged = calls.Logged(given)
        for first, part in calls.parts_of(given):
            try:
                logged.answered(first, self.send(calls.log_batch(part)))
            except ClientError as error:
                logged.failed(first, error)
        return logged.out()

    def send(self, call: Call[Answered]) -> Answered:
        """Send a request, again where that may help; its answer, checked."""
        return call.read(self.fetch(call))

    def fetch(self, call: Call[Any]) -> bytes:
        """The body of the answer to a request; see `send`."""
        import httpx2  # noqa: PLC0415  # the same

        attempt = 0
        while True:
            error: ClientError
            try:
                response = self._ask(call)
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
            self._sleep(seconds)
            attempt += 1

    def _ask(self, call: Call[Any]) -> "httpx2.Response":
        if call.file is None:
            return self._http.request(**request_of(call))
        with call.file.open("rb") as file:
            return self._http.request(**request_of(call), content=file)
