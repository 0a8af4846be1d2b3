"""Several models' predictions as one.

Shape suffixes: M models, N rows, K candidates of one request.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinema.errors import DataError
from kinema.ranking.calibrators import FLOOR, log_odds, sigmoid
from kinema.ranking.fusion import fuse_ranks


def mean_of_probs(probs_MN: ArrayLike, weights_M: Sequence[float] | None = None) -> NDArray[np.float64]:
    """Weighted mean of probabilities: says what the models say on average.

    Args:
        probs_MN: One row per model; [M, N, C] for classes.
        weights_M: Trust in each model, >= 0; None for all alike.

    Returns:
        float64 [N], or [N, C].

    Raises:
        DataError: A number is no probability, or the weights do not fit.

    Example:
        >>> mean_of_probs([[0.2, 0.8], [0.4, 0.8]])
        array([0.3, 0.8])
    """
    probs, shares_M = _checked(probs_MN, weights_M)
    return np.asarray(np.tensordot(shares_M, probs, axes=1))


def mean_of_logits(probs_MN: ArrayLike, weights_M: Sequence[float] | None = None) -> NDArray[np.float64]:
    """The probability at the weighted mean of the log-odds: one model that is sure counts more than one in doubt.

    Usually sharper than `mean_of_probs`, which is always drawn to the middle; calibrate whichever is served.

    Args:
        probs_MN: One row per model; [M, N, C] for classes, where logarithms are averaged and rows brought to sum 1.
        weights_M: See `mean_of_probs`.

    Returns:
        float64 [N], or [N, C].

    Raises:
        DataError: See `mean_of_probs`.

    Source: Satopää et al. 2014, "Combining multiple probability predictions using a simple logit model".

    Example:
        >>> mean_of_logits([[0.5], [0.8]]).round(4)
        array([0.6667])
    """
    probs, shares_M = _checked(probs_MN, weights_M)
    if probs.ndim == 2:
        return sigmoid(shares_M @ log_odds(probs))
    means = np.exp(np.tensordot(shares_M, np.log(np.clip(probs, FLOOR, 1.0)), axes=1))
    return np.asarray(means / means.sum(axis=-1, keepdims=True))


def fuse_scores(
    scores_MK: ArrayLike, weights_M: Sequence[float] | None = None, *, offset: float = 60.0
) -> NDArray[np.float64]:
    """Rank fusion of models whose scores have no common scale.

    Args:
        scores_MK: Scores of the candidates of one request, higher is better; what is not finite could not be scored.
        weights_M: See `mean_of_probs`.
        offset: See `kinema.ranking.fusion.fuse_ranks`.

    Returns:
        float64 [K] in [0, 1]. Equal scores share the last of their places, so that a model which tells nothing apart
        changes no order.

    Raises:
        DataError: The weights do not fit.

    Example:
        >>> fuse_scores([[0.9, 0.5, 0.1], [7.0, 9.0, np.nan]], offset=1.0)
        array([0.75      , 0.75      , 0.16666667])
    """
    scores = np.asarray(scores_MK, dtype=np.float64)
    if scores.ndim != 2:
        raise DataError(f"scores must be models x candidates, have shape {scores.shape}")
    ranks_MK = np.full(scores.shape, -1, dtype=np.int64)
    for row_K, ranks_K in zip(scores, ranks_MK, strict=True):
        known_K = np.isfinite(row_K)
        ordered = np.sort(row_K[known_K])
        ranks_K[known_K] = len(ordered) - 1 - np.searchsorted(ordered, row_K[known_K])
    return fuse_ranks(ranks_MK, _shares(len(scores), weights_M).tolist(), offset=offset)


def _checked(probs_MN: ArrayLike, weights_M: Sequence[float] | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities as an array, and the share of each model."""
    probs = np.asarray(probs_MN, dtype=np.float64)
    if probs.ndim not in {2, 3}:
        raise DataError(f"probabilities must be models x rows, or models x rows x classes, have shape {probs.shape}")
    if not ((probs >= 0) & (probs <= 1)).all():
        model = int(np.argmax(~((probs >= 0) & (probs <= 1)).reshape(len(probs), -1).all(axis=1)))
        raise DataError(f"probabilities must be in [0, 1], those of model {model} are not; logits go through a sigmoid")
    return probs, _shares(len(probs), weights_M)


def _shares(num_models: int, weights_M: Sequence[float] | None) -> NDArray[np.float64]:
    """Weights that add up to 1."""
    weights = np.ones(num_models) if weights_M is None else np.asarray(weights_M, dtype=np.float64)
    if weights.shape != (num_models,) or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise DataError(f"weights must be one per model, {num_models}, >= 0 and not all 0, are {weights.tolist()}")
    return np.asarray(weights / weights.sum())
