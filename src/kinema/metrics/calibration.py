"""Whether probabilities mean what they say: of the rows given .3, three of ten should be 1.

AUC does not see this, a blend of several heads does: a head that says twice too much counts twice too much.

Shape suffixes: N rows, B bins that hold a row.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinema.errors import DataError
from kinema.metrics.checks import binary, paired, probabilities


@dataclass(frozen=True)
class Reliability:
    """What was said and what happened, bin by bin, from low to high probability.

    Attributes:
        probs_B: Mean probability.
        rates_B: Share of rows that were 1.
        counts_B: Rows, >= 1.
        spread_B: Standard deviation that the rate would have if every probability were right.
    """

    probs_B: NDArray[np.float64]
    rates_B: NDArray[np.float64]
    counts_B: NDArray[np.int64]
    spread_B: NDArray[np.float64]


def reliability(
    probs_N: ArrayLike, labels_N: ArrayLike, *, num_bins: int = 15, equal_width: bool = False
) -> Reliability:
    """The table behind a reliability diagram.

    Args:
        probs_N: Probability of the class 1.
        labels_N: 0 or 1.
        num_bins: At most so many, >= 1; bins without a row are left out.
        equal_width: Bins of equal width, of which rare events leave most empty, instead of equal numbers of rows. Rows
            of one probability are never parted.

    Returns:
        One entry per bin that has a row.

    Raises:
        DataError: Shapes do not fit, a number is no probability, a label neither 0 nor 1, or num_bins < 1.

    Source: Murphy and Winkler 1977; equal numbers of rows as in Nixon et al. 2019, "Measuring Calibration in Deep
    Learning".

    Example:
        >>> table = reliability([0.1, 0.1, 0.8, 0.8], [0, 0, 1, 0], num_bins=2)
        >>> table.probs_B, table.rates_B, table.counts_B
        (array([0.1, 0.8]), array([0. , 0.5]), array([2, 2]))
    """
    if num_bins < 1:
        raise DataError(f"num_bins must be >= 1, is {num_bins}")
    probs, labels = paired(probs_N, labels_N)
    probabilities(probs)
    positive_N = binary(labels)
    if equal_width:
        bins_N = np.searchsorted(np.linspace(0, 1, num_bins + 1)[1:-1], probs, side="right")
    else:
        bins_N = np.searchsorted(np.sort(probs), probs) * num_bins // len(probs)
    counts = np.bincount(bins_N)
    used = counts > 0
    counts_B = counts[used].astype(np.int64)
    sums_B = np.bincount(bins_N, probs)[used]
    hits_B = np.bincount(bins_N, positive_N)[used]
    variance_B = np.bincount(bins_N, probs * (1 - probs))[used]
    return Reliability(sums_B / counts_B, hits_B / counts_B, counts_B, np.sqrt(variance_B) / counts_B)


def calibration_error(
    probs_N: ArrayLike, labels_N: ArrayLike, *, num_bins: int = 15, equal_width: bool = False
) -> float:
    """Expected calibration error: mean distance of rate and probability over the bins, weighted by their rows.

    Chance alone makes it larger than 0: compare with `calibration_noise`.

    Args:
        probs_N: See `reliability`.
        labels_N: See `reliability`.
        num_bins: See `reliability`.
        equal_width: See `reliability`.

    Returns:
        A number in [0, 1].

    Raises:
        DataError: See `reliability`.

    Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning".

    Example:
        >>> round(calibration_error([0.1, 0.1, 0.8, 0.8], [0, 0, 1, 0], num_bins=2), 4)
        0.2
    """
    table = reliability(probs_N, labels_N, num_bins=num_bins, equal_width=equal_width)
    return float(np.average(np.abs(table.rates_B - table.probs_B), weights=table.counts_B))


def calibration_noise(
    probs_N: ArrayLike, labels_N: ArrayLike, *, num_bins: int = 15, equal_width: bool = False
) -> float:
    """The `calibration_error` to expect of so many rows if every probability were exactly right.

    The error of a small group is mostly this: at a rate of .2 and 15 bins 0.04 for a thousand rows, 0.01 for 16,000.

    Args:
        probs_N: See `reliability`.
        labels_N: See `reliability`; they do not change the result.
        num_bins: See `reliability`.
        equal_width: See `reliability`.

    Returns:
        A number >= 0: ``sqrt(2 / pi)`` times the mean spread of the bins, the mean distance of a normal variable.

    Raises:
        DataError: See `reliability`.

    Example:
        >>> round(calibration_noise([0.5] * 100, [0, 1] * 50), 4)
        0.0399
    """
    table = reliability(probs_N, labels_N, num_bins=num_bins, equal_width=equal_width)
    return float(np.sqrt(2 / np.pi) * np.average(table.spread_B, weights=table.counts_B))


def calibration_rms(probs_N: ArrayLike, labels_N: ArrayLike, *, num_bins: int = 15, equal_width: bool = False) -> float:
    """Root of the mean squared distance of rate and probability over the bins, with chance taken out.

    The square of what chance does to a bin can be told from its rows and is subtracted, so that perfect probabilities have 0 on
    average instead of `calibration_noise`. Never smaller than `calibration_error` would be without chance, and itself uncertain: a few
    hundred rows cannot tell .04 from 0.

    Args:
        probs_N: See `reliability`.
        labels_N: See `reliability`.
        num_bins: See `reliability`.
        equal_width: See `reliability`.

    Returns:
        A number in [0, 1]; 0 where chance explains more than all.

    Raises:
        DataError: See `reliability`.

    Source: Kumar, Liang, Ma 2019, "Verified Uncertainty Calibration", the debiased estimator.

    Example:
        >>> calibration_rms([0.5] * 100, [0, 1] * 50), round(calibration_rms([0.9] * 100, [0, 1] * 50), 3)
        (0.0, 0.397)
    """
    table = reliability(probs_N, labels_N, num_bins=num_bins, equal_width=equal_width)
    several_B = table.counts_B > 1
    if not several_B.any():
        return 0.0
    rates_B, counts_B = table.rates_B[several_B], table.counts_B[several_B]
    chance_B = rates_B * (1 - rates_B) / (counts_B - 1)
    squares_B = np.square(rates_B - table.probs_B[several_B]) - chance_B
    return float(np.sqrt(max(0.0, float(np.average(squares_B, weights=counts_B)))))


def calibration_bias(probs_N: ArrayLike, labels_N: ArrayLike) -> float:
    """The calibration error with its sign: mean probability minus share of ones. Bins would not change it.

    Args:
        probs_N: See `reliability`.
        labels_N: See `reliability`.

    Returns:
        A number in [-1, 1]; above 0 the probabilities say too much.

    Raises:
        DataError: See `reliability`.

    Example:
        >>> round(calibration_bias([0.5, 0.7], [0, 1]), 4)
        0.1
    """
    probs, labels = paired(probs_N, labels_N)
    return float(probabilities(probs).mean() - binary(labels).mean())


def brier(probs_N: ArrayLike, labels_N: ArrayLike) -> float:
    """Mean squared distance of probability and outcome; rewards being right and saying how sure.

    Args:
        probs_N: See `reliability`.
        labels_N: See `reliability`.

    Returns:
        A number in [0, 1]; 0.25 for always saying one half.

    Raises:
        DataError: See `reliability`.

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability".

    Example:
        >>> brier([0.5, 1.0], [0, 1])
        0.125
    """
    probs, labels = paired(probs_N, labels_N)
    return float(np.square(probabilities(probs) - binary(labels)).mean())
