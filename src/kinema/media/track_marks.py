"""Whether a clip may have subtitles inside, from a few reads of its head: opening every clip of a catalogue would take long."""

import re
import struct
from pathlib import Path
from typing import IO, Final

_MATROSKA: Final = b"\x1aE\xdf\xa3"
_MATROSKA_HEAD: Final = 1 << 16
"""Tracks are described before the first cluster, within the first few kilobytes."""
_MATROSKA_CLUSTER: Final = b"\x1fC\xb6u"
_MATROSKA_TEXT: Final = (b"S_TEXT/", b"S_ASS", b"S_SSA", b"D_WEBVTT/")
_FIRST_BOXES: Final = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp")
_TEXT_HANDLER: Final = re.compile(rb"hdlr.{8}(?:sbtl|subt|text)", re.DOTALL)
_MOST_BOXES: Final = 64
_LARGEST_INDEX: Final = 1 << 26


def may_have_text_track(path: Path) -> bool:
    """Whether a file is worth opening for its subtitles.

    Only Matroska (mkv, webm) and the MP4 family (mp4, mov, m4v, 3gp) carry subtitles as text in practice.

    Args:
        path: The clip.

    Returns:
        False for a file that is missing, cannot be read, or has no mark of a text track. True is no promise.
    """
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            head = stream.read(8)
            if head.startswith(_MATROSKA):
                described = stream.read(_MATROSKA_HEAD).partition(_MATROSKA_CLUSTER)[0]
                return any(mark in described for mark in _MATROSKA_TEXT)
            return head[4:] in _FIRST_BOXES and _TEXT_HANDLER.search(_index_of_mp4(stream)) is not None
    except OSError:
        return False


def _index_of_mp4(stream: IO[bytes]) -> bytes:
    """The ``moov`` box; empty where there is none."""
    place = 0
    for _ in range(_MOST_BOXES):
        stream.seek(place)
        head = stream.read(16)
        if len(head) < 8:
            break
        size, kind = struct.unpack(">I4s", head[:8])
        begin = 8
        if size == 1 and len(head) == 16:
            (size,) = struct.unpack(">Q", head[8:])
            begin = 16
        if kind == b"moov":
            stream.seek(place + begin)
            return stream.read(min(size - begin, _LARGEST_INDEX) if size > begin else _LARGEST_INDEX)
        if size < begin:
            break
        place += size
    return b""
