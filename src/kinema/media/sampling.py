"""Frames of a clip, and pairs of frames close in time that show how it moves.

Frames are evenly spaced, or the key frames nearest to that, or evenly spaced with every shot seen. Frames and pairs come
from one pass over the file. The distance within a pair is given in milliseconds, so that one content at 12 or at 60 frames
per second moves alike. Pairs are spread unevenly on purpose: at even distances a shaking camera can be met in the same
phase each time and then looks like a steady pan.

Shape suffixes: T frames, P pairs, S shots, H height, W width, 3 red-green-blue.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError
from kinema.media.decode import Decoded, decode_frames, watch_frames
from kinema.media.index import FrameIndex, read_index
from kinema.media.limits import DECODE_SECONDS, MAX_BYTES, MAX_PIXELS, MAX_SECONDS, Deadline, decoding_bytes
from kinema.media.moments import cover_shots, nearest_keys, on_screen, plan_pairs
from kinema.media.probe import ClipFile
from kinema.media.shots import ShotTrack

Mode = Literal["even", "key", "shots"]
"""Which frames are taken; see `sample_frames`."""

PAIR_MS: Final = 100
"""Wished distance within a pair, milliseconds: one frame at 10 per second, three at 30."""

SAMPLING_VERSION: Final = 1
"""Raised when the same file would give other samples; vectors made from them are then made again."""


@dataclass(frozen=True)
class Frames:
    """Samples of one clip.

    Attributes:
        array: uint8 [T, H, W, 3], oldest first.
        times_ms: int64 [T], from the first frame.
        pairs: uint8 [P, 2, H, W, 3], oldest first; P is 0 for a single picture.
        gaps_ms: float32 [P], > 0, time within each pair.
        pair_times_ms: int64 [P], when each pair begins, from the first frame.
        duration_ms: Length of what is there, milliseconds.
        partial: Whether the file is truncated or damaged.
        quality: In (0, 1]; 1 for a whole file, else the share that is there and decodes. A clip that ``key`` shows by its
            only key frame has the share which that is of the frames wanted.
        shots_ms: int64 [S], when each shot begins, the first at 0; empty where shots were not looked for.
    """

    array: NDArray[np.uint8]
    times_ms: NDArray[np.int64]
    pairs: NDArray[np.uint8]
    gaps_ms: NDArray[np.float32]
    pair_times_ms: NDArray[np.int64]
    duration_ms: int
    partial: bool
    quality: float
    shots_ms: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def sample_frames(
    path: Path,
    *,
    num_frames: int = 8,
    num_pairs: int = 8,
    max_side: int = 256,
    pair_ms: int = PAIR_MS,
    mode: Mode = "even",
    max_seconds: float = MAX_SECONDS,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
    decode_seconds: float = DECODE_SECONDS,
    name: str | None = None,
) -> Frames:
    """Sample a clip: frames from the middles of equal parts of its time, and one pair from each of as many other parts.

    Args:
        path: The file; a still image is a clip of one frame.
        num_frames: T, >= 1; a clip with fewer frames gives all it has.
        num_pairs: P, >= 0; fewer where the clip is short.
        max_side: Longest side of the pictures, pixels, >= 8; smaller clips keep their size.
        pair_ms: Wished distance within a pair, milliseconds, > 0; at least the next frame is taken.
        mode: ``even`` takes exactly the frames at those times. ``key`` takes the key frames nearest to them (each once, so
            they may be fewer) and pairs that begin at key frames: far less is decoded where key frames are rare.
            ``shots`` looks for cuts; a clip without any gives the same as ``even``, otherwise frames move from the shots
            with most of them to those without one, and no pair lies across a cut.
        max_seconds: Only so much of the beginning is looked at, seconds, > 0.
        max_pixels: Largest frame that is decoded, width x height; the default is 8K video.
        max_bytes: Memory that decoding may need, as estimated from the header.
        decode_seconds: Processor time after which decoding ends with what there is by then, seconds, > 0.
        name: How errors call it; the path as given where None.

    Returns:
        The samples. A truncated, damaged or slow file gives what can be had, with ``partial`` set.

    Raises:
        ConfigError: A number is out of range or the mode is unknown.
        DataError: No frame can be decoded, or frames are too large.
        MissingExtraError: PyAV is not installed.
    """
    if mode not in get_args(Mode):
        raise ConfigError(f"mode must be one of {', '.join(get_args(Mode))}, got '{mode}'")
    for label, value, least in (
        ("num_frames", num_frames, 1),
        ("num_pairs", num_pairs, 0),
        ("max_side", max_side, 8),
        ("pair_ms", pair_ms, 1),
        ("max_seconds", max_seconds, 0.001),
        ("decode_seconds", decode_seconds, 0.001),
    ):
        if value < least:
            raise ConfigError(f"{label} must be >= {least}, got {value}")
    deadline = Deadline(decode_seconds)
    with ClipFile(path, name=name, max_pixels=max_pixels) as file:
        index = read_index(file, max_ms=round(max_seconds * 1000), deadline=deadline)
        needed = decoding_bytes(
            *index.stored, pixel_format=index.pixel_format, num_pictures=num_frames + 2 * num_pairs, max_side=max_side
        )
        if needed > max_bytes:
            limits = (
                f"decoding needs about {needed // 2**20} MB, at most {max_bytes // 2**20} MB are allowed (max_bytes, half of "
                "clip_memory_mb in [limits] of kinema.toml)"
            )
            raise file.error(limits)
        pass_ = _Pass(file, index, max_side=max_side, deadline=deadline, only_keys=mode == "key")
        return pass_.sample(
            num_frames, *plan_pairs(index, num_pairs, pair_ms, at_keys=mode == "key"), track=mode == "shots"
        )


@dataclass
class _Pass:
    """One clip being sampled."""

    file: ClipFile
    index: FrameIndex
    max_side: int
    deadline: Deadline
    only_keys: bool

    def sample(
        self, num_frames: int, firsts_P: NDArray[np.int64], seconds_P: NDArray[np.int64], *, track: bool
    ) -> Frames:
        """The samples."""
        even_T = on_screen(self.index, (np.arange(num_frames) + 0.5) * self.index.duration_ms / num_frames)
        frames_T = nearest_keys(self.index.keys, even_T, self.index) if self.only_keys else even_T
        share = 1 / len(even_T) if self.only_keys and len(self.index.keys) < 2 else 1.0
        wanted = np.unique(np.concatenate([frames_T, firsts_P, seconds_P]))
        shots = ShotTrack(self.index) if track and len(self.index.stamps_N) > 1 else None
        found = self._decode(wanted, shots)
        cuts = np.zeros(0, dtype=np.int64)
        if shots is not None:
            cuts = self._cuts(shots)
            frames_T = cover_shots(frames_T, cuts, self.index)
            wanted = np.union1d(wanted, frames_T)
            more = self._decode(np.setdiff1d(frames_T, list(found.pictures)), None)
            found.pictures |= more.pictures
            found.num_damaged += more.num_damaged
            found.late |= more.late
        together = np.searchsorted(cuts, firsts_P, side="right") == np.searchsorted(cuts, seconds_P, side="right")
        planned = zip(firsts_P[together].tolist(), seconds_P[together].tolist(), strict=True)
        starts = [0, *(round(self.index.times_ms_N[cut]) for cut in cuts.tolist())] if track else []
        samples = self._frames(found, frames_T.tolist(), planned, wanted, starts)
        return replace(samples, quality=samples.quality * share)

    def _decode(self, wanted: NDArray[np.int64], shots: ShotTrack | None) -> Decoded:
        return decode_frames(
            self.file,
            self.index,
            wanted,
            max_side=self.max_side,
            deadline=self.deadline,
            watch=shots.see if shots is not None else None,
            watched_W=_with_neighbours(shots.suspects(), self.index) if shots is not None else None,
            only_keys=self.only_keys,
        )

    def _cuts(self, shots: ShotTrack) -> NDArray[np.int64]:
        """Close the gaps between what was decoded anyway, and find the cuts."""
        for wanted in (shots.unseen_keys, shots.doubtful):
            watch_frames(self.file, self.index, wanted(), deadline=self.deadline, watch=shots.see)
        return shots.cuts()

    def _frames(
        self,
        found: Decoded,
        numbers: list[int],
        planned: Iterable[tuple[int, int]],
        wanted: NDArray[np.int64],
        starts: list[int],
    ) -> Frames:
        """Put together what was decoded."""
        pictures = found.pictures
        shown = [pictures[number] for number in numbers if number in pictures] or list(pictures.values())[:1]
        if not shown:
            why = f"no frame decoded within {self.deadline.seconds:g} s" if found.late else "no frame decodes"
            raise self.file.error(why)
        pairs = [
            (pictures[first], pictures[second])
            for first, second in planned
            if first in pictures and second in pictures and pictures[first][0] < pictures[second][0]
        ]
        empty = np.zeros((0, 2, *shown[0][1].shape), dtype=np.uint8)
        missing = len(np.setdiff1d(wanted, list(pictures)))
        intact = max(found.num_seen, 1) / (max(found.num_seen, 1) + found.num_damaged)
        quality = self.index.quality * intact * (1 - missing / len(wanted))
        return Frames(
            array=np.stack([picture for _, picture in shown]),
            times_ms=np.array([round(time_ms) for time_ms, _ in shown], dtype=np.int64),
            pairs=np.stack([np.stack([first[1], second[1]]) for first, second in pairs]) if pairs else empty,
            gaps_ms=np.array([second[0] - first[0] for first, second in pairs], dtype=np.float32),
            pair_times_ms=np.array([round(first[0]) for first, _ in pairs], dtype=np.int64),
            duration_ms=self.index.duration_ms,
            partial=quality < 1.0,
            quality=quality,
            shots_ms=np.array(starts, dtype=np.int64),
        )


def _with_neighbours(numbers: NDArray[np.int64], index: FrameIndex) -> NDArray[np.int64]:
    """The frames and those just before and after them."""
    around = np.unique(np.concatenate([numbers - 1, numbers, numbers + 1]))
    return around[(around >= 0) & (around < len(index.stamps_N))]
