"""One scale for sources whose numbers cannot be compared: their ranks.

Shape suffixes: S sources, K candidates.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def fuse_ranks(ranks_SK: NDArray[np.integer], weights_S: Sequence[float], *, offset: float) -> NDArray[np.float64]:
    """Weighted reciprocal rank fusion, scaled to [0, 1].

    A cosine, a count and a transition weight have no common unit; adding them lets the source with the largest numbers
    decide. Ranks need no calibration and one broken source cannot drown the others.

    Args:
        ranks_SK: Place of each candidate in each source's list, from 0; -1 where the source did not propose it.
        weights_S: Trust in each source, >= 0.
        offset: > 0; the larger, the less the first places stand out. At 1 the sources take turns in proportion to their
            weights: one with a quarter of the other's weight gets about every fifth place.

    Returns:
        float64 [K]; 1 for an item that every source with a weight puts first, 0 for one that none proposed.

    Source:
        Cormack, Clarke, Buettcher: Reciprocal rank fusion outperforms Condorcet and individual rank learning methods,
        SIGIR 2009. There the offset is 60 with ranks from 1, and there are no
        weights and no scaling.

    Example:
        >>> fuse_ranks(np.array([[0, 1, -1], [0, -1, 1]]), [1.0, 1.0], offset=1.0)
        array([1.  , 0.25, 0.25])
    """
    weights = np.asarray(weights_S, dtype=np.float64)
    reciprocal_SK = np.where(ranks_SK >= 0, offset / (offset + np.maximum(ranks_SK, 0)), 0.0)
    total = weights.sum()
    if total <= 0:
        return np.zeros(ranks_SK.shape[1])
    return np.asarray(weights @ reciprocal_SK / total)
