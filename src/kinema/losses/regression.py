"""Losses of numbers: what is predicted against what it was.

Shape suffixes: B examples, Q quantiles.
"""

from collections.abc import Sequence
from typing import Final

from torch import Tensor
from torch.nn import functional

from kinema.errors import ConfigError, DataError

DECILE_BAND: Final[tuple[float, ...]] = (0.1, 0.5, 0.9)
"""Median and the band that should hold eight of ten."""


def mse(values_B: Tensor, labels_B: Tensor) -> Tensor:
    """Mean squared error; its best constant is the mean.

    Args:
        values_B: Predicted.
        labels_B: Right; any number type.

    Returns:
        Scalar; 0 for no example.

    Raises:
        DataError: The shapes differ.

    Example:
        >>> import torch
        >>> mse(torch.tensor([1.0, 3.0]), torch.tensor([1, 1]))
        tensor(2.)
    """
    return _mean((values_B - _aligned(values_B, labels_B)).square())


def mae(values_B: Tensor, labels_B: Tensor) -> Tensor:
    """Mean absolute error; its best constant is the median, so a few extreme labels move it little.

    Args:
        values_B: Predicted.
        labels_B: Right.

    Returns:
        Scalar; 0 for no example.

    Raises:
        DataError: The shapes differ.

    Example:
        >>> import torch
        >>> mae(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
        tensor(1.)
    """
    return _mean((values_B - _aligned(values_B, labels_B)).abs())


def huber(values_B: Tensor, labels_B: Tensor, *, delta: float = 1.0) -> Tensor:
    """Squared near zero, absolute beyond: ``e^2 / 2`` up to delta, then ``delta (|e| - delta / 2)``.

    Args:
        values_B: Predicted.
        labels_B: Right.
        delta: Where the one becomes the other, in the labels' unit, > 0.

    Returns:
        Scalar; 0 for no example.

    Raises:
        ConfigError: delta is not > 0.
        DataError: The shapes differ.

    Source: Huber 1964, "Robust Estimation of a Location Parameter".

    Example:
        >>> import torch
        >>> huber(torch.tensor([1.0, 4.0]), torch.tensor([0.0, 0.0]))
        tensor(2.)
    """
    if not delta > 0:
        raise ConfigError(f"delta must be > 0, is {delta}")
    return _mean(functional.huber_loss(values_B, _aligned(values_B, labels_B), delta=delta, reduction="none"))


def pinball(values_BQ: Tensor, labels_B: Tensor, *, quantiles: Sequence[float] = DECILE_BAND) -> Tensor:
    """Loss whose best prediction is a quantile: being below costs ``q`` per unit, being above ``1 - q``.

    Two quantiles make an interval: .1 and .9 one that should hold eight of ten.

    Args:
        values_BQ: One prediction per quantile; nothing keeps them from crossing, sort them before use.
        labels_B: Right.
        quantiles: Q levels in (0, 1), in the order of the columns.

    Returns:
        Scalar, mean over examples and quantiles; 0 for no example.

    Raises:
        ConfigError: A quantile is out of range.
        DataError: The shapes do not fit.

    Source: Koenker and Bassett 1978, "Regression Quantiles".

    Example:
        >>> import torch
        >>> pinball(torch.tensor([[0.0, 0.0]]), torch.tensor([1.0]), quantiles=(0.1, 0.9))
        tensor(0.5000)
    """
    if not quantiles or not all(0 < one < 1 for one in quantiles):
        raise ConfigError(f"quantiles must be in (0, 1), are {list(quantiles)}")
    if values_BQ.shape != (len(labels_B), len(quantiles)) or labels_B.ndim != 1:
        raise DataError(
            f"predictions must be examples x {len(quantiles)} quantiles with one label per example, have shapes "
            f"{tuple(values_BQ.shape)} and {tuple(labels_B.shape)}"
        )
    missing_BQ = labels_B.to(values_BQ.dtype)[:, None] - values_BQ
    levels_Q = values_BQ.new_tensor(list(quantiles))
    return _mean((levels_Q * missing_BQ).maximum((levels_Q - 1) * missing_BQ))


def _aligned(values_B: Tensor, labels_B: Tensor) -> Tensor:
    """The labels in the type of the predictions; a column against a row would be broadcast to all pairs."""
    if values_B.shape != labels_B.shape:
        raise DataError(
            f"predictions and labels must have one shape, have {tuple(values_B.shape)} and {tuple(labels_B.shape)}"
        )
    return labels_B.to(values_B.dtype)


def _mean(losses: Tensor) -> Tensor:
    """The mean; 0 of nothing."""
    return losses.mean() if losses.numel() else losses.sum()
