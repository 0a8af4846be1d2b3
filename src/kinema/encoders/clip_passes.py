"""One clip, several readers: what they want is joined, so that a clip is decoded once for all that agree.

A reader must get the same samples whoever else reads the clip; its tokens could not be kept by its own fingerprint
otherwise. Two that differ in a number of frames or in the size of pictures therefore have a pass each.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinema.encoders.modality import Clip, Reader, Wants
from kinema.errors import KinemaError
from kinema.media.sampling import Frames, sample_frames

_UNKNOWN_SHARE = 0.5


@dataclass(frozen=True)
class Decoded:
    """What one pass over a clip gave.

    Attributes:
        clip: For the readers.
        no_pictures: Why it has no pictures although they are wanted; empty where it has.
        no_sound: Why the sound cannot be read; empty also for a clip without a sound track.
        picture_quality: Share of the pictures that is there and decodes.
        sound_quality: The same of the sound.
    """

    clip: Clip
    no_pictures: str = ""
    no_sound: str = ""
    picture_quality: float = 1.0
    sound_quality: float = 1.0

    def reason(self, wants: Wants) -> str:
        """Why a reader that wants this has nothing to read; empty where it has."""
        if wants_pictures(wants) and self.no_pictures:
            return self.no_pictures
        return self.no_sound if wants.sound_hz and self.clip.sound is None else ""

    def quality(self, wants: Wants) -> float:
        """Share of what a reader wants that is there, in (0, 1]."""
        pictures = self.picture_quality if wants_pictures(wants) else 1.0
        return min(pictures, self.sound_quality if wants.sound_hz else 1.0)


def wants_pictures(wants: Wants) -> bool:
    """Whether pictures are needed at all."""
    return wants.num_frames > 0 or wants.num_pairs > 0


def plan_passes(readers: Mapping[str, Reader]) -> list[tuple[Wants, tuple[str, ...]]]:
    """Divide readers into those that one pass over the clip serves.

    Args:
        readers: Modality -> reader.

    Returns:
        What each pass decodes, and the modalities it is for.

    Example:
        >>> from types import SimpleNamespace
        >>> frames, motion, video = Wants(num_frames=8), Wants(num_pairs=8), Wants(num_frames=16)
        >>> readers = {"frames": frames, "motion": motion, "video": video}
        >>> plan = plan_passes({name: SimpleNamespace(wants=one) for name, one in readers.items()})
        >>> [names for _, names in plan]
        [('frames', 'motion'), ('video',)]
    """
    passes: list[tuple[Wants, tuple[str, ...]]] = []
    for name, reader in readers.items():
        wants = reader.wants if wants_pictures(reader.wants) else replace(reader.wants, max_side=0)
        for place, (joined, names) in enumerate(passes):
            if _agree(wants, joined):
                passes[place] = joined.join(wants), (*names, name)
                break
        else:
            passes.append((wants, (name,)))
    return passes


def _agree(one: Wants, other: Wants) -> bool:
    """Whether joining them gives each exactly what it would get alone."""
    pairs = zip(
        (one.num_frames, one.num_pairs, one.max_side, one.sound_hz),
        (other.num_frames, other.num_pairs, other.max_side, other.sound_hz),
        strict=True,
    )
    return all(mine == theirs or not mine or not theirs for mine, theirs in pairs)


def decode(path: Path, wants: Wants, *, name: str, max_seconds: float, max_pixels: int) -> Decoded:
    """Decode what is wanted of a clip; pictures that cannot be had do not keep the sound back, nor the other way round.

    Args:
        path: The file.
        wants: Joined.
        name: How errors call the file.
        max_seconds: Only so much of the beginning is looked at.
        max_pixels: Largest frame that is decoded.

    Returns:
        What could be had.
    """
    frames, no_pictures, sound, no_sound = None, "", _Silence(), ""
    if wants_pictures(wants):
        try:
            frames = sample_frames(
                path,
                name=name,
                num_frames=max(1, wants.num_frames),
                num_pairs=wants.num_pairs,
                max_side=wants.max_side,
                max_seconds=max_seconds,
                max_pixels=max_pixels,
            )
        except KinemaError as error:
            no_pictures = str(error)
    if wants.sound_hz:
        try:
            sound = _listen(path, hz=wants.sound_hz, name=name, max_seconds=max_seconds)
        except KinemaError as error:
            no_sound = str(error)
    return Decoded(
        clip=Clip(frames, sound.samples, sound.hz, frames.duration_ms if frames else sound.duration_ms),
        no_pictures=no_pictures,
        no_sound=no_sound,
        picture_quality=frames.quality if frames else 1.0,
        sound_quality=_sound_quality(sound, frames),
    )


@dataclass(frozen=True)
class _Silence:
    """Sound of a clip, by default none."""

    samples: NDArray[np.float32] | None = None
    hz: int = 0
    duration_ms: int = 0
    partial: bool = False


def _listen(path: Path, *, hz: int, name: str, max_seconds: float) -> _Silence:
    """Decode the sound track, if there is one."""
    reading: Any = importlib.import_module("kinema.media.sound").read_sound(
        path, name=name, hz=hz, max_seconds=max_seconds
    )
    if reading is None:
        return _Silence()
    return _Silence(reading.samples, reading.hz, round(reading.duration_ms), reading.partial)


def _sound_quality(sound: _Silence, frames: Frames | None) -> float:
    """A damaged sound track does not say how much of it is there; the pictures of the same file may."""
    if not sound.partial:
        return 1.0
    return frames.quality if frames is not None and frames.quality < 1 else _UNKNOWN_SHARE
