"""Losses of an order: what was chosen is to score above what was not.

Shape suffixes: B examples.
"""

from torch import Tensor
from torch.nn import functional

from kinema.errors import ConfigError, DataError


def bpr(positive_B: Tensor, negative_B: Tensor) -> Tensor:
    """``-log sigmoid(positive - negative)``: a smooth form of one minus AUC.

    Args:
        positive_B: Scores of what was chosen.
        negative_B: Scores of what was not, one for each or [B, K] for several.

    Returns:
        Scalar, mean over all pairs; 0 for no pair.

    Raises:
        DataError: The shapes do not fit.

    Source: Rendle et al. 2009, "BPR: Bayesian Personalized Ranking from Implicit Feedback"; weight decay is left to the
    optimiser.

    Example:
        >>> import torch
        >>> bpr(torch.tensor([1.0]), torch.tensor([1.0]))
        tensor(0.6931)
    """
    losses = functional.softplus(-_gaps(positive_B, negative_B))
    return losses.mean() if losses.numel() else losses.sum()


def hinge(positive_B: Tensor, negative_B: Tensor, *, margin: float = 1.0) -> Tensor:
    """``max(0, margin - (positive - negative))``: pairs that are far enough apart no longer teach anything.

    Args:
        positive_B: See `bpr`.
        negative_B: See `bpr`.
        margin: > 0, in the scores' unit.

    Returns:
        Scalar, mean over all pairs; 0 for no pair.

    Raises:
        ConfigError: margin is not > 0.
        DataError: The shapes do not fit.

    Source: Herbrich et al. 2000, "Large Margin Rank Boundaries for Ordinal Regression".

    Example:
        >>> import torch
        >>> hinge(torch.tensor([1.0, 3.0]), torch.tensor([0.5, 0.0]))
        tensor(0.2500)
    """
    if not margin > 0:
        raise ConfigError(f"margin must be > 0, is {margin}")
    losses = functional.relu(margin - _gaps(positive_B, negative_B))
    return losses.mean() if losses.numel() else losses.sum()


def _gaps(positive_B: Tensor, negative_B: Tensor) -> Tensor:
    """How far each positive is above its negatives."""
    if positive_B.ndim != 1 or negative_B.ndim > 2 or negative_B.shape[:1] != positive_B.shape:
        raise DataError(
            "positives must be one score per example and negatives one or several of the same example, have shapes "
            f"{tuple(positive_B.shape)} and {tuple(negative_B.shape)}"
        )
    return (positive_B[:, None] if negative_B.ndim == 2 else positive_B) - negative_B
