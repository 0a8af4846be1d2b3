"""EASE: the linear item-item model in closed form, the strongest baseline that has no order and no content.

Shape suffixes: C cases, V items, E items that EASE knows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from kinema.errors import ConfigError, DataError
from kinema.evaluation.baselines.matrices import interaction_matrix, query_matrix
from kinema.store.histories import Histories
from kinema.store.splits import Cases

_BLOCK = 1024


@dataclass(frozen=True)
class EaseRanker:
    """History times item-item weights. A user without history gets popularity; unknown items cannot be scored.

    Attributes:
        name: How reports call it.
        weights_EE: float32; row = watched item, column = scored item, zero diagonal.
        items_E: int64, the items the weights are about, ascending.
        counts_E: float32, their training interactions.
        decay: Weight of a watched item relative to the next newer one, in (0, 1]; 1 is the published model.
    """

    name: str
    weights_EE: NDArray[np.float32]
    items_E: NDArray[np.int64]
    counts_E: NDArray[np.float32]
    decay: float = 1.0

    def score(self, cases: Cases) -> NDArray[np.float32]:
        """See `kinema.evaluation.protocol.Ranker`."""
        query_CE = query_matrix(cases.histories, decay=self.decay)[:, self.items_E]
        scores_CE = query_CE @ self.weights_EE
        empty_C = np.diff(query_CE.indptr) == 0
        scores_CE[empty_C] = self.counts_E
        scores_CV = np.full((len(cases), cases.histories.num_items), -np.inf, dtype=np.float32)
        scores_CV[:, self.items_E] = scores_CE
        return scores_CV


def fit_ease(
    train: Histories,
    *,
    regularisation: float = 250.0,
    decay: float = 1.0,
    max_items: int = 15_000,
    name: str = "EASE",
) -> EaseRanker:
    """Solve ``min |X - XB|^2 + regularisation |B|^2`` with a zero diagonal: ``B = I - P / diag(P)``, P = (X'X + rI)^-1.

    The inverse is made from the Cholesky factor, in float32 and in place: one matrix of E x E is held, 0.9 GB for 15,000
    items.

    Args:
        train: U rows.
        regularisation: r > 0.
        decay: See `EaseRanker`.
        max_items: Fit on so many items at most, the most watched; the others cannot be scored.
        name: See `EaseRanker`.

    Returns:
        The ranker.

    Raises:
        ConfigError: regularisation or decay is out of range.
        DataError: There is no interaction.

    Source: Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019; the decayed query is ours.

    Example:
        >>> ranker = fit_ease(Histories.from_lists([[0, 1], [0, 1], [2]], num_items=3), regularisation=1.0)
        >>> ranker.weights_EE[:2, :2].round(3)
        array([[0.   , 0.667],
               [0.667, 0.   ]], dtype=float32)
    """
    if regularisation <= 0:
        raise ConfigError(f"regularisation must be > 0, is {regularisation}")
    if not 0 < decay <= 1:
        raise ConfigError(f"decay must be in (0, 1], is {decay}")
    counts_V = train.item_counts()
    known = np.flatnonzero(counts_V)
    if not len(known):
        raise DataError("EASE must have at least one training interaction, there is none")
    most_watched = np.argsort(-counts_V[known], kind="stable")[:max_items]
    items_E = np.sort(known[most_watched])
    weights_EE = _inverse(_gram(train, items_E), regularisation)
    weights_EE /= -np.diag(weights_EE)[None, :].copy()
    np.fill_diagonal(weights_EE, 0)
    return EaseRanker(name, weights_EE, items_E, counts_V[items_E].astype(np.float32), decay)


def _gram(train: Histories, items_E: NDArray[np.int64]) -> NDArray[np.float32]:
    """X'X, dense, made a block of rows at a time."""
    matrix = interaction_matrix(train)[:, items_E].tocsr()
    by_item = matrix.T.tocsr()
    gram_EE = np.empty((len(items_E), len(items_E)), dtype=np.float32)
    for start in range(0, len(items_E), _BLOCK):
        gram_EE[start : start + _BLOCK] = (by_item[start : start + _BLOCK] @ matrix).toarray()
    return gram_EE


def _inverse(gram_EE: NDArray[np.float32], regularisation: float) -> NDArray[np.float32]:
    """Inverse of the regularised Gram matrix, in its own memory."""
    gram_EE[np.diag_indices_from(gram_EE)] += np.float32(regularisation)
    # The transposed view is what LAPACK calls column-major; the matrix is symmetric, so nothing is copied.
    factor_EE, status = lapack.spotrf(gram_EE.T, lower=1, overwrite_a=1)
    inverse_EE, failure = lapack.spotri(factor_EE, lower=1, overwrite_c=1)
    if status or failure:
        raise DataError(f"EASE cannot invert its Gram matrix with regularisation {regularisation}; raise it")
    for start in range(0, len(inverse_EE), _BLOCK):
        stop = min(start + _BLOCK, len(inverse_EE))
        inverse_EE[start:stop, stop:] = inverse_EE[stop:, start:stop].T
        corner = inverse_EE[start:stop, start:stop]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
    return np.ascontiguousarray(inverse_EE.T)
