"""Events become packed histories: one flat array of items, oldest first, with the place where each user's part begins.

Shape suffixes: U users, N interactions, V items. ``offsets`` has U + 1 entries.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

from kinema.errors import DataError


@dataclass(frozen=True)
class Histories:
    """Interactions of many users, packed.

    Attributes:
        offsets: int64 [U + 1]; user u owns ``items[offsets[u]:offsets[u + 1]]``.
        items: int32 [N], item numbers in 0..num_items-1, oldest first within a user.
        timestamps_ms: int64 [N], in step with ``items``.
        num_items: V, the size of the catalogue.
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    timestamps_ms: NDArray[np.int64]
    num_items: int

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together; a silent mismatch would shift every history."""
        if len(self.items) != len(self.timestamps_ms) or self.offsets[-1] != len(self.items):
            raise DataError(
                f"histories must have one time stamp per item and end at the last offset, "
                f"got {len(self.items)} items, {len(self.timestamps_ms)} time stamps, last offset {self.offsets[-1]}"
            )

    @property
    def num_users(self) -> int:
        """U, users without interactions included."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [U], interactions per user."""
        return np.diff(self.offsets)

    def of(self, row: int) -> NDArray[np.int32]:
        """Items of one row, oldest first."""
        return self.items[self.offsets[row] : self.offsets[row + 1]]

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> "Histories":
        """The given rows, in that order, as histories of their own."""
        rows_R = np.asarray(rows, dtype=np.int64)
        starts_R = self.offsets[:-1][rows_R]
        lengths_R = self.lengths[rows_R]
        offsets = np.concatenate([[0], np.cumsum(lengths_R)]).astype(np.int64)
        picked_M = np.repeat(starts_R - offsets[:-1], lengths_R) + np.arange(offsets[-1])
        return Histories(offsets, self.items[picked_M], self.timestamps_ms[picked_M], self.num_items)

    def item_counts(self) -> NDArray[np.int64]:
        """int64 [V], interactions per item."""
        return np.bincount(self.items, minlength=self.num_items).astype(np.int64)

    @classmethod
    def from_lists(cls, lists: Sequence[Sequence[int]], num_items: int) -> "Histories":
        """Histories from item lists; the place in the list serves as time stamp.

        Example:
            >>> Histories.from_lists([[2, 0], [], [1]], num_items=3).lengths.tolist()
            [2, 0, 1]
        """
        lengths = np.array([len(one) for one in lists], dtype=np.int64)
        items = np.array([item for one in lists for item in one], dtype=np.int32)
        times = np.array([place for one in lists for place in range(len(one))], dtype=np.int64)
        return cls(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), items, times, num_items)


def pack_histories(events: pl.DataFrame, *, num_users: int, num_items: int) -> Histories:
    """Events as one history per user: the first interaction with each item, oldest first.

    A user who watches an item again tells little about what comes next, and a repeated item would be its own answer in
    next-item evaluation; so later interactions of a pair are left out. Choose the kinds of events before.

    Behind the sort by time the work is two counting sorts, stable and linear: by user, then by item, so that repeats of
    a pair lie side by side.

    Args:
        events: ``user`` and ``item`` numbers and ``timestamp_ms``. Where time stamps are equal, the order given decides.
        num_users: U; users without events get an empty history.
        num_items: V.

    Returns:
        Histories of U rows.

    Raises:
        DataError: A number is out of range.

    Example:
        >>> log = pl.DataFrame({"user": [1, 0, 1, 1], "item": [2, 0, 1, 2], "timestamp_ms": [30, 10, 20, 40]})
        >>> packed = pack_histories(log, num_users=2, num_items=3)
        >>> packed.of(1).tolist(), packed.timestamps_ms.tolist()
        ([1, 2], [10, 20, 30])
    """
    times_N = events["timestamp_ms"].to_numpy()
    columns = events.select(pl.col("user").cast(pl.Int32), pl.col("item").cast(pl.Int32))
    if not bool(np.all(times_N[1:] >= times_N[:-1])):
        by_time = events.select(pl.arg_sort_by("timestamp_ms", maintain_order=True)).to_series()
        columns, times_N = columns[by_time], times_N[by_time.to_numpy()]
    users_N, items_N = columns["user"].to_numpy(), columns["item"].to_numpy()
    for name, numbers_N, size in (("user", users_N, num_users), ("item", items_N, num_items)):
        if len(numbers_N) and (numbers_N.min() < 0 or numbers_N.max() >= size):
            raise DataError(
                f"{name} numbers must be in 0..{size - 1}, are {numbers_N.min()}..{numbers_N.max()}; "
                "read events and counts from one version of the store"
            )
    by_user_N = _group(users_N, num_users)
    users_N, items_N, times_N = users_N[by_user_N], items_N[by_user_N], times_N[by_user_N]
    by_item_N = _group(items_N, num_items)
    same_item_N = np.diff(items_N[by_item_N]) == 0
    repeats_N = by_item_N[1:][same_item_N & (np.diff(users_N[by_item_N]) == 0)]
    first_N = np.ones(len(users_N), dtype=bool)
    first_N[repeats_N] = False
    counts_U = np.bincount(users_N[first_N], minlength=num_users)
    offsets = np.concatenate([[0], np.cumsum(counts_U)]).astype(np.int64)
    return Histories(offsets, items_N[first_N], times_N[first_N].astype(np.int64), num_items)


def _group(numbers_N: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """The stable order that sorts small numbers; a sparse matrix is built by exactly this counting sort."""
    places_N = np.arange(len(numbers_N), dtype=np.int32)
    columns = csr_array((places_N, numbers_N, np.arange(len(numbers_N) + 1)), shape=(len(numbers_N), size))
    grouped_N: NDArray[np.int32] = columns.tocsc().data
    return grouped_N
