"""How well held-out questions are answered: Recall@10, NDCG@10 and MRR, beside chance, and whether one way beats another.

Shape suffixes: C cases, V items, T targets, B resamples.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.metrics.chance import chance_metrics
from kinema.metrics.ranking import ndcg, recall, reciprocal_rank
from kinema.metrics.ranks import target_ranks
from kinema.seeds import generator
from kinema.tasks.match_data import Cases

K: Final = 10
DEEP: Final = 1000
"""Places that MRR looks at."""
_BLOCK: Final = 256
_RESAMPLES: Final = 1000
Scores = Callable[[int, int], NDArray[np.floating]]
"""First and last case -> float [cases, V]; what is not finite cannot be ranked."""


def measure(scores: Scores, cases: Cases, *, num_items: int) -> dict[str, NDArray[np.float64]]:
    """Numbers of each case.

    Args:
        scores: Of a block of cases.
        cases: What is asked.
        num_items: V, all of which are candidates but those blocked.

    Returns:
        ``recall@10``, ``ndcg@10`` and ``mrr`` (nothing below place 1,000 counts) -> float64 [C]. Ties count as lost.
    """
    ranks = []
    for first in range(0, len(cases), _BLOCK):
        last = min(first + _BLOCK, len(cases))
        mine = (cases.rows_T >= first) & (cases.rows_T < last)
        ranks.append(
            target_ranks(
                np.asarray(scores(first, last), dtype=np.float64),
                rows_T=cases.rows_T[mine] - first,
                items_T=cases.items_T[mine],
                blocked_CV=cases.blocked(first, last, num_items),
            )
        )
    return numbers(np.concatenate(ranks), cases)


def numbers(ranks_T: NDArray[np.int64], cases: Cases) -> dict[str, NDArray[np.float64]]:
    """`measure` from ranks that are known."""
    offsets = cases.offsets
    return {
        f"recall@{K}": recall(ranks_T, offsets, k=K),
        f"ndcg@{K}": ndcg(ranks_T, offsets, k=K),
        "mrr": reciprocal_rank(ranks_T, offsets, k=DEEP),
    }


def chance(cases: Cases, *, num_items: int) -> dict[str, NDArray[np.float64]]:
    """What a random order of the candidates would score, expected."""
    blocked_C = np.bincount(cases.blocked_B[:, 0], minlength=len(cases))
    targets_C = np.diff(cases.offsets)
    hits_C = np.zeros(len(cases), dtype=np.int64)
    keys = {(int(row), int(item)) for row, item in cases.blocked_B}
    for row, item in zip(cases.rows_T.tolist(), cases.items_T.tolist(), strict=True):
        hits_C[row] += (row, item) in keys
    candidates_C = num_items - (blocked_C - hits_C)
    found = chance_metrics(candidates_C, targets_C, ks=(K, min(DEEP, num_items)))
    return {
        f"recall@{K}": found[f"recall@{K}"],
        f"ndcg@{K}": found[f"ndcg@{K}"],
        "mrr": found[f"mrr@{min(DEEP, num_items)}"],
    }


def means(values: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Mean over cases, and how many they are.

    Example:
        >>> means({"ndcg@10": np.array([0.0, 1.0])})
        {'ndcg@10': 0.5, 'cases': 2}
    """
    found: dict[str, float] = {name: round(float(one.mean()), 6) for name, one in values.items()}
    return found | {"cases": len(next(iter(values.values())))}


def gain(one_C: NDArray[np.float64], other_C: NDArray[np.float64], *, seed: int) -> tuple[float, float, float]:
    """Mean of one above the other's on the same cases, and its 95 % interval by the bootstrap over cases.

    Example:
        >>> gain(np.array([1.0, 1.0]), np.array([0.5, 0.5]), seed=0)
        (0.5, 0.5, 0.5)
    """
    apart_C = one_C - other_C
    drawn = generator(seed, "match/bootstrap").integers(0, len(apart_C), (_RESAMPLES, len(apart_C)))
    low, high = np.quantile(apart_C[drawn].mean(axis=1), [0.025, 0.975])
    return float(apart_C.mean()), float(low), float(high)
