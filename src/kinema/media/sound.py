"""The sound of a file as mono samples: all of a short clip, short windows spread over a long one.

The file is walked through without decoding, and only the packets of the wanted windows are decoded. Where two windows
lie far apart the container is asked to seek; where a seek lands too late the file is walked from its beginning
instead. So a film costs about as much as a clip.

Shape suffixes: S samples, P pieces.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError
from kinema.extras import require
from kinema.media.probe import FORMATS, declared_ms, open_file

SOUND_VERSION: Final = 1
"""Raised when the same file would give other samples; vectors made from them are then made again."""

SOUND_FORMATS: Final = f"{FORMATS},mp3,aac,wav,w64,flac,aiff,caf,amr,ac3"
"""Containers that are opened for their sound: those of videos, and those of sound alone."""

_PREROLL_MS: Final = 250.0
"""Decoded before a window and thrown away: codecs lean on what came before (mp3's reservoir, Opus needs 80 ms)."""
_SEEK_GAP_MS: Final = 5000.0
"""Seeking costs more than walking over a shorter gap."""
_JOIN_MS: Final = 500.0
"""Windows that lie closer are decoded in one go."""
_BREAK_MS: Final = 100.0
"""A larger hole between frames is a damaged stretch: the samples after it keep their own time."""
_SHORTEST_MS: Final = 50.0
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
            stretch stands in, but none twice; windows there may be shorter.
        """
        found: dict[tuple[int, int], tuple[int, NDArray[np.float32]]] = {}
        for start_ms, length_ms in plan_windows(self.duration_ms, num_windows=num_windows, window_ms=window_ms):
            place = min(range(len(self.pieces)), key=lambda one: self._distance(one, start_ms + length_ms / 2))
            piece = self.pieces[place]
            size = round(length_ms * self.hz / 1000)
            begin = round((start_ms - self.starts_ms[place]) * self.hz / 1000)
            begin = min(max(begin, 0), max(len(piece) - size, 0))
            samples = piece[begin : begin + size]
            middle_ms = self.starts_ms[place] + (begin + len(samples) / 2) * 1000 / self.hz
            found[place, begin] = round(middle_ms), samples
        return list(found.values())

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
    budget = _Budget(time.monotonic() + deadline_s, max_bytes)
    with open_file(path, name=name, formats=SOUND_FORMATS) as container:
        track = _find_track(container, budget)
        if track is None:
            return None
        declared = _declared(container, track.stream)
        if declared:
            length_ms = min(declared, max_ms)
            spans = _spans(plan_windows(length_ms, num_windows=num_windows, window_ms=window_ms))
            pieces = _decode(track, spans, hz=hz, seek=True)
            if pieces and _reaches(pieces, spans[-1], hz):
                return _sound(pieces, hz=hz, duration_ms=length_ms, partial=budget.damaged)
    # The declared length is missing or wrong, or seeking failed: measure it, then walk.
    with open_file(path, name=name, formats=SOUND_FORMATS) as container:
        track = _find_track(container, budget)
        length_ms = min(_measure(track, max_ms), max_ms) if track else 0.0
    if length_ms <= 0:
        return None
    with open_file(path, name=name, formats=SOUND_FORMATS) as container:
        track = _find_track(container, budget)
        spans = _spans(plan_windows(length_ms, num_windows=num_windows, window_ms=window_ms))
        pieces = _decode(track, spans, hz=hz, seek=False) if track else []
    cut = declared is not None and length_ms < _WHOLE_SHARE * min(declared, max_ms)
    return _sound(pieces, hz=hz, duration_ms=length_ms, partial=budget.damaged or cut) if pieces else None


_Piece = tuple[float, NDArray[np.float32]]


@dataclass
class _Budget:
    """What may still be spent on a file, over all passes."""

    until: float
    bytes_left: int
    damaged: bool = False

    def spend(self, num_bytes: int) -> bool:
        """Whether to go on after a packet of so many bytes."""
        self.bytes_left -= num_bytes
        if self.bytes_left < 0 or time.monotonic() > self.until:
            self.damaged = True
            return False
        return True


@dataclass
class _Track:
    """An opened file and its sound stream."""

    container: Any
    stream: Any
    origin_ms: float
    budget: _Budget
    walk: Iterator[tuple[float, float, Any]] = field(default_factory=lambda: iter(()))

    def rewind(self, time_ms: float | None) -> None:
        """Walk on from a key packet before a time, or from where the file stands.

        Raises:
            FFmpegError: The container cannot seek there.
        """
        if time_ms is not None:
            self.container.seek(round(max(time_ms + self.origin_ms, 0.0) * 1000), backward=True)
        self.walk = self._packets()

    def _packets(self) -> Iterator[tuple[float, float, Any]]:
        """(start, stop, packet) of the stream's packets, in milliseconds of the clip; ends at damage it cannot pass."""
        av = require("av")
        end_ms = 0.0
        try:
            for packet in self.container.demux():
                if not self.budget.spend(packet.size):
                    return
                if packet.stream_index != self.stream.index or packet.size == 0:
                    continue
                stamp = packet.pts if packet.pts is not None else packet.dts
                base = packet.time_base or self.stream.time_base
                if stamp is not None:
                    end_ms = float(stamp * base) * 1000 - self.origin_ms
                start_ms = end_ms
                end_ms = start_ms + float((packet.duration or 0) * base) * 1000
                yield start_ms, end_ms, packet
        except av.FFmpegError:
            self.budget.damaged = True


def _find_track(container: Any, budget: _Budget) -> _Track | None:
    """The first sound stream that has a decoder; its decoder runs on one thread."""
    stream = next((one for one in container.streams.audio if one.codec_context is not None), None)
    if stream is None:
        return None
    stream.codec_context.thread_count = 1
    return _Track(container, stream, origin_ms=float(container.start_time or 0) / 1000, budget=budget)


def _declared(container: Any, stream: Any) -> float | None:
    """Length of the sound in milliseconds as the file declares it, None where it does not. The stream's own comes first."""
    if stream.duration and stream.time_base:
        own = float(stream.duration * stream.time_base) * 1000
        if own > 0:
            return own
    length = declared_ms(container, stream)
    return float(length) if length and length > 0 else None


def _measure(track: _Track, max_ms: float) -> float:
    """Where the last packet of the sound ends, without decoding."""
    track.rewind(None)
    last_ms = 0.0
    for _, stop_ms, _ in track.walk:
        last_ms = max(last_ms, stop_ms)
        if last_ms > max_ms:
            break
    return last_ms


def _spans(windows: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """(start, stop) of what is decoded in one go."""
    spans: list[tuple[float, float]] = []
    for start_ms, length_ms in windows:
        if spans and start_ms - spans[-1][1] < _JOIN_MS:
            spans[-1] = spans[-1][0], start_ms + length_ms
        else:
            spans.append((start_ms, start_ms + length_ms))
    return spans


def _reaches(pieces: list[_Piece], span: tuple[float, float], hz: int) -> bool:
    """Whether the sound of the last span is there; it is not where the file is cut off."""
    start_ms, samples = pieces[-1]
    stop_ms = start_ms + len(samples) * 1000 / hz
    return stop_ms - span[0] > _WHOLE_SHARE * (span[1] - span[0]) - _BREAK_MS


def _decode(track: _Track, spans: list[tuple[float, float]], *, hz: int, seek: bool) -> list[_Piece]:
    """The wanted stretches; empty where a seek fails or lands too late."""
    av = require("av")
    pieces: list[_Piece] = []
    place_ms = 0.0
    track.rewind(None)
    for start_ms, stop_ms in spans:
        jumps = seek and start_ms - place_ms > _SEEK_GAP_MS
        if jumps:
            try:
                track.rewind(start_ms - _PREROLL_MS)
            except (av.FFmpegError, ValueError):
                return []
        found = _Runs(hz, start_ms, stop_ms)
        if not _fill(found, track) and jumps:
            return []
        pieces.extend(found.pieces())
        place_ms = stop_ms
    return pieces


def _fill(found: "_Runs", track: _Track) -> bool:
    """Decode one stretch; whether the walk began before it."""
    av = require("av")
    track.stream.codec_context.flush_buffers()
    in_time = False
    for start_ms, stop_ms, packet in track.walk:
        in_time = in_time or start_ms <= found.start_ms + _BREAK_MS
        if stop_ms < found.start_ms - _PREROLL_MS:
            continue
        try:
            for frame in packet.decode():
                stamped = frame.pts is not None and frame.time_base is not None
                time_ms = float(frame.pts * frame.time_base) * 1000 - track.origin_ms if stamped else start_ms
                found.add(time_ms, frame)
        except (av.FFmpegError, ValueError):
            track.budget.damaged = True
        if stop_ms >= found.stop_ms:
            break
    return in_time


class _Runs:
    """Stretches of unbroken sound, resampled; the times are those of the first frame of each."""

    def __init__(self, hz: int, start_ms: float, stop_ms: float) -> None:
        self.start_ms = start_ms
        self.stop_ms = stop_ms
        self._hz = hz
        self._runs: list[tuple[float, list[NDArray[np.float32]]]] = []
        self._resampler: Any = None
        self._next_ms = 0.0
        self._form: tuple[Any, ...] = ()

    def add(self, time_ms: float, frame: Any) -> None:
        """Take a decoded frame. A hole, or a change of rate or channels, begins another run."""
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or form != self._form or abs(time_ms - self._next_ms) > _BREAK_MS:
            self._flush()
            resampler = require("av").AudioResampler
            self._resampler = resampler(format="flt", layout="mono", rate=self._hz)
            self._runs.append((time_ms, []))
            self._form = form
            self._next_ms = time_ms
        self._next_ms += frame.samples * 1000 / frame.sample_rate
        frame.pts = None
        self._take(frame)

    def _take(self, frame: Any) -> None:
        self._runs[-1][1].extend(one.to_ndarray().reshape(-1) for one in self._resampler.resample(frame))

    def _flush(self) -> None:
        """What the resampler still holds belongs to the run that ends."""
        if self._resampler is not None:
            self._take(None)

    def pieces(self) -> list[_Piece]:
        """(start in milliseconds, float32 [S]) of what lies in the stretch."""
        self._flush()
        self._resampler = None
        pieces = []
        for time_ms, parts in self._runs:
            samples = np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
            begin = max(0, round((self.start_ms - time_ms) * self._hz / 1000))
            end = max(0, round((self.stop_ms - time_ms) * self._hz / 1000))
            samples = np.clip(np.nan_to_num(samples[begin:end].astype(np.float32)), -1.0, 1.0)
            if len(samples) >= _SHORTEST_MS * self._hz / 1000:
                pieces.append((time_ms + begin * 1000 / self._hz, samples))
        return pieces


def _sound(pieces: list[_Piece], *, hz: int, duration_ms: float, partial: bool) -> Sound:
    """Put pieces in order; after damage their times may go back."""
    pieces = sorted(pieces, key=lambda piece: piece[0])
    return Sound(
        pieces=tuple(samples for _, samples in pieces),
        starts_ms=tuple(start_ms for start_ms, _ in pieces),
        hz=hz,
        duration_ms=duration_ms,
        partial=partial,
    )
