"""Accuracy of rankings, computed from the ranks of the right items.

All functions share one form: the targets of all cases lie one after another, ``offsets`` says where each case begins,
and the result has one number per case, so that a mean, an interval over users or a paired difference can follow.
Relevance is binary. With exactly one target per case (next-item protocols) recall equals hit rate and average precision
equals reciprocal rank.

Shape suffixes: C cases, T targets of all cases one after another; ``offsets`` has C + 1 entries.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError

METRICS: Final[tuple[str, ...]] = ("ndcg", "recall", "mrr", "map", "hit_rate", "precision")
"""Names in the order reports show them; ``ndcg@10`` is a name with its cut-off."""


def hit_rate(ranks_T: NDArray[np.integer], offsets: NDArray[np.integer], *, k: int) -> NDArray[np.float64]:
    """Whether any target is among the first k: ``1[min_t rank_t <= k]``.

    Args:
        ranks_T: Ranks from 1, distinct within a case (see `kinema.metrics.ranks.target_ranks`).
        offsets: Case c owns ``ranks_T[offsets[c]:offsets[c + 1]]``; no case is empty.
        k: Length of the list looked at, >= 1.

    Returns:
        float64 [C], 0 or 1.

    Raises:
        DataError: k < 1, a rank < 1, a case without target, or ranks and offsets that do not fit.

    Example:
        >>> hit_rate(np.array([1, 7, 30]), np.array([0, 2, 3]), k=10)
        array([1., 0.])
    """
    _check(ranks_T, offsets, k)
    return (np.minimum.reduceat(ranks_T, offsets[:-1]) <= k).astype(np.float64)


def recall(ranks_T: NDArray[np.integer], offsets: NDArray[np.integer], *, k: int) -> NDArray[np.float64]:
    """Share of a case's targets that are among the first k: ``#{t: rank_t <= k} / R``.

    Some libraries divide by ``min(k, R)`` instead; with one target the two agree.

    Args:
        ranks_T: See `hit_rate`.
        offsets: See `hit_rate`.
        k: See `hit_rate`.

    Returns:
        float64 [C] in [0, 1].

    Raises:
        DataError: See `hit_rate`.

    Example:
        >>> recall(np.array([1, 7, 30]), np.array([0, 3]), k=10).round(4)
        array([0.6667])
    """
    _check(ranks_T, offsets, k)
    return _sum(ranks_T <= k, offsets) / np.diff(offsets)


def precision(ranks_T: NDArray[np.integer], offsets: NDArray[np.integer], *, k: int) -> NDArray[np.float64]:
    """Share of the first k places that hold a target: ``#{t: rank_t <= k} / k``, also where fewer than k exist.

    Args:
        ranks_T: See `hit_rate`.
        offsets: See `hit_rate`.
        k: See `hit_rate`.

    Returns:
        float64 [C] in [0, 1].

    Raises:
        DataError: See `hit_rate`.

    Example:
        >>> precision(np.array([1, 7, 30]), np.array([0, 3]), k=10)
        array([0.2])
    """
    _check(ranks_T, offsets, k)
    return _sum(ranks_T <= k, offsets) / k


def reciprocal_rank(ranks_T: NDArray[np.integer], offsets: NDArray[np.integer], *, k: int) -> NDArray[np.float64]:
    """``1 / min_t rank_t`` if that is within the first k, else 0. Its mean is MRR@k.

    Args:
        ranks_T: See `hit_rate`.
        offsets: See `hit_rate`.
        k: See `hit_rate`.

    Returns:
        float64 [C] in [0, 1].

    Raises:
        DataError: See `hit_rate`.

    Example:
        >>> reciprocal_rank(np.array([4, 7, 30]), np.array([0, 2, 3]), k=10)
        array([0.25, 0.  ])
    """
    _check(ranks_T, offsets, k)
    first_C = np.minimum.reduceat(ranks_T, offsets[:-1])
    return np.where(first_C <= k, 1.0 / first_C, 0.0)


def average_precision(ranks_T: NDArray[np.integer], offsets: NDArray[np.integer], *, k: int) -> NDArray[np.float64]:
    """Mean precision at the places of the targets: ``sum_{t: rank_t <= k} P(rank_t) / min(k, R)``. Its mean is MAP@k.

    The divisor ``min(k, R)`` makes 1 reachable and counts targets that were missed. torchmetrics divides by the number
    of targets found instead (one of five targets at rank 1 gives it 1.0), trec_eval by R.

    Args:
        ranks_T: See `hit_rate`.
        offsets: See `hit_rate`.
        k: See `hit_rate`.

    Returns:
        float64 [C] in [0, 1].

    Raises:
        DataError: See `hit_rate`.

    Example:
        >>> average_precision(np.array([1, 4]), np.array([0, 2]), k=10)
        array([0.75])
    """
    _check(ranks_T, offsets, k)
    lengths_C = np.diff(offsets)
    cases_T = np.repeat(np.arange(len(lengths_C)), lengths_C)
    sorted_T = ranks_T[np.lexsort((ranks_T, cases_T))]
    found_T = np.arange(len(ranks_T)) - np.repeat(offsets[:-1], lengths_C) + 1
    return _sum(np.where(sorted_T <= k, found_T / sorted_T, 0.0), offsets) / np.minimum(k, lengths_C)


def ndcg(ranks_T: NDArray[np.integer], offsets: NDArray[np.integer], *, k: int) -> NDArray[np.float64]:
    """Discounted gain over the best possible: ``sum_{t: rank_t <= k} 1/log2(rank_t + 1)`` over its ideal.

    The ideal has all targets in front: ``sum_{r <= min(k, R)} 1/log2(r + 1)``.

    Args:
        ranks_T: See `hit_rate`.
        offsets: See `hit_rate`.
        k: See `hit_rate`.

    Returns:
        float64 [C] in [0, 1].

    Raises:
        DataError: See `hit_rate`.

    Source: Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, TOIS 2002; binary gains.

    Example:
        >>> ndcg(np.array([1, 3]), np.array([0, 1, 2]), k=10)
        array([1. , 0.5])
    """
    _check(ranks_T, offsets, k)
    ideal_K = np.cumsum(1.0 / np.log2(np.arange(1, k + 1) + 1.0))
    gains_T = np.where(ranks_T <= k, 1.0 / np.log2(ranks_T + 1.0), 0.0)
    gains_C: NDArray[np.float64] = _sum(gains_T, offsets) / ideal_K[np.minimum(k, np.diff(offsets)) - 1]
    return gains_C


def case_metrics(
    ranks_T: NDArray[np.integer], offsets: NDArray[np.integer], *, ks: Sequence[int]
) -> dict[str, NDArray[np.float64]]:
    """Every metric at every cut-off.

    Args:
        ranks_T: See `hit_rate`.
        offsets: See `hit_rate`.
        ks: Cut-offs, each >= 1.

    Returns:
        ``name@k`` -> float64 [C].

    Raises:
        DataError: See `hit_rate`.

    Example:
        >>> {name: float(v[0]) for name, v in case_metrics(np.array([2]), np.array([0, 1]), ks=(5,)).items()}
        {'ndcg@5': 0.63..., 'recall@5': 1.0, 'mrr@5': 0.5, 'map@5': 0.5, 'hit_rate@5': 1.0, 'precision@5': 0.2}
    """
    functions = (ndcg, recall, reciprocal_rank, average_precision, hit_rate, precision)
    return {
        f"{name}@{k}": function(ranks_T, offsets, k=k)
        for k in ks
        for name, function in zip(METRICS, functions, strict=True)
    }


def _sum(values_T: NDArray[np.generic], offsets: NDArray[np.integer]) -> NDArray[np.float64]:
    """Sum per case."""
    sums_C: NDArray[np.float64] = np.add.reduceat(values_T.astype(np.float64), offsets[:-1])
    return sums_C


def _check(ranks_T: NDArray[np.integer], offsets: NDArray[np.integer], k: int) -> None:
    """Refuse what has no defined metric; `reduceat` would silently take a neighbour's rank for an empty case."""
    if k < 1:
        raise DataError(f"k must be >= 1, is {k}")
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(ranks_T):
        raise DataError(f"offsets must run from 0 to the number of ranks {len(ranks_T)} over at least one case")
    if (np.diff(offsets) < 1).any():
        raise DataError(f"every case must have a target, case {int(np.argmin(np.diff(offsets) >= 1))} has none")
    if ranks_T.min() < 1:
        raise DataError(f"ranks must be >= 1, got {int(ranks_T.min())}")
