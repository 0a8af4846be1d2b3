"""Still images as clips of one picture: which files they are, and how large they say they are.

FFmpeg's own choice for a file called ``a.jpg`` reads whole series of pictures by a pattern in the name; naming the
format ourselves keeps it to the one file. The size is read before anything is decoded, because a few forged bytes can
declare a picture of gigabytes.
"""

import struct
from typing import Final

STILL_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")
"""File names that are taken for still images."""

HEAD_BYTES: Final = 2**16
"""Of a file that the functions here look at; a photograph's preview lies before its size."""

_FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def still_format(head: bytes) -> str | None:
    r"""FFmpeg's name for the format of a still image.

    Args:
        head: The file's first bytes.

    Returns:
        The name, None for anything else.

    Example:
        >>> still_format(b"\x89PNG\r\n\x1a\n"), still_format(b"RIFF....AVI ")
        ('png_pipe', None)
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg_pipe"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png_pipe"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp_pipe"
    return None


def still_size(head: bytes) -> tuple[int, int] | None:
    r"""Width and height that a still image declares.

    Args:
        head: Its first `HEAD_BYTES`.

    Returns:
        Pixels; None where the header is damaged or of no known kind.

    Example:
        >>> still_size(b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR" + bytes([0, 0, 1, 0, 0, 0, 0, 64]))
        (256, 64)
    """
    try:
        match still_format(head):
            case "png_pipe":
                width, height = struct.unpack_from(">II", head, 16)
            case "webp_pipe":
                width, height = _webp_size(head)
            case "jpeg_pipe":
                width, height = _jpeg_size(head)
            case _:
                return None
    except (struct.error, IndexError):
        return None
    return int(width), int(height)


def still_is_whole(head: bytes, tail: bytes, size_bytes: int) -> bool:
    r"""Whether a still image has its end; decoders fill a missing one in without a word.

    Args:
        head: The file's first bytes.
        tail: Its last ones, at least 64 where there are as many.
        size_bytes: Its size.

    Returns:
        Whether it has; true also for what is no still image.

    Example:
        >>> still_is_whole(b"\xff\xd8\xff\xe0", b"\x00\xff\xd9", 1000)
        True
    """
    match still_format(head):
        case "jpeg_pipe":
            return b"\xff\xd9" in tail
        case "png_pipe":
            return b"IEND" in tail
        case "webp_pipe":
            return size_bytes >= 8 + int.from_bytes(head[4:8], "little")
        case _:
            return True


def _webp_size(head: bytes) -> tuple[int, int]:
    """By the first chunk: extended, lossless or lossy."""
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", head, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", head, 26)
    return width & 0x3FFF, height & 0x3FFF


def _jpeg_size(head: bytes) -> tuple[int, int]:
    """By the first frame header, passing over the segments before it."""
    place = 2
    while True:
        marker, length = struct.unpack_from(">xBH", head, place)
        if marker in _FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", head, place + 5)
            return width, height
        place += 2 + length
