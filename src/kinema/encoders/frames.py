"""Frames of clips as a modality: pictures taken where clips are decoded, an image model over pictures of many clips.

The image model itself (`kinema.encoders.vision.load_frame_encoder`) knows single pictures only; it also encodes pictures
that are searched with. The reader's half is what a video transformer takes, too.

Shape suffixes: T frames, N pictures, H height, W width, 3 red-green-blue, D width of the vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.modality import Clip, Tokens, Wants
from kinema.encoders.pooling import pool_segments
from kinema.encoders.vision import FrameEncoder, load_frame_encoder
from kinema.errors import ConfigError
from kinema.extras import require

_VERSION: Final = 1
_LEAST_SIDE: Final = 256


@dataclass(frozen=True)
class FrameReader:
    """The half that runs where clips are decoded; see `kinema.encoders.modality.Reader`.

    Attributes:
        side: Frames become squares of this side, pixels; the whole picture, squeezed rather than cropped.
        num_frames: Frames per clip, >= 1.
    """

    side: int
    num_frames: int = 8

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if self.side < 8 or self.num_frames < 1:
            raise ConfigError(f"frames need a side >= 8 and num_frames >= 1, got {self.side} and {self.num_frames}")

    @property
    def wants(self) -> Wants:
        """Frames spread over the clip, not smaller than they are needed."""
        return Wants(num_frames=self.num_frames, max_side=max(_LEAST_SIDE, self.side))

    def read(self, clip: Clip) -> dict[str, NDArray[Any]]:
        """Take the frames of a clip.

        Args:
            clip: As decoded; with more frames than wanted, as where another modality wants more, those nearest to
                the middles of equal parts are taken.

        Returns:
            ``frames`` uint8 [T, side, side, 3] and ``times_ms`` int64 [T]; empty where the clip has no picture.
        """
        if clip.frames is None or not len(clip.frames.array):
            return {}
        cv2 = require("cv2")
        chosen = _spread(clip.frames.times_ms, clip.frames.duration_ms, self.num_frames)
        size = (self.side, self.side)
        squares = [cv2.resize(clip.frames.array[n], size, interpolation=cv2.INTER_AREA) for n in chosen]
        return {"frames": np.stack(squares), "times_ms": clip.frames.times_ms[chosen]}


def _spread(times_ms_T: NDArray[np.int64], duration_ms: int, num: int) -> NDArray[np.int64]:
    """Places of at most `num` moments, ascending, without repeats."""
    if len(times_ms_T) <= num:
        return np.arange(len(times_ms_T))
    wished = (np.arange(num) + 0.5) * duration_ms / num
    return np.unique(np.abs(times_ms_T[None] - wished[:, None]).argmin(axis=1)).astype(np.int64)


class FrameTokens:
    """An image model over the frames of clips; see `kinema.encoders.modality.ClipEncoder`.

    Args:
        pictures: The image model.
        num_frames: Frames per clip, >= 1.
        batch_size: Pictures per forward pass, >= 1; those of several clips share one.

    Attributes:
        pictures: The image model, for pictures that are no clips.
        name: As in the configuration.
        fingerprint: Equal for equal tokens and vectors.
        token_width: D.
        width: D.
        reader: The other half.
    """

    def __init__(self, pictures: FrameEncoder, *, num_frames: int = 8, batch_size: int = 32) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size of frames must be >= 1, got {batch_size}")
        self.pictures = pictures
        self.name = pictures.name
        self.token_width = pictures.width
        self.width = pictures.width
        self.reader = FrameReader(pictures.frame_side, num_frames)
        self.fingerprint = fingerprint({"frames": _VERSION, "model": pictures.fingerprint, "num_frames": num_frames})
        self._batch_size = batch_size

    def encode(self, readings: Sequence[dict[str, NDArray[Any]]]) -> list[Tokens]:
        """One token per frame.

        Args:
            readings: What `FrameReader.read` returned, not empty.

        Returns:
            Tokens [T, D] of each clip; they do not depend on the other clips (to 1e-5).
        """
        if not readings:
            return []
        pictures_NHW3 = np.concatenate([reading["frames"] for reading in readings])
        starts = range(0, len(pictures_NHW3), self._batch_size)
        vectors_ND = np.concatenate(
            [self.pictures.encode(pictures_NHW3[start : start + self._batch_size]) for start in starts]
        )
        ends = np.cumsum([len(reading["frames"]) for reading in readings])[:-1]
        parts = np.split(vectors_ND, ends)
        return [Tokens(part, reading["times_ms"]) for part, reading in zip(parts, readings, strict=True)]

    def pool(self, tokens: Tokens) -> NDArray[np.float32]:
        """float32 [D], the mean over time. The maximum beside it doubled the width and told nothing more."""
        return pool_segments(tokens.tokens_TD, segments=(1,), statistics=("mean",))


def load_frames(
    name: str,
    *,
    frame_side: int | None = None,
    num_frames: int = 8,
    batch_size: int = 32,
    device: str = "cpu",
    cache: Path | None = None,
) -> FrameTokens:
    """Load an image model for the frames of clips.

    Args:
        name: As for `kinema.encoders.vision.load_frame_encoder`.
        frame_side: The same.
        num_frames: Frames per clip, >= 1.
        batch_size: Pictures per forward pass, >= 1.
        device: A torch device.
        cache: Where hub downloads are kept; the hub's default where None.

    Returns:
        The encoder.

    Raises:
        ConfigError: The name leads to no checkpoint, or a number is out of range.
        MissingExtraError: torch, transformers or the package of a packaged name is not installed.
        StaleArtifactError: The packaged file is damaged.
    """
    pictures = load_frame_encoder(name, frame_side=frame_side, device=device, cache=cache)
    return FrameTokens(pictures, num_frames=num_frames, batch_size=batch_size)
