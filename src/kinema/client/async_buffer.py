"""Events sent in the background by a task; see `kinema.client.buffer`, of which this is the twin."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self

from kinema.client.batch import Batch
from kinema.client.calls import stamped
from kinema.client.errors import ClientError, as_client_error
from kinema.serving.wire import EventIn, EventsOut, RejectedEvent


class AsyncEventBuffer:
    """Takes events at once and sends them together. Use it in an ``async with`` of one event loop.

    Args:
        send: Sends events that carry ids.
        max_events: Sent at once, and as soon as so many wait.
        max_seconds: The longest that one waits before it is sent.
        max_waiting: Most that may wait; `add` refuses more.
    """

    def __init__(
        self,
        send: Callable[[Sequence[EventIn]], Awaitable[EventsOut]],
        *,
        max_events: int = 200,
        max_seconds: float = 1.0,
        max_waiting: int = 10_000,
    ) -> None:
        self._send = send
        self._batch = Batch(max_events=max_events, max_seconds=max_seconds, max_waiting=max_waiting)
        self._changed = asyncio.Event()
        self._sending = asyncio.Lock()
        self._is_closed = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="kinema-events")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def num_waiting(self) -> int:
        """Events that are not known to have arrived."""
        return len(self._batch)

    @property
    def num_sent(self) -> int:
        """Events that the service has taken."""
        return self._batch.num_sent

    @property
    def rejected(self) -> tuple[tuple[EventIn, RejectedEvent], ...]:
        """Events that the service refused, and why."""
        return self._batch.rejected

    def add(self, event: EventIn) -> None:
        """Take an event; it gets an id and, without a moment of its own, this one.

        Raises:
            BufferFullError: Too many wait already.
            ClientError: The buffer is closed, or not entered yet.
        """
        if self._is_closed or self._task is None:
            raise ClientError("the buffer is not open and takes no events")
        self._batch.add(stamped(event, now_ms=time.time_ns() // 1_000_000), time.monotonic())
        self._changed.set()

    async def flush(self) -> None:
        """Send what waits now.

        Raises:
            UnsentEventsError: Some did not arrive; they are tried again, and those that were refused are told again when it is closed.
        """
        await self._send_all(everything=True)
        self._raise()

    async def close(self) -> None:
        """Send what waits, then stop; a second time it does nothing.

        Raises:
            UnsentEventsError: Some did not arrive.
        """
        if self._is_closed or self._task is None:
            return
        self._is_closed = True
        self._changed.set()
        await self._task
        self._raise()

    def _raise(self) -> None:
        error = self._batch.unsent()
        if error is not None:
            raise error from self._batch.trouble

    async def _run(self) -> None:
        while not self._is_closed:
            due = self._batch.due_in(time.monotonic())
            if due == 0.0:
                await self._send_all(everything=False)
                continue
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), timeout=due)
            except TimeoutError:
                continue
        await self._send_all(everything=True)

    async def _send_all(self, *, everything: bool) -> None:
        """Send batch after batch until nothing is due, or one fails."""
        async with self._sending:
            while True:
                due = self._batch.due_in(time.monotonic())
                if due is None or (due > 0 and not everything):
                    return
                try:
                    self._batch.arrived(await self._send(self._batch.take()))
                except Exception as error:  # noqa: BLE001  # a task that dies would lose what comes after
                    self._batch.failed(as_client_error(error), time.monotonic())
                    if len(self._batch):
                        return


class AsyncEvents:
    """Events that nobody waits for.

    Args:
        log: Sends them.
    """

    def __init__(self, log: Callable[[Sequence[EventIn]], Awaitable[EventsOut]]) -> None:
        self._log = log

    def buffer(self, *, max_events: int = 200, max_seconds: float = 1.0, max_waiting: int = 10_000) -> AsyncEventBuffer:
        """A buffer that sends events in the background; see `kinema.client.async_buffer.AsyncEventBuffer`."""
        return AsyncEventBuffer(self._log, max_events=max_events, max_seconds=max_seconds, max_waiting=max_waiting)
