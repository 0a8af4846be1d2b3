"""Item-kNN: what is watched by the same people is alike.

Shape suffixes: C cases, V items, B items of a block, K neighbours.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kinema.errors import ConfigError
from kinema.evaluation.baselines.matrices import interaction_matrix, query_matrix
from kinema.store.histories import Histories
from kinema.store.splits import Cases

_CELLS = 16_000_000


@dataclass(frozen=True)
class ItemKnnRanker:
    """Sum of similarities to the watched items.

    Items without any evidence stand behind all others in order of popularity; a user without history gets popularity.

    Attributes:
        name: How reports call it.
        similar_VV: scipy CSR float32; row = watched item, column = its neighbour.
        backfill_V: float32 in [-1, 0), popularity for what has no evidence.
        decay: Weight of a watched item relative to the next newer one, in (0, 1].
    """

    name: str
    similar_VV: Any
    backfill_V: NDArray[np.float32]
    decay: float

    def score(self, cases: Cases) -> NDArray[np.float32]:
        """See `kinema.evaluation.protocol.Ranker`."""
        scores_CV = (query_matrix(cases.histories, decay=self.decay) @ self.similar_VV).toarray()
        return np.where(scores_CV > 0, scores_CV, self.backfill_V)


def fit_item_knn(
    train: Histories, *, neighbours: int = 100, shrinkage: float = 10.0, decay: float = 1.0, name: str = "item-kNN"
) -> ItemKnnRanker:
    """Cosine similarity with shrinkage: ``s_ij = c_ij / (sqrt(n_i n_j) + shrinkage)``, c_ij users who watched both.

    Args:
        train: U rows.
        neighbours: Kept per watched item, >= 1; equal similarities are kept in order of item number.
        shrinkage: Draws similarities that rest on few users towards zero, >= 0.
        decay: See `ItemKnnRanker`.
        name: See `ItemKnnRanker`.

    Returns:
        The ranker.

    Raises:
        ConfigError: A value is out of range.

    Source: Deshpande and Karypis, Item-based top-N recommendation algorithms, TOIS 2004; shrinkage as in Dacrema et
    al., Are we really making much progress?, RecSys 2019.

    Example:
        >>> ranker = fit_item_knn(Histories.from_lists([[0, 1], [0, 1], [0, 2]], num_items=3), shrinkage=0.0)
        >>> ranker.similar_VV.toarray().round(3)
        array([[0.   , 0.816, 0.577],
               [0.816, 0.   , 0.   ],
               [0.577, 0.   , 0.   ]], dtype=float32)
    """
    if neighbours < 1:
        raise ConfigError(f"neighbours must be >= 1, is {neighbours}")
    if shrinkage < 0:
        raise ConfigError(f"shrinkage must be >= 0, is {shrinkage}")
    if not 0 < decay <= 1:
        raise ConfigError(f"decay must be in (0, 1], is {decay}")
    matrix = interaction_matrix(train)
    by_item = matrix.T.tocsr()
    counts_V = np.asarray(matrix.sum(axis=0), dtype=np.float32)
    block = max(1, _CELLS // max(train.num_items, 1))
    parts = [
        _nearest(
            (by_item[start : start + block] @ matrix).toarray(),
            np.arange(start, min(start + block, train.num_items)),
            counts_V,
            neighbours=neighbours,
            shrinkage=shrinkage,
        )
        for start in range(0, train.num_items, block)
    ]
    backfill_V = (counts_V / (counts_V.max(initial=0) + 1) - 1).astype(np.float32)
    return ItemKnnRanker(name, sparse.vstack(parts, format="csr"), backfill_V, decay)


def _nearest(
    together_BV: NDArray[np.float32],
    rows_B: NDArray[np.int64],
    counts_V: NDArray[np.float32],
    *,
    neighbours: int,
    shrinkage: float,
) -> Any:
    """The neighbours of a block of items as sparse rows."""
    together_BV[np.arange(len(rows_B)), rows_B] = 0
    norms_BV = np.sqrt(counts_V[rows_B, None] * counts_V) + np.float32(shrinkage)
    similar_BV = np.divide(together_BV, norms_BV, out=np.zeros_like(together_BV), where=together_BV > 0)
    if neighbours < similar_BV.shape[1]:
        order_BK = np.argsort(-similar_BV, axis=1, kind="stable")[:, :neighbours]
        kept_BV = np.zeros_like(similar_BV)
        np.put_along_axis(kept_BV, order_BK, np.take_along_axis(similar_BV, order_BK, axis=1), axis=1)
        similar_BV = kept_BV
    return sparse.csr_array(similar_BV)
