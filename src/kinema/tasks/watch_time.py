"""Watch time: labels that do not follow from the length of the video, and heads that tell them.

A long video is watched longer by whoever opens it, so a model of milliseconds learns to recommend long videos. Within
videos of similar length that way to be right is closed: what a label says there is how interested the user was.

Shape suffixes: N events, G groups of duration, Q levels of the quantile grid, B rows of a step, K thresholds.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from kinema.errors import ConfigError, DataError


def completion(watch_ms_N: NDArray[np.number[Any]], duration_ms_N: NDArray[np.number[Any]]) -> NDArray[np.float32]:
    """Share of each video that was watched.

    Looping players report more than a full watch; counting it would rank short clips first.

    Args:
        watch_ms_N: Time watched per event, milliseconds, >= 0.
        duration_ms_N: Length of the event's video, milliseconds, > 0.

    Returns:
        float32 [N] in [0, 1], in the order given.

    Raises:
        DataError: A duration is not positive, a watch time is negative, or there are not as many of them.

    Example:
        >>> completion(np.array([500, 3000]), np.array([1000, 1500]))
        array([0.5, 1. ], dtype=float32)
    """
    check_watch(watch_ms_N, duration_ms_N)
    shares_N: NDArray[np.float64] = np.minimum(watch_ms_N / duration_ms_N, 1.0)
    return shares_N.astype(np.float32)


def check_watch(watch_ms_N: NDArray[np.number[Any]], duration_ms_N: NDArray[np.number[Any]]) -> None:
    """Refuse times that cannot be.

    Raises:
        DataError: See `completion`.
    """
    if len(watch_ms_N) != len(duration_ms_N):
        raise DataError(f"each watch_ms must have a duration_ms, got {len(watch_ms_N)} and {len(duration_ms_N)}")
    for name, wrong_N, values_N, rule in (
        ("duration_ms", ~(duration_ms_N > 0), duration_ms_N, "> 0"),
        ("watch_ms", ~(watch_ms_N >= 0), watch_ms_N, ">= 0"),
    ):
        if wrong_N.any():
            first = int(np.argmax(wrong_N))
            raise DataError(
                f"{name} must be {rule}, got {values_N[first]:g} ms at event {first}; leave the event out or give its time"
            )


@dataclass(frozen=True)
class DurationGroups:
    """What share of users watches how long, in groups of similar duration.

    Attributes:
        edges_G: float64 [G - 1], durations in ms at which the next group begins.
        grid_GQ: float64 [G, Q], watch time in ms at each level 0..1 of each group.

    Source: the groups of D2Q (Zhan et al., Deconfounding duration bias in watch-time prediction for video recommendation,
    KDD 2022); between the levels of a grid we interpolate, and equal watch times get the middle of their levels.
    """

    edges_G: NDArray[np.float64]
    grid_GQ: NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        watch_ms_N: NDArray[np.number[Any]],
        duration_ms_N: NDArray[np.number[Any]],
        *,
        num_groups: int = 20,
        num_levels: int = 101,
    ) -> Self:
        """Learn the groups from training events.

        Args:
            watch_ms_N: Milliseconds, >= 0.
            duration_ms_N: Milliseconds, > 0.
            num_groups: At most; as even as equal durations allow, which stay together.
            num_levels: Q, >= 2.

        Returns:
            The groups.

        Raises:
            ConfigError: A number is out of range.
            DataError: See `completion`; or there is no event.

        Example:
            >>> groups = DurationGroups.fit(np.array([1, 2, 10, 20]), np.array([5, 5, 50, 50]), num_groups=2)
            >>> groups.quantile(np.array([1, 10]), np.array([5, 50])).tolist()
            [0.0, 0.0]
            >>> groups.watch_ms(np.array([0.5, 0.5]), np.array([5, 50])).tolist()
            [1.5, 15.0]
        """
        if num_groups < 1 or num_levels < 2:
            raise ConfigError(f"num_groups must be >= 1 and num_levels >= 2, are {num_groups} and {num_levels}")
        check_watch(watch_ms_N, duration_ms_N)
        if not len(watch_ms_N):
            raise DataError("duration groups must be fitted to events, got none; give training events with watch_ms")
        ordered_N = np.sort(duration_ms_N.astype(np.float64))
        edges_G = np.unique(ordered_N[np.arange(1, num_groups) * len(ordered_N) // num_groups])
        edges_G = edges_G[edges_G > duration_ms_N.min()]
        group_N = np.searchsorted(edges_G, duration_ms_N, side="right")
        levels_Q = np.linspace(0, 1, num_levels)
        grid_GQ = np.stack([np.quantile(watch_ms_N[group_N == g], levels_Q) for g in range(len(edges_G) + 1)])
        return cls(edges_G, grid_GQ)

    @property
    def num_groups(self) -> int:
        """G."""
        return len(self.grid_GQ)

    def group(self, duration_ms_N: NDArray[np.number[Any]]) -> NDArray[np.int64]:
        """int64 [N] in 0..G-1."""
        return np.searchsorted(self.edges_G, duration_ms_N, side="right").astype(np.int64)

    def quantile(
        self, watch_ms_N: NDArray[np.number[Any]], duration_ms_N: NDArray[np.number[Any]]
    ) -> NDArray[np.float32]:
        """Share of alike events that were watched shorter: the label.

        Args:
            watch_ms_N: Milliseconds.
            duration_ms_N: Milliseconds.

        Returns:
            float32 [N] in [0, 1]; of a watch time that many share, as the full length often is, the middle.
        """
        told_N = np.empty(len(watch_ms_N))
        group_N = self.group(duration_ms_N)
        num_steps = self.grid_GQ.shape[1] - 1
        for g in np.unique(group_N).tolist():
            own_N, grid_Q = group_N == g, self.grid_GQ[g]
            watch = watch_ms_N[own_N].astype(np.float64)
            below, above = np.searchsorted(grid_Q, watch, side="left"), np.searchsorted(grid_Q, watch, side="right")
            left, right = np.clip(below - 1, 0, num_steps), np.clip(below, 0, num_steps)
            gap = grid_Q[right] - grid_Q[left]
            part = np.divide(watch - grid_Q[left], gap, out=np.zeros(len(watch)), where=gap > 0)
            between = left + np.clip(part, 0, 1) * (right - left)
            told_N[own_N] = np.where(above > below, (below + above - 1) / 2, between) / num_steps
        return told_N.astype(np.float32)

    def watch_ms(self, quantile_N: NDArray[np.floating], duration_ms_N: NDArray[np.number[Any]]) -> NDArray[np.float64]:
        """Back from the label to milliseconds, for videos of given length.

        Args:
            quantile_N: In [0, 1]; what lies outside counts as the end.
            duration_ms_N: Milliseconds.

        Returns:
            float64 [N].
        """
        num_steps = self.grid_GQ.shape[1] - 1
        place_N = np.clip(quantile_N.astype(np.float64), 0, 1) * num_steps
        below_N = np.minimum(place_N.astype(np.int64), num_steps - 1)
        group_N = self.group(duration_ms_N)
        low_N, high_N = self.grid_GQ[group_N, below_N], self.grid_GQ[group_N, below_N + 1]
        told_N: NDArray[np.float64] = low_N + (place_N - below_N) * (high_N - low_N)
        return told_N


def ordinal_thresholds(num_thresholds: int) -> Tensor:
    """The middles of equal steps of [0, 1], float32 [K].

    Raises:
        ConfigError: There is none.

    Example:
        >>> ordinal_thresholds(4)
        tensor([0.1250, 0.3750, 0.6250, 0.8750])
    """
    if num_thresholds < 1:
        raise ConfigError(f"an ordinal head must have at least one threshold, has {num_thresholds}; 20 are usual")
    return (torch.arange(num_thresholds) + 0.5) / num_thresholds


def cumulative_logits(raw_BK: Tensor) -> Tensor:
    """Log-odds of lying above each threshold: never higher at a higher threshold.

    Separate outputs would contradict each other; here each is the one before minus something positive.

    Args:
        raw_BK: What a linear layer gives.

    Returns:
        float32 [B, K], not rising along K.

    Source: thresholds of McCullagh, Regression models for ordinal data, JRSS B 1980; here each row has its own.

    Example:
        >>> cumulative_logits(torch.tensor([[1.0, 0.0, 0.0]]))
        tensor([[ 1.0000,  0.3069, -0.3863]])
    """
    steps_BK = torch.cat([raw_BK[:, :1], -functional.softplus(raw_BK[:, 1:])], dim=1)
    return steps_BK.cumsum(dim=1)


def ordinal_loss(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    """Mean binary cross-entropy of "above this threshold" over rows and thresholds.

    Args:
        logits_BK: Of `cumulative_logits`.
        labels_B: In [0, 1].

    Returns:
        Scalar; 0 for no row.

    Example:
        >>> ordinal_loss(torch.zeros(1, 4), torch.tensor([0.4]))
        tensor(0.6931)
    """
    if not len(labels_B):
        return logits_BK.sum()
    above_BK = (labels_B.unsqueeze(1) > ordinal_thresholds(logits_BK.shape[1])).to(logits_BK.dtype)
    return functional.binary_cross_entropy_with_logits(logits_BK, above_BK)


def ordinal_expectation(logits_BK: Tensor) -> Tensor:
    """The label that is expected: the mean chance of lying above a threshold, since E[y] is the integral of P(y > t).

    Returns:
        float32 [B] in [0, 1].

    Example:
        >>> ordinal_expectation(torch.tensor([[100.0, 100.0, -100.0, -100.0]]))
        tensor([0.5000])
    """
    return logits_BK.sigmoid().mean(dim=1)
