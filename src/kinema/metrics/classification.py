"""How right predictions of classes are: of two, given as one probability, or of several, one column each.

Each function takes predictions first and labels second. Where both forms make sense, one array [N] means the probability
of the class 1, and [N, C] the probability of each class.

Shape suffixes: N rows, C classes, P points of a curve, U groups.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinema.errors import DataError
from kinema.metrics.checks import binary, class_probabilities, paired, probabilities


def accuracy(probs: ArrayLike, labels_N: ArrayLike, *, threshold: float = 0.5) -> float:
    """Share of rows whose class is the one predicted.

    Args:
        probs: [N] probability of the class 1, or [N, C]; of equal columns the first is predicted.
        labels_N: 0 or 1, or the class.
        threshold: From where on a single probability means the class 1.

    Returns:
        A number in [0, 1].

    Raises:
        DataError: Shapes do not fit, or a label is no class.

    Example:
        >>> accuracy([0.9, 0.4, 0.6, 0.1], [1, 0, 0, 1])
        0.5
    """
    predicted_N, actual_N = _predicted(probs, labels_N, threshold)
    return float((predicted_N == actual_N).mean())


def top_k_accuracy(probs_NC: ArrayLike, labels_N: ArrayLike, *, k: int = 5) -> float:
    """Share of rows whose class is among the k most likely.

    A tie counts against the prediction: with equal columns everywhere nothing is known, and nothing is counted.

    Args:
        probs_NC: Higher is more likely.
        labels_N: Right class.
        k: Places, >= 1.

    Returns:
        A number in [0, 1].

    Raises:
        DataError: Shapes do not fit, a label is no class, or k < 1.

    Example:
        >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]], [1, 0], k=2)
        0.5
    """
    if k < 1:
        raise DataError(f"k must be >= 1, is {k}")
    probs, labels = class_probabilities(probs_NC, labels_N)
    right_N1 = np.take_along_axis(probs, labels[:, None], axis=1)
    return float((np.count_nonzero(probs >= right_N1, axis=1) <= k).mean())


@dataclass(frozen=True)
class GroupedAuc:
    """AUC within groups.

    Attributes:
        value: Mean over the groups that have both classes, weighted by their rows; NaN where there is none.
        num_groups: Those groups.
        num_left_out: Groups of one class, which have no AUC.
        num_rows_left_out: Their rows.
    """

    value: float
    num_groups: int
    num_left_out: int
    num_rows_left_out: int


def auc(scores_N: ArrayLike, labels_N: ArrayLike) -> float:
    """Chance that a row of class 1 is scored above one of class 0; a tie counts half. Exact, by one sort.

    Args:
        scores_N: Any scale; infinite ones are sorted with the others.
        labels_N: 0 or 1.

    Returns:
        A number in [0, 1]; NaN where one class is missing.

    Raises:
        DataError: Shapes do not fit, a score is NaN, or a label is neither 0 nor 1.

    Source: Mann and Whitney 1947; Hanley and McNeil 1982 for its reading as the area under the ROC curve.

    Example:
        >>> auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
        0.75
    """
    return grouped_auc(scores_N, labels_N, np.zeros(np.shape(labels_N), dtype=np.int64)).value


def grouped_auc(scores_N: ArrayLike, labels_N: ArrayLike, groups_N: ArrayLike) -> GroupedAuc:
    """AUC of each user's rows, weighted by how many there are.

    One list over all users rewards a model for knowing who clicks much, which orders nothing that anyone sees.

    Args:
        scores_N: See `auc`.
        labels_N: See `auc`.
        groups_N: User (or request) of each row; numbers or texts.

    Returns:
        The weighted mean, and what was left out.

    Raises:
        DataError: See `auc`; or there is not one group per row.

    Source: Zhou et al. 2018, "Deep Interest Network for Click-Through Rate Prediction" (weighted by impressions).

    Example:
        >>> grouped_auc([1, 2, 3, 3, 1], [0, 1, 1, 0, 1], [7, 7, 8, 9, 9])
        GroupedAuc(value=0.5, num_groups=2, num_left_out=1, num_rows_left_out=1)
    """
    scores, labels = paired(scores_N, labels_N)
    positive_N = binary(labels)
    groups = np.asarray(groups_N)
    if groups.shape != labels.shape:
        raise DataError(f"groups must be one per row, {len(labels)}, have shape {groups.shape}")
    _, rows_N = np.unique(groups, return_inverse=True)
    order_N = np.lexsort((scores, rows_N))
    rows_N, scores, positive_N = rows_N[order_N], scores[order_N], positive_N[order_N]
    # Runs of one score within one group: what is tied is counted together.
    starts = np.flatnonzero(np.r_[True, (rows_N[1:] != rows_N[:-1]) | (scores[1:] != scores[:-1])])
    group_of_run = rows_N[starts]
    positives = np.add.reduceat(positive_N, starts, dtype=np.float64)
    negatives = np.diff(np.r_[starts, len(rows_N)]) - positives
    positives_U, negatives_U = np.bincount(group_of_run, positives), np.bincount(group_of_run, negatives)
    before_U = np.cumsum(negatives_U) - negatives_U
    below = np.cumsum(negatives) - negatives - before_U[group_of_run]
    won_U = np.bincount(group_of_run, positives * (below + negatives / 2))
    mixed_U = (positives_U > 0) & (negatives_U > 0)
    sizes_U = positives_U + negatives_U
    left_out = int(sizes_U[~mixed_U].sum())
    if not mixed_U.any():
        return GroupedAuc(float("nan"), 0, len(mixed_U), left_out)
    auc_U = won_U[mixed_U] / (positives_U[mixed_U] * negatives_U[mixed_U])
    value = float(np.average(auc_U, weights=sizes_U[mixed_U]))
    return GroupedAuc(value, int(mixed_U.sum()), int((~mixed_U).sum()), left_out)


def log_loss(probs: ArrayLike, labels_N: ArrayLike, *, floor: float = 1e-7) -> float:
    """Mean of ``-log`` of the probability given to what happened; natural logarithm.

    Args:
        probs: [N] probability of the class 1, or [N, C], rows that add up to 1.
        labels_N: 0 or 1, or the class.
        floor: Probabilities are kept this far from 0 and 1, or one sure error would make the mean infinite. The default is
            that of published tables of click prediction.

    Returns:
        A number >= 0, at most ``-log(floor)``.

    Raises:
        DataError: Shapes do not fit, a label is no class, or a number is no probability.

    Example:
        >>> round(log_loss([0.5, 0.8], [0, 1]), 4)
        0.4581
    """
    if np.ndim(probs) == 2:
        probs_NC, classes_N = class_probabilities(probs, labels_N)
        probabilities(probs_NC.ravel())
        sums_N = probs_NC.sum(axis=1)
        if np.abs(sums_N - 1).max() > 1e-3:
            row = int(np.abs(sums_N - 1).argmax())
            raise DataError(
                f"probabilities of a row must add up to 1, got {sums_N[row]:.4g} in row {row}; use a softmax"
            )
        given_N = np.take_along_axis(probs_NC, classes_N[:, None], axis=1)[:, 0]
    else:
        probs_N, labels = paired(probs, labels_N)
        given_N = np.where(binary(labels), probabilities(probs_N), 1 - probs_N)
    return float(-np.log(np.clip(given_N, floor, 1 - floor)).mean())


def f1(probs_N: ArrayLike, labels_N: ArrayLike, *, threshold: float = 0.5) -> float:
    """Harmonic mean of precision and recall of the class 1: ``2 TP / (2 TP + FP + FN)``.

    Args:
        probs_N: Probability of the class 1.
        labels_N: 0 or 1.
        threshold: From where on the class 1 is predicted.

    Returns:
        A number in [0, 1]; 0 where the class neither occurs nor is predicted, as other libraries have it.

    Raises:
        DataError: See `accuracy`.

    Example:
        >>> round(f1([0.9, 0.7, 0.2], [1, 0, 1]), 4)
        0.5
    """
    probs, labels = paired(probs_N, labels_N)
    predicted_N, positive_N = probs >= threshold, binary(labels)
    both = int((predicted_N & positive_N).sum())
    return 2 * both / max(int(predicted_N.sum()) + int(positive_N.sum()), 1)


def macro_f1(probs_NC: ArrayLike, labels_N: ArrayLike) -> float:
    """Mean F1 over the classes that occur or are predicted; each counts alike, however rare.

    Args:
        probs_NC: Higher is more likely.
        labels_N: Right class.

    Returns:
        A number in [0, 1].

    Raises:
        DataError: See `accuracy`.

    Example:
        >>> round(macro_f1([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1]), 4)
        0.6667
    """
    probs, labels = class_probabilities(probs_NC, labels_N)
    predicted_N, size = probs.argmax(axis=1), probs.shape[1]
    right_C = np.bincount(labels[predicted_N == labels], minlength=size)
    total_C = np.bincount(predicted_N, minlength=size) + np.bincount(labels, minlength=size)
    return float((2 * right_C[total_C > 0] / total_C[total_C > 0]).mean())


def micro_f1(probs_NC: ArrayLike, labels_N: ArrayLike) -> float:
    """F1 over all decisions together; with one class per row that is `accuracy`.

    Args:
        probs_NC: Higher is more likely.
        labels_N: Right class.

    Returns:
        A number in [0, 1].

    Raises:
        DataError: See `accuracy`.

    Example:
        >>> micro_f1([[0.9, 0.1], [0.8, 0.2]], [0, 1])
        0.5
    """
    class_probabilities(probs_NC, labels_N)
    return accuracy(probs_NC, labels_N)


def roc_curve(scores_N: ArrayLike, labels_N: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of negatives and share of positives that score at least as high as a cut, for every cut.

    Args:
        scores_N: See `auc`.
        labels_N: 0 or 1, both present.

    Returns:
        False and true positive rate, float64 [P] each, from (0, 0) to (1, 1); the area below is `auc`.

    Raises:
        DataError: See `auc`; or one class is missing.

    Example:
        >>> roc_curve([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
        (array([0. , 0. , 0.5, 0.5, 1. ]), array([0. , 0.5, 0.5, 1. , 1. ]))
    """
    found_P, wrong_P = _above_cuts(scores_N, labels_N)
    return np.r_[0.0, wrong_P / wrong_P[-1]], np.r_[0.0, found_P / found_P[-1]]


def precision_recall_curve(scores_N: ArrayLike, labels_N: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall and precision of "at least this score", for every cut, the highest first.

    Args:
        scores_N: See `auc`.
        labels_N: 0 or 1, both present.

    Returns:
        Recall and precision, float64 [P] each.

    Raises:
        DataError: See `auc`; or one class is missing.

    Example:
        >>> precision_recall_curve([0.9, 0.8, 0.1], [1, 0, 1])
        (array([0.5, 0.5, 1. ]), array([1.        , 0.5       , 0.66666667]))
    """
    found_P, wrong_P = _above_cuts(scores_N, labels_N)
    return found_P / found_P[-1], found_P / (found_P + wrong_P)


def _above_cuts(scores_N: ArrayLike, labels_N: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positives and negatives with at least each score that occurs, from the highest on."""
    scores, labels = paired(scores_N, labels_N)
    positive_N = binary(labels)
    if positive_N.all() or not positive_N.any():
        raise DataError(f"a curve must have labels 0 and 1, all {len(labels)} are {int(labels[0])}")
    order_N = np.argsort(-scores, kind="stable")
    last_P = np.flatnonzero(np.r_[np.diff(scores[order_N]) != 0, True])
    found_P = np.cumsum(positive_N[order_N])[last_P].astype(np.float64)
    return found_P, last_P + 1 - found_P


def _predicted(probs: ArrayLike, labels_N: ArrayLike, threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Predicted and right class."""
    if np.ndim(probs) == 2:
        probs_NC, classes_N = class_probabilities(probs, labels_N)
        return probs_NC.argmax(axis=1), classes_N
    probs_N, labels = paired(probs, labels_N)
    return (probs_N >= threshold).astype(np.int64), binary(labels).astype(np.int64)
