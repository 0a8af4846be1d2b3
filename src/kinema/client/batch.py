"""What a buffer of events knows, without threads or tasks: what waits, what is due, what was refused."""

from collections import deque

from kinema.client.calls import REFUSED
from kinema.client.errors import BufferFullError, ClientError, ServiceError, UnsentEventsError
from kinema.errors import ConfigError
from kinema.serving.wire import EventIn, EventsOut, RejectedEvent


class Batch:
    """Events that wait to be sent together.

    Args:
        max_events: Sent at once, and as soon as so many wait.
        max_seconds: The longest that one waits before it is sent.
        max_waiting: Most that may wait; more are not taken.

    Raises:
        ConfigError: A number is out of range.
    """

    def __init__(self, *, max_events: int, max_seconds: float, max_waiting: int) -> None:
        if not 1 <= max_events <= max_waiting or max_seconds <= 0:
            raise ConfigError(
                "a buffer must have max_seconds > 0 and 1 <= max_events <= max_waiting, "
                f"has {max_seconds}, {max_events} and {max_waiting}"
            )
        self.max_events = max_events
        self.max_seconds = max_seconds
        self.max_waiting = max_waiting
        self.num_sent = 0
        self.trouble: ClientError | None = None
        self._waiting: deque[tuple[float, EventIn]] = deque()
        self._in_flight: list[tuple[float, EventIn]] = []
        self._rejected: list[tuple[EventIn, RejectedEvent]] = []
        self._not_before = 0.0

    def __len__(self) -> int:
        """Events that are not known to have arrived."""
        return len(self._waiting) + len(self._in_flight)

    @property
    def rejected(self) -> tuple[tuple[EventIn, RejectedEvent], ...]:
        """What the service refused, and why."""
        return tuple(self._rejected)

    def add(self, event: EventIn, now_s: float) -> None:
        """Take an event.

        Raises:
            BufferFullError: Too many wait already.
        """
        if len(self) >= self.max_waiting:
            why = f": {self.trouble}" if self.trouble else ""
            raise BufferFullError(f"{len(self):,} events wait to be sent, the most there may be{why}")
        self._waiting.append((now_s, event))

    def due_in(self, now_s: float) -> float | None:
        """Seconds until something is to be sent, 0 for now; None where nothing waits."""
        if not self._waiting:
            return None
        full = len(self._waiting) >= self.max_events
        due_s = now_s if full else self._waiting[0][0] + self.max_seconds
        return max(max(due_s, self._not_before) - now_s, 0.0)

    def take(self) -> list[EventIn]:
        """What is sent next."""
        number = min(self.max_events, len(self._waiting))
        self._in_flight = [self._waiting.popleft() for _ in range(number)]
        return [event for _, event in self._in_flight]

    def arrived(self, answer: EventsOut) -> None:
        """What was taken out has been answered."""
        events = [event for _, event in self._in_flight]
        self._rejected += [(events[one.index], one) for one in answer.rejected]
        self.num_sent += answer.accepted
        self._in_flight, self.trouble = [], None

    def failed(self, error: ClientError, now_s: float) -> None:
        """What was taken out has not been taken in: it waits on, unless it is the events that are at fault."""
        if isinstance(error, ServiceError) and error.status in REFUSED:
            refusal = RejectedEvent(index=0, code=error.code, message=error.message, field=error.field)
            self._rejected += [(event, refusal) for _, event in self._in_flight]
        else:
            self._waiting.extendleft(reversed(self._in_flight))
            self._not_before = now_s + self.max_seconds
        self._in_flight, self.trouble = [], error

    def unsent(self) -> UnsentEventsError | None:
        """What to raise in the end; None where all is well."""
        events = [event for _, event in (*self._in_flight, *self._waiting)]
        if not events and not self._rejected:
            return None
        return UnsentEventsError(events, self._rejected, cause=self.trouble)
