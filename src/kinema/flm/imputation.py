"""Vectors for cold items: the behaviour of their content-nearest warm items, until their own events speak.

    n~_i = sum over the J content-nearest warm items j of softmax(s * cos(c_i, c_j)) * v_j
    v_i  = norm((n_i v_i + k n~_i) / (n_i + k))

Projecting content alone puts cold items in the right direction but at other score levels than warm ones; a mean of warm
vectors is calibrated by construction (FLM.md section 1, point 3: cold recall .0866 against .036).

Shape suffixes: V items, D width, J neighbours, E content width.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from kinema.flm.whitening import unit_rows

_BLOCK = 1024


@dataclass(frozen=True)
class Borrowed:
    """What of each item's vector comes from other items.

    Attributes:
        share_V: float32 in [0, 1], k / (n + k) where others stand in for the item, 1 for one without events; 0 where none do.
        neighbours_VJ: From `content_neighbours`.
        weights_VJ: The same.
    """

    share_V: NDArray[np.float32]
    neighbours_VJ: NDArray[np.int64]
    weights_VJ: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        counts_V: NDArray[np.int64],
        neighbours_VJ: NDArray[np.int64],
        weights_VJ: NDArray[np.float32],
        *,
        shrinkage: float,
        applies: bool = True,
    ) -> Self:
        """As `impute` does it.

        Args:
            counts_V: n, events per item.
            neighbours_VJ: From `content_neighbours`.
            weights_VJ: The same.
            shrinkage: k.
            applies: False where item vectors are those of content alone.

        Example:
            >>> neighbours, weights = np.array([[1], [0]]), np.float32([[1], [0]])
            >>> Borrowed.of(np.array([5, 5]), neighbours, weights, shrinkage=5.0).share_V.tolist()
            [0.5, 0.0]
        """
        share_V = shrinkage / np.maximum(counts_V + shrinkage, 1e-9) * (weights_VJ.sum(axis=1) > 0) * applies
        return cls(share_V.astype(np.float32), neighbours_VJ, weights_VJ)


def content_neighbours(
    content_VE: NDArray[np.float32],
    warm_V: NDArray[np.bool_],
    *,
    num_neighbours: int = 10,
    sharpness: float = 20.0,
    start: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The warm items nearest in content to each item, itself excluded.

    Args:
        content_VE: Unit rows, zero where an item has no content.
        warm_V: Items that may serve as neighbours; those without content never do.
        num_neighbours: J, at most.
        sharpness: Softmax factor on the cosines.
        start: First item whose neighbours are wanted; the rows are of the items from there on.

    Returns:
        Neighbours int64 [V, J], nearest first, and weights float32 [V, J]: rows sum to 1, or to 0 for an item without
        content or without any neighbour. Places that could not be filled have weight 0.

    Example:
        >>> content = np.float32([[1, 0], [1, 0], [0, 1]])
        >>> content_neighbours(content, np.array([True, False, True]), num_neighbours=1)[0].ravel().tolist()
        [2, 0, 0]
    """
    described_V = np.abs(content_VE).sum(axis=1) > 0
    pool = np.flatnonzero(warm_V & described_V)
    neighbours_VJ = np.zeros((len(content_VE) - start, num_neighbours), dtype=np.int64)
    weights_VJ = np.zeros((len(content_VE) - start, num_neighbours), dtype=np.float32)
    if not len(pool):
        return neighbours_VJ, weights_VJ
    width = min(num_neighbours, len(pool))
    pool_PE = content_VE[pool]
    for first in range(start, len(content_VE), _BLOCK):
        rows = np.arange(first, min(first + _BLOCK, len(content_VE)))
        cosines = content_VE[rows] @ pool_PE.T
        cosines[rows[:, None] == pool] = -np.inf
        # Four times as fast as NumPy's partition, which moves all of a row's places about.
        nearest, order = (one.numpy() for one in torch.topk(torch.from_numpy(cosines), width, dim=1))
        best = np.where(np.isfinite(nearest[:, :1]), nearest[:, :1], 0)
        found = np.isfinite(nearest) & described_V[rows, None]
        weights = np.exp(sharpness * np.where(found, nearest - best, 0)) * found
        total = weights.sum(axis=1, keepdims=True)
        neighbours_VJ[rows - start, :width] = pool[order]
        weights_VJ[rows - start, :width] = weights / np.where(total > 0, total, 1)
    return neighbours_VJ, weights_VJ


def impute(
    vectors_VD: NDArray[np.float32],
    counts_V: NDArray[np.int64],
    neighbours_VJ: NDArray[np.int64],
    weights_VJ: NDArray[np.float32],
    *,
    shrinkage: float = 5.0,
) -> NDArray[np.float32]:
    """Shrink every item towards its content neighbours, the more the fewer events it has.

    Args:
        vectors_VD: Learned item vectors, unit rows; of items without events nothing is used.
        counts_V: n, events per item.
        neighbours_VJ: From `content_neighbours`.
        weights_VJ: The same.
        shrinkage: k, events at which own vector and neighbours weigh the same.

    Returns:
        float32 [V, D]: unit rows; the learned vector where there are no neighbours; zero where there are neither events
        nor neighbours.
    """
    imputed_VD = np.zeros_like(vectors_VD)
    for j in range(neighbours_VJ.shape[1]):
        imputed_VD += weights_VJ[:, j, None] * vectors_VD[neighbours_VJ[:, j]]
    has_neighbours_V1 = (weights_VJ.sum(axis=1) > 0)[:, None]
    counts_V1 = counts_V[:, None].astype(np.float32)
    shrunk_VD = unit_rows(counts_V1 * vectors_VD + shrinkage * imputed_VD)
    return np.where(has_neighbours_V1, shrunk_VD, vectors_VD * (counts_V1 > 0)).astype(np.float32)


def smoothing(
    counts_V: NDArray[np.int64],
    neighbours_VJ: NDArray[np.int64],
    weights_VJ: NDArray[np.float32],
    *,
    shrinkage: float = 5.0,
) -> sparse.csr_matrix:
    """The same shrinkage as a matrix, for anything that is counted per item.

    Args:
        counts_V: n, events per item.
        neighbours_VJ: From `content_neighbours`.
        weights_VJ: The same.
        shrinkage: k; 0 leaves items that have events alone.

    Returns:
        CSR float32 [V, V]: row i has ``n_i / (n_i + k)`` at i and ``k / (n_i + k)`` spread over its neighbours; 1 at i where
        there are no neighbours.

    Example:
        >>> neighbours, weights = np.array([[1], [0]]), np.float32([[1], [0]])
        >>> smoothing(np.array([0, 5]), neighbours, weights).toarray().tolist()
        [[0.0, 1.0], [0.0, 1.0]]
    """
    num_items, width = weights_VJ.shape
    borrowed_V = np.where(counts_V > 0, shrinkage / np.maximum(counts_V + shrinkage, 1), 1)
    spread_V = np.where(weights_VJ.sum(axis=1) > 0, borrowed_V, 0).astype(np.float32)
    rows = np.repeat(np.arange(num_items), width)
    shape = (num_items, num_items)
    borrowed_VV = sparse.csr_matrix(
        ((spread_V[:, None] * weights_VJ).ravel(), (rows, neighbours_VJ.ravel())), shape=shape
    )
    smoothed_VV = (sparse.diags(1 - spread_V) + borrowed_VV).tocsr().astype(np.float32)
    smoothed_VV.eliminate_zeros()
    return smoothed_VV
