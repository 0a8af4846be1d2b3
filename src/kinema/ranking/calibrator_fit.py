"""Fitting calibrators on validation predictions; nothing else of a model changes.

Shape suffixes: N rows, P points.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinema.errors import ConfigError, DataError
from kinema.metrics.checks import binary, paired, probabilities
from kinema.ranking.calibrators import Calibrator, Scaling, Steps, log_odds, sigmoid, texts

METHODS: Final[dict[str, float]] = {"temperature": 100.0, "isotonic": 200.0}
"""Method -> rows at which a slice's own evidence counts as much as that of all slices. Tried on planted slices of 100 to
10,000 rows with 0, 50, 200, 1,000 and 5,000: 50 to 200 cost least on held-out rows for temperature, 200 to 1,000 for isotonic."""
_LEAST_SLOPE: Final = 0.01
_TOLERANCE: Final = 1e-9


def fit_calibrator(
    probs_N: ArrayLike,
    labels_N: ArrayLike,
    slices_N: ArrayLike | None = None,
    *,
    method: str = "temperature",
    prior_rows: float | None = None,
) -> Calibrator:
    """Learn what a model's probabilities mean, for all rows and for each slice.

    Temperature has two numbers per slice and suits what training bends evenly: too sure, too many negatives. Isotonic
    follows any rising curve and needs thousands of rows per slice; it makes neighbouring probabilities equal.

    Args:
        probs_N: The model's probabilities on validation examples, in the mix that it will serve.
        labels_N: What happened, 0 or 1.
        slices_N: Slice of each row, a text or number; None for one correction only.
        method: ``temperature`` or ``isotonic``.
        prior_rows: >= 0; a slice of so many rows lies halfway between its own correction and the one for all. None takes
            that of `METHODS`.

    Returns:
        The calibrator.

    Raises:
        ConfigError: An unknown method or a negative number of rows.
        DataError: Shapes do not fit, a number is no probability, or labels 0 and 1 do not both occur.

    Example:
        >>> random = np.random.default_rng(0)
        >>> said = random.random(20_000)
        >>> happened = random.random(20_000) < sigmoid(log_odds(said) / 2)
        >>> round(fit_calibrator(said, happened).overall.temperature, 1)
        2.0
    """
    if method not in METHODS:
        raise ConfigError(f"calibration method must be one of {', '.join(METHODS)}, is '{method}'")
    rows = METHODS[method] if prior_rows is None else prior_rows
    if not rows >= 0:
        raise ConfigError(f"prior_rows must be >= 0, is {rows}")
    probs, labels = paired(probs_N, labels_N)
    probabilities(probs)
    positive_N = binary(labels)
    if positive_N.all() or not positive_N.any():
        raise DataError(f"calibration must see labels 0 and 1, all {len(labels)} are {int(labels[0])}; take more rows")
    parts: dict[str, NDArray[np.int64]] = {}
    if slices_N is not None:
        slices = texts(slices_N)
        if slices.shape != labels.shape:
            raise DataError(f"slices must be one per row, {len(labels)}, have shape {slices.shape}")
        names, codes_N = np.unique(slices, return_inverse=True)
        bounds = np.cumsum(np.bincount(codes_N))[:-1]
        parts = dict(zip(names.tolist(), np.split(np.argsort(codes_N, kind="stable"), bounds), strict=True))
    num_rows = {name: len(one) for name, one in parts.items()}
    if method == "temperature":
        overall, by_name = _scalings(probs, labels, parts, rows)
        return Calibrator(overall, by_name, num_rows)
    curve = _steps(probs, labels)
    curves = {name: _blended(_steps(probs[one], labels[one]), curve, len(one), rows) for name, one in parts.items()}
    return Calibrator(curve, curves, num_rows)


def _scalings(
    probs_N: NDArray[np.float64], labels_N: NDArray[np.float64], parts: dict[str, NDArray[np.int64]], prior_rows: float
) -> tuple[Scaling, dict[str, Scaling]]:
    """Slope and bias of logistic regression on the log-odds.

    A slice is fitted as if so many more rows had been seen that behave as all rows do: to second order, their loss is the
    mean curvature of all rows times the squared distance from the common slope and bias.
    """
    inputs_N2 = np.stack([log_odds(probs_N), np.ones(len(probs_N))], axis=1)
    # One row's worth of belief that the model is right keeps perfectly separated labels from an infinite slope.
    centre_2 = _newton(inputs_N2, labels_N, np.array([1.0, 0.0]), np.eye(2))
    right_N = sigmoid(inputs_N2 @ centre_2)
    curvature_22 = (inputs_N2 * (right_N * (1 - right_N))[:, None]).T @ inputs_N2 / len(labels_N)
    pull_22 = prior_rows * curvature_22 + np.eye(2) * 1e-3
    found = {name: _newton(inputs_N2[one], labels_N[one], centre_2, pull_22) for name, one in parts.items()}
    return _scaling(centre_2), {name: _scaling(one) for name, one in found.items()}


def _newton(
    inputs_N2: NDArray[np.float64],
    labels_N: NDArray[np.float64],
    centre_2: NDArray[np.float64],
    pull_22: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Minimise the summed log loss plus ``(x - centre)^T pull (x - centre) / 2``; the slope stays positive."""

    def loss(point_2: NDArray[np.float64]) -> float:
        logits_N = inputs_N2 @ point_2
        away_2 = point_2 - centre_2
        return float(np.logaddexp(0, logits_N).sum() - labels_N @ logits_N + away_2 @ pull_22 @ away_2 / 2)

    point_2, free_2 = centre_2.copy(), np.array([True, True])
    value = loss(point_2)
    for _ in range(100):
        right_N = sigmoid(inputs_N2 @ point_2)
        slope_2 = inputs_N2.T @ (right_N - labels_N) + pull_22 @ (point_2 - centre_2)
        # At its least slope, a model that is wrong more often than right can only be flattened, not turned around.
        free_2[0] = point_2[0] > _LEAST_SLOPE or slope_2[0] < 0
        bend_22 = (inputs_N2 * (right_N * (1 - right_N))[:, None]).T @ inputs_N2 + pull_22
        step_2 = np.zeros(2)
        step_2[free_2] = np.linalg.solve(bend_22[np.ix_(free_2, free_2)], slope_2[free_2])
        for _ in range(40):
            tried_2 = point_2 - step_2
            tried_2[0] = max(tried_2[0], _LEAST_SLOPE)
            tried = loss(tried_2)
            if tried <= value:
                break
            step_2 = step_2 / 2
        else:
            return point_2
        moved, point_2, value = np.abs(tried_2 - point_2).max(), tried_2, tried
        if moved < _TOLERANCE:
            return point_2
    return point_2


def _scaling(point_2: NDArray[np.float64]) -> Scaling:
    """From slope and bias."""
    return Scaling(temperature=float(1 / point_2[0]), bias=float(point_2[1]))


def _steps(probs_N: NDArray[np.float64], labels_N: NDArray[np.float64]) -> Steps:
    """Isotonic regression: pools neighbours until the rates rise; each pool becomes a level piece.

    A pool without a 1, or of ones only, is kept away from 0 or 1 by what its rows can tell (half a row added to each
    class): in a small slice one surprise would otherwise cost more than the curve gains.
    """
    from scipy.optimize import isotonic_regression  # noqa: PLC0415  # applying calibrators must not load an optimiser

    said_P, codes_N, counts_P = np.unique(probs_N, return_inverse=True, return_counts=True)
    rates_P = np.bincount(codes_N, labels_N) / counts_P
    found = isotonic_regression(rates_P, weights=counts_P.astype(np.float64))
    firsts, lasts = found.blocks[:-1], found.blocks[1:] - 1
    levels = found.x[firsts]
    if levels[0] == 0:
        levels[0] = min([0.5 / (found.weights[0] + 1), *levels[1:2]])
    if levels[-1] == 1:
        levels[-1] = max([1 - 0.5 / (found.weights[-1] + 1), *levels[-2:-1]])
    places, kept = np.unique(np.stack([firsts, lasts], axis=1).ravel(), return_index=True)
    return Steps(said_P[places], np.repeat(levels, 2)[kept])


def _blended(own: Steps, overall: Steps, num_rows: int, prior_rows: float) -> Steps:
    """The curve of a slice drawn towards that of all; exact, since both are lines between the points of both."""
    weight = num_rows / (num_rows + prior_rows)
    said_P = np.union1d(own.said_P, overall.said_P)
    meant_P = weight * own.apply(said_P) + (1 - weight) * overall.apply(said_P)
    return Steps(said_P, np.maximum.accumulate(meant_P))
