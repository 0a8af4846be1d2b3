"""Exact frames of a video file at little cost.

The packets are indexed by demuxing, which decodes nothing; then each wanted frame is decoded once, seeking only into
a later group of pictures. Where a seek lands wrong (transport and program streams may), the file is decoded in order.

Shape suffixes: N frames of the file in display order, W wanted frames, H height, 3 red-green-blue.
"""

import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinema.extras import require
from kinema.media.probe import declared_ms, open_clip, undecodable

_FPS_WHERE_UNKNOWN = 25.0
_WHOLE_SHARE = 0.95


@dataclass(frozen=True)
class FrameIndex:
    """The frames a file has, without having decoded them.

    Attributes:
        stamps_N: int64, time stamps in the stream's unit, ascending; the frames' numbers where ``timed`` is false.
        times_ms_N: float64, the same in milliseconds from the first frame.
        key_stamps: int64, stamps at which decoding can begin.
        timed: Whether every packet has a display time; without it frames are counted instead.
        width: Width to show the picture at, pixels, before rotation.
        height: Height to show the picture at, pixels, before rotation.
        duration_ms: Length of what is there, milliseconds.
        quality: Share of the declared file that is there and intact, in (0, 1].
    """

    stamps_N: NDArray[np.int64]
    times_ms_N: NDArray[np.float64]
    key_stamps: NDArray[np.int64]
    timed: bool
    width: int
    height: int
    duration_ms: int
    quality: float


def read_index(path: Path, *, name: str, max_ms: int, max_pixels: int) -> FrameIndex:
    """Index the frames of a file by reading its packets.

    The header's frame count cannot be used: it is 0 in flv and webm and an estimate elsewhere.

    Args:
        path: The file.
        name: How errors call it.
        max_ms: Stop after this much of the video, milliseconds, so that a film costs no more than a clip.
        max_pixels: Largest frame, width x height; a few forged bytes could otherwise take all memory.

    Returns:
        The index.

    Raises:
        DataError: The file cannot be opened, has too large frames or no video packet.
    """
    with open_clip(path, name=name) as (container, stream):
        if stream.width * stream.height > max_pixels:
            size = f"{stream.width} x {stream.height}"
            raise undecodable(name, f"a frame must have at most {max_pixels} pixels, has {size}", path.stat().st_size)
        scan = _scan(container, stream, max_ms)
        if not scan.stamps:
            raise undecodable(name, "no video packet found", path.stat().st_size)
        return _index(scan.stamps, stream, quality=_quality(scan, container, stream))


@dataclass
class _Scan:
    """What reading all packets showed: (pts, dts, is key) of the shown frames, and the state of the file."""

    stamps: list[tuple[int | None, int | None, bool]] = field(default_factory=list)
    num_packets: int = 0
    num_corrupt: int = 0
    first_ms: float = math.inf
    end_ms: float = 0.0
    cut: bool = False


def _scan(container: Any, stream: Any, max_ms: int) -> _Scan:
    """Read the packets of all streams: the end of the sound, too, shows whether a file is whole."""
    av = require("av")
    scan = _Scan()
    try:
        for packet in container.demux():
            if packet.size == 0 or packet.time_base is None:
                continue
            scan.num_corrupt += packet.is_corrupt
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None:
                time_ms = float(stamp * packet.time_base) * 1000
                length_ms = float((packet.duration or 0) * packet.time_base) * 1000
                scan.first_ms = min(scan.first_ms, time_ms)
                scan.end_ms = max(scan.end_ms, time_ms + length_ms - scan.first_ms)
            if packet.stream_index == stream.index:
                scan.num_packets += 1
                if not packet.is_discard:
                    scan.stamps.append((packet.pts, packet.dts, packet.is_keyframe))
            if scan.end_ms > max_ms:
                scan.cut = True
                break
    except av.FFmpegError:
        scan.num_corrupt += 1
    return scan


def _quality(scan: _Scan, container: Any, stream: Any) -> float:
    """Share of the declared file that is there and intact. Declared lengths are estimates, so nearly all is all."""
    declared = declared_ms(container, stream)
    share = 1.0
    if declared and not scan.cut:
        share = min(share, scan.end_ms / declared)
    if stream.frames and not scan.cut:
        share = min(share, scan.num_packets / stream.frames)
    share = 1.0 if share >= _WHOLE_SHARE else share
    return share * (1.0 - scan.num_corrupt / (scan.num_packets + scan.num_corrupt))


def _index(packets: Sequence[tuple[int | None, int | None, bool]], stream: Any, *, quality: float) -> FrameIndex:
    """Sort packets into display order and give every frame a time."""
    rate = float(stream.average_rate or stream.guessed_rate or _FPS_WHERE_UNKNOWN)
    timed = stream.time_base is not None and all(pts is not None for pts, _, _ in packets)
    if timed:
        pairs = sorted({(int(pts), key) for pts, _, key in packets if pts is not None})
        stamps = np.unique(np.array([stamp for stamp, _ in pairs], dtype=np.int64))
        keys = np.array([stamp for stamp, key in pairs if key], dtype=np.int64)
        times_ms = (stamps - stamps[0]) * float(stream.time_base) * 1000
    else:
        stamps = np.arange(len(packets), dtype=np.int64)
        keys = stamps[:1]
        times_ms = stamps * 1000.0 / rate
    ratio = float(stream.sample_aspect_ratio or 1) or 1.0
    return FrameIndex(
        stamps_N=stamps,
        times_ms_N=times_ms.astype(np.float64),
        key_stamps=keys,
        timed=timed,
        width=max(1, round(stream.width * ratio)),
        height=max(1, stream.height),
        duration_ms=max(1, round(times_ms[-1] + 1000.0 / rate)),
        quality=quality,
    )


def decode_frames(
    path: Path, index: FrameIndex, wanted_W: NDArray[np.int64], *, name: str, max_side: int
) -> dict[int, tuple[float, NDArray[np.uint8]]]:
    """Decode chosen frames.

    Args:
        path: The file.
        index: Its index.
        wanted_W: Numbers of the frames in display order, ascending, without repeats.
        name: How errors call the file.
        max_side: Longest side of the result, pixels; smaller pictures keep their size.

    Returns:
        Frame number -> (time in milliseconds, uint8 [H, W, 3]), all of one size, upright. For a damaged frame the next
        one that decodes stands in, with its own time; where none follows the number is absent.

    Raises:
        DataError: The file cannot be opened.
    """
    found: dict[int, tuple[float, NDArray[np.uint8]]] = {}
    if index.timed:
        found = _decode_by_seeking(path, index, wanted_W, name=name, max_side=max_side)
    if len(found) < len(wanted_W):
        found = _decode_in_order(path, index, wanted_W, name=name, max_side=max_side) | found
    return found


def _decode_by_seeking(
    path: Path, index: FrameIndex, wanted_W: NDArray[np.int64], *, name: str, max_side: int
) -> dict[int, tuple[float, NDArray[np.uint8]]]:
    """Exact frames only; ends at the first one that a seek or a damaged packet missed."""
    by_stamp = {int(index.stamps_N[number]): int(number) for number in wanted_W}
    paint = _painter(_fit(index.width, index.height, max_side))
    found: dict[int, tuple[float, NDArray[np.uint8]]] = {}
    with open_clip(path, name=name) as (container, stream):
        for frame in _jumping(container, stream, index, list(by_stamp)):
            if frame.pts is None or (by_stamp and frame.pts > next(iter(by_stamp))):
                break
            number = by_stamp.pop(frame.pts, None)
            if number is not None:
                found[number] = float(index.times_ms_N[number]), paint(frame)
    return found


def _decode_in_order(
    path: Path, index: FrameIndex, wanted_W: NDArray[np.int64], *, name: str, max_side: int
) -> dict[int, tuple[float, NDArray[np.uint8]]]:
    """The wanted frames or the first good ones after them; if nothing else can be had, the last good one."""
    wanted = wanted_W.tolist()
    paint = _painter(_fit(index.width, index.height, max_side))
    found: dict[int, tuple[float, NDArray[np.uint8]]] = {}
    last: tuple[int, Any] | None = None
    with open_clip(path, name=name) as (container, stream):
        for count, frame in enumerate(_in_order(container, stream)):
            number = _number(index, frame, count)
            last = number, frame
            if number >= wanted[0]:
                picture = paint(frame)
                while wanted and number >= wanted[0]:
                    found[wanted.pop(0)] = float(index.times_ms_N[number]), picture
            if not wanted:
                break
        if not found and last is not None:
            found[wanted[0]] = float(index.times_ms_N[last[0]]), paint(last[1])
    return found


def _number(index: FrameIndex, frame: Any, count: int) -> int:
    """Place of a decoded frame in display order, by its time stamp or else by counting."""
    stamp = frame.pts if frame.pts is not None else frame.dts
    place = count if not index.timed or stamp is None else int(np.searchsorted(index.stamps_N, stamp))
    return min(place, len(index.stamps_N) - 1)


def _in_order(container: Any, stream: Any) -> Iterator[Any]:
    """All frames that decode, in display order; a damaged packet costs itself and what depends on it."""
    av = require("av")
    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.FFmpegError:
                continue
    except av.FFmpegError:
        return


def _jumping(container: Any, stream: Any, index: FrameIndex, wanted: Sequence[int]) -> Iterator[Any]:
    """Frames up to the last wanted one, jumping over groups of pictures without any."""
    av = require("av")
    groups = np.searchsorted(index.key_stamps, wanted, side="right") - 1
    left = list(zip(wanted, groups.tolist(), strict=True))
    while left:
        _, group = left[0]
        try:
            if group > 0:
                container.seek(int(index.key_stamps[group]), stream=stream, backward=True)
        except av.FFmpegError:
            return
        for frame in _in_order(container, stream):
            yield frame
            while left and frame.pts is not None and frame.pts >= left[0][0]:
                left.pop(0)
            if not left or left[0][1] > group:
                break
        else:
            return


def _fit(width: int, height: int, max_side: int) -> tuple[int, int]:
    """Size that keeps the shape of the picture within ``max_side``; never larger than the picture itself."""
    scale = min(1.0, max_side / max(width, height))
    return max(8, round(width * scale)), max(8, round(height * scale))


def _painter(size: tuple[int, int]) -> Callable[[Any], NDArray[np.uint8]]:
    """A function from decoded frames to uint8 [H, W, 3] of the given size, turned upright (phones store portrait lying).

    One converter serves the whole pass, on one thread: setting up a new one for each frame, with threads of its own,
    took seven times as long.
    """
    require("av")
    convert = importlib.import_module("av.video.reformatter").VideoReformatter().reformat

    def paint(frame: Any) -> NDArray[np.uint8]:
        frame_rgb = convert(frame, width=size[0], height=size[1], format="rgb24", interpolation="AREA", threads=1)
        turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(frame_rgb.to_ndarray(), turns))

    return paint
