"""Exact frames of a video file at little cost.

The packets are indexed by demuxing, which decodes nothing; then each wanted frame is decoded once, seeking only into
a later group of pictures. On the way to it, frames that no other depends on are left out where the codec says which these
are, and once the last wanted packet of a group is in, the decoder is drained rather than fed. Transport and program
streams are read through, for their packets have other times after a seek, but only the groups needed are decoded. Where
that fails the file is decoded in order.

Shape suffixes: N frames of the file in display order, W wanted frames, H height, 3 red-green-blue.
"""

import importlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.extras import require
from kinema.media.index import FrameIndex
from kinema.media.limits import Deadline
from kinema.media.probe import ClipFile, packets_of

Watch = Callable[[int, Any], None]
"""Called with the number of a frame and the decoded frame, also for frames that were decoded only on the way."""

_SKIPPING: Final = frozenset({"h264", "mpeg1video", "mpeg2video", "mpeg4"})
_STREAMS: Final = frozenset({"mpegts", "mpeg", "mpegvideo"})
"""Formats that give packets other times after a seek, and packets of half a picture: read in order, never drained early."""

LONGEST_GAP_MS: Final = 100.0
"""Between two frames that a watcher sees where frames are decoded in a row, milliseconds."""

_RECENT: Final = 24


@dataclass
class Decoded:
    """Decoded frames, and how it went.

    Attributes:
        pictures: Frame number -> (time in milliseconds, uint8 [H, W, 3]), all of one size, upright.
        num_seen: Frames that came out of the decoder.
        num_damaged: Packets and frames that were damaged.
        late: Whether time ran out.
    """

    pictures: dict[int, tuple[float, NDArray[np.uint8]]] = field(default_factory=dict)
    num_seen: int = 0
    num_damaged: int = 0
    late: bool = False


def decode_frames(
    file: ClipFile,
    index: FrameIndex,
    wanted_W: NDArray[np.int64],
    *,
    max_side: int,
    deadline: Deadline | None = None,
    watch: Watch | None = None,
    watched_W: NDArray[np.int64] | None = None,
    only_keys: bool = False,
) -> Decoded:
    """Decode chosen frames.

    Args:
        file: The file.
        index: Its index.
        wanted_W: Numbers of the frames in display order, ascending, without repeats.
        max_side: Longest side of the result, pixels; smaller pictures keep their size.
        deadline: When to stop with what there is; None for never.
        watch: Sees every frame that is decoded.
        watched_W: Numbers of further frames that ``watch`` is to see and nobody keeps.
        only_keys: The wanted frames are key frames: where seeking fails, only such are decoded.

    Returns:
        The frames. For a damaged one the next that decodes stands in, with its own time; where none follows the number is
        absent. After the deadline those decoded by then.

    Raises:
        DataError: The file cannot be opened.
    """
    run = _Run(file, index, paint=_painter(index, max_side), deadline=deadline, watch=watch)
    if len(wanted_W) == 0:
        return run.result
    if index.timed:
        run.by_seeking(wanted_W if watched_W is None else np.union1d(wanted_W, watched_W), keep=set(wanted_W.tolist()))
    if len(run.result.pictures) < len(wanted_W) and not run.result.late:
        run.in_order(wanted_W.tolist(), only_keys=only_keys and index.timed)
    return run.result


def watch_frames(
    file: ClipFile, index: FrameIndex, wanted_W: NDArray[np.int64], *, deadline: Deadline | None, watch: Watch
) -> None:
    """Show chosen frames, and those decoded on the way, without keeping any; damage only ends the show.

    Args:
        file: The file.
        index: Its index; nothing is shown without display times.
        wanted_W: Numbers of the frames in display order, ascending, without repeats.
        deadline: When to stop; None for never.
        watch: Sees the frames.

    Raises:
        DataError: The file cannot be opened.
    """
    if index.timed and len(wanted_W):
        run = _Run(file, index, paint=_painter(index, 8), deadline=deadline, watch=watch)
        run.by_seeking(wanted_W, keep=set())


@dataclass
class _Run:
    """One visit to a file.

    Attributes:
        file: The file.
        index: Its index.
        paint: From decoded frames to arrays.
        deadline: When to stop.
        watch: Sees every frame.
        result: What came of it.
        fed_key: Stamp of the latest key frame that the decoder got.
    """

    file: ClipFile
    index: FrameIndex
    paint: Callable[[Any], NDArray[np.uint8]]
    deadline: Deadline | None
    watch: Watch | None
    result: Decoded = field(default_factory=Decoded)
    fed_key: int = -(2**63)

    def by_seeking(self, wanted_W: NDArray[np.int64], *, keep: set[int]) -> None:
        """Exact frames only; ends at the first one that a seek or a damaged packet missed."""
        container, _ = self.file.shared()
        if container.format.name in _STREAMS or len(self.index.key_stamps) == 0:
            with self.file.fresh() as (container, stream):
                self._collect(self._reading(container, stream, wanted_W), wanted_W, keep)
        else:
            self._collect(self._jumping(*self.file.shared(), wanted_W), wanted_W, keep)

    def _collect(self, frames: Iterator[Any], wanted_W: NDArray[np.int64], keep: set[int]) -> None:
        """Show all frames and keep the exact ones among the wanted, as long as none is missed."""
        wanted = wanted_W.tolist()
        for frame in frames:
            number = self._number(frame, 0)
            if frame.pts is None or not wanted or number > wanted[0]:
                return
            if frame.pts != self.index.stamps_N[number]:
                continue
            self._show(number, frame)
            if number == wanted[0]:
                wanted.pop(0)
                if number in keep:
                    self._keep([number], number, frame)

    def in_order(self, wanted: list[int], *, only_keys: bool) -> None:
        """The wanted frames or the first good ones after them; if nothing else can be had, the last good one.

        Frames found before stay, for those were exact.
        """
        wanted = [number for number in wanted if number not in self.result.pictures]
        last: tuple[int, Any] | None = None
        with self.file.fresh() as (container, stream):
            if only_keys:
                stream.codec_context.skip_frame = "NONKEY"
            for count, frame in enumerate(self._frames(container, stream)):
                number = self._number(frame, count)
                last = number, frame
                self._show(number, frame)
                if wanted and number >= wanted[0]:
                    self._keep([one for one in wanted if one <= number], number, frame)
                    wanted = [one for one in wanted if one > number]
                if not wanted:
                    return
            if not self.result.pictures and last is not None:
                self._keep(wanted[:1], *last)

    def _jumping(self, container: Any, stream: Any, wanted_W: NDArray[np.int64]) -> Iterator[Any]:
        """Frames up to the last wanted one, seeking to each group of pictures that has any."""
        av = require("av")
        for key, stamps in self._groups(wanted_W):
            try:
                container.seek(key, stream=stream, backward=True)
            except av.FFmpegError:
                return
            yield from self._group(self._packets(container, stream), stream, stamps, drains=True)
            if self.result.late:
                return

    def _reading(self, container: Any, stream: Any, wanted_W: NDArray[np.int64]) -> Iterator[Any]:
        """The same by reading on from the beginning, decoding only those groups."""
        packets = self._packets(container, stream)
        for key, stamps in self._groups(wanted_W):
            if key > self.fed_key:
                packets = self._skip(packets, stream, key)
            yield from self._group(packets, stream, stamps, drains=False)
            if self.result.late:
                return

    def _groups(self, wanted_W: NDArray[np.int64]) -> Iterator[tuple[int, list[int]]]:
        """Stamp of the key frame, and of the wanted frames, of each group that has any."""
        stamps = self.index.stamps_N[wanted_W]
        groups = np.maximum(np.searchsorted(self.index.key_stamps, stamps, side="right") - 1, 0)
        pairs = zip(groups.tolist(), stamps.tolist(), strict=True)
        for group, members in groupby(pairs, key=lambda pair: pair[0]):
            key = self.index.key_stamps[group] if len(self.index.key_stamps) else self.index.stamps_N[0]
            yield int(key), [stamp for _, stamp in members]

    def _skip(self, packets: Iterator[Any], stream: Any, key: int) -> Iterator[Any]:
        """The packets from a key frame on; those before it are read and not decoded."""
        stream.codec_context.flush_buffers()
        for packet in packets:
            if packet.is_keyframe and packet.pts == key:
                return chain((packet,), packets)
        return iter(())

    def _group(self, packets: Iterator[Any], stream: Any, stamps: list[int], *, drains: bool) -> Iterator[Any]:
        """Frames of the given packets up to the last of the given stamps."""
        waiting = set(stamps)
        wanted = frozenset(stamps)
        skips = _may_skip(stream)
        context = stream.codec_context
        fed: deque[int] = deque(maxlen=_RECENT)
        for packet in packets:
            if skips:
                needed = self._leaves_gap(packet.pts, fed) or packet.pts in wanted
                context.skip_frame = "DEFAULT" if needed else "NONREF"
            if packet.is_keyframe and packet.pts is not None:
                self.fed_key = max(self.fed_key, packet.pts)
            for frame in self._decoded(packet):
                yield frame
                if frame.pts is not None and frame.pts >= stamps[-1]:
                    return
            waiting.discard(packet.pts)
            if drains and not waiting:
                yield from self._decoded(None, stream)
                context.flush_buffers()
                return

    def _leaves_gap(self, stamp: int | None, fed: deque[int]) -> bool:
        """Whether someone watches who would miss too much without this packet."""
        if self.watch is None or stamp is None:
            return False
        gap = min((one for one in fed if one > stamp), default=stamp) - max(
            (one for one in fed if one < stamp), default=stamp
        )
        span = self.index.stamps_N[-1] - self.index.stamps_N[0]
        needed = gap * self.index.times_ms_N[-1] > LONGEST_GAP_MS * span
        # A packet that comes in display order is one that others depend on; it is decoded anyway.
        if needed or all(one < stamp for one in fed):
            fed.append(stamp)
        return bool(needed)

    def _frames(self, container: Any, stream: Any) -> Iterator[Any]:
        """All frames that decode, in display order; a damaged packet costs itself and what depends on it."""
        for packet in self._packets(container, stream):
            yield from self._decoded(packet)

    def _packets(self, container: Any, stream: Any) -> Iterator[Any]:
        """The packets from where the container stands, until time runs out or the file cannot be read on."""
        av = require("av")
        try:
            for packet in packets_of(container, stream):
                self.result.late = self.deadline is not None and self.deadline.passed
                if self.result.late:
                    return
                yield packet
        except av.FFmpegError:
            self.result.num_damaged += 1

    def _decoded(self, packet: Any, stream: Any = None) -> list[Any]:
        """The frames that a packet brings out of the decoder; those that were still in it for None."""
        av = require("av")
        try:
            frames = stream.decode(None) if packet is None else packet.decode()
        except av.FFmpegError:
            self.result.num_damaged += 1
            return []
        self.result.num_seen += len(frames)
        self.result.num_damaged += sum(frame.is_corrupt for frame in frames)
        return list(frames)

    def _number(self, frame: Any, count: int) -> int:
        """Place of a decoded frame in display order, by its time stamp or else by counting."""
        stamp = frame.pts if frame.pts is not None else frame.dts
        place = count if not self.index.timed or stamp is None else int(np.searchsorted(self.index.stamps_N, stamp))
        return min(place, len(self.index.stamps_N) - 1)

    def _show(self, number: int, frame: Any) -> None:
        if self.watch is not None:
            self.watch(number, frame)

    def _keep(self, wanted: list[int], number: int, frame: Any) -> None:
        """Paint a frame for the wanted numbers it stands for."""
        av = require("av")
        try:
            picture = float(self.index.times_ms_N[number]), self.paint(frame)
        except (av.FFmpegError, ValueError):
            self.result.num_damaged += 1
            return
        self.result.pictures |= dict.fromkeys(wanted, picture)


def _may_skip(stream: Any) -> bool:
    """Whether frames that others depend on are marked as such, so that leaving out the rest changes nothing.

    In HEVC the mark holds within a temporal layer only, so it is trusted where the header declares a single one.
    """
    context = stream.codec_context
    if context.name == "hevc":
        header = context.extradata or b""
        return len(header) > 21 and header[0] == 1 and header[21] >> 3 & 7 == 1
    return context.name in _SKIPPING


def _fit(width: int, height: int, max_side: int) -> tuple[int, int]:
    """Size that keeps the shape of the picture within ``max_side``; never larger than the picture itself."""
    scale = min(1.0, max_side / max(width, height))
    return max(8, round(width * scale)), max(8, round(height * scale))


def _painter(index: FrameIndex, max_side: int) -> Callable[[Any], NDArray[np.uint8]]:
    """A function from decoded frames to uint8 [H, W, 3] of one size, turned upright (phones store portrait lying).

    One converter serves the whole pass, on one thread: setting up a new one for each frame, with threads of its own,
    took seven times as long.
    """
    require("av")
    convert = importlib.import_module("av.video.reformatter").VideoReformatter().reformat
    size = _fit(index.width, index.height, max_side) if index.width and index.height else None
    turns: int | None = None

    def paint(frame: Any) -> NDArray[np.uint8]:
        nonlocal size, turns
        size = size or _fit(frame.width, frame.height, max_side)
        turns = round(frame.rotation / 90) % 4 if turns is None else turns
        frame_rgb = convert(frame, width=size[0], height=size[1], format="rgb24", interpolation="AREA", threads=1)
        return np.ascontiguousarray(np.rot90(frame_rgb.to_ndarray(), turns))

    return paint
