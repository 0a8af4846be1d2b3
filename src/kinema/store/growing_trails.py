"""Trails to which events are added while they are read: a user's row moves to the end of the arrays, with the new event behind it.

Shape suffixes: U users, E events, N questions, B questions of a batch, L length.
"""

import threading
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.store.trails import Trails, ends_within, newest_within

_ROOM: Final = 1024


class GrowingTrails:
    """Asked like `kinema.store.trails.Trails`. Readers take no lock: where a user's row lies is read and written as one.

    Args:
        trails: What is known at first.

    Example:
        >>> from kinema.schema import EventKind
        >>> import polars as pl
        >>> from kinema.store.trails import pack_trails
        >>> log = pl.DataFrame({"user": [0], "item": [2], "timestamp_ms": [10], "kind": ["click"]})
        >>> trails = GrowingTrails(pack_trails(log, kinds=[EventKind.CLICK], num_users=1))
        >>> trails.add(3, 7, kind="click", timestamp_ms=20)
        >>> trails.ends_before(np.array([0, 3]), np.array([99, 99])) - trails.starts(np.array([0, 3]))
        array([1, 1])
    """

    def __init__(self, trails: Trails) -> None:
        self.kinds = trails.kinds
        self.items_E = trails.items_E
        self.kinds_E = trails.kinds_E
        self.times_ms_E = trails.times_ms_E
        self._numbers = {name: number for number, name in enumerate(trails.kinds)}
        self._spans_U2 = np.stack([trails.offsets[:-1], trails.offsets[1:]], axis=1)
        self._num_events = len(trails.items_E)
        self._lock = threading.Lock()

    @property
    def num_users(self) -> int:
        """U, with room for some who may come."""
        return len(self._spans_U2)

    def add(self, user: int, item: int, *, kind: str, timestamp_ms: int) -> None:
        """Add an event; one of another kind than the trails are of is passed over.

        Args:
            user: Number; a new one makes room for all up to it.
            item: Number.
            kind: Name.
            timestamp_ms: UTC; one that arrives late takes its place by time.
        """
        if kind not in self._numbers:
            return
        with self._lock:
            self._make_room(user)
            start, end = self._spans_U2[user].tolist()
            times = self.times_ms_E[start:end]
            place = int(np.searchsorted(times, timestamp_ms, side="right"))
            behind = self._num_events
            size = end - start + 1
            self._reserve(behind + size)
            columns: tuple[tuple[NDArray[Any], Any], ...] = (
                (self.items_E, item),
                (self.kinds_E, self._numbers[kind]),
                (self.times_ms_E, timestamp_ms),
            )
            for column, value in columns:
                column[behind : behind + size] = np.insert(column[start:end], place, value)
            self._num_events = behind + size
            self._spans_U2[user] = (behind, behind + size)

    def starts(self, users_N: NDArray[np.integer]) -> NDArray[np.int64]:
        """Where the events of users begin; 0 for one that is not known."""
        return self._spans(users_N)[:, 0]

    def ends_before(self, users_N: NDArray[np.integer], times_ms_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """See `Trails.ends_before`."""
        spans_N2 = self._spans(users_N)
        return ends_within(spans_N2[:, 0], spans_N2[:, 1], self.times_ms_E, times_ms_N)

    def newest(
        self, users_B: NDArray[np.integer], ends_B: NDArray[np.int64], *, length: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """See `Trails.newest`."""
        return newest_within(self.starts(users_B), ends_B, length=length)

    def _spans(self, users_N: NDArray[np.integer]) -> NDArray[np.int64]:
        known = users_N < len(self._spans_U2)
        return np.where(known[:, None], self._spans_U2[np.where(known, users_N, 0)], 0)

    def _make_room(self, user: int) -> None:
        missing = user + 1 - len(self._spans_U2)
        if missing > 0:
            self._spans_U2 = np.concatenate([self._spans_U2, np.zeros((missing + _ROOM, 2), dtype=np.int64)])

    def _reserve(self, size: int) -> None:
        """Arrays that are full are copied into larger ones; a reader goes on with those it has."""
        if size <= len(self.items_E) and self.items_E.flags.writeable:
            return
        room = max(2 * size, _ROOM)
        for name in ("items_E", "kinds_E", "times_ms_E"):
            old = getattr(self, name)
            new = np.zeros(room, dtype=old.dtype)
            new[: self._num_events] = old[: self._num_events]
            setattr(self, name, new)
