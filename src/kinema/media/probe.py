"""Opening a video file safely and reading what its header says, without decoding a frame."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from kinema.errors import DataError
from kinema.extras import require
from kinema.media.limits import MAX_PIXELS
from kinema.media.stills import HEAD_BYTES, STILL_SUFFIXES, still_format, still_size

FORMATS: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,avi,flv,live_flv,matroska,webm,mpeg,mpegts,mpegvideo,asf,ogg,gif,mxf,"
    "jpeg_pipe,png_pipe,webp_pipe,mp3,wav,flac,aac"
)
"""Containers that are opened; of those with sound only, to say so. Play lists (HLS, DASH, concat) are not among them: a text file that names other files
or addresses would otherwise read them from inside our process."""

VIDEO_SUFFIXES: Final = (
    ".mp4",
    ".avi",
    ".flv",
    ".webm",
    ".mkv",
    ".mov",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".m4v",
    ".ts",
    ".3gp",
    ".ogv",
    *STILL_SUFFIXES,
)
"""File names that are taken for videos; a still image is a clip of one picture."""

_TOO_LARGE: Final = re.compile(r"[Ss]ize (\d+)x(\d+) exceeds")

_TAIL: Final = "the item keeps its text features"


@dataclass(frozen=True)
class ClipInfo:
    """What the header of a video file says.

    Attributes:
        container: FFmpeg's name of the container, such as ``matroska,webm``.
        codec: FFmpeg's name of the video codec, such as ``h264``.
        width: Width of the stored picture, pixels, before rotation.
        height: Height of the stored picture, pixels, before rotation.
        fps: Mean frame rate, frames per second; 0 where unknown.
        duration_ms: Length, milliseconds; None where the header does not have it.
        has_audio: Whether there is a sound stream.
        size_bytes: Size of the file.
    """

    container: str
    codec: str
    width: int
    height: int
    fps: float
    duration_ms: int | None
    has_audio: bool
    size_bytes: int


def undecodable(name: str, why: str, size_bytes: int) -> DataError:
    """The error for a file of which no frame can be had.

    Args:
        name: The file, as the caller names it.
        why: What is wrong, in a few words.
        size_bytes: Size of the file.

    Returns:
        An error to raise; it says that the item is still served from its text.

    Example:
        >>> print(undecodable("clips/a.mp4", "moov atom not found", 49_152))
        cannot decode 'clips/a.mp4': moov atom not found, 48 KB read; the item keeps its text features
    """
    return DataError(f"cannot decode '{name}': {why}, {-(-size_bytes // 1024)} KB read; {_TAIL}")


@contextmanager
def open_clip(path: Path, *, name: str, max_pixels: int = MAX_PIXELS) -> Iterator[tuple[Any, Any]]:
    """Open a file and pick its video stream; decoders run on one thread, so that many files decode side by side.

    Args:
        path: The file.
        name: How errors call it.
        max_pixels: Largest frame, width x height; the decoder refuses larger ones in the middle of the file, too.

    Yields:
        PyAV's container and video stream.

    Raises:
        DataError: The file is missing, empty, no known container, holds no video, or has too large frames.
        MissingExtraError: PyAV is not installed.
    """
    av, size_bytes = require("av"), _size_of(path, name)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    _check_size(still_size(head), name=name, max_pixels=max_pixels, size_bytes=size_bytes)
    opened, refused = _open(av, path, still_format(head), name=name, max_pixels=max_pixels)
    with opened as container:
        streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams or streams[0].codec_context is None:
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
            raise undecodable(
                name, f"no video stream that can be decoded ({container.format.name} with {kinds})", size_bytes
            )
        stream = streams[0]
        size = (stream.width, stream.height) if stream.width else refused
        _check_size(size, name=name, max_pixels=max_pixels, size_bytes=size_bytes)
        stream.codec_context.options = {"max_pixels": str(max_pixels)}
        stream.thread_type = "NONE"
        stream.thread_count = 1
        yield container, stream


def open_file(path: Path, *, name: str, formats: str = FORMATS) -> Any:
    """Open a file whatever streams it has.

    Args:
        path: The file.
        name: How errors call it.
        formats: FFmpeg's names of the containers that are opened, with commas between.

    Returns:
        PyAV's container, to be closed by the caller.

    Raises:
        DataError: The file is missing, empty or no known container.
        MissingExtraError: PyAV is not installed.
    """
    container, _ = _open(require("av"), path, None, name=name, max_pixels=MAX_PIXELS, formats=formats)
    return container


def _size_of(path: Path, name: str) -> int:
    """Bytes of a file that is there and not empty."""
    if not path.is_file():
        raise DataError(f"cannot decode '{name}': there is no such file; {_TAIL}")
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise undecodable(name, "the file is empty", 0)
    return size_bytes


class ClipFile:
    """A video file that is opened once for several readings, as opening some takes longer than decoding a frame.

    Args:
        path: The file.
        name: How errors call it; the path as given where None.
        max_pixels: Largest frame, width x height.

    Example:
        >>> with ClipFile(Path("clips/a.mp4")) as file:
        ...     file.name
        'clips/a.mp4'
    """

    def __init__(self, path: Path, *, name: str | None = None, max_pixels: int = MAX_PIXELS) -> None:
        self.path = path
        self.name = name or str(path)
        self.max_pixels = max_pixels
        self._stack = ExitStack()
        self._shared: tuple[Any, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shared = None
        self._stack.close()

    def shared(self) -> tuple[Any, Any]:
        """PyAV's container and video stream, opened at the first call; they stand where the last reader left them.

        Raises:
            DataError: As `open_clip`.
        """
        if self._shared is None:
            self._shared = self._stack.enter_context(self.fresh())
        return self._shared

    def fresh(self) -> AbstractContextManager[tuple[Any, Any]]:
        """The same, opened anew: at the beginning, whatever the format."""
        return open_clip(self.path, name=self.name, max_pixels=self.max_pixels)

    def error(self, why: str) -> DataError:
        """What to raise when nothing can be had of it (see `undecodable`)."""
        return undecodable(self.name, why, self.path.stat().st_size)


def _check_size(size: tuple[int, int] | None, *, name: str, max_pixels: int, size_bytes: int) -> None:
    """Refuse pictures that are declared too large."""
    if size is not None and size[0] * size[1] > max_pixels:
        raise undecodable(name, f"a frame must have at most {max_pixels} pixels, has {size[0]} x {size[1]}", size_bytes)


def _open(
    av: Any, path: Path, still: str | None, *, name: str, max_pixels: int, formats: str = FORMATS
) -> tuple[Any, tuple[int, int] | None]:
    """Open the container; also the size of a picture that was refused while it was opened.

    FFmpeg's reasons are only in its log, which is therefore listened to for this one call.
    """
    size_bytes, level, skipping = _size_of(path, name), av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    # A second file with the same fault says the same, and must be heard as well.
    av.logging.set_skip_repeated(False)
    options = {"format_whitelist": formats, "protocol_whitelist": "file", "max_pixels": str(max_pixels)}
    try:
        with av.logging.Capture() as log:
            container = av.open(f"file:{path}", format=still, options=options)
    except (av.FFmpegError, ValueError) as error:
        last = getattr(error, "log", None)
        why = last[2].strip() if last else getattr(error, "strerror", None) or str(error)
        if "whitelist" in why:
            why = f"{last[1].strip() if last else 'this format'} is not a video container"
        raise undecodable(name, why, size_bytes) from error
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skipping)
    # The last one counts: the library first repeats what it had held back of earlier files.
    refused = next((found for *_, text in reversed(log) if (found := _TOO_LARGE.search(text))), None)
    return container, (int(refused[1]), int(refused[2])) if refused else None


def packets_of(container: Any, *streams: Any) -> Iterator[Any]:
    """The packets of a file, from where it stands.

    Args:
        container: As `open_clip` gives it.
        streams: Of which streams; all where there is none.

    Yields:
        PyAV's packets, with an empty one per stream at the end. Where a stream turns up in the middle of a damaged file,
        the library fails on that stream's last packet; this counts as the end.
    """
    packets = iter(container.demux(*streams))
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError):
            return
        yield packet


def declared_ms(container: Any, stream: Any) -> int | None:
    """Length in milliseconds as the container or the stream declares it, None where neither does."""
    if container.duration:
        return round(int(container.duration) / 1000)
    if stream.duration and stream.time_base:
        return round(float(stream.duration * stream.time_base) * 1000)
    return None


def probe(path: Path, *, name: str | None = None) -> ClipInfo:
    """Read the header of a video file.

    Args:
        path: The file.
        name: How errors call it; the path as given where None.

    Returns:
        What the header says; nothing is decoded, so a file with a good header and a bad body passes.

    Raises:
        DataError: The file is missing, empty, no known container, or holds no video.
        MissingExtraError: PyAV is not installed.
    """
    with open_clip(path, name=name or str(path)) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate
        return ClipInfo(
            container=container.format.name,
            codec=stream.codec_context.name,
            width=stream.width,
            height=stream.height,
            fps=float(rate) if rate else 0.0,
            duration_ms=declared_ms(container, stream),
            has_audio=bool(container.streams.audio),
            size_bytes=path.stat().st_size,
        )
