"""Walking through the sound packets of a file, and decoding only stretches of it.

Shape suffixes: S samples.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.extras import require

BREAK_MS: Final = 100.0
"""A larger hole between frames is a damaged stretch: the samples after it keep their own time."""
_PREROLL_MS: Final = 250.0
"""Decoded before a window and thrown away: codecs lean on what came before (mp3's reservoir, Opus needs 80 ms)."""
_SEEK_GAP_MS: Final = 5000.0
"""Seeking costs more than walking over a shorter gap."""
_SHORTEST_MS: Final = 50.0

Piece = tuple[float, NDArray[np.float32]]


@dataclass
class Budget:
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
class Track:
    """An opened file and its sound stream."""

    container: Any
    stream: Any
    origin_ms: float
    budget: Budget
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


def find_track(container: Any, budget: Budget) -> Track | None:
    """The first sound stream that has a decoder; its decoder runs on one thread."""
    stream = next((one for one in container.streams.audio if one.codec_context is not None), None)
    if stream is None:
        return None
    stream.codec_context.thread_count = 1
    return Track(container, stream, origin_ms=float(container.start_time or 0) / 1000, budget=budget)


def measure(track: Track, max_ms: float) -> float:
    """Where the last packet of the sound ends, without decoding."""
    track.rewind(None)
    last_ms = 0.0
    for _, stop_ms, _ in track.walk:
        last_ms = max(last_ms, stop_ms)
        if last_ms > max_ms:
            break
    return last_ms


def decode_spans(track: Track, spans: list[tuple[float, float]], *, hz: int, seek: bool) -> list[Piece]:
    """The wanted stretches; empty where a seek fails or lands too late."""
    av = require("av")
    pieces: list[Piece] = []
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


def _fill(found: "_Runs", track: Track) -> bool:
    """Decode one stretch; whether the walk began before it."""
    av = require("av")
    track.stream.codec_context.flush_buffers()
    in_time = False
    for start_ms, stop_ms, packet in track.walk:
        in_time = in_time or start_ms <= found.start_ms + BREAK_MS
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
        if self._resampler is None or form != self._form or abs(time_ms - self._next_ms) > BREAK_MS:
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

    def pieces(self) -> list[Piece]:
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
