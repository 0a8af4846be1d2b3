"""How far a mean could have come out otherwise: the bootstrap over users.

Cases of one user are alike, so users are drawn, not cases; drawing cases would make intervals too narrow wherever a
user has several. The draws depend on the seed and the users alone: two rankers asked the same cases get the same
draws, and the difference of their resampled means is the paired bootstrap.

Shape suffixes: C cases, M metrics, B resamples, U users with at least one case.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.seeds import generator

_CELLS = 4_000_000


def resampled_means(
    values_CM: NDArray[np.float64], users_C: NDArray[np.integer], *, num_resamples: int = 1000, seed: int = 0
) -> NDArray[np.float64]:
    """Means over cases when the users are drawn again with replacement.

    Args:
        values_CM: One row per case, one column per metric.
        users_C: The user of each case.
        num_resamples: B; 0 skips the bootstrap.
        seed: Seed of the run.

    Returns:
        float64 [B, M].

    Raises:
        DataError: There is no case.

    Source: Field and Welsh, Bootstrapping clustered data, JRSS B 2007 (cluster bootstrap, ratio estimator).

    Example:
        >>> means = resampled_means(np.array([[0.0], [1.0]]), np.array([3, 3]), num_resamples=2)
        >>> means.tolist()
        [[0.5], [0.5]]
    """
    if not len(users_C):
        raise DataError("a bootstrap must have at least one case, got none")
    _, rows_C = np.unique(users_C, return_inverse=True)
    num_users = int(rows_C.max()) + 1
    sums_UM = np.stack([np.bincount(rows_C, weights=column_C, minlength=num_users) for column_C in values_CM.T], axis=1)
    sizes_U = np.bincount(rows_C, minlength=num_users).astype(np.float64)
    random = generator(seed, "bootstrap")
    means_BM = np.empty((num_resamples, values_CM.shape[1]))
    block = max(1, _CELLS // num_users)
    for start in range(0, num_resamples, block):
        size = min(block, num_resamples - start)
        drawn = random.integers(num_users, size=(size, num_users)) + num_users * np.arange(size)[:, None]
        times_BU = np.bincount(drawn.ravel(), minlength=size * num_users).reshape(size, num_users).astype(np.float64)
        means_BM[start : start + size] = (times_BU @ sums_UM) / (times_BU @ sizes_U)[:, None]
    return means_BM


@dataclass(frozen=True)
class Interval:
    """A mean with its percentile interval; NaN ends where no resamples were drawn."""

    mean: float
    low: float
    high: float


def percentile_interval(mean: float, samples_B: NDArray[np.float64], *, level: float = 0.95) -> Interval:
    """The middle ``level`` of the resampled means.

    Args:
        mean: The mean itself.
        samples_B: Its resamples; may be empty.
        level: Probability mass inside, in (0, 1).

    Returns:
        The interval.

    Example:
        >>> percentile_interval(50, np.arange(101), level=0.5)
        Interval(mean=50, low=25.0, high=75.0)
    """
    if not len(samples_B):
        return Interval(mean, float("nan"), float("nan"))
    low, high = np.quantile(samples_B, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high))
