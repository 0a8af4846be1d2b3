"""A rising curve over log-odds: what is left of a calibration error when slopes and slices have done theirs.

Two slopes bend a reliability diagram once; a network's is a wave, too low below and too high above, and with enough rows that is
most of what remains.

Shape suffixes: N rows, P points.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.ranking.logistic_descent import descended

NUM_POINTS: Final = 15
PRIOR_ROWS: Final = 100.0
"""Of 8 and 15 points and 30, 100 and 300 rows, on halves of the validation tenth of a town with 28,000 rows there and on three towns as
large as the demo's: all alike within .0005, and better than none everywhere (docs/tasks-robust.md)."""
_LEAST_RISE: Final = 0.01


@dataclass(frozen=True)
class CalibrationCurve:
    """New log-odds, straight between points; outside them the nearest point's shift.

    Attributes:
        said: Log-odds of the points, rising; none changes nothing.
        meant: What they become, rising.

    Example:
        >>> CalibrationCurve((-1.0, 1.0), (-1.0, 3.0)).apply(np.array([-2.0, 0.0, 2.0]))
        array([-2.,  1.,  4.])
    """

    said: tuple[float, ...] = ()
    meant: tuple[float, ...] = ()

    def apply(self, logits_N: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [N], in the same order of size."""
        if not self.said:
            return logits_N
        said_P, meant_P = np.array(self.said), np.array(self.meant)
        return np.asarray(logits_N + np.interp(logits_N, said_P, meant_P - said_P))

    def as_lists(self) -> list[list[float]]:
        """For JSON, read by `curve_from_lists`."""
        return [list(self.said), list(self.meant)]


def curve_from_lists(lists: Any) -> CalibrationCurve:
    """What `CalibrationCurve.as_lists` gave.

    Raises:
        ValueError: It is none: numbers are missing, not finite, or do not rise.
    """
    said, meant = (tuple(float(one) for one in numbers) for numbers in lists)
    if len(said) != len(meant) or not np.isfinite([*said, *meant]).all():
        raise ValueError("a curve must have as many finite numbers said as meant")
    if (np.diff(said) <= 0).any() or (np.diff(meant) <= 0).any():
        raise ValueError("a curve must rise")
    return CalibrationCurve(said, meant)


def fit_curve(
    logits_N: NDArray[np.float64],
    labels_N: NDArray[np.float64],
    counts_N: NDArray[np.float64],
    *,
    num_points: int = NUM_POINTS,
    prior_rows: float = PRIOR_ROWS,
) -> CalibrationCurve:
    """Logistic regression on the shifts at points with equal numbers of rows between them, made to rise.

    Args:
        logits_N: Log-odds so far.
        labels_N: 0 or 1, both there.
        counts_N: How much each row counts.
        num_points: At most so many; 0 gives no curve.
        prior_rows: A point with so many rows near it gets about half of the shift that they ask for.

    Example:
        >>> random = np.random.default_rng(0)
        >>> logits = random.normal(size=50_000)
        >>> happened = random.random(50_000) < 1 / (1 + np.exp(-logits - 0.5))
        >>> curve = fit_curve(logits, happened.astype(float), np.ones(50_000))
        >>> curve.apply(np.array([0.0])).round(1)
        array([0.5])
    """
    if not num_points:
        return CalibrationCurve()
    said_P = np.unique(np.quantile(logits_N, (np.arange(num_points) + 0.5) / num_points))
    near_NP = np.stack([np.interp(logits_N, said_P, one_P) for one_P in np.eye(len(said_P))], axis=1)
    rate = float(np.average(labels_N, weights=counts_N))
    shifts_P = descended(
        near_NP,
        labels_N,
        counts_N,
        pull_F=np.full(len(said_P), prior_rows * rate * (1 - rate)),
        start_F=np.zeros(len(said_P)),
        offset_N=logits_N,
    )
    # A point that would fall below the one before it is lifted to just above.
    least_P = _LEAST_RISE * (said_P - said_P[0])
    meant_P = np.maximum.accumulate(said_P + shifts_P - least_P) + least_P
    return CalibrationCurve(tuple(said_P.tolist()), tuple(meant_P.tolist()))
