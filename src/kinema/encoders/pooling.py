"""From one vector per moment to one vector per clip.

Shape suffixes: T moments, D width, S segments.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.modality import Tokens
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


def pool_frames(tokens_TD: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [D], one clip's frame vectors over time. The maximum beside the mean doubled the width and told nothing more."""
    return pool_segments(tokens_TD, segments=(1,), statistics=("mean",))


class Pooling(Protocol):
    """Another way from tokens to the vector of a clip than the encoder's own; the tokens that are there serve it."""

    @property
    def fingerprint(self) -> str:
        """Equal for equal vectors from equal tokens."""

    def pool(self, tokens: Tokens) -> NDArray[np.float32]:
        """float32, the vector of a clip; of the same width for every clip."""


@dataclass(frozen=True)
class SegmentPooling:
    """`pool_segments` as the pooling of a modality: several time scales at once.

    Attributes:
        segments: Into how many equal parts the clip is cut, for each scale.
        statistics: What is taken of each part.

    Example:
        >>> tokens = Tokens(np.array([[0.0], [4.0]], dtype=np.float32), np.array([0, 500]))
        >>> SegmentPooling(segments=(1, 2), statistics=("max",)).pool(tokens)
        array([4., 0., 4.], dtype=float32)
    """

    segments: tuple[int, ...] = (1, 2, 4)
    statistics: tuple[Statistic, ...] = ("mean", "max")

    @property
    def fingerprint(self) -> str:
        """Equal for equal vectors from equal tokens."""
        return fingerprint({"segments": asdict(self)})

    def pool(self, tokens: Tokens) -> NDArray[np.float32]:
        """See `pool_segments`."""
        return pool_segments(tokens.tokens_TD, segments=self.segments, statistics=self.statistics)
