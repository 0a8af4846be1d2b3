"""What no metric of predictions accepts, said in the same words by all of them.

Shape suffixes: N rows.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinema.errors import DataError


def paired(predictions: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predictions and labels as float64 [N], N >= 1.

    A column [N, 1] against a row [N] would be broadcast to all pairs and give a number that means nothing.

    Args:
        predictions: One number per row; infinite ones are for the caller to judge.
        labels: One finite number per row.

    Returns:
        Both as float64 [N].

    Raises:
        DataError: They are not two lists of one length, empty, or not numbers.

    Example:
        >>> paired([0.5], [True])
        (array([0.5]), array([1.]))
    """
    predictions_N, labels_N = np.asarray(predictions, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if predictions_N.shape != labels_N.shape or predictions_N.ndim != 1:
        raise DataError(
            f"predictions and labels must be two lists of one length, have shapes {predictions_N.shape} and {labels_N.shape}"
        )
    if not len(labels_N):
        raise DataError("a metric must have at least one row, got none")
    _refuse(np.isnan(predictions_N), predictions_N, "predictions must be numbers")
    _refuse(~np.isfinite(labels_N), labels_N, "labels must be finite numbers")
    return predictions_N, labels_N


def binary(labels_N: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Labels of two classes as bool.

    Raises:
        DataError: One is neither 0 nor 1.
    """
    _refuse((labels_N != 0) & (labels_N != 1), labels_N, "labels must be 0 or 1", "; cut them at a threshold first")
    positive_N: NDArray[np.bool_] = labels_N == 1
    return positive_N


def probabilities(probs_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same array.

    Raises:
        DataError: One is outside [0, 1].
    """
    wrong_N = (probs_N < 0) | (probs_N > 1)
    _refuse(wrong_N, probs_N, "probabilities must be in [0, 1]", "; logits go through a sigmoid first")
    return probs_N


def class_probabilities(probs: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities of classes as float64 [N, C] and the right classes as int64 [N].

    Args:
        probs: [N, C]; higher means more likely. That rows add up to 1 is left to the metrics that need it.
        labels: Class of each row, 0..C-1.

    Returns:
        Both.

    Raises:
        DataError: The shapes do not fit, a number is none, or a class is unknown.
    """
    probs_NC, found = np.asarray(probs, dtype=np.float64), np.asarray(labels)
    if probs_NC.ndim != 2 or found.shape != probs_NC.shape[:1]:
        raise DataError(
            f"probabilities must be rows x classes with one label per row, have shapes {probs_NC.shape} and {found.shape}"
        )
    if not probs_NC.size:
        raise DataError("a metric must have at least one row, got none")
    wrong_N = np.isnan(probs_NC).any(axis=1)
    if wrong_N.any():
        raise DataError(f"predictions must be numbers, row {int(np.argmax(wrong_N))} has nan")
    labels_N = found.astype(np.int64)
    wrong_N = (labels_N != found) | (labels_N < 0) | (labels_N >= probs_NC.shape[1])
    _refuse(wrong_N, found, f"labels must be classes 0 to {probs_NC.shape[1] - 1}")
    return probs_NC, labels_N


def _refuse(wrong_N: NDArray[np.bool_], values_N: NDArray[np.generic], rule: str, remedy: str = "") -> None:
    """Name the first row that breaks a rule."""
    if wrong_N.any():
        row = int(np.argmax(wrong_N))
        raise DataError(f"{rule}, got {values_N[row]} in row {row}{remedy}")
