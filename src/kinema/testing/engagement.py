"""Worlds of engagement whose right answer is known: tasks that help each other, tasks that do not, and lengths that mislead.

Shape suffixes: N rows, D numbers of a row, S signals.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError
from kinema.seeds import generator
from kinema.tasks.engagement_labels import EngagementLabels


@dataclass(frozen=True)
class TaskWorld:
    """Rows with two binary labels.

    Attributes:
        numbers_ND: float32, what is seen of a row.
        labels: ``click``, known everywhere, and ``like``, known of few training rows.
        train_rows: To learn from.
        valid_rows: Held out.
        test_rows: For the verdict.
        probs: Head -> float64 [N], the chance that the label was drawn with: the best anyone can tell.
    """

    numbers_ND: NDArray[np.float32]
    labels: EngagementLabels
    train_rows: NDArray[np.int64]
    valid_rows: NDArray[np.int64]
    test_rows: NDArray[np.int64]
    probs: dict[str, NDArray[np.float64]]


def task_world(
    *,
    related: bool,
    seed: int = 0,
    num_rows: int = 6000,
    num_known: int = 300,
    num_held_out: int = 1500,
    width: int = 24,
    num_signals: int = 3,
    strength: float = 3.0,
) -> TaskWorld:
    """Make a pair of tasks: one with many labels, one with few.

    Each label follows from a curved function of a few directions of the numbers. Related tasks follow from the same
    function, so that the many labels of one teach what the other needs. Conflicting ones follow from unrelated
    directions and functions: whoever shares spends the room of one on the other.

    Args:
        related: Whether ``like`` follows from what ``click`` follows from.
        seed: Decides everything.
        num_rows: Rows to learn from.
        num_known: Of them those whose ``like`` is known.
        num_held_out: Rows of validation, and as many of test.
        width: D.
        num_signals: S, directions that a label follows from, at most D / 2.
        strength: Deviation of the log-odds.

    Returns:
        The world.

    Raises:
        ConfigError: There are not as many directions.

    Example:
        >>> world = task_world(related=True, num_rows=50, num_known=20, num_held_out=10)
        >>> len(world.labels), int(world.labels.known("like").sum())
        (70, 40)
    """
    if 2 * num_signals > width or num_known > num_rows:
        raise ConfigError(
            f"a world of tasks needs 2 num_signals <= width and num_known <= num_rows, "
            f"got {num_signals}, {width}, {num_known} and {num_rows}"
        )
    rng = generator(seed, "testing/engagement")
    total = num_rows + 2 * num_held_out
    numbers_ND = rng.standard_normal((total, width))
    directions_DS, _ = np.linalg.qr(rng.standard_normal((width, 2 * num_signals)))
    click_N = _curved(numbers_ND @ directions_DS[:, :num_signals])
    like_N = click_N if related else _curved(numbers_ND @ directions_DS[:, num_signals:])
    probs = {"click": _chance(click_N, strength), "like": _chance(like_N, strength)}
    labels = {head: (rng.random(total) < prob_N).astype(np.float32) for head, prob_N in probs.items()}
    labels["like"][num_known:num_rows] = np.nan
    rows = np.arange(total)
    return TaskWorld(
        numbers_ND=numbers_ND.astype(np.float32),
        labels=EngagementLabels(labels),
        train_rows=rows[:num_rows],
        valid_rows=rows[num_rows : num_rows + num_held_out],
        test_rows=rows[num_rows + num_held_out :],
        probs=probs,
    )


def _curved(signals_NS: NDArray[np.float64]) -> NDArray[np.float64]:
    """A function that a linear map cannot tell, of mean 0 and deviation 1."""
    told_N = np.abs(signals_NS).sum(axis=1) + signals_NS[:, 0]
    scaled_N: NDArray[np.float64] = (told_N - told_N.mean()) / told_N.std()
    return scaled_N


def _chance(told_N: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-strength * told_N))


@dataclass(frozen=True)
class DurationWorld:
    """Watched videos whose length misleads.

    Attributes:
        numbers_ND: float32: the signals of interest with noise, and the logarithm of the length.
        labels: Watch time and length alone.
        interest_N: float64, what should be ranked by; nobody sees it.
        is_interested_N: bool, the upper half.
        train_rows: To learn from.
        valid_rows: Held out.
        test_rows: For the verdict.
    """

    numbers_ND: NDArray[np.float32]
    labels: EngagementLabels
    interest_N: NDArray[np.float64]
    is_interested_N: NDArray[np.bool_]
    train_rows: NDArray[np.int64]
    valid_rows: NDArray[np.int64]
    test_rows: NDArray[np.int64]


def duration_world(
    *,
    seed: int = 0,
    num_rows: int = 6000,
    num_held_out: int = 1500,
    num_signals: int = 4,
    noise: float = 0.5,
    spread: float = 1.0,
) -> DurationWorld:
    """Make the world: the share that is watched follows from interest alone, the time also from the length.

    Args:
        seed: Decides everything.
        num_rows: Rows to learn from.
        num_held_out: Rows of validation, and as many of test.
        num_signals: Numbers whose mean is the interest.
        noise: Deviation of the log-odds of the share watched, around the interest.
        spread: Deviation of the logarithm of the length; 0 takes the confounder away.

    Returns:
        The world.

    Example:
        >>> world = duration_world(num_rows=50, num_held_out=10)
        >>> world.numbers_ND.shape, bool((world.labels.watch_ms_N <= world.labels.duration_ms_N).all())
        ((70, 5), True)
    """
    rng = generator(seed, "testing/duration")
    total = num_rows + 2 * num_held_out
    signals_NS = rng.standard_normal((total, num_signals))
    interest_N = signals_NS.sum(axis=1) / np.sqrt(num_signals)
    duration_ms_N = np.round(30_000 * np.exp(spread * rng.standard_normal(total)) + 1000)
    share_N = 1 / (1 + np.exp(-(interest_N + noise * rng.standard_normal(total))))
    numbers_ND = np.column_stack([signals_NS, np.log(duration_ms_N)])
    rows = np.arange(total)
    return DurationWorld(
        numbers_ND=numbers_ND.astype(np.float32),
        labels=EngagementLabels({}, np.floor(share_N * duration_ms_N), duration_ms_N),
        interest_N=interest_N,
        is_interested_N=interest_N > np.median(interest_N),
        train_rows=rows[:num_rows],
        valid_rows=rows[num_rows : num_rows + num_held_out],
        test_rows=rows[num_rows + num_held_out :],
    )
