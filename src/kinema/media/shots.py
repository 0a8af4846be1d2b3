"""Where a clip cuts from one shot to the next.

Every frame that is decoded anyway leaves a small look: histograms of brightness and colour, and the mean brightness over
a grid. Gaps between them are closed by key frames. Where two neighbours still differ, packet sizes tell where to look
closer: a cut within a group of pictures takes as much space as a new picture, and at a key frame that came early it was the
encoder who saw it. A cut is a step that is large, far above the steps around it, and lasts: a shaking camera has large
steps everywhere, a flash goes back to where it was.

Shape suffixes: S looks, ascending in time; P points; L numbers of a look; C cuts.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.media.index import FrameIndex

_LIGHT: Final = (36, 64)
_COLOUR: Final = (18, 32)
_GRID: Final = (6, 8)
_BINS: Final = 32
_PLANAR: Final = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"})
_BATCH: Final = 64

_CUT_STEP: Final = 0.35
_DOUBTFUL_STEP: Final = 0.25
_TIMES_AROUND: Final = 4.0
_TIMES_FAR: Final = 2.0
_AROUND: Final = 6
_CLOSE_MS: Final = 120.0
_SHORTEST_MS: Final = 300.0
_UNSEEN_MS: Final = 1000.0
_THINNEST_MS: Final = 15.0
_LARGE_SHARE: Final = 0.3
_TIMES_USUAL: Final = 2.5
_NEIGHBOURS: Final = 30


def points_of(frame: Any) -> NDArray[np.uint8]:
    """Points of a decoded frame, evenly spread.

    Picking them from the planes in place takes a tenth of what scaling the frame down takes.

    Args:
        frame: PyAV's frame.

    Returns:
        uint8 [3456]: 36 x 64 of the brightness, 18 x 32 of each colour plane.
    """
    if frame.format.name not in _PLANAR:
        frame = frame.reformat(width=_LIGHT[1], height=_LIGHT[0], format="yuv444p", interpolation="POINT", threads=1)
    return np.concatenate(
        [
            np.frombuffer(plane, dtype=np.uint8).take(_places(plane.height, plane.width, plane.line_size, *grid))
            for plane, grid in zip(frame.planes, (_LIGHT, _COLOUR, _COLOUR), strict=True)
        ]
    )


@lru_cache(maxsize=16)
def _places(height: int, width: int, line_size: int, rows: int, columns: int) -> NDArray[np.int64]:
    """int64 [rows * columns], places in a plane's bytes."""
    row = (2 * np.arange(rows) + 1) * height // (2 * rows)
    column = (2 * np.arange(columns) + 1) * width // (2 * columns)
    return (row[:, None] * line_size + column[None]).ravel()


def looks_of(points_SP: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Frames in a few numbers each.

    Args:
        points_SP: uint8 [S, 3456], as `points_of` gives them.

    Returns:
        float32 [S, 144]: 32 bins of each of the three planes, softened and summing to 1, then 6 x 8 mean brightnesses in [0, 1].

    Example:
        >>> looks_of(np.zeros((2, 3456), dtype=np.uint8)).shape
        (2, 144)
    """
    num = len(points_SP)
    num_light, num_colour = _LIGHT[0] * _LIGHT[1], _COLOUR[0] * _COLOUR[1]
    planes = np.split(points_SP, [num_light, num_light + num_colour], axis=1)
    shift = np.arange(num)[:, None] * _BINS
    counts = [np.bincount(((one >> 3) + shift).ravel(), minlength=num * _BINS).reshape(num, _BINS) for one in planes]
    shares = np.stack([count / one.shape[1] for count, one in zip(counts, planes, strict=True)], axis=1)
    padded = np.pad(shares, ((0, 0), (0, 0), (1, 1)))
    soft = 0.5 * padded[..., 1:-1] + 0.25 * (padded[..., :-2] + padded[..., 2:])
    rows, columns = _GRID
    cells = planes[0].reshape(num, rows, _LIGHT[0] // rows, columns, _LIGHT[1] // columns).mean(axis=(2, 4)) / 255
    return np.concatenate([soft.reshape(num, -1), cells.reshape(num, -1)], axis=1).astype(np.float32)


def steps(first_SL: NDArray[np.float32], second_SL: NDArray[np.float32]) -> NDArray[np.float64]:
    """How much looks differ.

    Args:
        first_SL: float32 [S, 144], as `looks_of` gives them.
        second_SL: The same.

    Returns:
        float64 [S], from 0 (alike) to about 3.5: histograms, brightness of the cells, and their pattern.

    Example:
        >>> look = np.full((1, 144), 0.5, dtype=np.float32)
        >>> steps(look, look).tolist()
        [0.0]
    """
    bins = 3 * _BINS
    colours = np.abs(first_SL[:, :bins] - second_SL[:, :bins]).sum(axis=1) / 6
    a, b = first_SL[:, bins:].astype(np.float64), second_SL[:, bins:].astype(np.float64)
    light = np.abs(a - b).mean(axis=1)
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    size = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    # A deviation below one brightness level in 255 is no pattern that could be compared.
    faintest = a.shape[1] / 255**2
    alike = np.where(size > faintest, (a * b).sum(axis=1) / np.maximum(size, faintest), 1.0)
    return np.asarray(colours + 2 * light + 0.5 * np.clip(1 - alike, 0, 1))


@dataclass
class ShotTrack:
    """The looks of a clip's frames, as far as they were seen.

    Attributes:
        index: The clip's frames.
    """

    index: FrameIndex
    _points: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    _looks: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    _last_ms: float = -np.inf

    def see(self, number: int, frame: Any) -> None:
        """Keep the look of a decoded frame; at more than about 60 frames per second not of every one."""
        time_ms = float(self.index.times_ms_N[number])
        if number in self._looks or abs(time_ms - self._last_ms) < _THINNEST_MS:
            return
        self._last_ms = time_ms
        self._points[number] = points_of(frame)
        if len(self._points) >= _BATCH:
            self._digest()

    def _digest(self) -> None:
        """Bring points, which are large, down to looks."""
        if self._points:
            looks = looks_of(np.stack(list(self._points.values())))
            self._looks |= dict(zip(self._points, looks, strict=True))
            self._points.clear()

    def _seen(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Numbers, ascending, and looks."""
        self._digest()
        numbers = sorted(self._looks)
        looks = np.stack([self._looks[one] for one in numbers]) if numbers else np.zeros((0, 144), dtype=np.float32)
        return np.array(numbers, dtype=np.int64), looks

    def suspects(self) -> NDArray[np.int64]:
        """int64, numbers of frames whose packets are nearly as large as a key frame's and much larger than those around."""
        sizes, keys = self.index.sizes_N, self.index.keys
        if len(keys) == 0:
            return keys
        whole = sizes[self._keys_before(np.arange(len(sizes)))]
        large = np.setdiff1d(np.flatnonzero(sizes >= _LARGE_SHARE * whole), keys)
        others = np.delete(np.arange(len(sizes)), keys)
        places = np.searchsorted(others, large).tolist()
        usual = [np.percentile(sizes[others[max(0, one - _NEIGHBOURS) : one + _NEIGHBOURS]], 80) for one in places]
        return large[sizes[large] >= _TIMES_USUAL * np.array(usual)].astype(np.int64)

    def unseen_keys(self) -> NDArray[np.int64]:
        """int64, numbers of key frames to look at, so that no second with a key frame in it stays unseen."""
        times = self.index.times_ms_N
        seen, _ = self._seen()
        keys = self.index.keys
        bounds = np.concatenate([[-_UNSEEN_MS], times[seen], [times[-1] + _UNSEEN_MS]])
        wanted: list[int] = []
        for place in np.flatnonzero(np.diff(bounds) > _UNSEEN_MS).tolist():
            last_ms, after_ms = bounds[place : place + 2]
            for key in keys[
                np.searchsorted(times[keys], last_ms, side="right") : np.searchsorted(times[keys], after_ms)
            ]:
                if times[key] - last_ms >= _UNSEEN_MS / 2:
                    wanted.append(int(key))
                    last_ms = times[key]
        return np.array(wanted, dtype=np.int64)

    def doubtful(self) -> NDArray[np.int64]:
        """int64, numbers of the frames to look at because a cut may hide among them."""
        seen, looks = self._seen()
        jumps, far = steps(looks[:-1], looks[1:]), ~self._close(seen)
        begun = seen[:0] if len(seen) < 2 else self._keys_before(seen[:-1])
        is_cheap = self.index.times_ms_N[seen[1:]] - self.index.times_ms_N[begun] <= 2 * _UNSEEN_MS
        hides = np.diff(np.searchsorted(self.suspects(), seen, side="right")) > 0
        differ = jumps >= np.maximum(_DOUBTFUL_STEP, _TIMES_FAR * _medians_around(jumps, far))
        places = np.flatnonzero(far & (hides | (differ & is_cheap)))
        wanted = [np.arange(seen[place] + 1, seen[place + 1]) for place in places.tolist()]
        return np.concatenate(wanted) if wanted else np.zeros(0, dtype=np.int64)

    def cuts(self) -> NDArray[np.int64]:
        """int64 [C], numbers of the first frames of new shots, ascending, at least 300 ms apart and from both ends."""
        seen, looks = self._seen()
        times = self.index.times_ms_N[seen]
        jumps = steps(looks[:-1], looks[1:])
        close = self._close(seen)
        early = np.isin(seen[1:], self._early_keys())
        found: list[int] = []
        for place in np.flatnonzero((close | early) & (jumps >= _CUT_STEP)).tolist():
            nearby = slice(max(0, place - _AROUND), place + _AROUND + 1)
            around = jumps[nearby][close[nearby]]
            stands_out = len(around) < 4 or jumps[place] >= _TIMES_AROUND * np.median(around)
            if not (stands_out and _lasts(times, looks, place, float(jumps[place]))):
                continue
            if found and times[place + 1] - times[found[-1] + 1] < _SHORTEST_MS:
                found[-1] = max(found[-1], place, key=lambda one: float(jumps[one]))
            else:
                found.append(place)
        first_ms, last_ms = _SHORTEST_MS, float(self.index.duration_ms) - _SHORTEST_MS
        return np.array([seen[one + 1] for one in found if first_ms <= times[one + 1] <= last_ms], dtype=np.int64)

    def _close(self, seen: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the time between two seen frames is short enough to place a cut: bool [S - 1]."""
        return np.asarray((np.diff(seen) == 1) | (np.diff(self.index.times_ms_N[seen]) <= _CLOSE_MS))

    def _keys_before(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where decoding of each frame begins."""
        keys = np.concatenate([[0], self.index.keys])
        return keys[np.searchsorted(keys, numbers, side="right") - 1]

    def _early_keys(self) -> NDArray[np.int64]:
        """Key frames that came before the group of pictures had its usual length.

        The longest group has it where there are several of that length, or where it is as round as encoders' settings are.
        """
        keys = self.index.keys
        if len(keys) < 2:
            return keys[:0]
        lengths = np.diff(keys)
        usual = lengths >= lengths.max() - 1
        is_set = usual.sum() > 1 or lengths.max() % 10 == 0 or lengths.max() % 12 == 0
        return keys[1:][~usual] if is_set else keys[1:]


def _medians_around(jumps: NDArray[np.float64], among: NDArray[np.bool_]) -> NDArray[np.float64]:
    """For each step the median of the chosen ones around it, 0 where they are few.

    In a clip that moves fast all far steps are large, and looking into each would mean to decode everything.
    """
    medians = np.zeros(len(jumps))
    places = np.flatnonzero(among)
    for one, place in enumerate(places.tolist()):
        around = places[max(0, one - _AROUND) : one + _AROUND + 1]
        if len(around) > _AROUND:
            medians[place] = np.median(jumps[around])
    return medians


def _lasts(times_S: NDArray[np.float64], looks_SL: NDArray[np.float32], place: int, jump: float) -> bool:
    """Whether the pictures on both sides of a step differ also from those a little further away; at a flash they do not."""
    before, after = place, place + 1
    further = 1.5 * _CLOSE_MS
    later = min(int(np.searchsorted(times_S, times_S[after] + further)), len(times_S) - 1)
    earlier = max(int(np.searchsorted(times_S, times_S[before] - further, side="right")) - 1, 0)
    for one, other in ((before, later), (earlier, after)):
        if abs(times_S[one] - times_S[other]) > _UNSEEN_MS / 2:
            continue
        if steps(looks_SL[one : one + 1], looks_SL[other : other + 1])[0] < max(_DOUBTFUL_STEP, jump / 2):
            return False
    return True
