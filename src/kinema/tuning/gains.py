"""What each validation example says for a model, so that two can be compared pair by pair; larger is better.

Shape suffixes: N examples, P positives, M negatives.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

_LEAST: Final = 1e-7


def log_loss_gains(probs_N: NDArray[np.floating], labels_N: NDArray[np.floating]) -> NDArray[np.float64]:
    """Minus the log loss of each example, float64 [N].

    Example:
        >>> log_loss_gains(np.array([0.5, 0.9]), np.array([1, 1])).round(3).tolist()
        [-0.693, -0.105]
    """
    right_N = np.where(labels_N > 0, probs_N, 1.0 - probs_N).astype(np.float64)
    return np.asarray(np.log(np.clip(right_N, _LEAST, 1.0)))


def auc_gains(probs_N: NDArray[np.floating], labels_N: NDArray[np.floating]) -> NDArray[np.float64]:
    """What each example adds to the AUC, float64 [N]: their mean is the AUC, their spread that of its estimate.

    A positive counts by the share of negatives below it, a negative by the share of positives above it, both around the
    AUC and by how few of their kind there are.

    Source: DeLong, DeLong, Clarke-Pearson, Comparing the areas under two or more correlated ROC curves, Biometrics 1988
    (placement values), written as one number per example.

    Example:
        >>> float(auc_gains(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])).mean())
        0.75
    """
    positive_N = labels_N > 0
    num_P, num_M = int(positive_N.sum()), int((~positive_N).sum())
    above_N = rankdata(probs_N)
    placed_P = (above_N[positive_N] - rankdata(probs_N[positive_N])) / num_M
    placed_M = 1.0 - (above_N[~positive_N] - rankdata(probs_N[~positive_N])) / num_P
    area = float(placed_P.mean())
    gains_N = np.empty(len(labels_N), dtype=np.float64)
    gains_N[positive_N] = area + (placed_P - area) * len(labels_N) / num_P
    gains_N[~positive_N] = area + (placed_M - area) * len(labels_N) / num_M
    # Each half is around the area with mean 0, so the mean of all is the area.
    return gains_N


GAINS_OF_CHANCES: Final[Mapping[str, Callable[[NDArray[np.floating], NDArray[np.floating]], NDArray[np.float64]]]] = {
    "log_loss": log_loss_gains,
    "auc": auc_gains,
}
"""Metric -> what each example says, from chances and labels; other metrics are no sum over examples."""
