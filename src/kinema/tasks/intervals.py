"""Intervals that hold on new rows of the same kind, whatever the model.

Shape suffixes: N rows.
"""

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError, DataError


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
    if not 0 < coverage < 1:
        raise ConfigError(f"coverage must be in (0, 1), is {coverage:g}; .9 is usual")
    place = _up((len(scores_N) + 1) * coverage)
    if place > len(scores_N):
        raise DataError(
            f"intervals of coverage {coverage:g} need at least {_up(coverage / (1 - coverage))} held-out rows, "
            f"got {len(scores_N)}; hold out more or ask for less"
        )
    return float(np.partition(scores_N, place - 1)[place - 1])


def _up(number: float) -> int:
    """The next whole number; what a float is off by does not count."""
    return int(np.ceil(round(number, 9)))
