"""Changed copies of clips: pictures are changed where a clip is decoded, before any encoder's reader sees them.

An encoder with a `ChangedReader` in the place of its own makes tokens of a copy; they are kept as those of clips are, by the content of
the file, and by what changed it. All pictures of a clip are changed alike and stay in their order; so are the pairs that movement is read
from, which is then as if the camera had seen it so.

Shape suffixes: T frames, H height, W width, P pairs, 3 red-green-blue.
"""

import importlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.encoders.modality import Clip, ClipEncoder, Reader, Tokens, Wants
from kinema.media.sampling import Frames
from kinema.training.augmentation import crop_frames, light_frames
from kinema.training.picture_changes import (
    bend_frames,
    blur_frames,
    compress_frames,
    fade_frames,
    noise_frames,
    tint_frames,
    turn_frames,
)

VERSION: Final = 1
"""Of what a change does; another one makes other copies."""
_CHANCE: Final = 0.7
_CROP: Final = 0.6
_LIGHT: Final = 0.5
_Pictures = NDArray[np.uint8]


def _crop(pictures_THW3: _Pictures, random: np.random.Generator) -> _Pictures:
    return crop_frames(pictures_THW3, random, smallest=_CROP)


def _light(pictures_THW3: _Pictures, random: np.random.Generator) -> _Pictures:
    """Brighter or darker, with more or less contrast, middle tones lifted or lowered."""
    lit = light_frames(pictures_THW3, random, strength=_LIGHT).astype(np.float64)
    contrast = random.uniform(1 - _LIGHT, 1 + _LIGHT)
    lit = np.clip(np.rint((lit - lit.mean()) * contrast + lit.mean()), 0, 255)
    return bend_frames(lit.astype(np.uint8), random)


def _colour(pictures_THW3: _Pictures, random: np.random.Generator) -> _Pictures:
    tinted = tint_frames(pictures_THW3, random)
    return fade_frames(tinted, random) if random.random() < 1 / 2 else tinted


def _flip(pictures_THW3: _Pictures, random: np.random.Generator) -> _Pictures:
    return np.ascontiguousarray(pictures_THW3[:, :, ::-1]) if random.random() < 1 / (2 * _CHANCE) else pictures_THW3


CHANGES: Final[Mapping[str, Callable[[_Pictures, np.random.Generator], _Pictures]]] = {
    "crop": _crop,
    "light": _light,
    "colour": _colour,
    "blur": blur_frames,
    "noise": noise_frames,
    "compress": compress_frames,
    "turn": turn_frames,
    "flip": _flip,
}
"""Names of `kinema.tasks.clip_variation.PICTURES` -> what is done to the pictures of one clip."""


def change_pictures(pictures_THW3: _Pictures, ways: Sequence[str], *, seed: int) -> _Pictures:
    """Pictures of one clip, each way taken with a chance of .7, a mirror in half of all copies.

    Args:
        pictures_THW3: RGB, oldest first.
        ways: Of `CHANGES`, in this order.
        seed: Equal seeds change all pictures of the world alike.
    """
    for number, way in enumerate(ways):
        random = np.random.default_rng([seed, number])
        if len(pictures_THW3) and random.random() < _CHANCE:
            pictures_THW3 = CHANGES[way](pictures_THW3, random)
    return pictures_THW3


@dataclass(frozen=True)
class ChangedReader:
    """Another reader, which sees changed pictures; see `kinema.encoders.modality.Reader`.

    Which change a clip gets is drawn from its first frame, so it is the same for all readers of one pass, and follows from the file.

    Attributes:
        module: Of the other reader's class.
        kind: Its name.
        values: Its fields, name and value.
        ways: Of `CHANGES`.
        seed: Of this copy.
        num_frames: Frames that are decoded where the other reader wants none.
    """

    module: str
    kind: str
    values: tuple[tuple[str, Any], ...]
    ways: tuple[str, ...]
    seed: int
    num_frames: int

    @classmethod
    def of(cls, reader: Any, ways: Sequence[str], *, seed: int, num_frames: int) -> "ChangedReader":
        """The reader of a copy.

        Args:
            reader: A frozen dataclass at the top of a module, as readers are.
            ways: Of `CHANGES`.
            seed: Of this copy.
            num_frames: As the clip is sampled for its frames.
        """
        values = tuple((one.name, getattr(reader, one.name)) for one in fields(reader))
        return cls(type(reader).__module__, type(reader).__qualname__, values, tuple(ways), seed, num_frames)

    @property
    def other(self) -> Reader:
        """The reader that sees the changed pictures."""
        made: Reader = getattr(importlib.import_module(self.module), self.kind)(**dict(self.values))
        return made

    @property
    def wants(self) -> Wants:
        """What the other reader wants, and frames to draw by."""
        wants = self.other.wants
        return replace(wants, num_frames=wants.num_frames or self.num_frames)

    def read(self, clip: Clip) -> dict[str, NDArray[Any]]:
        """As the other reader reads the changed clip."""
        reader = self.other
        if clip.frames is None or not len(clip.frames.array):
            return reader.read(clip)
        seed = zlib.crc32(clip.frames.array[0].tobytes()) ^ (self.seed & 0xFFFFFFFF)
        return reader.read(replace(clip, frames=self._changed(clip.frames, reader.wants, seed)))

    def _changed(self, frames: Frames, wants: Wants, seed: int) -> Frames:
        array, pairs = frames.array, frames.pairs
        if wants.num_frames:
            array = change_pictures(array, self.ways, seed=seed)
        if wants.num_pairs and len(pairs):
            flat = pairs.reshape(-1, *pairs.shape[2:])
            pairs = change_pictures(flat, self.ways, seed=seed).reshape(pairs.shape)
        return replace(frames, array=array, pairs=pairs)


@dataclass(frozen=True)
class ChangedEncoder:
    """An encoder of changed clips; see `kinema.encoders.modality.ClipEncoder`.

    Attributes:
        encoder: Of clips as they are.
        reader: Changes them.
    """

    encoder: ClipEncoder
    reader: ChangedReader

    @property
    def name(self) -> str:
        """As the encoder."""
        return self.encoder.name

    @property
    def fingerprint(self) -> str:
        """That of the encoder with the version of changes; what they are is in the reader, which counts as well."""
        return f"{self.encoder.fingerprint}-changed{VERSION}"

    @property
    def token_width(self) -> int:
        """As the encoder."""
        return self.encoder.token_width

    @property
    def width(self) -> int:
        """As the encoder."""
        return self.encoder.width

    def encode(self, readings: Sequence[dict[str, NDArray[Any]]]) -> list[Tokens]:
        """As the encoder."""
        return self.encoder.encode(readings)

    def pool(self, tokens: Tokens) -> NDArray[np.float32]:
        """As the encoder."""
        return self.encoder.pool(tokens)
