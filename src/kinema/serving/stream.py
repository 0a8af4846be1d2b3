"""Events that come over a Redis stream: read by a consumer group, acknowledged once they are durable, told apart by id.

At least once: a message that was read and not acknowledged, because the process died, is taken over by another one. A second
time changes nothing, since an event without an id of its own is known by the message's.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson
import redis
from pydantic import ValidationError

from kinema.errors import KinemaError
from kinema.logs import get_logger
from kinema.schema import Event
from kinema.serving.engine import Engine, now_ms
from kinema.serving.problems import Problem, invalid_field
from kinema.serving.routes.events import as_event, check_item
from kinema.serving.wire import EventIn

_LOG = get_logger("serving")
_AT_ONCE: Final = 500
_BLOCK_MS: Final = 1000
_IDLE_MS: Final = 30_000
_LONGEST_PAUSE: Final = 10.0
_MOST_REJECTED: Final = 100_000
Message = tuple[bytes, Mapping[bytes, bytes]]


class StreamReader:
    """A thread that reads a stream.

    Args:
        engine: Started.
        url: ``redis://...``.
        stream: Name of the stream; what cannot be taken goes to the stream ``NAME:rejected`` with its reason.
        group: Name of the consumer group, made if it is not there: from the beginning of the stream.
        consumer: Name of this process in it; None makes one.
        idle_ms: After which what another consumer has read and not acknowledged is taken over.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        url: str,
        stream: str = "kinema:events",
        group: str = "kinema",
        consumer: str | None = None,
        idle_ms: int = _IDLE_MS,
    ) -> None:
        self._engine = engine
        self._redis = redis.Redis.from_url(url, socket_timeout=_BLOCK_MS / 1000 + 5, socket_connect_timeout=5)
        self._stream, self._group = stream, group
        self._consumer = consumer or f"{socket.gethostname()}-{os.getpid()}"
        self._idle_ms = idle_ms
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kinema-stream", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what was read, then stop."""
        self._stopping.set()
        self._thread.join(timeout=_BLOCK_MS / 1000 + 10)
        self._redis.close()

    def _run(self) -> None:
        pause = 0.5
        while not self._stopping.is_set():
            try:
                self._make_group()
                self._read()
                pause = 0.5
            except redis.RedisError as error:
                _LOG.warning("the stream cannot be read; it is tried again", error=type(error).__name__, seconds=pause)
            except Exception as error:  # noqa: BLE001  # nothing is acknowledged that was not written, so it comes again
                _LOG.error("events of the stream could not be written", error=type(error).__name__)
            self._stopping.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _make_group(self) -> None:
        try:
            self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _read(self) -> None:
        """Until asked to stop: first what others have left behind, then what is new."""
        while not self._stopping.is_set():
            left = self._ask(
                self._redis.xautoclaim,
                self._stream,
                self._group,
                self._consumer,
                min_idle_time=self._idle_ms,
                count=_AT_ONCE,
            )[1]
            if left:
                self._take(left)
                continue
            new = self._ask(
                self._redis.xreadgroup,
                self._group,
                self._consumer,
                {self._stream: ">"},
                count=_AT_ONCE,
                block=_BLOCK_MS,
            )
            if new:
                self._take(new[0][1])

    @staticmethod
    def _ask(call: Callable[..., Any], *given: Any, **named: Any) -> Any:
        return call(*given, **named)

    def _take(self, messages: Sequence[Message]) -> None:
        """Write what is good, set the rest aside, then acknowledge all of it."""
        arrived, good, done = now_ms(), [], []
        for its_id, fields in messages:
            try:
                good.append((its_id, fields, self._event(its_id, fields, arrived)))
            except (ValidationError, Problem, ValueError) as error:
                self._set_aside(its_id, fields, _reason(error))
                done.append(its_id)
        try:
            self._engine.write([event for *_, event in good]).result()
            done += [its_id for its_id, *_ in good]
        except KinemaError:
            self._take_singly(good, done)
        except Problem as problem:
            if problem.status == 503:
                raise
            self._take_singly(good, done)
        self._redis.xack(self._stream, self._group, *done)

    def _take_singly(self, good: Sequence[tuple[bytes, Mapping[bytes, bytes], Event]], done: list[bytes]) -> None:
        for its_id, fields, event in good:
            try:
                self._engine.write([event]).result()
            except (KinemaError, Problem) as error:
                self._set_aside(its_id, fields, _reason(error))
            done.append(its_id)

    def _event(self, its_id: bytes, fields: Mapping[bytes, bytes], arrived_ms: int) -> Event:
        """A message as an event: JSON in the field ``event``, or one field for each."""
        if b"event" in fields:
            given = orjson.loads(fields[b"event"])
        else:
            given = {name.decode(): _value(name, value) for name, value in fields.items()}
        event = as_event(EventIn.model_validate(given), arrived_ms)
        check_item(self._engine, event)
        if event.id:
            return event
        # The moment of arrival would be another one the second time.
        moment = int(its_id.split(b"-")[0]) if given.get("timestamp_ms") is None else event.timestamp_ms
        return replace(event, id=f"redis:{self._stream}:{its_id.decode()}", timestamp_ms=moment)

    def _set_aside(self, its_id: bytes, fields: Mapping[bytes, bytes], reason: str) -> None:
        told: dict[Any, Any] = {**fields, b"message": its_id, b"reason": reason.encode()}
        self._redis.xadd(f"{self._stream}:rejected", told, maxlen=_MOST_REJECTED)
        self._engine.telemetry.count_events(rejected=1)


def _value(name: bytes, value: bytes) -> Any:
    text = value.decode()
    return orjson.loads(text) if name == b"context" else text


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return invalid_field(error.errors(include_url=False)[0])[1]
    return error.message if isinstance(error, Problem) else str(error)
