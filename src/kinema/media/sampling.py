"""Evenly spaced frames of a clip, and pairs of frames close in time that show how it moves.

Frames and pairs come from one pass over the file. The distance within a pair is given in milliseconds, so that one
content at 12 or at 60 frames per second moves alike. Pairs are spread unevenly on purpose: at even distances a shaking
camera can be met in the same phase each time and then looks like a steady pan.

Shape suffixes: T frames, P pairs, H height, W width, 3 red-green-blue.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError
from kinema.media.decode import FrameIndex, decode_frames, read_index
from kinema.media.probe import undecodable

PAIR_MS: Final = 100
"""Wished distance within a pair, milliseconds: one frame at 10 per second, three at 30."""

SAMPLING_VERSION: Final = 1
"""Raised when the same file would give other samples; vectors made from them are then made again."""

_GOLDEN: Final = 0.6180339887


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
        quality: In (0, 1]; 1 for a whole file, else the share that is there and decodes.
    """

    array: NDArray[np.uint8]
    times_ms: NDArray[np.int64]
    pairs: NDArray[np.uint8]
    gaps_ms: NDArray[np.float32]
    pair_times_ms: NDArray[np.int64]
    duration_ms: int
    partial: bool
    quality: float


def sample_frames(
    path: Path,
    *,
    num_frames: int = 8,
    num_pairs: int = 8,
    max_side: int = 256,
    pair_ms: int = PAIR_MS,
    max_seconds: float = 600.0,
    max_pixels: int = 2**25,
    name: str | None = None,
) -> Frames:
    """Sample a clip: frames from the middles of equal parts of its time, and one pair from each of as many other parts.

    Args:
        path: The file.
        num_frames: T, >= 1; a clip with fewer frames gives all it has.
        num_pairs: P, >= 0; fewer where the clip is short.
        max_side: Longest side of the pictures, pixels, >= 8; smaller clips keep their size.
        pair_ms: Wished distance within a pair, milliseconds, > 0; at least the next frame is taken.
        max_seconds: Only so much of the beginning is looked at, seconds, > 0.
        max_pixels: Largest frame that is decoded, width x height; the default is 8K video.
        name: How errors call the file; the path as given where None.

    Returns:
        The samples. A truncated or damaged file gives what can be had, with ``partial`` set.

    Raises:
        ConfigError: A number is out of range.
        DataError: No frame can be decoded, or frames are too large.
        MissingExtraError: PyAV is not installed.
    """
    for label, value, least in (
        ("num_frames", num_frames, 1),
        ("num_pairs", num_pairs, 0),
        ("max_side", max_side, 8),
        ("pair_ms", pair_ms, 1),
        ("max_seconds", max_seconds, 0.001),
    ):
        if value < least:
            raise ConfigError(f"{label} must be >= {least}, got {value}")
    name = name or str(path)
    index = read_index(path, name=name, max_ms=round(max_seconds * 1000), max_pixels=max_pixels)
    frames_T = _on_screen(index, (np.arange(num_frames) + 0.5) * index.duration_ms / num_frames)
    firsts_P, seconds_P = _pairs(index, num_pairs, pair_ms)
    wanted = np.unique(np.concatenate([frames_T, firsts_P, seconds_P]))
    found = decode_frames(path, index, wanted, name=name, max_side=max_side)
    shown = [found[number] for number in frames_T.tolist() if number in found] or list(found.values())[:1]
    if not shown:
        raise undecodable(name, "no frame decodes", path.stat().st_size)
    pairs = [
        (found[first], found[second])
        for first, second in zip(firsts_P.tolist(), seconds_P.tolist(), strict=True)
        if first in found and second in found and found[first][0] < found[second][0]
    ]
    empty = np.zeros((0, 2, *shown[0][1].shape), dtype=np.uint8)
    quality = index.quality * len(found) / len(wanted)
    return Frames(
        array=np.stack([picture for _, picture in shown]),
        times_ms=np.array([round(time_ms) for time_ms, _ in shown], dtype=np.int64),
        pairs=np.stack([np.stack([first[1], second[1]]) for first, second in pairs]) if pairs else empty,
        gaps_ms=np.array([second[0] - first[0] for first, second in pairs], dtype=np.float32),
        pair_times_ms=np.array([round(first[0]) for first, _ in pairs], dtype=np.int64),
        duration_ms=index.duration_ms,
        partial=quality < 1.0,
        quality=quality,
    )


def _on_screen(index: FrameIndex, times_ms: NDArray[np.float64]) -> NDArray[np.int64]:
    """Numbers of the frames on screen at the given times, ascending, without repeats."""
    numbers = np.searchsorted(index.times_ms_N, times_ms, side="right") - 1
    return np.unique(np.clip(numbers, 0, len(index.times_ms_N) - 1)).astype(np.int64)


def _pairs(index: FrameIndex, num_pairs: int, pair_ms: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the first and second frames: the second is the later frame nearest to ``pair_ms`` after the first."""
    last = len(index.times_ms_N) - 1
    within = np.arange(1, num_pairs + 1) * _GOLDEN % 1.0
    room_ms = max(float(index.times_ms_N[-1]) - pair_ms, 0.0)
    firsts = _on_screen(index, (np.arange(num_pairs) + within) * room_ms / max(num_pairs, 1))
    firsts = np.unique(np.minimum(firsts, max(last - 1, 0)))
    goals = index.times_ms_N[firsts] + pair_ms
    after = np.clip(np.searchsorted(index.times_ms_N, goals), 0, last)
    before = np.maximum(after - 1, 0)
    rounding_ms = 0.01
    is_before = np.abs(goals - index.times_ms_N[before]) <= np.abs(index.times_ms_N[after] - goals) + rounding_ms
    seconds = np.maximum(np.where(is_before, before, after), firsts + 1)
    fits = seconds <= last
    return firsts[fits], seconds[fits]
