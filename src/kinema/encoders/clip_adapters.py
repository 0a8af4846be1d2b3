"""Image models and optical flow as modalities of clips.

Shape suffixes: T frames, P pairs, S side of a picture, 3 red-green-blue, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.modality import Clip, Tokens, Wants
from kinema.encoders.motion import MotionEncoder
from kinema.encoders.pooling import pool_frames
from kinema.encoders.vision import FrameEncoder
from kinema.extras import require
from kinema.media.sampling import PAIR_MS

_LEAST_SIDE: Final = 256


@dataclass(frozen=True)
class FrameReader:
    """Takes frames, each squeezed to a square so that nothing at the edges is lost.

    Attributes:
        num_frames: Per clip.
        frame_side: S, pixels.
    """

    num_frames: int
    frame_side: int

    @property
    def wants(self) -> Wants:
        """Frames."""
        return Wants(num_frames=self.num_frames, max_side=max(_LEAST_SIDE, self.frame_side))

    def read(self, clip: Clip) -> dict[str, NDArray[Any]]:
        """``frames`` uint8 [T, S, S, 3] and ``times_ms`` int64 [T]."""
        if clip.frames is None:
            return {}
        cv2, size = require("cv2"), (self.frame_side, self.frame_side)
        squares = [cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in clip.frames.array]
        return {"frames": np.stack(squares), "times_ms": clip.frames.times_ms}


class FrameClips:
    """An image model as the modality ``frames``.

    Args:
        encoder: The model.
        num_frames: Per clip.
        batch_size: Pictures per forward pass.
    """

    def __init__(self, encoder: FrameEncoder, *, num_frames: int, batch_size: int = 32) -> None:
        self.name = encoder.name
        self.fingerprint = encoder.fingerprint
        self.token_width = self.width = encoder.width
        self.reader = FrameReader(num_frames, encoder.frame_side)
        self._encoder = encoder
        self._batch_size = batch_size

    def encode(self, readings: Sequence[dict[str, NDArray[Any]]]) -> list[Tokens]:
        """One token per frame; pictures of several clips share a forward pass."""
        pictures, size = np.concatenate([one["frames"] for one in readings]), self._batch_size
        tokens = np.concatenate(
            [self._encoder.encode(pictures[at : at + size]) for at in range(0, len(pictures), size)]
        )
        ends = np.cumsum([len(one["frames"]) for one in readings])[:-1]
        return [Tokens(part, one["times_ms"]) for part, one in zip(np.split(tokens, ends), readings, strict=True)]

    def pool(self, tokens: Tokens) -> NDArray[np.float32]:
        """The mean over time."""
        return pool_frames(tokens.tokens_TD)


@dataclass(frozen=True)
class MotionReader:
    """Measures optical flow where the clip is decoded: the pictures need not be sent.

    Attributes:
        num_pairs: Pairs of frames per clip.
        grid: See `MotionEncoder`.
        segments: See `MotionEncoder`.
    """

    num_pairs: int
    grid: int
    segments: tuple[int, ...]

    @property
    def wants(self) -> Wants:
        """Pairs of frames."""
        return Wants(num_pairs=self.num_pairs)

    def read(self, clip: Clip) -> dict[str, NDArray[Any]]:
        """``tokens`` float32 [P, D] and ``times_ms`` int64 [P]; nothing for a single picture."""
        if clip.frames is None or not len(clip.frames.pairs):
            return {}
        tokens = MotionEncoder(grid=self.grid, segments=self.segments).tokens(clip.frames)
        times_ms = (np.arange(len(tokens)) + 0.5) * clip.duration_ms / len(tokens)
        return {"tokens": tokens, "times_ms": times_ms.astype(np.int64)}


class MotionClips:
    """Optical flow as the modality ``motion``; all its work is done by its reader."""

    def __init__(self, encoder: MotionEncoder, *, num_pairs: int = 8) -> None:
        self.name = encoder.name
        self.fingerprint = fingerprint({"encoder": encoder.fingerprint, "pair_ms": PAIR_MS})
        self.token_width = encoder.token_width
        self.width = encoder.width
        self.reader = MotionReader(num_pairs, encoder.grid, encoder.segments)
        self._encoder = encoder

    def encode(self, readings: Sequence[dict[str, NDArray[Any]]]) -> list[Tokens]:
        """What was read."""
        return [Tokens(one["tokens"], one["times_ms"]) for one in readings]

    def pool(self, tokens: Tokens) -> NDArray[np.float32]:
        """See `MotionEncoder.pool`."""
        return self._encoder.pool(tokens.tokens_TD)
