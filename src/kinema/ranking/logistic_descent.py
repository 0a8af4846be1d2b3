"""Penalised logistic regression by Newton's method: what small calibrations are fitted with.

Shape suffixes: N rows, F numbers that are fitted.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.ranking.calibrators import sigmoid

_ROUNDS: Final = 100
_HALVINGS: Final = 40
_TOLERANCE: Final = 1e-9


def descended(
    inputs_NF: NDArray[np.float64],
    labels_N: NDArray[np.float64],
    counts_N: NDArray[np.float64],
    *,
    pull_F: NDArray[np.float64],
    start_F: NDArray[np.float64],
    offset_N: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64]:
    """The smallest summed log loss plus ``pull (x - start)^2 / 2``.

    Args:
        inputs_NF: Of each row.
        labels_N: 0 or 1.
        counts_N: How much each row counts.
        pull_F: How strongly each number is drawn to where it starts, > 0.
        start_F: What changes nothing.
        offset_N: Log-odds that are there already.

    Returns:
        float64 [F].

    Example:
        >>> ones = np.ones((4, 1))
        >>> descended(ones, np.array([1.0, 1, 1, 0]), np.ones(4), pull_F=np.array([1e-9]), start_F=np.zeros(1)).round(4)
        array([1.0986])
    """

    def loss(point_F: NDArray[np.float64]) -> float:
        logits_N = offset_N + inputs_NF @ point_F
        told = counts_N @ (np.logaddexp(0, logits_N) - labels_N * logits_N)
        return float(told + pull_F @ np.square(point_F - start_F) / 2)

    point_F, value = start_F.copy(), loss(start_F)
    for _ in range(_ROUNDS):
        right_N = sigmoid(offset_N + inputs_NF @ point_F)
        slope_F = inputs_NF.T @ (counts_N * (right_N - labels_N)) + pull_F * (point_F - start_F)
        bend_FF = (inputs_NF * (counts_N * right_N * (1 - right_N))[:, None]).T @ inputs_NF + np.diag(pull_F)
        step_F = np.linalg.solve(bend_FF, slope_F)
        for _ in range(_HALVINGS):
            tried_F = point_F - step_F
            tried = loss(tried_F)
            if tried <= value:
                break
            step_F = step_F / 2
        else:
            return point_F
        moved, point_F, value = np.abs(tried_F - point_F).max(), tried_F, tried
        if moved < _TOLERANCE:
            return point_F
    return point_F
