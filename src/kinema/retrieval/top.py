"""The n best of a score array, the same on every run and every machine.

Shape suffixes: V items, K results.
"""

import numpy as np
from numpy.typing import NDArray

from kinema.schema import Candidate


def top(scores_V: NDArray[np.floating], num: int, allowed_V: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Numbers of the ``num`` best items.

    `argpartition` alone keeps an arbitrary choice among items that tie for the last place, so two machines could answer
    differently; here the lower number wins. Items whose score is not finite (a model that cannot score them, a damaged
    vector) are never returned.

    Args:
        scores_V: Higher is better.
        num: How many are wanted, >= 0.
        allowed_V: Items that may be returned; None allows all.

    Returns:
        int64 [K], K <= num, best first, ties by item number.

    Example:
        >>> top(np.array([0.1, 0.7, 0.7, np.nan, 0.9]), 2)
        array([4, 1])
    """
    usable_V = np.isfinite(scores_V) if allowed_V is None else np.isfinite(scores_V) & allowed_V
    items_M = np.flatnonzero(usable_V)
    values_M = scores_V[items_M]
    if num < len(items_M):
        if num <= 0:
            return np.empty(0, dtype=np.int64)
        last = np.partition(values_M, len(values_M) - num)[len(values_M) - num]
        above_M = values_M > last
        ties = np.flatnonzero(values_M == last)[: num - int(above_M.sum())]
        above_M[ties] = True
        items_M, values_M = items_M[above_M], values_M[above_M]
    return items_M[np.argsort(-values_M, kind="stable")].astype(np.int64)


def as_candidates(
    scores_V: NDArray[np.floating], num: int, allowed_V: NDArray[np.bool_], *, source: str
) -> list[Candidate]:
    """The ``num`` best allowed items as candidates of one source, best first."""
    items_K = top(scores_V, num, allowed_V)
    return [
        Candidate(item, source, score) for item, score in zip(items_K.tolist(), scores_V[items_K].tolist(), strict=True)
    ]
