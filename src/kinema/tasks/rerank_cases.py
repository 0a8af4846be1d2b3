"""Queries with their candidates in the order of the search, what is right among them, and how good an order of them is.

Shape suffixes: K candidates of one query, C cases.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.metrics.ranking import ndcg, reciprocal_rank

CUT: Final = 10
"""Places that count."""
WEIGHTS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""What the second reading may count; validation chooses."""


@dataclass(frozen=True)
class RerankCase:
    """One query.

    Attributes:
        query: Its words.
        items_K: int64, numbers of the candidates, best first as the search has them.
        texts_K: What is read of each.
        present_K: float64, their scores there.
        grades_K: float32 in [0, 1], how right each is; 0 is wrong.
        right: Numbers of all right items, candidates or not; not empty in cases that are judged.
    """

    query: str
    items_K: NDArray[np.int64]
    texts_K: tuple[str, ...]
    present_K: NDArray[np.float64]
    grades_K: NDArray[np.float32]
    right: frozenset[int]

    def only(self, kept_V: NDArray[np.bool_]) -> "RerankCase":
        """The case among some of the items, in the same order."""
        left_K = kept_V[self.items_K]
        right = frozenset(item for item in self.right if kept_V[item])
        texts_K = tuple(text for text, left in zip(self.texts_K, left_K.tolist(), strict=True) if left)
        return RerankCase(
            self.query, self.items_K[left_K], texts_K, self.present_K[left_K], self.grades_K[left_K], right
        )


def blended(present_K: NDArray[np.floating], read_K: NDArray[np.floating], weight: float) -> NDArray[np.float64]:
    """Two opinions on the same candidates, each in standard deviations over them, as one score.

    Args:
        present_K: Scores of the search.
        read_K: Scores of the second reading.
        weight: What the second counts, in [0, 1]; the first counts the rest.

    Returns:
        float64 [K].

    Example:
        >>> blended(np.array([3.0, 1.0]), np.array([0.0, 2.0]), 0.25).tolist()
        [0.5, -0.5]
    """
    return (1.0 - weight) * _deviations(present_K) + weight * _deviations(read_K)


def _deviations(values_K: NDArray[np.floating]) -> NDArray[np.float64]:
    spread = float(values_K.std()) if len(values_K) else 0.0
    return np.zeros(len(values_K)) if spread < 1e-12 else (values_K.astype(np.float64) - values_K.mean()) / spread


def order_of(scores_K: NDArray[np.floating]) -> NDArray[np.int64]:
    """Places of the candidates, best first; of equals the one that stood first stays so."""
    return np.argsort(-scores_K, kind="stable").astype(np.int64)


def judge(
    cases: Sequence[RerankCase], reads: Sequence[NDArray[np.floating]] | None = None, *, weight: float = 0.0
) -> dict[str, NDArray[np.float64]]:
    """NDCG@10 and the reciprocal rank of the first right item, of every case.

    Right items that are no candidates count as missed.

    Args:
        cases: Each with something right.
        reads: Scores of the second reading, [K] of each case; None for the order of the search.
        weight: See `blended`.

    Returns:
        ``ndcg`` and ``mrr``, float64 [C] each.

    Example:
        >>> case = RerankCase("otters", np.array([4, 7]), ("", ""), np.array([2.0, 1.0]), np.array([0.0, 1.0]), frozenset({7}))
        >>> judge([case])["mrr"].tolist(), judge([case], [np.array([0.0, 1.0])], weight=1.0)["mrr"].tolist()
        ([0.5], [1.0])
    """
    ranks: list[NDArray[np.int64]] = []
    for place, case in enumerate(cases):
        order_K = np.arange(len(case.items_K))
        if reads is not None and weight > 0:
            order_K = order_of(blended(case.present_K, reads[place], weight))
        found = np.flatnonzero(case.grades_K[order_K] > 0) + 1
        missed = max(0, len(case.right) - len(found))
        beyond = max(CUT, len(case.items_K)) + 1 + np.arange(missed)
        ranks.append(np.concatenate([found, beyond]).astype(np.int64))
    offsets = np.cumsum([0, *(len(one) for one in ranks)])
    ranks_T = np.concatenate(ranks)
    return {"ndcg": ndcg(ranks_T, offsets, k=CUT), "mrr": reciprocal_rank(ranks_T, offsets, k=CUT)}


def best_weight(cases: Sequence[RerankCase], reads: Sequence[NDArray[np.floating]]) -> tuple[float, float]:
    """What the second reading counts where the NDCG@10 of cases that were not learnt from is highest; `careful_weight` asks for more.

    Returns:
        The weight, the smallest of those that are equally good, and its NDCG@10.
    """
    values = [float(judge(cases, reads, weight=weight)["ndcg"].mean()) for weight in WEIGHTS]
    best = max(range(len(WEIGHTS)), key=lambda place: (round(values[place], 9), -place))
    return WEIGHTS[best], values[best]


@dataclass(frozen=True)
class ChosenWeight:
    """What the second reading counts, and what that was chosen by.

    Attributes:
        weight: The smallest whose cases are within one standard error of the best's.
        ndcg: NDCG@10 of the cases with it.
        best: The weight with the highest NDCG@10.
        best_ndcg: That.
        error: Standard error of the mean difference between the best weight and none; 0 where these are the same, None with a
            single case.
        queries: Cases it was chosen on.
    """

    weight: float
    ndcg: float
    best: float
    best_ndcg: float
    error: float | None
    queries: int


def careful_weight(cases: Sequence[RerankCase], reads: Sequence[NDArray[np.floating]]) -> ChosenWeight:
    """What the second reading should count, by cases that were not learnt from, in doubt less.

    The best of many weights on a few queries is partly luck. A weight is as good as the best one where the mean of what the best gains over
    it, query by query, is no larger than the standard error of that mean; the smallest such weight is taken, and none is one of them.

    Source: the one-standard-error rule of Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3, with differences
    paired by query.

    Example:
        >>> case = RerankCase("otters", np.array([4, 7]), ("", ""), np.array([2.0, 1.0]), np.array([0.0, 1.0]), frozenset({7}))
        >>> reads = [np.array([0.0, 1.0])]
        >>> careful_weight([case], reads).weight, careful_weight([case, case], reads * 2).weight
        (0.0, 0.6)
    """
    values = [judge(cases, reads, weight=weight)["ndcg"] for weight in WEIGHTS]
    leading, best_ndcg = best_weight(cases, reads)
    best_C = values[WEIGHTS.index(leading)]
    errors = [_error_of_mean(best_C - one_C) for one_C in values]
    chosen = next(place for place, one_C in enumerate(values) if float((best_C - one_C).mean()) <= errors[place] + 1e-9)
    return ChosenWeight(
        weight=WEIGHTS[chosen],
        ndcg=float(values[chosen].mean()),
        best=leading,
        best_ndcg=best_ndcg,
        error=errors[0] if math.isfinite(errors[0]) else None,
        queries=len(cases),
    )


def _error_of_mean(gains_C: NDArray[np.float64]) -> float:
    """Standard error; one case that differs tells nothing, cases that do not differ are sure of it."""
    if not gains_C.any():
        return 0.0
    return float(gains_C.std(ddof=1) / np.sqrt(len(gains_C))) if len(gains_C) > 1 else math.inf


def gain_interval(
    before_C: NDArray[np.float64], after_C: NDArray[np.float64], *, seed: int, samples: int = 1000
) -> tuple[float, float]:
    """95 % interval of a mean difference, by drawing cases again.

    Example:
        >>> gain_interval(np.zeros(5), np.ones(5), seed=0)
        (1.0, 1.0)
    """
    random = np.random.default_rng(seed)
    gains_C = after_C - before_C
    means = gains_C[random.integers(0, len(gains_C), (samples, len(gains_C)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
