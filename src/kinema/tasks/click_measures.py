"""How well probabilities of a click fit what happened.

Shape suffixes: N rows.
"""

import numpy as np
from numpy.typing import NDArray

_LEAST: float = 1e-12


def auc(labels_N: NDArray[np.floating], scores_N: NDArray[np.floating]) -> float:
    """Share of pairs of a clicked and an unclicked row in which the clicked one scores higher; ties count half.

    Args:
        labels_N: 1 or 0.
        scores_N: Any scale.

    Returns:
        In [0, 1]; not-a-number where all labels are the same.

    Source: Mann and Whitney, 1947; exact, by ranks.

    Example:
        >>> auc(np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.2, 0.9]))
        0.75
    """
    positive_N = labels_N > 0
    num_positive = int(positive_N.sum())
    num_pairs = num_positive * (len(labels_N) - num_positive)
    if not num_pairs:
        return float("nan")
    _, inverse_N, counts = np.unique(scores_N, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[inverse_N][positive_N].sum() - num_positive * (num_positive + 1) / 2) / num_pairs)


def log_loss(labels_N: NDArray[np.floating], probabilities_N: NDArray[np.floating]) -> float:
    """Mean of minus the logarithm of what was given to what happened.

    Example:
        >>> round(log_loss(np.array([1.0, 0.0]), np.array([0.5, 0.5])), 4)
        0.6931
    """
    given_N = np.where(labels_N > 0, probabilities_N, 1 - probabilities_N.astype(np.float64))
    return float(-np.log(np.clip(given_N, _LEAST, 1.0)).mean())
