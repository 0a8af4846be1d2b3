"""Clips as browsers play them: as they are where that is possible, else written once more in a form that they know.

Where only the container is foreign its packets are copied, which costs nothing and loses nothing; other codecs are decoded and encoded.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np

from kinema.drafts import own_draft
from kinema.errors import DataError, MissingExtraError
from kinema.extras import require
from kinema.media.limits import MAX_PIXELS
from kinema.media.probe import open_clip, packets_of

MP4: Final = ".mp4"
WEBM: Final = ".webm"
MEDIA_TYPES: Final = {MP4: "video/mp4", WEBM: "video/webm"}
"""Suffix -> media type of what browsers play."""

_PICTURES: Final = {MP4: {"h264", "vp9", "av1"}, WEBM: {"vp8", "vp9", "av1"}}
_SOUNDS: Final = {MP4: {"aac", "mp3", "opus", "flac"}, WEBM: {"opus", "vorbis"}}
_PLAIN: Final = {"yuv420p", "yuvj420p"}
_COPIED: Final = frozenset({"h264"}), frozenset({"aac", "mp3"})
"""Codecs whose packets are put into an mp4 as they are."""
_MS: Final = Fraction(1, 1000)
_RATE: Final = 48_000


@dataclass(frozen=True)
class _Form:
    """How a clip is written.

    Attributes:
        suffix: Of the file.
        picture: Encoder.
        sound: Encoder.
        options: Of the picture's encoder.
        container: Options of the container.
    """

    suffix: str
    picture: str
    sound: str
    options: dict[str, str]
    container: dict[str, str] = field(default_factory=dict)


_FORMS: Final = (
    _Form(MP4, "libx264", "aac", {"preset": "veryfast", "crf": "23"}, {"movflags": "+faststart"}),
    _Form(WEBM, "libvpx-vp9", "libopus", {"deadline": "realtime", "cpu-used": "8", "crf": "33", "b": "0"}),
)
"""The first whose encoders are there is taken."""


def playable_suffix(path: Path, *, name: str, max_pixels: int = MAX_PIXELS) -> str | None:
    """What a file is to a browser.

    Args:
        path: The file.
        name: How errors call it.
        max_pixels: Largest frame.

    Returns:
        `MP4` or `WEBM` where browsers play it as it is, None where they do not.

    Raises:
        DataError: It is no video.
        MissingExtraError: PyAV is not installed.
    """
    with open_clip(path, name=name, max_pixels=max_pixels) as (container, stream):
        with path.open("rb") as file:
            head = file.read(64)
        suffix = WEBM if b"webm" in head else MP4 if head[4:8] == b"ftyp" and head[8:12] != b"qt  " else None
        if suffix is None or stream.codec_context.name not in _PICTURES[suffix] or not _is_plain(stream):
            return None
        sounds = {one.codec_context.name for one in container.streams.audio if one.codec_context is not None}
        return suffix if sounds <= _SOUNDS[suffix] else None


def written_suffix() -> str:
    """Suffix of what `write_playable` makes, by the encoders there are.

    Raises:
        MissingExtraError: PyAV is not installed, or has no encoder that browsers know.
    """
    return _form().suffix


def write_playable(
    path: Path, target: Path, *, name: str, max_side: int = 1280, max_pixels: int = MAX_PIXELS, max_bytes: int = 2**29
) -> None:
    """Write a clip so that browsers play it.

    Damaged packets cost themselves. The sound is left out where it cannot be decoded.

    Args:
        path: The file.
        target: Where to; its suffix is `written_suffix`. It is there as a whole or not at all.
        name: How errors call it.
        max_side: Longest side of the picture, pixels; larger ones are made smaller.
        max_pixels: Largest frame that is decoded, width x height.
        max_bytes: Largest result.

    Raises:
        DataError: No frame can be decoded, or the result is too large.
        MissingExtraError: PyAV is not installed, or has no encoder that browsers know.
    """
    av, form = require("av"), _form()
    draft = own_draft(target, ending="partial")
    try:
        if form.suffix != MP4 or not _copied(path, draft, form, name=name, max_pixels=max_pixels, max_side=max_side):
            with (
                open_clip(path, name=name, max_pixels=max_pixels) as (container, stream),
                av.open(str(draft), "w", format=form.suffix[1:], options=form.container) as out,
            ):
                _Writer(container, stream, out, form, max_side=max_side, draft=draft, most=max_bytes).write(name)
        if draft.stat().st_size > max_bytes:
            raise _too_large(name, max_bytes)
        draft.replace(target)
    except av.FFmpegError as error:
        raise DataError(
            f"cannot convert '{name}' for browsers: {error.strerror}; upload it as mp4 with H.264"
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def _form() -> _Form:
    av = require("av")
    for form in _FORMS:
        with suppress(ValueError):
            av.codec.Codec(form.picture, "w")
            return form
    raise MissingExtraError(
        f"converting clips for browsers needs {' or '.join(form.picture for form in _FORMS)}, the installed PyAV has neither; "
        "run: pip install --force-reinstall av"
    )


def _is_plain(stream: Any) -> bool:
    """Whether the picture has the only sampling that all browsers decode."""
    return stream.codec_context.pix_fmt in _PLAIN


def _copied(path: Path, draft: Path, form: _Form, *, name: str, max_pixels: int, max_side: int) -> bool:
    """Put the packets into an mp4, if these are such that it plays; False where they are not."""
    av = require("av")
    with open_clip(path, name=name, max_pixels=max_pixels) as (container, stream):
        sounds = container.streams.audio[:1]
        known = stream.codec_context.name in _COPIED[0] and _is_plain(stream)
        if not known or max(stream.width, stream.height) > max(max_side, 1920):
            return False
        if any(one.codec_context is None or one.codec_context.name not in _COPIED[1] for one in sounds):
            return False
        try:
            with av.open(str(draft), "w", format=form.suffix[1:], options=form.container) as out:
                streams = {one.index: out.add_stream_from_template(one) for one in (stream, *sounds)}
                for packet in packets_of(container, stream, *sounds):
                    if packet.dts is not None:
                        packet.stream = streams[packet.stream.index]
                        out.mux(packet)
        except (av.FFmpegError, ValueError):
            return False
        return True


def _too_large(name: str, max_bytes: int) -> DataError:
    return DataError(
        f"'{name}' must have at most {max_bytes >> 20:,} MB once it is converted for browsers, has more; upload it as mp4 with H.264"
    )


class _Writer:
    """Decodes and encodes one clip.

    Args:
        container: Open for reading.
        stream: Its pictures.
        out: Open for writing.
        form: How.
        max_side: Of the picture.
        draft: The file that is written.
        most: Its bytes.
    """

    def __init__(
        self, container: Any, stream: Any, out: Any, form: _Form, *, max_side: int, draft: Path, most: int
    ) -> None:
        self._container, self._stream, self._out, self._form = container, stream, out, form
        self._max_side, self._draft, self._most = max_side, draft, most
        self._start = (container.start_time or 0) / 1_000_000
        self._picture: Any = None
        self._last = -1
        self._gap = max(1, round(1000 / float(stream.average_rate or stream.guessed_rate or 25)))
        self._shape = require("av.video.reformatter").VideoReformatter().reformat
        self._sound, self._resample = self._make_sound()

    def write(self, name: str) -> None:
        """Write all of it."""
        frame: Any = None
        count = 0
        sounds = [] if self._sound is None else self._container.streams.audio[:1]
        for packet in packets_of(self._container, self._stream, *sounds):
            for decoded in _decoded(packet):
                if packet.stream.type == "audio":
                    self._hear(decoded)
                else:
                    frame, count = decoded, count + 1
                    self._see(frame)
            if self._draft.exists() and self._draft.stat().st_size > self._most:
                raise _too_large(name, self._most)
        if frame is None:
            raise DataError(f"cannot convert '{name}' for browsers: no frame decodes")
        if count == 1:
            self._gap = 1000
            self._see(frame, again=True)  # one picture alone has no length to be shown for
        self._out.mux(self._picture.encode(None))
        if self._sound is not None:
            for rest in self._resample.resample(None):
                self._out.mux(self._sound.encode(rest))
            self._out.mux(self._sound.encode(None))

    def _see(self, frame: Any, *, again: bool = False) -> None:
        turns = round(frame.rotation / 90) % 4
        if self._picture is None:
            self._picture = self._make_picture(frame, turns)
        width, height = self._picture.codec_context.width, self._picture.codec_context.height
        if turns:
            lying = self._shape(frame, format="rgb24").to_ndarray()
            upright = np.ascontiguousarray(np.rot90(lying, turns))
            shaped = self._shape(
                require("av").VideoFrame.from_ndarray(upright, format="rgb24"), width, height, "yuv420p"
            )
        else:
            shaped = self._shape(frame, width, height, "yuv420p")
        time = None if frame.time is None or again else frame.time - self._start
        stamp = self._last + self._gap if time is None else round(time * 1000)
        self._last = max(self._last + 1, stamp, 0)
        shaped.pts, shaped.time_base, shaped.pict_type = self._last, _MS, 0
        self._out.mux(self._picture.encode(shaped))

    def _make_picture(self, frame: Any, turns: int) -> Any:
        width, height = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
        scale = min(1.0, self._max_side / max(width, height))
        made = self._out.add_stream(self._form.picture, rate=round(1000 / self._gap), options=self._form.options)
        context = made.codec_context
        context.width, context.height = (max(16, round(side * scale) // 2 * 2) for side in (width, height))
        context.pix_fmt, context.time_base, context.thread_count = "yuv420p", _MS, 1
        context.gop_size = 48  # so that one may jump about in it
        if not turns and self._stream.sample_aspect_ratio:
            context.sample_aspect_ratio = self._stream.sample_aspect_ratio
        return made

    def _make_sound(self) -> tuple[Any, Any]:
        """The stream of sound and what brings it to its form; None for a clip without."""
        av = require("av")
        sounds = [one for one in self._container.streams.audio if one.codec_context is not None]
        if not sounds:
            return None, None
        try:
            made = self._out.add_stream(self._form.sound, rate=_RATE, layout="stereo")
            made.codec_context.open()
        except (av.FFmpegError, ValueError):
            return None, None
        context = made.codec_context
        how = {"format": context.format, "layout": "stereo", "rate": _RATE, "frame_size": context.frame_size or 1024}
        return made, av.AudioResampler(**how)

    def _hear(self, frame: Any) -> None:
        av = require("av")
        if frame.pts is not None and frame.time_base is not None:
            frame.pts -= round(self._start / frame.time_base)
        with suppress(av.FFmpegError, ValueError):  # a gap or a change of form costs what is there
            for piece in self._resample.resample(frame):
                self._out.mux(self._sound.encode(piece))


def _decoded(packet: Any) -> Iterator[Any]:
    """What a packet brings; nothing where it is damaged."""
    with suppress(require("av").FFmpegError):
        yield from packet.decode()
