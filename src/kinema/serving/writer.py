"""What is acknowledged is durable: events and slates of many requests go into one transaction each, in turn.

A transaction that is synced to disk costs milliseconds whatever is in it, so requests that arrive while one is being written
share the next one. Whoever waits for a result knows that it is in the store, and in the world that answers next.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final

import polars as pl

from kinema.errors import BusyError, DataError, KinemaError
from kinema.logs import get_logger
from kinema.schema import Event
from kinema.serving.problems import Problem
from kinema.store.service_protocols import LoggedSlate, ServiceStore

_LOG = get_logger("serving")
_MOST_AT_ONCE: Final = 256
_MOST_WAITING: Final = 10_000


@dataclass(frozen=True)
class _Job:
    """Something to write, and who waits for it."""

    what: tuple[Event, ...] | LoggedSlate
    create_items: bool
    done: "Future[None]"


class Writer:
    """One thread that writes.

    Args:
        store: Where to.
        applied: Called after events were written and before anybody is told.
    """

    def __init__(self, store: ServiceStore, *, applied: Callable[[], None]) -> None:
        self._store = store
        self._applied = applied
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="kinema-writer", daemon=True)
        self._is_closed = False

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits, then stop."""
        self._is_closed = True
        self._queue.put(None)
        self._thread.join()

    @property
    def num_waiting(self) -> int:
        """Jobs that have not been begun."""
        return self._queue.qsize()

    def events(self, events: Sequence[Event], *, create_items: bool = False) -> "Future[None]":
        """Append events; done when they are durable and in the world.

        Raises:
            Problem: 503, too much is waiting, or the service stops.
        """
        return self._put(_Job(tuple(events), create_items, Future()))

    def slate(self, slate: LoggedSlate) -> "Future[None]":
        """Log a slate; done when it is durable.

        Raises:
            Problem: See `events`.
        """
        return self._put(_Job(slate, create_items=False, done=Future()))

    def _put(self, job: _Job) -> "Future[None]":
        if self._is_closed or self._queue.qsize() >= _MOST_WAITING:
            why = "the service stops" if self._is_closed else f"{_MOST_WAITING:,} requests wait to be written"
            raise Problem(503, f"{why}; try again in a second", headers={"Retry-After": "1"})
        self._queue.put(job)
        return job.done

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            jobs, goes_on = self._next()
            created = [job for job in jobs if job.create_items]
            for chosen in ([job for job in jobs if not job.create_items], created):
                if chosen:
                    self._write_round(chosen)

    def _next(self) -> tuple[list[_Job], bool]:
        """What is written together, and whether more may come."""
        first = self._queue.get()
        if first is None:
            return [], False
        jobs = [first]
        while len(jobs) < _MOST_AT_ONCE:
            try:
                job = self._queue.get_nowait()
            except Empty:
                break
            if job is None:
                return jobs, False
            jobs.append(job)
        return jobs, True

    def _write_round(self, jobs: list[_Job]) -> None:
        """Write what came together: events and slates in one transaction."""
        asking = [job for job in jobs if isinstance(job.what, tuple)]
        events = [event for job in jobs if isinstance(job.what, tuple) for event in job.what]
        slates = [job.what for job in jobs if isinstance(job.what, LoggedSlate)]
        try:
            refused = self._store.write_served(events, slates, create_items=jobs[0].create_items).rejected
            if events:
                self._applied()
        except Exception as error:  # noqa: BLE001  # whoever waits is told, whatever it is
            if len(jobs) == 1 or isinstance(error, BusyError) or not isinstance(error, KinemaError):
                _fail(jobs, error)
                return
            for job in jobs:  # one of them is to blame; what was written is known when it comes again
                self._write_round([job])
            return
        _tell([job for job in jobs if not refused or isinstance(job.what, LoggedSlate)])
        if refused and len(asking) == 1:
            told = f"{refused} of {len(events)} events name an item that is gone"
            _fail(asking, Problem(404, told, field="item_id"))
        elif refused:
            for job in asking:
                self._write_round([job])


def _tell(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.done.set_running_or_notify_cancel():
            job.done.set_result(None)


def _fail(jobs: list[_Job], error: Exception) -> None:
    tell = _LOG.warning if isinstance(error, DataError) and not isinstance(error, BusyError) else _LOG.error
    tell("writing failed", error=type(error).__name__, requests=len(jobs))
    for job in jobs:
        if job.done.set_running_or_notify_cancel():
            job.done.set_exception(error)


def item_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Items as a store takes them.

    Args:
        rows: ``id``, and the same columns of an item in each; ``attributes`` is JSON text.

    Example:
        >>> item_frame([{"id": "v1", "categories": [], "published_at": None}]).schema["published_at"]
        Int64
    """
    return pl.DataFrame(rows, schema_overrides=_ITEM_TYPES)


_ITEM_TYPES: Final[Mapping[str, Any]] = {
    "title": pl.String,
    "description": pl.String,
    "categories": pl.List(pl.String),
    "tags": pl.List(pl.String),
    "language": pl.String,
    "published_at": pl.Int64,
    "duration_ms": pl.Int64,
    "hidden": pl.Boolean,
    "attributes": pl.String,
}
