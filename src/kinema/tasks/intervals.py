"""How far off a prediction may be: quantile heads, and intervals that hold on data of the same kind.

Shape suffixes: N rows, B rows of a step.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kinema.errors import ConfigError, DataError


def pinball_loss(predicted_B: Tensor, actual_B: Tensor, *, level: float) -> Tensor:
    """Mean loss whose best constant is a quantile: what lies above counts ``level``, what lies below ``1 - level``.

    Args:
        predicted_B: The quantile told.
        actual_B: What came.
        level: In (0, 1); .5 gives half the absolute error.

    Returns:
        Scalar.

    Source: Koenker and Bassett, Regression quantiles, Econometrica 1978.

    Example:
        >>> import torch
        >>> pinball_loss(torch.tensor([0.0, 0.0]), torch.tensor([1.0, -1.0]), level=0.9)
        tensor(0.5000)
    """
    _check_level(level, "level")
    gap_B = actual_B - predicted_B
    return (level * gap_B).maximum((level - 1) * gap_B).mean()


def conformal_margin(scores_N: NDArray[np.floating], *, coverage: float) -> float:
    """By how much intervals must be wider so that a share of new rows falls inside, whatever the model.

    Scores say how far each held-out row lies outside its interval (below 0: inside): the absolute error around a point,
    or ``max(low - y, y - high)`` around two quantiles. Rows must not have been trained on.

    Args:
        scores_N: One per held-out row.
        coverage: Share that must fall inside, in (0, 1).

    Returns:
        The ``ceil((N + 1) coverage)``-th smallest score.

    Raises:
        ConfigError: The coverage is not in (0, 1).
        DataError: There are too few rows for it.

    Source: Vovk et al. 2005; Romano, Patterson and Candes, Conformalized quantile regression, NeurIPS 2019.

    Example:
        >>> conformal_margin(np.arange(1, 10), coverage=0.8)
        8.0
    """
    _check_level(coverage, "coverage")
    place = _up((len(scores_N) + 1) * coverage)
    if place > len(scores_N):
        raise DataError(
            f"intervals of coverage {coverage:g} need at least {_up(coverage / (1 - coverage))} held-out rows, "
            f"got {len(scores_N)}; hold out more or ask for less"
        )
    return float(np.partition(scores_N, place - 1)[place - 1])


def interval_report(
    actual_N: NDArray[np.floating], low_N: NDArray[np.floating], high_N: NDArray[np.floating]
) -> dict[str, float]:
    """How often intervals hold and how wide they are.

    Returns:
        ``coverage`` and ``width``.

    Example:
        >>> interval_report(np.array([1.0, 5.0]), np.array([0.0, 2.0]), np.array([2.0, 4.0]))
        {'coverage': 0.5, 'width': 2.0}
    """
    inside_N = (actual_N >= low_N) & (actual_N <= high_N)
    return {"coverage": float(inside_N.mean()), "width": float((high_N - low_N).mean())}


def _up(number: float) -> int:
    """The next whole number; what a float is off by does not count."""
    return int(np.ceil(round(number, 9)))


def _check_level(level: float, name: str) -> None:
    if not 0 < level < 1:
        raise ConfigError(f"{name} must be in (0, 1), is {level:g}; .9 is usual")
