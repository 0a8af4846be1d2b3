"""Motion: optical flow at a few pairs of frames of a clip becomes tokens, and these one vector.

Nothing is learned here. The vector separates camera moves (pan, tilt, zoom, spin, shake) from each other and from
moving objects, whatever the colours are. The flow is computed where clips are decoded, so the encoder's half has nothing
left to do.

Shape suffixes: P pairs of frames, D width.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.modality import Clip, Tokens, Wants
from kinema.encoders.pooling import pool_segments
from kinema.errors import ConfigError
from kinema.extras import require
from kinema.media.flow import (
    CAMERA_STATISTICS,
    CELL_STATISTICS,
    FLOW_METHODS,
    OBJECT_STATISTICS,
    camera_statistics,
    cell_statistics,
    dense_flow,
    flow_trust,
    object_statistics,
)
from kinema.media.sampling import Frames

DEFAULT_MOTION: Final = "flow:dis"
FLOW: Final = "flow:"
OBJECTS: Final = "+objects"
"""Put behind the method, it adds where objects go once the camera's movement is taken away."""

_VERSION = 2
_GAIN = 20.0
_SIGNED = 4
_IN_CELLS = [CELL_STATISTICS.index(name) for name in ("right", "down", "speed", "spread", "curl")]
_SLOPES = [CELL_STATISTICS.index(name) for name in ("spread", "curl")]
_TURNS = [CAMERA_STATISTICS.index(name) for name in ("zoom", "spin")]
_TO_EDGE = 0.5
"""From the middle of a picture to its side, widths: there, zoom and spin are speeds like pan and tilt."""
_WHOLE_WIDTH = len(CELL_STATISTICS) + len(CAMERA_STATISTICS) + _SIGNED


@dataclass(frozen=True)
class MotionReader:
    """The half that computes the flow, where clips are decoded; see `kinema.encoders.modality.Reader`.

    Attributes:
        method: One of `kinema.media.flow.FLOW_METHODS`.
        grid: Cells per side of the grid over the picture, 1..8.
        objects: Whether tokens tell where objects go once the camera's movement is taken away.
        num_pairs: Pairs of frames, >= 1.
    """

    method: str = "dis"
    grid: int = 3
    objects: bool = False
    num_pairs: int = 8

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if self.method not in FLOW_METHODS:
            raise ConfigError(f"unknown flow method '{self.method}'; known: {', '.join(FLOW_METHODS)}")
        if not 1 <= self.grid <= 8:
            raise ConfigError(f"grid of the motion encoder must be in 1..8, got {self.grid}")
        if self.num_pairs < 1:
            raise ConfigError(f"num_pairs of the motion encoder must be >= 1, got {self.num_pairs}")

    @property
    def wants(self) -> Wants:
        """Pairs of frames."""
        return Wants(num_pairs=self.num_pairs)

    @property
    def whole_width(self) -> int:
        """Numbers of a token that tell about the picture as a whole; they come first."""
        return _WHOLE_WIDTH + self.objects * len(OBJECT_STATISTICS)

    @property
    def token_width(self) -> int:
        """Numbers per pair of frames."""
        return self.whole_width + self.grid * self.grid * len(_IN_CELLS)

    def read(self, clip: Clip) -> dict[str, NDArray[Any]]:
        """Tokens of a clip.

        Args:
            clip: As decoded.

        Returns:
            ``tokens`` float32 [P, token_width] and ``times_ms`` int64 [P]; empty without pairs, as for a single picture.
        """
        if clip.frames is None or not len(clip.frames.pairs):
            return {}
        return {"tokens": self.tokens(clip.frames), "times_ms": clip.frames.pair_times_ms}

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
        """float32 [token_width]: whole picture, camera, camera without sign (what both directions share), objects, cells."""
        flow_HW2 = dense_flow(pair[0], pair[1], method=self.method)
        trust_HW = flow_trust(pair[0], pair[1], flow_HW2)
        speed_HW2 = flow_HW2 * np.float32(1000.0 / gap_ms)
        camera = camera_statistics(speed_HW2, trust_HW=trust_HW)
        cells = cell_statistics(speed_HW2, grid=self.grid, trust_HW=trust_HW)
        # Slopes become the difference across a cell: per width, their noise would pass for the largest movements.
        cells[..., _SLOPES] /= self.grid
        moves = camera.copy()
        moves[_TURNS] *= _TO_EDGE
        parts = [cells.mean(axis=(0, 1)), moves, np.abs(moves[:_SIGNED])]
        if self.objects:
            parts.append(object_statistics(speed_HW2, camera, trust_HW=trust_HW))
        return np.arcsinh(_GAIN * np.concatenate([*parts, cells[..., _IN_CELLS].ravel()])).astype(np.float32)


@dataclass(frozen=True)
class MotionEncoder:
    """Settings of the motion vector; see `kinema.encoders.modality.ClipEncoder`.

    Attributes:
        grid: Cells per side of the grid over the picture, 1..8.
        segments: Time scales, see `pool_segments`.
        method: One of `kinema.media.flow.FLOW_METHODS`.
        objects: Whether tokens tell where objects go once the camera's movement is taken away.
        num_pairs: Pairs of frames that are asked for.
    """

    grid: int = 3
    segments: tuple[int, ...] = (1,)
    method: str = "dis"
    objects: bool = False
    num_pairs: int = 8

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        MotionReader(self.method, self.grid, self.objects, self.num_pairs)

    @property
    def name(self) -> str:
        """As in the configuration."""
        return f"{FLOW}{self.method}{OBJECTS if self.objects else ''}"

    @property
    def reader(self) -> MotionReader:
        """The half that computes the flow."""
        return MotionReader(self.method, self.grid, self.objects, self.num_pairs)

    @property
    def token_width(self) -> int:
        """Numbers per pair of frames."""
        return self.reader.token_width

    @property
    def width(self) -> int:
        """D."""
        return len(self.pool(np.zeros((1, self.token_width), dtype=np.float32)))

    @property
    def fingerprint(self) -> str:
        """Equal for equal vectors. Settings that came later count only where they are not as before."""
        later = {"method": "dis", "objects": False, "num_pairs": 8}
        settings = {name: value for name, value in asdict(self).items() if name not in later or value != later[name]}
        return fingerprint({"motion": _VERSION, **settings})

    def encode(self, readings: Sequence[dict[str, NDArray[Any]]]) -> list[Tokens]:
        """Tokens of several clips; all the work was done by the reader.

        Args:
            readings: What `MotionReader.read` returned, not empty.
        """
        return [Tokens(reading["tokens"], reading["times_ms"]) for reading in readings]

    def tokens(self, frames: Frames) -> NDArray[np.float32]:
        """float32 [P, token_width], see `MotionReader.tokens`."""
        return self.reader.tokens(frames)

    def pool(self, tokens: Tokens | NDArray[np.float32]) -> NDArray[np.float32]:
        """One clip's tokens over time.

        Args:
            tokens: Of one clip; or their float32 [P, token_width] alone. P >= 1.

        Returns:
            float32 [D]. Of the whole picture also the deviation, which tells a shake from a pan, and the maximum; of
            the cells only the mean, since many numbers that hardly vary would drown the others once whitened.
        """
        tokens_PD = tokens.tokens_TD if isinstance(tokens, Tokens) else tokens
        border = self.reader.whole_width
        whole, cells = tokens_PD[:, :border], tokens_PD[:, border:]
        return np.concatenate(
            [
                pool_segments(whole, segments=self.segments, statistics=("mean", "std", "max")),
                pool_segments(cells, segments=(1,), statistics=("mean",)),
            ]
        )


def load_motion_encoder(name: str) -> MotionEncoder:
    """The motion encoder of a name.

    Args:
        name: ``flow:dis``, ``flow:dis-fast`` or ``flow:farneback``; with ``+objects`` behind it tokens also tell where
            objects go once the camera's movement is taken away.

    Returns:
        The encoder.

    Raises:
        ConfigError: Another name. Video transformers are loaded by `kinema.encoders.video_transformer`.
        MissingExtraError: OpenCV is not installed.

    Example:
        >>> load_motion_encoder("flow:farneback+objects").method
        'farneback'
    """
    method = name.removeprefix(FLOW).removesuffix(OBJECTS)
    if not name.startswith(FLOW) or method not in FLOW_METHODS:
        known = ", ".join(FLOW + one for one in FLOW_METHODS)
        raise ConfigError(f"unknown motion encoder '{name}'; known: {known}, each also with {OBJECTS}")
    require("cv2")
    return MotionEncoder(method=method, objects=name.endswith(OBJECTS))
