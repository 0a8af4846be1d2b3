"""The sound of a file as mono samples: all of a short clip, short windows spread over a long one.

The file is walked through without decoding, and only the packets of the wanted windows are decoded. Where two windows
lie far apart the container is asked to seek; where a seek lands too late the file is walked from its beginning
instead. So a film costs about as much as a clip.

Shape suffixes: S samples, P pieces.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError
from kinema.media.probe import FORMATS, declared_ms, open_file
from kinema.media.sound_walk import BREAK_MS, Budget, Piece, Track, decode_spans, find_track, measure

SOUND_VERSION: Final = 1
"""Raised when the same file would give other samples; vectors made from them are then made again."""

SOUND_FORMATS: Final = f"{FORMATS},mp3,aac,wav,w64,flac,aiff,caf,amr,ac3"
"""Containers that are opened for their sound: those of videos, and those of sound alone."""

_JOIN_MS: Final = 500.0
"""Windows that lie closer are decoded in one go."""
_WHOLE_SHARE: Final = 0.95


@dataclass(frozen=True)
class Sound:
    """Samples of one clip's sound.

    Attributes:
        pieces: float32 [S] each, mono, in [-1, 1], oldest first; one for a short whole clip.
        starts_ms: Where each piece begins, from the beginning of the clip.
        hz: Sampling rate.
        duration_ms: Length of the sound that was looked at.
        partial: Whether packets were damaged, the end is missing, or a limit cut the work short.
    """

    pieces: tuple[NDArray[np.float32], ...]
    starts_ms: tuple[float, ...]
    hz: int
    duration_ms: float
    partial: bool

    def windows(self, num_windows: int, window_ms: int) -> list[tuple[int, NDArray[np.float32]]]:
        """Windows spread over the clip, see `plan_windows`.

        More may have been decoded than one modality asked for; each takes its own share from what there is.

        Args:
            num_windows: At most so many, >= 1.
            window_ms: Length of each, milliseconds, > 0.

        Returns:
            (middle of the window in milliseconds, float32 [S]), oldest first. Where the sound is damaged the nearest
            stretch stands in, but none twice, so there may be fewer or shorter windows.
        """
        found: list[tuple[int, NDArray[np.float32]]] = []
        last_place, last_begin = -1, 0
        for start_ms, length_ms in plan_windows(self.duration_ms, num_windows=num_windows, window_ms=window_ms):
            place = min(range(len(self.pieces)), key=lambda one: self._distance(one, start_ms + length_ms / 2))
            piece = self.pieces[place]
            size = round(length_ms * self.hz / 1000)
            begin = round((start_ms - self.starts_ms[place]) * self.hz / 1000)
            begin = min(max(begin, 0), max(len(piece) - size, 0))
            if place == last_place and begin - last_begin < size // 2:
                continue
            last_place, last_begin = place, begin
            samples = piece[begin : begin + size]
            found.append((round(self.starts_ms[place] + (begin + len(samples) / 2) * 1000 / self.hz), samples))
        return found

    def _distance(self, place: int, time_ms: float) -> float:
        """How far a piece is from a moment, milliseconds; 0 for one that has it."""
        start_ms = self.starts_ms[place]
        stop_ms = start_ms + len(self.pieces[place]) * 1000 / self.hz
        return max(start_ms - time_ms, time_ms - stop_ms, 0.0)


def plan_windows(duration_ms: float, *, num_windows: int, window_ms: int) -> list[tuple[float, float]]:
    """Where to listen.

    Args:
        duration_ms: Length of the sound, milliseconds, > 0.
        num_windows: At most so many, >= 1.
        window_ms: Longest window, milliseconds, > 0.

    Returns:
        (start, length) in milliseconds, oldest first: the middles of equal parts of the sound. Up to
        ``num_windows * window_ms`` they follow each other without a gap, so that all is heard.

    Raises:
        ConfigError: A number is out of range.

    Example:
        >>> plan_windows(3000, num_windows=10, window_ms=2000)
        [(0.0, 1500.0), (1500.0, 1500.0)]
        >>> plan_windows(60_000, num_windows=3, window_ms=2000)
        [(9000.0, 2000.0), (29000.0, 2000.0), (49000.0, 2000.0)]
    """
    if num_windows < 1 or window_ms <= 0 or duration_ms <= 0:
        raise ConfigError(
            f"sound needs num_windows >= 1, window_ms > 0 and a length > 0, got {num_windows}, {window_ms}, {duration_ms}"
        )
    # A tenth of a window is not worth another one: containers of one clip differ by as much.
    count = min(num_windows, max(1, int(np.ceil(duration_ms / window_ms - 0.1))))
    part_ms = duration_ms / count
    length_ms = min(float(window_ms), part_ms)
    return [((place + 0.5) * part_ms - length_ms / 2, length_ms) for place in range(count)]


def read_sound(
    path: Path,
    *,
    name: str | None = None,
    hz: int = 16_000,
    num_windows: int = 10,
    window_ms: int = 2000,
    max_seconds: float = 600.0,
    deadline_s: float = 30.0,
    max_bytes: int = 1 << 30,
) -> Sound | None:
    """Decode the sound of a file.

    Args:
        path: Any video file that can be opened, or a file with sound only.
        name: How errors call it; the path as given where None.
        hz: Sampling rate of the result, >= 1000.
        num_windows: At most so many windows, >= 1.
        window_ms: Length of each, milliseconds, > 0.
        max_seconds: Only so much of the beginning is looked at, seconds, > 0.
        deadline_s: After so many seconds what has been decoded is returned, > 0.
        max_bytes: After so many bytes of packets the same, > 0.

    Returns:
        The sound; None where the file has no sound track, or none of which anything can be decoded. Damaged packets
        are left out.

    Raises:
        ConfigError: A number is out of range.
        DataError: The file is missing, empty or no known container.
        MissingExtraError: PyAV is not installed.

    Example:
        >>> sound = read_sound(Path("clips/a.mp4"))  # doctest: +SKIP
        >>> [middle_ms for middle_ms, _ in sound.windows(10, 2000)]  # doctest: +SKIP
        [878, 2634, 4389, 6144]
    """
    if hz < 1000 or max_seconds <= 0 or deadline_s <= 0 or max_bytes <= 0:
        raise ConfigError(
            "sound needs hz >= 1000 and max_seconds, deadline_s and max_bytes > 0, "
            f"got {hz}, {max_seconds}, {deadline_s} and {max_bytes}"
        )
    name = name or str(path)
    max_ms = max_seconds * 1000
    budget = Budget(time.monotonic() + deadline_s, max_bytes)
    with open_file(path, name=name, formats=SOUND_FORMATS) as container:
        track = find_track(container, budget)
        if track is None:
            return None
        declared, is_own = _declared(container, track)
        if declared:
            length_ms = min(declared, max_ms)
            spans = _spans(plan_windows(length_ms, num_windows=num_windows, window_ms=window_ms))
            pieces = decode_spans(track, spans, hz=hz, seek=True)
            if pieces and _reaches(pieces, spans[-1], hz):
                return _sound(pieces, hz=hz, duration_ms=length_ms, partial=budget.damaged)
    # The declared length is missing or wrong, or seeking failed: measure it, then walk.
    with open_file(path, name=name, formats=SOUND_FORMATS) as container:
        track = find_track(container, budget)
        length_ms = min(measure(track, max_ms), max_ms) if track else 0.0
    if length_ms <= 0:
        return None
    with open_file(path, name=name, formats=SOUND_FORMATS) as container:
        track = find_track(container, budget)
        spans = _spans(plan_windows(length_ms, num_windows=num_windows, window_ms=window_ms))
        pieces = decode_spans(track, spans, hz=hz, seek=False) if track else []
    cut = declared is not None and is_own and length_ms < _WHOLE_SHARE * min(declared, max_ms)
    return _sound(pieces, hz=hz, duration_ms=length_ms, partial=budget.damaged or cut) if pieces else None


def _declared(container: Any, track: Track) -> tuple[float | None, bool]:
    """Where the sound ends as the file declares it, milliseconds, None where it does not; and whether that is of the sound itself.

    A clip's own length is only a guess for its sound, which may legitimately end before the picture.
    """
    stream = track.stream
    if stream.duration and stream.duration > 0 and stream.time_base:
        ticks = int(stream.duration) + int(stream.start_time or 0)
        return max(float(ticks * stream.time_base) * 1000 - track.origin_ms, 1.0), True
    length_ms = declared_ms(container, stream)
    return (float(length_ms) if length_ms and length_ms > 0 else None), not container.streams.video


def _spans(windows: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """(start, stop) of what is decoded in one go."""
    spans: list[tuple[float, float]] = []
    for start_ms, length_ms in windows:
        if spans and start_ms - spans[-1][1] < _JOIN_MS:
            spans[-1] = spans[-1][0], start_ms + length_ms
        else:
            spans.append((start_ms, start_ms + length_ms))
    return spans


def _reaches(pieces: list[Piece], span: tuple[float, float], hz: int) -> bool:
    """Whether the sound of the last span is there; it is not where the file is cut off."""
    start_ms, samples = pieces[-1]
    stop_ms = start_ms + len(samples) * 1000 / hz
    return stop_ms - span[0] > _WHOLE_SHARE * (span[1] - span[0]) - BREAK_MS


def _sound(pieces: list[Piece], *, hz: int, duration_ms: float, partial: bool) -> Sound:
    """Put pieces in order; after damage their times may go back."""
    pieces = sorted(pieces, key=lambda piece: piece[0])
    return Sound(
        pieces=tuple(samples for _, samples in pieces),
        starts_ms=tuple(start_ms for start_ms, _ in pieces),
        hz=hz,
        duration_ms=duration_ms,
        partial=partial,
    )
