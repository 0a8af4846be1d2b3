"""One clip, several readers: what they want is joined, so that a clip is decoded once for all that agree.

A reader must get the same samples whoever else reads the clip; its tokens could not be kept by its own fingerprint
otherwise. Two that differ in a number of frames or in the size of pictures therefore have a pass each.
"""

import importlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kinema.encoders.modality import Clip, Reader, Wants
from kinema.errors import KinemaError
from kinema.media.limits import DECODE_SECONDS, MAX_BYTES
from kinema.media.sampling import Frames, Mode, sample_frames

_UNKNOWN_SHARE = 0.5
SOUND_ONLY = "no video stream"
"""In the reason why there are no pictures of a file that has sound only."""
_LEAST_SECONDS = 0.5
"""For the sound of a clip whose pictures took all the time."""


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
        for place, (joined, names) in enumerate(passes):
            both = _join(joined, reader.wants)
            if both is not None:
                passes[place] = both, (*names, name)
                break
        else:
            passes.append((reader.wants, (name,)))
    return passes


def goes_along(reader: Reader, readers: Mapping[str, Reader]) -> bool:
    """Whether a reader can be served by what is decoded for others anyway, with no further pass over the clip.

    Args:
        reader: The one more.
        readers: Modality -> reader; a pass for sound alone is none that pictures can come from.

    Example:
        >>> from types import SimpleNamespace
        >>> frames, sound, more = (
        ...     SimpleNamespace(wants=one)
        ...     for one in (Wants(num_frames=8), Wants(sound_hz=16_000), Wants(num_frames=8, num_pairs=8))
        ... )
        >>> goes_along(more, {"frames": frames}), goes_along(more, {"sound": sound})
        (True, False)
    """
    seen = any(wants_pictures(one.wants) for one in readers.values())
    return (seen or not wants_pictures(reader.wants)) and (
        len(plan_passes({**readers, "": reader})) == len(plan_passes(readers))
    )


def _join(one: Wants, other: Wants) -> Wants | None:
    """Exactly what each would get alone, or None where that cannot be had from one pass."""
    joined = one
    if wants_pictures(other):
        if wants_pictures(one):
            numbers = ((one.num_frames, other.num_frames), (one.num_pairs, other.num_pairs))
            if one.max_side != other.max_side or any(mine != theirs and mine and theirs for mine, theirs in numbers):
                return None
        joined = replace(
            joined,
            num_frames=max(one.num_frames, other.num_frames),
            num_pairs=max(one.num_pairs, other.num_pairs),
            max_side=other.max_side,
        )
    if other.sound_hz:
        sound = {name: getattr(other, name) for name in ("sound_hz", "num_windows", "window_ms")}
        if one.sound_hz and replace(one, **sound) != one:
            return None
        joined = replace(joined, **sound)
    return joined


def decode(
    path: Path,
    wants: Wants,
    *,
    name: str,
    max_seconds: float,
    max_pixels: int,
    max_bytes: int = MAX_BYTES,
    decode_seconds: float = DECODE_SECONDS,
    mode: Mode = "even",
) -> Decoded:
    """Decode what is wanted of a clip; pictures that cannot be had do not keep the sound back, nor the other way round.

    Args:
        path: The file.
        wants: Joined.
        name: How errors call the file.
        max_seconds: Only so much of the beginning is looked at.
        max_pixels: Largest frame that is decoded.
        max_bytes: Memory that decoding may need, as estimated from the header.
        decode_seconds: Processor time for both together after which what there is by then is taken.
        mode: Which frames are taken.

    Returns:
        What could be had.
    """
    started = time.thread_time()
    frames, no_pictures, sound, no_sound = None, "", None, ""
    if wants_pictures(wants):
        try:
            frames = sample_frames(
                path,
                name=name,
                mode=mode,
                num_frames=max(1, wants.num_frames),
                num_pairs=wants.num_pairs,
                max_side=wants.max_side,
                max_seconds=max_seconds,
                max_pixels=max_pixels,
                max_bytes=max_bytes,
                decode_seconds=decode_seconds,
            )
        except KinemaError as error:
            no_pictures = str(error)
    if wants.sound_hz:
        try:
            left = max(_LEAST_SECONDS, decode_seconds - (time.thread_time() - started))
            sound = _listen(path, wants, name=name, max_seconds=max_seconds, deadline_s=left)
        except KinemaError as error:
            no_sound = str(error)
    if sound is not None and SOUND_ONLY in no_pictures:
        no_pictures = ""  # a song is whole without pictures
    length_ms = frames.duration_ms if frames else round(sound.duration_ms) if sound else 0
    return Decoded(
        clip=Clip(frames, sound, sound.hz if sound else 0, length_ms),
        no_pictures=no_pictures,
        no_sound=no_sound,
        picture_quality=frames.quality if frames else 1.0,
        sound_quality=_sound_quality(frames) if sound and sound.partial else 1.0,
    )


def _listen(path: Path, wants: Wants, *, name: str, max_seconds: float, deadline_s: float) -> Any:
    """Decode the sound track; None where there is none."""
    return importlib.import_module("kinema.media.sound").read_sound(
        path,
        name=name,
        hz=wants.sound_hz,
        num_windows=wants.num_windows,
        window_ms=wants.window_ms,
        max_seconds=max_seconds,
        deadline_s=deadline_s,
    )


def _sound_quality(frames: Frames | None) -> float:
    """A damaged sound track does not say how much of it is there; the pictures of the same file may."""
    return frames.quality if frames is not None and frames.quality < 1 else _UNKNOWN_SHARE
