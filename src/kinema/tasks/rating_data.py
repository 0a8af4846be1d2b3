"""Ratings as packed arrays, and the histories from which users and items are described.

Shape suffixes: N ratings, U users, V items; a side is users or items.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kinema.errors import DataError


@dataclass(frozen=True)
class Ratings:
    """Who rated what how.

    Attributes:
        users_N: int64, 0..U-1.
        items_N: int64, 0..V-1.
        values_N: float32, within the scale.
        num_users: U.
        num_items: V.
        low: Lowest value of the scale.
        high: Highest value of the scale.

    Raises:
        DataError: Lengths differ, there is no rating, a number is out of range or a value is off the scale.

    Example:
        >>> ratings = Ratings(np.array([0, 1]), np.array([1, 1]), np.array([4, 2]), num_users=2, num_items=2)
        >>> len(ratings), ratings.values_N.tolist()
        (2, [4.0, 2.0])
    """

    users_N: NDArray[np.int64]
    items_N: NDArray[np.int64]
    values_N: NDArray[np.float32]
    num_users: int
    num_items: int
    low: float = 1.0
    high: float = 5.0

    def __post_init__(self) -> None:
        if not len(self.users_N) == len(self.items_N) == len(self.values_N) or not len(self.values_N):
            raise DataError(
                f"ratings must have as many users and items as values, and one at least, got {len(self.users_N)} users, "
                f"{len(self.items_N)} items and {len(self.values_N)} values"
            )
        for name, numbers_N, size in (("user", self.users_N, self.num_users), ("item", self.items_N, self.num_items)):
            wrong = np.flatnonzero((numbers_N < 0) | (numbers_N >= size))
            if len(wrong):
                raise DataError(
                    f"the {name} of a rating must be in 0..{size - 1}, is {numbers_N[wrong[0]]} at rating {wrong[0]}; "
                    f"give num_{name}s as it is"
                )
        off = np.flatnonzero(~((self.values_N >= self.low) & (self.values_N <= self.high)))
        if len(off):
            raise DataError(
                f"a rating must be in {self.low:g}..{self.high:g}, is {self.values_N[off[0]]:g} at rating {off[0]}; "
                "set low and high to the scale"
            )
        object.__setattr__(self, "users_N", np.ascontiguousarray(self.users_N, dtype=np.int64))
        object.__setattr__(self, "items_N", np.ascontiguousarray(self.items_N, dtype=np.int64))
        object.__setattr__(self, "values_N", np.ascontiguousarray(self.values_N, dtype=np.float32))

    def __len__(self) -> int:
        """N."""
        return len(self.values_N)

    def take(self, rows_R: NDArray[np.integer]) -> Self:
        """Some of the ratings; users, items and scale stay."""
        return type(self)(
            self.users_N[rows_R],
            self.items_N[rows_R],
            self.values_N[rows_R],
            self.num_users,
            self.num_items,
            self.low,
            self.high,
        )

    @cached_property
    def mean(self) -> float:
        """Of all values."""
        return float(self.values_N.mean(dtype=np.float64))


@dataclass(frozen=True)
class RatedBy:
    """For each row of one side, what of the other side it met, and how far the value lay from what is usual there.

    Usual is the damped mean of the other side's row. The mean of an item knows nothing of the user's ratings of other
    items, so a rating that is to be predicted can be taken out of its user's history without a trace: a bias fitted to
    both sides at once would give it away.

    Attributes:
        offsets: int64 [rows + 1].
        others_N: int64, rows of the other side.
        gaps_N: float32, value minus what is usual for that row.
        usual: float32 per row of the other side.
    """

    offsets: NDArray[np.int64]
    others_N: NDArray[np.int64]
    gaps_N: NDArray[np.float32]
    usual: NDArray[np.float32]

    @classmethod
    def users(cls, ratings: Ratings, *, damping: float = 5.0) -> Self:
        """Histories of users, over items."""
        return cls._of(ratings, ratings.users_N, ratings.items_N, ratings.num_users, ratings.num_items, damping)

    @classmethod
    def items(cls, ratings: Ratings, *, damping: float = 5.0) -> Self:
        """Histories of items, over users."""
        return cls._of(ratings, ratings.items_N, ratings.users_N, ratings.num_items, ratings.num_users, damping)

    @classmethod
    def _of(  # noqa: PLR0917  # two private calls above
        cls,
        ratings: Ratings,
        rows_N: NDArray[np.int64],
        others_N: NDArray[np.int64],
        num_rows: int,
        num_others: int,
        damping: float,
    ) -> Self:
        order_N = np.argsort(rows_N, kind="stable")
        sums = np.bincount(others_N, ratings.values_N - ratings.mean, num_others)
        usual = ratings.mean + sums / (np.bincount(others_N, minlength=num_others) + damping)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows_N, minlength=num_rows))])
        gaps_N = (ratings.values_N - usual[others_N])[order_N]
        return cls(offsets, others_N[order_N], gaps_N.astype(np.float32), usual.astype(np.float32))

    @cached_property
    def met(self) -> sparse.csr_matrix:
        """float32 [rows, others], 1 where they met."""
        ones_N = np.ones(len(self.gaps_N), dtype=np.float32)
        return sparse.csr_matrix((ones_N, self.others_N, self.offsets), shape=(len(self.offsets) - 1, len(self.usual)))

    @cached_property
    def gaps(self) -> sparse.csr_matrix:
        """float32 [rows, others], the gaps.

        Example:
            >>> ratings = Ratings(np.array([0, 1, 0]), np.array([0, 0, 1]), np.array([4, 2, 3]), 2, 2)
            >>> RatedBy.users(ratings, damping=0.0).gaps.toarray().tolist()
            [[1.0, 0.0], [-1.0, 0.0]]
        """
        return sparse.csr_matrix((self.gaps_N, self.others_N, self.offsets), shape=self.met.shape)

    @cached_property
    def counts(self) -> NDArray[np.float32]:
        """How many each row has met."""
        return np.diff(self.offsets).astype(np.float32)

    @cached_property
    def sums(self) -> NDArray[np.float32]:
        """Sum of each row's gaps."""
        rows_N = np.repeat(np.arange(len(self.counts)), np.diff(self.offsets))
        return np.bincount(rows_N, self.gaps_N, len(self.counts)).astype(np.float32)

    def arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """For an artefact; `from_arrays` reads them."""
        parts = {"offsets": self.offsets, "others": self.others_N, "gaps": self.gaps_N, "usual": self.usual}
        return {f"{name}/{part}": np.ascontiguousarray(values) for part, values in parts.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], name: str) -> Self:
        """What `arrays` gave."""
        offsets, others, gaps, usual = (arrays[f"{name}/{part}"] for part in ("offsets", "others", "gaps", "usual"))
        return cls(offsets.astype(np.int64), others.astype(np.int64), gaps.astype(np.float32), usual.astype(np.float32))
