"""The frames that adaptation learns from, decoded once and kept on disk: every epoch wants them again.

Shape suffixes: M clips, T frames, S side of a picture, 3 red-green-blue.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from kinema.encoders.clip_readers import CLIP_MEMORY_MB, DECODE_SECONDS, read_clips
from kinema.encoders.clip_worker import ClipRequest
from kinema.encoders.frames import FrameReader
from kinema.progress import Progress, silent

_FLUSH_CLIPS: Final = 32
_UNREAD, _USABLE, _FAILED = 0, 1, 2


@dataclass(frozen=True)
class ClipFrames:
    """Sampled frames of clips; a memory-mapped file, so that memory stays bounded.

    Attributes:
        pictures_MTSS3: uint8; a clip with fewer frames than T repeats them.
        usable_M: bool, whether the clip could be decoded.
    """

    pictures_MTSS3: NDArray[np.uint8]
    usable_M: NDArray[np.bool_]


def sample_clips(
    files: Sequence[tuple[str, Path]],
    *,
    folder: Path,
    frame_side: int,
    num_frames: int,
    max_seconds: float,
    max_pixels: int,
    workers: int,
    clip_timeout_s: float = DECODE_SECONDS,
    clip_memory_mb: int = CLIP_MEMORY_MB,
    progress: Progress = silent,
) -> ClipFrames:
    """Decode clips; a run that was killed goes on where it stopped.

    Args:
        files: (name for errors, file) of each clip.
        folder: Where the frames are kept; belongs to these clips and settings alone.
        frame_side: S, pixels.
        num_frames: T.
        max_seconds: Only so much of each clip's beginning is looked at, seconds.
        max_pixels: Largest frame that is decoded.
        workers: Decoding processes; 0 decodes in this process.
        clip_timeout_s: A clip that takes longer is given up, seconds; decoding ends after half of it with what there is.
        clip_memory_mb: A clip whose decoding takes more memory is given up.
        progress: Told after each clip.

    Returns:
        The frames, row by row as the files were given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures, states_M = _arrays(folder, (len(files), num_frames, frame_side, frame_side, 3))
    lacking = np.flatnonzero(states_M == _UNREAD).tolist()
    requests = [
        ClipRequest(
            path=str(files[row][1]),
            name=files[row][0],
            readers={"frames": FrameReader(frame_side, num_frames)},
            max_seconds=max_seconds,
            max_pixels=max_pixels,
            decode_seconds=clip_timeout_s / 2,
        )
        for row in lacking
    ]
    fresh: list[tuple[int, int]] = []
    readings = read_clips(requests, num_workers=workers, timeout_s=clip_timeout_s, memory_mb=clip_memory_mb)
    for done, (row, reading) in enumerate(zip(lacking, readings, strict=True), start=1):
        some = reading.arrays.get("frames", {}).get("frames")
        if some is not None:
            pictures[row] = some[np.arange(num_frames) * len(some) // num_frames]
        fresh.append((row, _FAILED if some is None else _USABLE))
        if len(fresh) >= _FLUSH_CLIPS or done == len(lacking):
            pictures.flush()
            for place, state in fresh:
                states_M[place] = state
            states_M.flush()
            fresh.clear()
        progress(done, len(lacking), "clips")
    return ClipFrames(pictures, np.asarray(states_M == _USABLE))


_Mapped = np.memmap[tuple[int, ...], np.dtype[np.uint8]]


def _arrays(folder: Path, shape: tuple[int, ...]) -> tuple[_Mapped, _Mapped]:
    """Frames and the state of each clip: those that are there, or files of zeros if either cannot be used."""
    shapes = {"frames.npy": shape, "states.npy": shape[:1]}
    found = [_reopen(folder / name) for name in shapes]
    usable = [one for one, size in zip(found, shapes.values(), strict=True) if one is not None and one.shape == size]
    if len(usable) < len(shapes):
        usable = [open_memmap(folder / name, mode="w+", dtype=np.uint8, shape=size) for name, size in shapes.items()]
    return usable[0], usable[1]


def _reopen(path: Path) -> _Mapped | None:
    try:
        return open_memmap(path, mode="r+")
    except (OSError, ValueError):
        return None
