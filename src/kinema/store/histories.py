"""Events become packed histories: one flat array of items, oldest first, with the place where each user's part begins.

Shape suffixes: U users, N interactions, V items. ``offsets`` has U + 1 entries.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
