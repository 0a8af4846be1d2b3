"""Maximal marginal relevance: the next place goes to what is good and unlike what is already there.

Shape suffixes: K candidates, D width, S places of the slate.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kinema.compiled import compiled
from kinema.reranking.quotas import Places, Quota


def diversify(
    scores_K: NDArray[np.floating],
    vectors_KD: NDArray[np.float32] | None,
    num: int,
    *,
    diversity: float,
    quotas: Sequence[Quota] = (),
) -> NDArray[np.int64]:
    """Choose and order a slate greedily.

    Each step takes the candidate with the largest ``(1 - diversity) * relevance - diversity * nearest``, where relevance
    is the score scaled to [0, 1] over the candidates and nearest is the largest cosine to a chosen item. The best
    candidate always comes first: diversity is bought further down.

    A group that has its quota waits until no other candidate is left; a slate shorter than possible would be the worse
    answer.

    Args:
        scores_K: Finite, best first: equal values keep the order given.
        vectors_KD: Content vectors, unit rows, zero rows where there is none (such an item is near nothing); None
            switches the trade-off off.
        num: Places to fill.
        diversity: 0 keeps the order of the scores, 1 looks at nothing but distance; in [0, 1].
        quotas: Limits on the places of a category, a creator, ...

    Returns:
        int64 [S], S = min(num, K), positions in the arrays given, in slate order.

    Source:
        Carbonell, Goldstein: The use of MMR, diversity-based reranking for reordering documents and producing
        summaries, SIGIR 1998. The quota is ours.

    Example:
        >>> vectors_KD = np.float32([[1, 0], [1, 0], [0, 1]])
        >>> diversify(np.array([0.9, 0.8, 0.5]), vectors_KD, 3, diversity=0.5)
        array([0, 2, 1])
    """
    values_K, size = scaled(scores_K), min(num, len(scores_K))
    if vectors_KD is None or diversity <= 0:
        near_KK, values_K = None, values_K.copy()
    else:
        near_KK = diversity * (vectors_KD @ vectors_KD.T).astype(np.float64)
        values_K *= 1.0 - diversity
    if not quotas:
        return _chosen(values_K, near_KK, size)
    costs_K = np.full(len(values_K), -np.inf)
    places = Places(len(values_K), quotas)
    chosen: list[int] = []
    while len(chosen) < size:
        worth_K = values_K if near_KK is None or not chosen else values_K - costs_K
        best = int(np.where(places.free(), worth_K, -np.inf).argmax())
        chosen.append(best)
        places.fill(best)
        if near_KK is not None:
            np.maximum(costs_K, near_KK[best], out=costs_K)
    return np.array(chosen, dtype=np.int64)


@compiled
def _chosen(values_K: NDArray[np.float64], near_KK: NDArray[np.float64] | None, size: int) -> NDArray[np.int64]:
    """`diversify` without quotas, of values and distances that have their shares already."""
    chosen_S, open_K = np.empty(size, dtype=np.int64), np.ones(len(values_K), dtype=np.bool_)
    costs_K = np.zeros(len(values_K))
    for place in range(size):
        best, most = -1, -np.inf
        for k in range(len(values_K)):
            if open_K[k] and (best < 0 or values_K[k] - costs_K[k] > most):
                best, most = k, values_K[k] - costs_K[k]
        chosen_S[place], open_K[best] = best, False
        if near_KK is not None:
            for k in range(len(values_K)):
                costs_K[k] = near_KK[best, k] if place == 0 else max(costs_K[k], near_KK[best, k])
    return chosen_S


def scaled(scores_K: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scores moved to [0, 1] over the candidates; all 1 where they are equal.

    Example:
        >>> scaled(np.array([2.0, 6.0, 4.0]))
        array([0. , 1. , 0.5])
    """
    scores = np.asarray(scores_K, dtype=np.float64)
    if not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    return np.ones_like(scores) if high == low else (scores - low) / (high - low)
