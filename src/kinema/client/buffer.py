"""Events sent in the background by a thread: the caller does not wait, and nothing is lost in silence."""

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from kinema.client.batch import Batch
from kinema.client.calls import stamped
from kinema.client.errors import ClientError, as_client_error
from kinema.serving.wire import EventIn, EventsOut, RejectedEvent


class EventBuffer:
    """Takes events at once and sends them together. Safe to share between threads; close it, or use it in a ``with``.

    Events that could not be sent wait and are tried again; what has not arrived when it is closed is in the error.

    Args:
        send: Sends events that carry ids.
        max_events: Sent at once, and as soon as so many wait.
        max_seconds: The longest that one waits before it is sent.
        max_waiting: Most that may wait; `add` refuses more.

    Example:
        >>> sent = []
        >>> def send(events):
        ...     sent.extend(events)
        ...     return EventsOut(accepted=len(events))
        >>> with EventBuffer(send) as buffer:
        ...     buffer.add(EventIn(user_id="u1", item_id="v1", kind="click"))
        >>> len(sent), buffer.num_sent
        (1, 1)
    """

    def __init__(
        self,
        send: Callable[[Sequence[EventIn]], EventsOut],
        *,
        max_events: int = 200,
        max_seconds: float = 1.0,
        max_waiting: int = 10_000,
    ) -> None:
        self._send = send
        self._batch = Batch(max_events=max_events, max_seconds=max_seconds, max_waiting=max_waiting)
        self._changed = threading.Condition()
        self._is_closed = False
        self._flushes_wanted = 0
        self._flushes_done = 0
        self._thread = threading.Thread(target=self._run, name="kinema-events", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

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
            ClientError: The buffer is closed.
        """
        event = stamped(event, now_ms=time.time_ns() // 1_000_000)
        with self._changed:
            if self._is_closed:
                raise ClientError("the buffer is closed and takes no more events")
            self._batch.add(event, time.monotonic())
            self._changed.notify_all()

    def flush(self) -> None:
        """Send what waits now.

        Raises:
            UnsentEventsError: Some did not arrive; they are tried again, and those that were refused are told again when it is closed.
        """
        with self._changed:
            self._flushes_wanted += 1
            mine = self._flushes_wanted
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._flushes_done >= mine or not self._thread.is_alive())
            self._raise()

    def close(self) -> None:
        """Send what waits, then stop; a second time it does nothing.

        Raises:
            UnsentEventsError: Some did not arrive.
        """
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()
        self._raise()

    def _raise(self) -> None:
        error = self._batch.unsent()
        if error is not None:
            raise error from self._batch.trouble

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._wakes, timeout=self._batch.due_in(time.monotonic()))
                flushes, is_last = self._flushes_wanted, self._is_closed
            self._send_all(everything=is_last or flushes > self._flushes_done)
            with self._changed:
                self._flushes_done = flushes
                self._changed.notify_all()
            if is_last:
                return

    def _wakes(self) -> bool:
        is_wanted = self._is_closed or self._flushes_wanted > self._flushes_done
        return is_wanted or self._batch.due_in(time.monotonic()) == 0.0

    def _send_all(self, *, everything: bool) -> None:
        """Send batch after batch until nothing is due, or one fails."""
        while True:
            with self._changed:
                due = self._batch.due_in(time.monotonic())
                if due is None or (due > 0 and not everything):
                    return
                events = self._batch.take()
            try:
                answer = self._send(events)
            except Exception as error:  # noqa: BLE001  # a thread that dies would lose what comes after
                with self._changed:
                    self._batch.failed(as_client_error(error), time.monotonic())
                    if len(self._batch):
                        return
            else:
                with self._changed:
                    self._batch.arrived(answer)


class Events:
    """Events that nobody waits for.

    Args:
        log: Sends them.
    """

    def __init__(self, log: Callable[[Sequence[EventIn]], EventsOut]) -> None:
        self._log = log

    def buffer(self, *, max_events: int = 200, max_seconds: float = 1.0, max_waiting: int = 10_000) -> EventBuffer:
        """A buffer that sends events in the background; see `kinema.client.buffer.EventBuffer`."""
        return EventBuffer(self._log, max_events=max_events, max_seconds=max_seconds, max_waiting=max_waiting)
