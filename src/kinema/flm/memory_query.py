"""What a history asks of an item-item memory: its newest items with their weights, what stands in for them, and who follows.

For one user this is a few hundred numbers; sparse matrices would spend most of the time on their own making.

Shape suffixes: V catalogue, C cases, N interactions, Q items asked with, F followers.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

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

    def changed(self, totals_V: NDArray[np.float32], items_W: NDArray[np.integer]) -> Self:
        """After the totals of some items have changed."""
        rows_V, columns_V = self.rows_V.copy(), self.columns_V.copy()
        rows_V[items_W], columns_V[items_W] = _powers(totals_V[items_W])
        return type(self)(rows_V, columns_V)


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


def newest_items(
    items_N: NDArray[np.integer], *, window: int, decay: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """`decayed_query` of one history: items from the highest number down, each once, and their weights float32.

    Example:
        >>> newest_items(np.array([4, 0, 2]), window=2, decay=0.5)
        (array([2, 0]), array([1. , 0.5], dtype=float32))
    """
    newest_W = np.asarray(items_N[-window:], dtype=np.int64)[::-1]
    weights_W = np.power(decay, np.arange(len(newest_W)), dtype=np.float32)
    items_Q, places_W = np.unique(newest_W, return_inverse=True)
    weights_Q = np.zeros(len(items_Q), dtype=np.float32)
    np.add.at(weights_Q, places_W, weights_W)
    return items_Q[::-1], weights_Q[::-1]


def stood_in_for(
    items_Q: NDArray[np.int64], weights_Q: NDArray[np.float32], smoothing_VV: sparse.csr_matrix
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The items that stand in for those asked with, each once, and what they weigh together."""
    stand_ins, weights = rows_of(smoothing_VV, items_Q[::-1], weights_Q[::-1])
    found, firsts, places = np.unique(stand_ins, return_index=True, return_inverse=True)
    summed = np.zeros(len(found), dtype=np.float32)
    np.add.at(summed, places, weights)
    order = np.argsort(firsts, kind="stable")
    return found[order].astype(np.int64), summed[order]


def rows_of(
    matrix: sparse.csr_matrix, items_Q: NDArray[np.int64], weights_Q: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The entries of some rows one after another: columns int64 [F] and values float32 [F], each times its row's weight."""
    starts_Q = matrix.indptr[items_Q].astype(np.int64)
    lengths_Q = matrix.indptr[items_Q + 1] - starts_Q
    ends_Q = np.cumsum(lengths_Q)
    places_F = np.arange(ends_Q[-1] if len(ends_Q) else 0) + np.repeat(starts_Q - ends_Q + lengths_Q, lengths_Q)
    return matrix.indices[places_F].astype(np.int64), matrix.data[places_F] * np.repeat(weights_Q, lengths_Q)


def grown(matrix: sparse.csr_matrix, num_items: int) -> sparse.csr_matrix:
    """The same entries in a larger square; nothing is copied but where each row starts."""
    missing = num_items - matrix.shape[0]
    starts = np.concatenate([matrix.indptr, np.full(missing, matrix.indptr[-1], dtype=matrix.indptr.dtype)])
    return sparse.csr_matrix((matrix.data, matrix.indices, starts), shape=(num_items, num_items))
