"""What a random order would score: the exact expectation of each ranking metric.

Without it a table cannot be read: .05 is strong among 10,000 candidates and chance among 100.

Shape suffixes: C cases.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError


def chance_metrics(
    num_candidates_C: NDArray[np.integer], num_targets_C: NDArray[np.integer], *, ks: Sequence[int]
) -> dict[str, NDArray[np.float64]]:
    """Expected value of every metric when all orders of the candidates are equally likely.

    With n candidates of which R are targets, each of the first n places holds a target with probability R / n, the
    first target stands at place r with probability ``prod_{j<r} (n-R-j+1)/(n-j+1) * R/(n-r+1)``, and given a target at
    place r the expected number of targets before it is ``(r-1)(R-1)/(n-1)``.

    Args:
        num_candidates_C: n per case, targets included, >= 1.
        num_targets_C: R per case, 1..n.
        ks: Cut-offs, each >= 1.

    Returns:
        ``name@k`` -> float64 [C], the names of `kinema.metrics.ranking.METRICS`.

    Raises:
        DataError: A case has no target or more targets than candidates.

    Example:
        >>> values = chance_metrics(np.array([100]), np.array([1]), ks=(10,))
        >>> round(float(values["recall@10"][0]), 4), round(float(values["ndcg@10"][0]), 4)
        (0.1, 0.0454)
    """
    if (num_targets_C < 1).any() or (num_targets_C > num_candidates_C).any():
        raise DataError("every case must have between one target and as many as it has candidates")
    n_C, targets_C = num_candidates_C.astype(np.float64), num_targets_C.astype(np.float64)
    largest = max(ks)
    gain_C, ideal_C, first_C, average_C = (np.zeros(len(n_C)) for _ in range(4))
    none_yet_C = np.ones(len(n_C))
    values: dict[str, NDArray[np.float64]] = {}
    for place in range(1, largest + 1):
        exists_C = place <= n_C
        before_C = (place - 1) * (targets_C - 1) / np.maximum(n_C - 1, 1)
        gain_C += np.where(exists_C, targets_C / n_C, 0) / np.log2(place + 1)
        ideal_C += np.where(place <= targets_C, 1 / np.log2(place + 1), 0)
        average_C += np.where(exists_C, targets_C / n_C * (1 + before_C) / place, 0)
        here_C = np.where(exists_C, np.minimum(targets_C / np.maximum(n_C - place + 1, 1), 1), 0)
        first_C += none_yet_C * here_C / place
        none_yet_C *= 1 - here_C
        if place in ks:
            found_C = np.minimum(place, n_C) * targets_C / n_C
            values[f"ndcg@{place}"] = gain_C / ideal_C
            values[f"recall@{place}"] = found_C / targets_C
            values[f"mrr@{place}"] = first_C.copy()
            values[f"map@{place}"] = average_C / np.minimum(place, targets_C)
            values[f"hit_rate@{place}"] = 1 - none_yet_C
            values[f"precision@{place}"] = found_C / place
    return values
