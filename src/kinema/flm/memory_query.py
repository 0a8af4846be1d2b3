"""What a history asks of an item-item memory: its newest items with their weights, what stands in for them, and who follows.

For one user this is a few hundred numbers; sparse matrices would spend most of the time on their own making.

Shape suffixes: V catalogue, C cases, N interactions, Q items asked with, F followers, T touched items, K items asked about.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kinema.store.histories import Histories

ROW_POWER: Final = 0.5
COLUMN_POWER: Final = 0.3
_SPARSE: Final = 8
"""A catalogue of more than so many items per follower is not looked through for those that were touched."""


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


class Scratch:
    """Arrays over the catalogue that are lent and come back: to make one for each request is a pass over all items."""

    def __init__(self) -> None:
        self._free: list[tuple[NDArray[np.float32], NDArray[np.int32]]] = []

    @contextmanager
    def lent(self, num_items: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
        """Zeros float32 [V], which must be zeros again afterwards, and an int32 [V] of anything."""
        try:
            arrays = self._free.pop()
        except IndexError:
            arrays = np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int32)
        if len(arrays[0]) != num_items:
            arrays = np.zeros(num_items, dtype=np.float32), np.zeros(num_items, dtype=np.int32)
        yield arrays
        # What another thread's error leaves behind is thrown away with it.
        self._free.append(arrays)


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
        followers_F: int64, followers of all items of the history one after another.
        counts_F: float32, how much each counts.
        columns_V: Of `Scales`.
        raw_V: float32, the counts summed by item; lent.
        places_V: int32, of anything; lent.
    """

    followers_F: NDArray[np.int64]
    counts_F: NDArray[np.float32]
    columns_V: NDArray[np.float32]
    raw_V: NDArray[np.float32]
    places_V: NDArray[np.int32]

    @contextmanager
    def summed(self) -> Iterator[Self]:
        """With the sums in the array that was lent; it is clean again afterwards."""
        np.add.at(self.raw_V, self.followers_F, self.counts_F)
        yield self
        if self._is_small:
            self.raw_V.fill(0)
        else:
            self.raw_V[self.followers_F] = 0

    @property
    def _is_small(self) -> bool:
        """Whether a pass over the catalogue costs less than one over the followers."""
        return len(self.raw_V) <= _SPARSE * len(self.followers_F)

    def of(self, items_K: NDArray[np.int64]) -> NDArray[np.float32]:
        """Weighted counts of some items."""
        return np.asarray(self.raw_V[items_K] * self.columns_V[items_K])

    @cached_property
    def items_T(self) -> NDArray[np.int64]:  # noqa: N802  # an array, named as arrays are
        """Ascending: all whose counts are not zero."""
        followers_F, places_V = self.followers_F, self.places_V
        if self._is_small:
            return np.flatnonzero(self.raw_V)
        order_F = np.arange(len(followers_F), dtype=np.int32)
        places_V[followers_F] = order_F
        return np.sort(followers_F[places_V[followers_F] == order_F])

    def scores(self, raw_K: NDArray[np.float32], *, shares_V: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """``log(1 + r / mean r)`` float32 [K]; the mean is over the catalogue, after standing in where shares are given."""
        part = slice(None) if self._is_small else self.followers_F
        spread = (self.raw_V if self._is_small else self.counts_F) * self.columns_V[part]
        if shares_V is not None:
            spread = spread * shares_V[part]
        mean = np.float32(spread.sum() / np.float32(max(len(self.raw_V), 1)))
        return np.asarray(np.log1p(raw_K / (mean if mean > 0 else np.float32(1))), dtype=np.float32)
