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
from kinema.flm.memory_kernels import Lent, Through, are_within, links_of
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


def check_items(items: NDArray[np.integer], num_items: int, smoothing_VV: sparse.csr_matrix | None = None) -> None:
    """Refuse item numbers that the memory, or what stands in, does not have.

    Raises:
        DataError: There is one.
    """
    size = num_items if smoothing_VV is None else min(num_items, smoothing_VV.shape[0])
    if not are_within(items, size):
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
    def through(self) -> Through:
        """The same for what is compiled."""
        shares_V = np.asarray(self.smoothing_VV.sum(axis=0), dtype=np.float32).ravel()
        return Through(links_of(self.smoothing_VV), shares_V)

    @cached_property
    def stands_for(self) -> sparse.csr_matrix:
        """For which items each stands in: the transpose."""
        return self.smoothing_VV.T.tocsr()
