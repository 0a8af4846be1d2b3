"""Losses of classes from logits: two classes as one logit, several as one logit each.

All are means over the examples; weights change what counts in the mean.

Shape suffixes: B examples, C classes.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from kinema.errors import ConfigError, DataError


def binary_cross_entropy(
    logits_B: Tensor, labels_B: Tensor, *, smoothing: float = 0.0, positive_weight: float = 1.0
) -> Tensor:
    """``-log`` of the probability of what happened, from the logit of the class 1.

    Args:
        logits_B: Log-odds.
        labels_B: 0 or 1, or the probability that a teacher gives; any number type.
        smoothing: In [0, 1): labels are moved this share of the way to one half.
        positive_weight: > 0, what an example of class 1 counts; anything but 1 makes the probabilities say too much or too
            little, calibrate them afterwards.

    Returns:
        Scalar; 0 for no example.

    Raises:
        ConfigError: An option is out of range.
        DataError: The shapes differ.

    Example:
        >>> binary_cross_entropy(torch.tensor([0.0, 2.0]), torch.tensor([0, 1]))
        tensor(0.4100)
    """
    _check(logits_B, labels_B, smoothing)
    if positive_weight <= 0:
        raise ConfigError(f"positive_weight must be > 0, is {positive_weight}")
    if not len(labels_B):
        return logits_B.sum()
    targets_B = labels_B.to(logits_B.dtype) * (1 - smoothing) + smoothing / 2
    weight = None if positive_weight == 1 else logits_B.new_tensor(positive_weight)
    return functional.binary_cross_entropy_with_logits(logits_B, targets_B, pos_weight=weight)


def class_cross_entropy(
    logits_BC: Tensor, labels_B: Tensor, *, smoothing: float = 0.0, class_weights_C: Tensor | None = None
) -> Tensor:
    """``-log`` of the softmax probability of the right class.

    Args:
        logits_BC: One per class.
        labels_B: int64, the right class.
        smoothing: In [0, 1): this share of the label is spread evenly over all classes.
        class_weights_C: What an example of each class counts, >= 0; the mean is weighted. None for all alike.

    Returns:
        Scalar; 0 for no example.

    Raises:
        ConfigError: An option is out of range.
        DataError: The shapes do not fit.

    Source: label smoothing of Szegedy et al. 2016, "Rethinking the Inception Architecture".

    Example:
        >>> class_cross_entropy(torch.zeros(1, 4), torch.tensor([2]))
        tensor(1.3863)
    """
    _check_classes(logits_BC, labels_B, smoothing)
    if not len(labels_B):
        return logits_BC.sum()
    weights_C = None if class_weights_C is None else class_weights_C.to(logits_BC.dtype)
    return functional.cross_entropy(logits_BC, labels_B, weight=weights_C, label_smoothing=smoothing)


def cross_entropy(logits: Tensor, labels_B: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """`binary_cross_entropy` of logits [B], `class_cross_entropy` of logits [B, C].

    Example:
        >>> cross_entropy(torch.zeros(1), torch.tensor([1.0])), cross_entropy(torch.zeros(1, 2), torch.tensor([1]))
        (tensor(0.6931), tensor(0.6931))
    """
    if logits.ndim == 2:
        return class_cross_entropy(logits, labels_B, smoothing=smoothing)
    return binary_cross_entropy(logits, labels_B, smoothing=smoothing)


def focal(logits: Tensor, labels_B: Tensor, *, gamma: float = 2.0, alpha: float | None = None) -> Tensor:
    """Cross entropy in which examples that are already right count less: ``-(1 - p)^gamma log p``, p of the right class.

    Made for very many easy negatives. Its probabilities are pulled towards one half: calibrate them before use.

    Args:
        logits: [B] of the class 1, or [B, C].
        labels_B: 0 or 1, or int64 classes; no soft labels.
        gamma: >= 0; 0 is plain cross entropy.
        alpha: In (0, 1): examples of class 1 count alpha, those of class 0 count 1 - alpha. Two classes only; None for all
            alike.

    Returns:
        Scalar; 0 for no example.

    Raises:
        ConfigError: An option is out of range, or alpha is given for several classes.
        DataError: The shapes do not fit.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection"; there the sum is divided by the positives.

    Example:
        >>> focal(torch.tensor([0.0]), torch.tensor([1]))
        tensor(0.1733)
    """
    if gamma < 0 or not math.isfinite(gamma):
        raise ConfigError(f"gamma must be a number >= 0, is {gamma}")
    if alpha is not None and (logits.ndim == 2 or not 0 < alpha < 1):
        raise ConfigError(f"alpha must be in (0, 1) and the classes two, is {alpha} for logits {tuple(logits.shape)}")
    if logits.ndim == 2:
        _check_classes(logits, labels_B, 0.0)
        log_right_B = functional.log_softmax(logits, dim=1).gather(1, labels_B[:, None]).squeeze(1)
        others_BC = logits.scatter(1, labels_B[:, None], -torch.inf)
        log_wrong_B = torch.logsumexp(others_BC, dim=1) - torch.logsumexp(logits, dim=1)
    else:
        _check(logits, labels_B, 0.0)
        toward_B = logits * (2 * labels_B.to(logits.dtype) - 1)
        log_right_B, log_wrong_B = functional.logsigmoid(toward_B), functional.logsigmoid(-toward_B)
    # The power from logarithms: 1 - p by subtraction has no digits left where p is nearly 1.
    losses_B = -(gamma * log_wrong_B).exp() * log_right_B
    if alpha is not None:
        losses_B = losses_B * torch.where(labels_B > 0, alpha, 1 - alpha)
    return losses_B.mean() if len(losses_B) else losses_B.sum()


def _check(logits_B: Tensor, labels_B: Tensor, smoothing: float) -> None:
    """Refuse what would be broadcast to all pairs."""
    if logits_B.ndim != 1 or logits_B.shape != labels_B.shape:
        raise DataError(
            f"logits and labels must be one per example, have shapes {tuple(logits_B.shape)} and {tuple(labels_B.shape)}"
        )
    _check_smoothing(smoothing)


def _check_classes(logits_BC: Tensor, labels_B: Tensor, smoothing: float) -> None:
    """Refuse shapes that torch would read as something else."""
    if logits_BC.ndim != 2 or labels_B.shape != logits_BC.shape[:1]:
        raise DataError(
            f"logits must be examples x classes with one label per example, have shapes {tuple(logits_BC.shape)} and "
            f"{tuple(labels_B.shape)}"
        )
    _check_smoothing(smoothing)


def _check_smoothing(smoothing: float) -> None:
    """A share."""
    if not 0 <= smoothing < 1:
        raise ConfigError(f"smoothing must be in [0, 1), is {smoothing}")
