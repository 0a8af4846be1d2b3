"""How far predicted numbers lie from the right ones, and how often an interval holds them.

Shape suffixes: N rows.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinema.errors import DataError
from kinema.metrics.checks import paired


def mse(values_N: ArrayLike, labels_N: ArrayLike) -> float:
    """Mean squared error.

    Args:
        values_N: Predicted.
        labels_N: Right.

    Returns:
        A number >= 0, in the square of the labels' unit.

    Raises:
        DataError: Shapes do not fit, or a number is none.

    Example:
        >>> mse([3.0, 5.0], [4.0, 2.0])
        5.0
    """
    values, labels = paired(values_N, labels_N)
    return float(np.square(values - labels).mean())


def rmse(values_N: ArrayLike, labels_N: ArrayLike) -> float:
    """Root of `mse`, in the unit of the labels.

    Example:
        >>> rmse([3.0], [1.0])
        2.0
    """
    return float(np.sqrt(mse(values_N, labels_N)))


def mae(values_N: ArrayLike, labels_N: ArrayLike) -> float:
    """Mean absolute error.

    Args:
        values_N: Predicted.
        labels_N: Right.

    Returns:
        A number >= 0, in the unit of the labels.

    Raises:
        DataError: See `mse`.

    Example:
        >>> mae([3.0, 5.0], [4.0, 2.0])
        2.0
    """
    values, labels = paired(values_N, labels_N)
    return float(np.abs(values - labels).mean())


def r2(values_N: ArrayLike, labels_N: ArrayLike) -> float:
    """Share of the labels' variance that is explained: ``1 - mse / variance``.

    Args:
        values_N: Predicted.
        labels_N: Right.

    Returns:
        At most 1; 0 for always predicting the mean of these labels, below 0 for worse; NaN where all labels are equal.

    Raises:
        DataError: See `mse`.

    Example:
        >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
        0.785...
    """
    values, labels = paired(values_N, labels_N)
    if (labels == labels[0]).all():
        return float("nan")
    return float(1 - np.square(values - labels).sum() / np.square(labels - labels.mean()).sum())


def interval_coverage(low_N: ArrayLike, high_N: ArrayLike, labels_N: ArrayLike) -> float:
    """Share of labels inside their interval, its ends included.

    Intervals of level .9 should hold nine of ten; read it with `interval_width`, since endless ones hold all.

    Args:
        low_N: Lower ends.
        high_N: Upper ends, none below its lower end.
        labels_N: Right values.

    Returns:
        A number in [0, 1].

    Raises:
        DataError: Shapes do not fit, a number is none, or an interval ends before it begins.

    Example:
        >>> interval_coverage([0, 0], [1, 1], [0.5, 2.0])
        0.5
    """
    low, labels = paired(low_N, labels_N)
    high, _ = paired(high_N, labels_N)
    _ordered(low, high)
    return float(((low <= labels) & (labels <= high)).mean())


def interval_width(low_N: ArrayLike, high_N: ArrayLike) -> float:
    """Mean width of intervals.

    Args:
        low_N: Lower ends, finite.
        high_N: Upper ends, finite.

    Returns:
        A number >= 0, in the unit of the labels.

    Raises:
        DataError: See `interval_coverage`.

    Example:
        >>> interval_width([0, 1], [1, 4])
        2.0
    """
    low, high = paired(low_N, high_N)
    _ordered(low, high)
    return float((high - low).mean())


def _ordered(low_N: NDArray[np.float64], high_N: NDArray[np.float64]) -> None:
    """Refuse intervals that are turned around; quantiles of separate heads can cross."""
    if (high_N < low_N).any():
        row = int(np.argmax(high_N < low_N))
        raise DataError(
            f"an interval must not end before it begins, got {low_N[row]:g} to {high_N[row]:g} in row {row}"
        )
