"""Trails: everything a user did, event by event with its kind; histories hold the first interaction with each item only.

Shape suffixes: U users, E events, N questions, B questions of a batch, L length.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.schema import EventKind


@dataclass(frozen=True)
class Trails:
    """Events of many users, packed, oldest first within a user.

    Attributes:
        offsets: int64 [U + 1].
        items_E: int32, item numbers.
        kinds_E: int64, place in ``kinds``.
        times_ms_E: int64.
        kinds: Names.
    """

    offsets: NDArray[np.int64]
    items_E: NDArray[np.int32]
    kinds_E: NDArray[np.int64]
    times_ms_E: NDArray[np.int64]
    kinds: tuple[str, ...]

    @property
    def num_users(self) -> int:
        """U."""
        return len(self.offsets) - 1

    def ends_before(self, users_N: NDArray[np.integer], times_ms_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the events of users before some moments end.

        Args:
            users_N: User numbers; one that is not among them has no events.
            times_ms_N: Moments; an event at the moment itself is not before it.

        Returns:
            int64 [N], place behind the last such event.
        """
        known = users_N < len(self.offsets) - 1
        users = np.where(known, users_N, 0)
        starts_N = self.offsets[:-1][users]
        return ends_within(starts_N, np.where(known, self.offsets[1:][users], starts_N), self.times_ms_E, times_ms_N)

    def starts(self, users_N: NDArray[np.integer]) -> NDArray[np.int64]:
        """Where the events of users begin; for one that is not among them, where nothing is."""
        known = users_N < len(self.offsets) - 1
        starts_N: NDArray[np.int64] = self.offsets[:-1][np.where(known, users_N, 0)]
        return starts_N

    def newest(
        self, users_B: NDArray[np.integer], ends_B: NDArray[np.int64], *, length: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The newest events before some places.

        Args:
            users_B: User numbers.
            ends_B: From `ends_before`.
            length: At most so many, >= 1.

        Returns:
            int64 [B, L] places among the events, oldest first, and bool [B, L] whether there is one; L is as long as the longest row
            needs, at least 1. Empty places come first.
        """
        return newest_within(self.starts(users_B), ends_B, length=length)


def ends_within(
    starts_N: NDArray[np.int64], ends_N: NDArray[np.int64], times_ms_E: NDArray[np.int64], times_ms_N: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Where the events before some moments end, within rows that begin and end at given places; int64 [N]."""
    low, high = starts_N.copy(), ends_N
    while (low < high).any():  # all bisections at once
        middle = (low + high) // 2
        earlier = (times_ms_E[np.minimum(middle, len(times_ms_E) - 1)] < times_ms_N) & (low < high)
        low, high = np.where(earlier, middle + 1, low), np.where(earlier, high, np.minimum(middle, high))
    return low


def newest_within(
    starts_B: NDArray[np.int64], ends_B: NDArray[np.int64], *, length: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The newest places of rows that begin and end at given places; see `Trails.newest`."""
    counts_B = np.minimum(ends_B - starts_B, length)
    width = max(1, int(counts_B.max(initial=0)))
    places_BL = ends_B[:, None] - width + np.arange(width)
    there_BL = np.arange(width) >= width - counts_B[:, None]
    return np.where(there_BL, places_BL, 0), there_BL


def pack_trails(events: pl.DataFrame, *, kinds: Sequence[EventKind], num_users: int) -> Trails:
    """Pack a log.

    Args:
        events: ``user`` and ``item`` numbers, ``timestamp_ms``, ``kind``; others than the given kinds are left out.
        kinds: Which; their order numbers them.
        num_users: U.

    Example:
        >>> log = pl.DataFrame({"user": [1, 0, 1], "item": [2, 0, 1], "timestamp_ms": [30, 10, 20], "kind": ["like", "click", "click"]})
        >>> trails = pack_trails(log, kinds=[EventKind.CLICK, EventKind.LIKE], num_users=2)
        >>> trails.items_E.tolist(), trails.kinds_E.tolist(), trails.ends_before(np.array([1, 1]), np.array([20, 31])).tolist()
        ([0, 1, 2], [0, 0, 1], [1, 3])
    """
    names = tuple(EventKind(one).value for one in kinds)
    chosen = events.filter(pl.col("kind").is_in(names)).sort("user", "timestamp_ms", maintain_order=True)
    counts_U = np.bincount(chosen["user"].to_numpy(), minlength=num_users)
    numbers = {name: number for number, name in enumerate(names)}
    return Trails(
        np.concatenate([[0], np.cumsum(counts_U)]).astype(np.int64),
        chosen["item"].to_numpy(),
        chosen["kind"].replace_strict(numbers, return_dtype=pl.Int64).to_numpy(),
        chosen["timestamp_ms"].to_numpy(),
        names,
    )
