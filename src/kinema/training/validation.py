"""Looking at validation while training: NDCG over the full catalogue, seen items removed.

Only what is needed to choose an epoch, a gate or a weight; reports come from the evaluation room.

Shape suffixes: C cases, V catalogue.
"""

import numpy as np
from numpy.typing import NDArray

from kinema.metrics.ranks import target_ranks
from kinema.seeds import generator
from kinema.store.splits import Cases


def sample_cases(cases: Cases, *, num_items: int, max_cells: int, seed: int) -> Cases:
    """At most as many cases as keep the score matrix below ``max_cells``, drawn once per seed.

    Cases without a target are left out: they can tell nothing.
    """
    rows = np.flatnonzero(cases.targets.lengths > 0)
    room = max(1, max_cells // max(num_items, 1))
    if len(rows) > room:
        rows = np.sort(generator(seed, "validation").choice(rows, room, replace=False))
    return cases.take(rows)


def ndcg(scores_CV: NDArray[np.float32], cases: Cases, blocked_CV: NDArray[np.bool_], *, k: int = 10) -> float:
    """Mean of `ndcg_per_case`."""
    return float(np.mean(ndcg_per_case(scores_CV, cases, blocked_CV, k=k)))


def ndcg_per_case(
    scores_CV: NDArray[np.float32], cases: Cases, blocked_CV: NDArray[np.bool_], *, k: int = 10
) -> NDArray[np.float64]:
    """NDCG@k with binary relevance and pessimistic ties, float64 [C].

    Args:
        scores_CV: Higher is better.
        cases: Each with at least one target.
        blocked_CV: From `kinema.store.splits.blocked_items`.
        k: Cut-off.
    """
    rows_T = np.repeat(np.arange(len(cases)), cases.targets.lengths)
    gains_C = np.bincount(rows_T, gains(scores_CV, cases, blocked_CV, k=k), minlength=len(cases))
    ideal = np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    return np.asarray(gains_C / ideal[np.minimum(cases.targets.lengths, k)])


def gains(
    scores_CV: NDArray[np.float32], cases: Cases, blocked_CV: NDArray[np.bool_], *, k: int
) -> NDArray[np.float64]:
    """Discounted gain of each target of all cases, float64 [T]: 1 / log2(1 + rank) among the first k, else 0; see `ndcg_per_case`."""
    rows_T = np.repeat(np.arange(len(cases)), cases.targets.lengths)
    ranks_T = target_ranks(scores_CV, rows_T=rows_T, items_T=cases.targets.items, blocked_CV=blocked_CV)
    return np.asarray(np.where(ranks_T <= k, 1 / np.log2(ranks_T + 1), 0))
