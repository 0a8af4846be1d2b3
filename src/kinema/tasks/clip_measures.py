"""How right a classifier of clips is, where it errs, and how sure it may be.

Shape suffixes: N clips, C classes.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from kinema.errors import DataError
from kinema.metrics.calibration import calibration_error
from kinema.metrics.classification import accuracy, log_loss, macro_f1, top_k_accuracy

_TOP = 5
_BINS = 10
_TEMPERATURES = (0.05, 20.0)


def clip_metrics(probs_NC: NDArray[np.floating], labels_N: NDArray[np.int64]) -> dict[str, float]:
    """``accuracy``, ``macro_f1``, ``log_loss``, ``calibration_error`` of the highest probability, and ``top5_accuracy`` of more than five classes.

    Example:
        >>> clip_metrics(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1]))["accuracy"]
        1.0
    """
    sure_N = np.clip(probs_NC.max(axis=1).astype(np.float64), 0, 1)
    right_N = (probs_NC.argmax(axis=1) == labels_N).astype(np.int64)
    found = {
        "accuracy": accuracy(probs_NC, labels_N),
        "macro_f1": macro_f1(probs_NC, labels_N),
        "log_loss": log_loss(probs_NC, labels_N),
        "calibration_error": calibration_error(sure_N, right_N, num_bins=min(_BINS, len(labels_N))),
    }
    if probs_NC.shape[1] > _TOP:
        found["top5_accuracy"] = top_k_accuracy(probs_NC, labels_N, k=_TOP)
    return found


def confusion(probs_NC: NDArray[np.floating], labels_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [C, C], clips of each class (row) by the class they were taken for (column).

    Example:
        >>> confusion(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), np.array([0, 1, 1])).tolist()
        [[1, 0], [1, 1]]
    """
    table_CC = np.zeros((probs_NC.shape[1],) * 2, dtype=np.int64)
    np.add.at(table_CC, (labels_N, probs_NC.argmax(axis=1)), 1)
    return table_CC


def fit_temperature(logits_NC: NDArray[np.floating], labels_N: NDArray[np.int64]) -> float:
    """What logits are divided by so that the probabilities of what happened are largest.

    A network that is right on each of a few dozen clips would be taken for one that is always right. Labels therefore count as if one clip
    more had been looked at, and had been wrong.

    Args:
        logits_NC: Of clips that were not learnt from.
        labels_N: Their classes.

    Returns:
        A number in [0.05, 20]; above 1 where the network is too sure of itself.

    Raises:
        DataError: There is no clip.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks"; the clip more as in Platt 1999, "Probabilistic Outputs for
    Support Vector Machines".

    Example:
        >>> logits = np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
        >>> round(fit_temperature(logits, np.array([0, 0, 0, 1])), 2)  # right in .65: log .65/.35 is said
        6.46
    """
    size, num_classes = logits_NC.shape
    if not size:
        raise DataError("a temperature must be fitted on at least 1 clip, there is none; give validation some")
    targets_NC = np.full(logits_NC.shape, 1 / (size + 1) / max(num_classes - 1, 1))
    targets_NC[np.arange(size), labels_N] = size / (size + 1)

    def loss(log_temperature: float) -> float:
        return float(-(targets_NC * log_softmax(logits_NC / np.exp(log_temperature), axis=1)).sum(axis=1).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(_TEMPERATURES)), method="bounded")
    return float(np.exp(found.x))
