"""What is counted of a log for an item-item memory: who followed whom, and how little of it has to be kept.

Shape suffixes: V catalogue, U users, N interactions.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kinema.store.histories import Histories


def transitions(
    histories: Histories, counted_U: NDArray[np.int64], *, window: int, decay: float, echo: float
) -> sparse.csr_matrix:
    """Decayed transitions to the interactions of each user behind the counted ones, forwards and echoed: CSR float32 [V, V]."""
    items_N, lengths_U = histories.items, histories.lengths
    users_N = np.repeat(np.arange(histories.num_users), lengths_U)
    new_N = np.arange(len(items_N)) - histories.offsets[users_N] >= counted_U[users_N]
    shape = (histories.num_items, histories.num_items)
    counts_VV = sparse.csr_matrix(shape, dtype=np.float32)
    for gap in range(1, min(window, int(lengths_U.max(initial=0)) - 1) + 1):
        wanted = (users_N[gap:] == users_N[:-gap]) & new_N[gap:]
        earlier, later = items_N[:-gap][wanted], items_N[gap:][wanted]
        weights = np.full(len(earlier), decay ** (gap - 1), dtype=np.float32)
        counts_VV = counts_VV + sparse.csr_matrix((weights, (earlier, later)), shape=shape)
    counts_VV = (counts_VV + echo * counts_VV.T).tocsr().astype(np.float32)
    counts_VV.eliminate_zeros()
    return counts_VV


def row_sums(counts_VV: sparse.csr_matrix) -> NDArray[np.float32]:
    """float32 [V]."""
    return np.asarray(counts_VV.sum(axis=1), dtype=np.float32).ravel()


def strongest(counts_VV: sparse.csr_matrix, num_neighbours: int) -> sparse.csr_matrix:
    """Only the largest entries of each row (ties: lower column first), columns in order."""
    per_row = np.diff(counts_VV.indptr)
    if per_row.max(initial=0) <= num_neighbours:
        return counts_VV
    long_rows = np.flatnonzero(per_row > num_neighbours)
    rows = np.repeat(long_rows, per_row[long_rows])
    places = np.arange(len(rows)) + np.repeat(
        counts_VV.indptr[long_rows] - np.cumsum(per_row[long_rows]) + per_row[long_rows], per_row[long_rows]
    )
    order = np.lexsort((counts_VV.indices[places], -counts_VV.data[places], rows))
    starts = np.repeat(np.cumsum(per_row[long_rows]) - per_row[long_rows], per_row[long_rows])
    kept = np.ones(counts_VV.nnz, dtype=np.bool_)
    kept[places[order[np.arange(len(order)) - starts >= num_neighbours]]] = False
    starts_V = np.concatenate([[0], np.cumsum(np.minimum(per_row, num_neighbours))])
    shape = counts_VV.shape
    return sparse.csr_matrix((counts_VV.data[kept], counts_VV.indices[kept], starts_V), shape=shape)
