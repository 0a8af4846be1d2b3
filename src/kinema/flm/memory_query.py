"""What a history asks of an item-item memory: its newest items with their weights, what stands in for them, and who follows.

For one user this is a few hundred numbers; sparse matrices would spend most of the time on their own making.

Shape suffixes: V catalogue, C cases, N interactions, T touched items, K items asked about.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kinema.errors import DataError
from kinema.flm.memory_kernels import Lent, gathered, rows_of, weighed
from kinema.store.histories import Histories

ROW_POWER: Final = 0.5
COLUMN_POWER: Final = 0.3


@dataclass(frozen=True)
class Scales:
    """By what the counts of common items are weighed down.

    Attributes:
        rows_V: float32, ``total ** -.5``, of the item that is followed.
        columns_V: float32, ``total ** -.3``, of the one that follows.
    """

    rows_V: NDArray[np.float32]
    columns_V: NDArray[np.float32]

    @classmethod
    def of(cls, totals_V: NDArray[np.float32]) -> Self:
        """Of the totals of all items."""
        return cls(*_powers(totals_V))

    def change(self, totals_V: NDArray[np.float32], items_W: NDArray[np.integer]) -> None:
        """The totals of some items have changed. In place: who reads meanwhile meets old or new numbers, and no copy is made."""
        self.rows_V[items_W], self.columns_V[items_W] = _powers(totals_V[items_W])


def _powers(totals_V: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    safe_V = np.maximum(totals_V, np.float32(1e-6))
    return np.power(safe_V, np.float32(-ROW_POWER)), np.power(safe_V, np.float32(-COLUMN_POWER))


def decayed_query(histories: Histories, *, window: int, decay: float, num_items: int) -> sparse.csr_matrix:
    """The newest interactions as sparse rows: weight ``decay ** k`` for the k-th newest.

    Returns:
        CSR float32 [C, num_items].
    """
    ages_N = np.repeat(histories.offsets[1:], histories.lengths) - 1 - np.arange(len(histories.items))
    rows_N = np.repeat(np.arange(histories.num_users), histories.lengths)
    recent = ages_N < window
    weights = np.power(decay, ages_N[recent], dtype=np.float32)
    shape = (histories.num_users, num_items)
    return sparse.csr_matrix((weights, (rows_N[recent], histories.items[recent])), shape=shape, dtype=np.float32)


def grown(matrix: sparse.csr_matrix, num_items: int) -> sparse.csr_matrix:
    """The same entries in a larger square; nothing is copied but where each row starts."""
    missing = num_items - matrix.shape[0]
    starts = np.concatenate([matrix.indptr, np.full(missing, matrix.indptr[-1], dtype=matrix.indptr.dtype)])
    return sparse.csr_matrix((matrix.data, matrix.indices, starts), shape=(num_items, num_items))


def check_items(items: NDArray[np.int64], num_items: int, smoothing_VV: sparse.csr_matrix | None = None) -> None:
    """Refuse item numbers that the memory, or what stands in, does not have.

    Raises:
        DataError: There is one.
    """
    size = num_items if smoothing_VV is None else min(num_items, smoothing_VV.shape[0])
    if len(items) and not (items.min() >= 0 and items.max() < size):
        raise DataError(
            f"item numbers must be 0 to {size - 1}, got {int(items.min())} to {int(items.max())}; "
            "bind the model to the current catalogue"
        )


class Scratch:
    """Arrays over the catalogue that are lent and come back: to make one for each request is a pass over all items."""

    def __init__(self) -> None:
        self._free: list[Lent] = []

    def take(self, num_items: int) -> Lent:
        """Zeros, and anything."""
        try:
            lent = self._free.pop()
        except IndexError:
            lent = None
        if lent is None or len(lent.raw_V) != num_items:
            lent = Lent(np.zeros(num_items, dtype=np.float32), np.zeros(num_items, dtype=np.int32))
        return lent

    def give_back(self, lent: Lent) -> None:
        """Its sums are zero again."""
        self._free.append(lent)


@dataclass(frozen=True, eq=False)
class Standing:
    """Who stands in for whom, with what follows from it; made once for a model.

    Attributes:
        smoothing_VV: Row j says by which items j is stood in for.
    """

    smoothing_VV: sparse.csr_matrix

    @cached_property
    def stands_for(self) -> sparse.csr_matrix:
        """For which items each stands in: the transpose."""
        return self.smoothing_VV.T.tocsr()

    @cached_property
    def shares(self) -> NDArray[np.float32]:
        """How much of the catalogue each item stands in for."""
        return np.asarray(self.smoothing_VV.sum(axis=0), dtype=np.float32).ravel()


@dataclass(frozen=True, eq=False)
class Followed:
    """What follows a history.

    Attributes:
        touched_T: int64, followers of the items of the history, each once.
        columns_V: Of `Scales`.
        raw_V: float32, how much each counts; 0 for all others; lent.
    """

    touched_T: NDArray[np.int64]
    columns_V: NDArray[np.float32]
    raw_V: NDArray[np.float32]

    @cached_property
    def items_T(self) -> NDArray[np.int64]:  # noqa: N802  # an array, named as arrays are
        """Ascending."""
        return np.sort(self.touched_T)

    def of(self, items_K: NDArray[np.int64]) -> NDArray[np.float32]:
        """Weighted counts of some items."""
        return np.asarray(self.raw_V[items_K] * self.columns_V[items_K])

    def standing_for(self, rows_KV: sparse.csr_matrix, items_K: NDArray[np.int64]) -> NDArray[np.float32]:
        """Weighted counts of some items through those that stand in for them."""
        return gathered(rows_of(rows_KV), items_K, self.raw_V, self.columns_V)

    def scores(self, raw_K: NDArray[np.float32], *, shares_V: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """``log(1 + r / mean r)`` float32 [K]; the mean is over the catalogue, after standing in where shares are given."""
        total = weighed(self.touched_T, self.raw_V, self.columns_V, shares_V)
        mean = np.float32(total / max(len(self.raw_V), 1))
        return np.asarray(np.log1p(raw_K / (mean if mean > 0 else np.float32(1))), dtype=np.float32)
