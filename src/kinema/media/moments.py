"""Which frames of a clip are taken: pure functions on its index.

Shape suffixes: N frames of the file in display order, T frames, P pairs.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.media.index import FrameIndex

_GOLDEN: Final = 0.6180339887


def cover_shots(frames_T: NDArray[np.int64], cuts: NDArray[np.int64], index: FrameIndex) -> NDArray[np.int64]:
    """Move frames from the shots that have most to those that have none, longest first.

    Args:
        frames_T: int64 [T], numbers of evenly spaced frames, ascending.
        cuts: int64, numbers of the first frames of all shots but the first.
        index: The clip's frames.

    Returns:
        int64 [T], ascending. Where there are more shots than frames, the longest are seen. A shot that had none is seen
        by the key frame nearest to its middle, which costs one decoded frame, or else by the frame there. What else is
        decoded plays no part: it depends on who else reads the clip.
    """
    if len(cuts) == 0:
        return frames_T
    starts = np.concatenate([[0], cuts])
    ends = np.concatenate([cuts, [len(index.stamps_N)]])
    shot_of = list(np.searchsorted(cuts, frames_T, side="right"))
    frames = frames_T.tolist()
    lengths = index.times_ms_N[ends - 1] - index.times_ms_N[starts]
    for shot in sorted(set(range(len(starts))) - set(shot_of), key=lambda one: -lengths[one]):
        counts = np.bincount(shot_of, minlength=len(starts))
        richest = int(counts.argmax())
        if counts[richest] < 2:
            break
        place = shot_of.index(richest) + int(counts[richest]) // 2
        middle = (starts[shot] + ends[shot]) // 2
        keys = index.keys[(index.keys >= starts[shot]) & (index.keys < ends[shot])]
        frames[place] = int(keys[np.abs(keys - middle).argmin()]) if len(keys) else int(middle)
        shot_of[place] = shot
        order = np.argsort(frames)
        frames, shot_of = [frames[one] for one in order], [shot_of[one] for one in order]
    return np.array(frames, dtype=np.int64)


def nearest_keys(keys: NDArray[np.int64], frames_T: NDArray[np.int64], index: FrameIndex) -> NDArray[np.int64]:
    """The key frames nearest in time to some frames, each once; the frames themselves where there is no key frame."""
    if len(keys) == 0:
        return frames_T[:1]
    distance = np.abs(index.times_ms_N[keys][None] - index.times_ms_N[frames_T][:, None])
    return np.unique(keys[distance.argmin(axis=1)])


def plan_pairs(
    index: FrameIndex, num_pairs: int, pair_ms: int, *, at_keys: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the first and second frames of the pairs; they may have to begin at key frames."""
    firsts, seconds = spread_pairs(index, num_pairs, pair_ms)
    if not at_keys or len(firsts) == 0:
        return firsts, seconds
    return partners(index, nearest_keys(index.keys, firsts, index), pair_ms)


def on_screen(index: FrameIndex, times_ms: NDArray[np.float64]) -> NDArray[np.int64]:
    """Numbers of the frames on screen at the given times, ascending, without repeats."""
    numbers = np.searchsorted(index.times_ms_N, times_ms, side="right") - 1
    return np.unique(np.clip(numbers, 0, len(index.times_ms_N) - 1)).astype(np.int64)


def spread_pairs(index: FrameIndex, num_pairs: int, pair_ms: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the first and second frames, spread over the clip."""
    last = len(index.times_ms_N) - 1
    within = np.arange(1, num_pairs + 1) * _GOLDEN % 1.0
    room_ms = max(float(index.times_ms_N[-1]) - pair_ms, 0.0)
    firsts = on_screen(index, (np.arange(num_pairs) + within) * room_ms / max(num_pairs, 1))
    firsts = np.unique(np.minimum(firsts, max(last - 1, 0)))
    return partners(index, firsts, pair_ms)


def partners(index: FrameIndex, firsts: NDArray[np.int64], pair_ms: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Those of the frames that have a later one, and for each the later frame nearest to ``pair_ms`` after it."""
    last = len(index.times_ms_N) - 1
    goals = index.times_ms_N[firsts] + pair_ms
    after = np.clip(np.searchsorted(index.times_ms_N, goals), 0, last)
    before = np.maximum(after - 1, 0)
    rounding_ms = 0.01
    is_before = np.abs(goals - index.times_ms_N[before]) <= np.abs(index.times_ms_N[after] - goals) + rounding_ms
    seconds = np.maximum(np.where(is_before, before, after), firsts + 1)
    fits = seconds <= last
    return firsts[fits], seconds[fits]
