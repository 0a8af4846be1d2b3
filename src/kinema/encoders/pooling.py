"""From one vector per moment to one vector per clip.

Shape suffixes: T moments, D width, S segments.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError

Statistic = Literal["mean", "max", "std"]
STATISTICS: Final[tuple[Statistic, ...]] = ("mean", "max", "std")


def pool_segments(
    tokens_TD: NDArray[np.float32],
    *,
    segments: Sequence[int] = (1, 2),
    statistics: Sequence[Statistic] = ("mean", "max"),
) -> NDArray[np.float32]:
    """Describe the moments of a clip at several time scales.

    The mean keeps what lasts, the maximum what happens once, the deviation how much it changes; halves and quarters keep
    the order of events, which one mean over all loses.

    Args:
        tokens_TD: float32 [T, D], oldest first, T >= 1.
        segments: Into how many equal parts the clip is cut, for each scale. Parts share moments where T is small.
        statistics: What is taken of each part: ``mean``, ``max``, ``std``.

    Returns:
        float32 [sum(segments) * len(statistics) * D]: by scale, part, statistic.

    Raises:
        ConfigError: There is no moment, no part, or a statistic is unknown.

    Example:
        >>> pool_segments(np.array([[0.0], [4.0]], dtype=np.float32), segments=(1, 2), statistics=("mean",))
        array([2., 0., 4.], dtype=float32)
    """
    if len(tokens_TD) == 0 or not segments or min(segments) < 1:
        raise ConfigError(f"pooling needs >= 1 moment and segments >= 1, got {len(tokens_TD)} and {tuple(segments)}")
    unknown = [name for name in statistics if name not in STATISTICS]
    if unknown:
        raise ConfigError(f"unknown pooling statistic '{unknown[0]}'; known: {', '.join(STATISTICS)}")
    parts: list[NDArray[np.float32]] = []
    num_moments = len(tokens_TD)
    for count in segments:
        for part in range(count):
            start = part * num_moments // count
            stop = max(start + 1, -(-(part + 1) * num_moments // count))
            parts.extend(getattr(tokens_TD[start:stop], name)(axis=0) for name in statistics)
    return np.concatenate(parts).astype(np.float32)
