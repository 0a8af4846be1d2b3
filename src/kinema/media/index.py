"""The frames a file has, found by reading its packets: nothing is decoded.

Shape suffixes: N frames of the file in display order.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.extras import require
from kinema.media.limits import Deadline
from kinema.media.probe import ClipFile, declared_ms, packets_of
from kinema.media.stills import still_is_whole

_FPS_WHERE_UNKNOWN: Final = 25.0
_WHOLE_SHARE: Final = 0.95
_LATE_SHARE: Final = 0.99
_CUT_STILL_SHARE: Final = 0.5
_TAIL_BYTES: Final = 64
_MAX_PACKETS: Final = 2**20
_BEYOND: Final = 64
_LONGEST_FRAME_MS: Final = 250.0


@dataclass(frozen=True)
class FrameIndex:
    """The frames a file has, without having decoded them.

    Attributes:
        stamps_N: int64, time stamps in the stream's unit, ascending; the frames' numbers where ``timed`` is false.
        times_ms_N: float64, the same in milliseconds from the first frame.
        sizes_N: int64, size of the packet with this stamp, bytes.
        key_stamps: int64, stamps at which decoding can begin.
        timed: Whether every packet has a display time; without it frames are counted instead.
        width: Width to show the picture at, pixels, before rotation; 0 where only decoding will tell.
        height: Height to show the picture at, pixels, before rotation; likewise.
        stored: Width and height of the picture in the file, pixels.
        pixel_format: FFmpeg's name, None where unknown.
        duration_ms: Length of what is there, milliseconds.
        quality: Share of the declared file that is there and intact, in (0, 1].
    """

    stamps_N: NDArray[np.int64]
    times_ms_N: NDArray[np.float64]
    sizes_N: NDArray[np.int64]
    key_stamps: NDArray[np.int64]
    timed: bool
    width: int
    height: int
    stored: tuple[int, int]
    pixel_format: str | None
    duration_ms: int
    quality: float

    @property
    def keys(self) -> NDArray[np.int64]:
        """int64, numbers of the frames that decode by themselves, ascending; without display times they are near ones."""
        return np.searchsorted(self.stamps_N, self.key_stamps).astype(np.int64)


def read_index(file: ClipFile, *, max_ms: int, deadline: Deadline | None = None) -> FrameIndex:
    """Index the frames of a file by reading its packets.

    The header's frame count cannot be used: it is 0 in flv and webm and an estimate elsewhere.

    Args:
        file: The file.
        max_ms: Stop after this much of the video, milliseconds, so that a film costs no more than a clip.
        deadline: When to stop with what there is; None for never.

    Returns:
        The index.

    Raises:
        DataError: The file cannot be opened, has too large frames or no video packet.
    """
    container, stream = file.shared()
    scan = _scan(container, stream, max_ms, deadline)
    if not scan.packets:
        raise file.error("no video packet found")
    quality = _quality(scan, container, stream) * (1.0 if _has_its_end(file.path) else _CUT_STILL_SHARE)
    return _index(scan.packets, stream, quality=quality)


def _has_its_end(path: Path) -> bool:
    """Whether a file is no still image or a whole one."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        file.seek(max(0, size_bytes - _TAIL_BYTES))
        return still_is_whole(head, file.read(), size_bytes)


_Packet = tuple[int | None, bool, int]


@dataclass
class _Scan:
    """What reading all packets showed: (pts, is key, bytes) of the shown frames, and the state of the file."""

    packets: list[_Packet] = field(default_factory=list)
    num_packets: int = 0
    num_corrupt: int = 0
    first_ms: float = math.inf
    end_ms: float = 0.0
    cut: bool = False
    late: bool = False


def _scan(container: Any, stream: Any, max_ms: int, deadline: Deadline | None) -> _Scan:
    """Read the packets of all streams: the end of the sound, too, shows whether a file is whole.

    A damaged stamp may lie far beyond ``max_ms``; the reading ends only when many packets in a row do.
    """
    av = require("av")
    scan = _Scan()
    beyond = 0
    units_ms = {one.index: 1000 * float(one.time_base) for one in container.streams if one.time_base is not None}
    try:
        for count, packet in enumerate(packets_of(container)):
            unit_ms = units_ms.get(packet.stream_index)
            if packet.size == 0 or unit_ms is None:
                continue
            scan.num_corrupt += packet.is_corrupt
            stamp = packet.pts if packet.pts is not None else packet.dts
            is_here = stamp is None or _clock(scan, stamp * unit_ms, (packet.duration or 0) * unit_ms, max_ms)
            beyond = 0 if is_here else beyond + 1
            if packet.stream_index == stream.index:
                scan.num_packets += 1
                if is_here and not packet.is_discard:
                    scan.packets.append((packet.pts, packet.is_keyframe, packet.size))
            scan.cut = beyond > 0 or count >= _MAX_PACKETS
            scan.late = deadline is not None and deadline.passed
            if beyond > _BEYOND or count >= _MAX_PACKETS or scan.late:
                break
    except av.FFmpegError:
        scan.num_corrupt += 1
    return scan


def _clock(scan: _Scan, time_ms: float, length_ms: float, max_ms: int) -> bool:
    """Move the end of what is there; false for a packet beyond the limit."""
    first_ms = min(scan.first_ms, time_ms)
    if time_ms - first_ms > max_ms:
        return False
    scan.first_ms = first_ms
    scan.end_ms = max(scan.end_ms, min(time_ms + length_ms - first_ms, float(max_ms)))
    return True


def _quality(scan: _Scan, container: Any, stream: Any) -> float:
    """Share of the declared file that is there and intact. Declared lengths are estimates, so nearly all is all."""
    declared = declared_ms(container, stream)
    share = 1.0
    if declared and not scan.cut:
        share = min(share, (scan.end_ms + _last_frame_ms(stream)) / declared)
    if stream.frames and not scan.cut:
        share = min(share, scan.num_packets / stream.frames)
    share = _LATE_SHARE if scan.late else 1.0 if share >= _WHOLE_SHARE else share
    return max(share, 1e-6) * (1.0 - scan.num_corrupt / (scan.num_packets + scan.num_corrupt))


def _last_frame_ms(stream: Any) -> float:
    """How long the last frame may stay: flv and wmv do not say, and in a short clip it is a large share."""
    rate = stream.average_rate or stream.guessed_rate
    return min(1000.0 / float(rate), _LONGEST_FRAME_MS) if rate else 0.0


def _index(packets: Sequence[_Packet], stream: Any, *, quality: float) -> FrameIndex:
    """Sort packets into display order and give every frame a time."""
    rate = float(stream.average_rate or stream.guessed_rate or _FPS_WHERE_UNKNOWN)
    timed = stream.time_base is not None and all(pts is not None for pts, *_ in packets)
    sizes = np.array([size for *_, size in packets], dtype=np.int64)
    is_key = np.array([key for _, key, _ in packets], dtype=np.bool_)
    if timed:
        given = np.array([pts for pts, *_ in packets], dtype=np.int64)
        stamps, places = np.unique(given, return_index=True)
        sizes = sizes[places]
        keys = np.unique(given[is_key])
        times_ms = (stamps - stamps[0]) * float(stream.time_base) * 1000
    else:
        stamps = np.arange(len(packets), dtype=np.int64)
        keys = np.flatnonzero(is_key).astype(np.int64)
        times_ms = stamps * 1000.0 / rate
    ratio = float(stream.sample_aspect_ratio or 1) or 1.0
    context = stream.codec_context
    return FrameIndex(
        stamps_N=stamps,
        times_ms_N=times_ms.astype(np.float64),
        sizes_N=sizes,
        key_stamps=keys,
        timed=timed,
        width=round(stream.width * ratio),
        height=stream.height,
        stored=(stream.width, stream.height),
        pixel_format=context.pix_fmt,
        duration_ms=max(1, round(times_ms[-1] + 1000.0 / rate)),
        quality=quality,
    )
