"""Motion: optical flow at a few pairs of frames of a clip becomes one vector.

Nothing is learned here. The vector separates camera moves (pan, tilt, zoom, spin, shake) from each other and from
moving objects, whatever the colours are.

Shape suffixes: P pairs of frames, D width.
"""

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.pooling import pool_segments
from kinema.errors import ConfigError
from kinema.extras import require
from kinema.media.flow import CAMERA_STATISTICS, CELL_STATISTICS, camera_statistics, cell_statistics, dense_flow
from kinema.media.sampling import Frames

DEFAULT_MOTION: Final = "flow:dis"

_VERSION = 1
_GAIN = 20.0
_SIGNED = 4
_IN_CELLS = [CELL_STATISTICS.index(name) for name in ("right", "down", "speed", "spread", "curl")]
_WHOLE_WIDTH = len(CELL_STATISTICS) + len(CAMERA_STATISTICS) + _SIGNED


@dataclass(frozen=True)
class MotionEncoder:
    """Settings of the motion vector.

    Attributes:
        grid: Cells per side of the grid over the picture, 1..8.
        segments: Time scales, see `pool_segments`.
    """

    grid: int = 3
    segments: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if not 1 <= self.grid <= 8:
            raise ConfigError(f"grid of the motion encoder must be in 1..8, got {self.grid}")

    @property
    def name(self) -> str:
        """For people."""
        return f"optical flow, {self.grid} x {self.grid} cells"

    @property
    def token_width(self) -> int:
        """Numbers per pair of frames."""
        return _WHOLE_WIDTH + self.grid * self.grid * len(_IN_CELLS)

    @property
    def width(self) -> int:
        """D."""
        return len(self.pool(np.zeros((1, self.token_width), dtype=np.float32)))

    @property
    def fingerprint(self) -> str:
        """Equal for equal vectors."""
        return fingerprint({"motion": _VERSION, **asdict(self)})

    def tokens(self, frames: Frames) -> NDArray[np.float32]:
        """One token per pair of frames.

        Args:
            frames: A sampled clip.

        Returns:
            float32 [P, token_width]; empty for a single picture, whose movement is unknown. Speeds are compressed
            (asinh), since one whip pan would otherwise outweigh everything else.
        """
        moments = [self._token(pair, float(gap)) for pair, gap in zip(frames.pairs, frames.gaps_ms, strict=True)]
        return np.stack(moments) if moments else np.zeros((0, self.token_width), dtype=np.float32)

    def _token(self, pair: NDArray[np.uint8], gap_ms: float) -> NDArray[np.float32]:
        """float32 [token_width]: whole picture, camera, camera without sign (what both directions share), cells."""
        speed_HW2 = dense_flow(pair[0], pair[1]) * np.float32(1000.0 / gap_ms)
        camera = camera_statistics(speed_HW2)
        cells = cell_statistics(speed_HW2, grid=self.grid)
        whole = cells.mean(axis=(0, 1))
        raw = np.concatenate([whole, camera, np.abs(camera[:_SIGNED]), cells[..., _IN_CELLS].ravel()])
        return np.arcsinh(_GAIN * raw).astype(np.float32)

    def pool(self, tokens_PD: NDArray[np.float32]) -> NDArray[np.float32]:
        """One clip's tokens over time.

        Args:
            tokens_PD: float32 [P, token_width], P >= 1.

        Returns:
            float32 [D]. Of the whole picture also the deviation, which tells a shake from a pan, and the maximum; of
            the cells only the mean, since many numbers that hardly vary would drown the others once whitened.
        """
        whole, cells = tokens_PD[:, :_WHOLE_WIDTH], tokens_PD[:, _WHOLE_WIDTH:]
        return np.concatenate(
            [
                pool_segments(whole, segments=self.segments, statistics=("mean", "std", "max")),
                pool_segments(cells, segments=(1,), statistics=("mean",)),
            ]
        )


def load_motion_encoder(name: str) -> MotionEncoder:
    """The motion encoder of a name.

    Args:
        name: ``flow:dis``, the only one so far.

    Returns:
        The encoder.

    Raises:
        ConfigError: Another name.
        MissingExtraError: OpenCV is not installed.
    """
    if name != DEFAULT_MOTION:
        raise ConfigError(f"unknown motion encoder '{name}'; known: {DEFAULT_MOTION}")
    require("cv2")
    return MotionEncoder()
