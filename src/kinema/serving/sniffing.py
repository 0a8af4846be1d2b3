"""What a file is by its first bytes, whatever it is called: an upload's name and type are claims of whoever sends it."""

from typing import Final

SNIFFED: Final = 4 * 188 + 1
"""Bytes that are looked at."""

_BRANDS: Final = {b"qt  ": ".mov", b"3gp": ".3gp", b"3g2": ".3gp", b"M4V": ".m4v"}
_BEGINNINGS: Final = (
    (0, b"FLV\x01", ".flv"),
    (0, b"OggS", ".ogv"),
    (0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), ".wmv"),
    (8, b"AVI ", ".avi"),
    (0, b"\x00\x00\x01\xba", ".mpg"),
    (0, b"\x00\x00\x01\xb3", ".mpg"),
    *((4, box, ".mov") for box in (b"moov", b"mdat", b"wide", b"free", b"skip")),
)
_TS_PACKET: Final = 188
_PICTURES: Final = (
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"GIF87a", ".gif"),
    (b"GIF89a", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tiff"),
    (b"MM\0*", ".tiff"),
)


def video_suffix(head: bytes) -> str | None:
    """The usual suffix of a video container.

    Args:
        head: The first `SNIFFED` bytes of a file, fewer where it is shorter.

    Returns:
        Such as ``.mp4``; None where it is no container that is known.

    Example:
        >>> video_suffix(bytes.fromhex("00000018") + b"ftypisom"), video_suffix(b"GIF89a")
        ('.mp4', None)
    """
    if head[4:8] == b"ftyp":
        return next((suffix for brand, suffix in _BRANDS.items() if head[8:12].startswith(brand)), ".mp4")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return ".webm" if b"webm" in head[:64] else ".mkv"
    if len(head) > _TS_PACKET and all(head[place] == 0x47 for place in range(0, len(head), _TS_PACKET)):
        return ".ts"
    return next((suffix for place, magic, suffix in _BEGINNINGS if head[place:].startswith(magic)), None)


def picture_suffix(head: bytes) -> str | None:
    """The usual suffix of a picture.

    Args:
        head: The first bytes of a file, 12 or more.

    Returns:
        Such as ``.png``; None where it is no picture that is known.

    Example:
        >>> picture_suffix(b"GIF89a"), picture_suffix(b"RIFF....WEBP"), picture_suffix(b"RIFF....AVI ")
        ('.gif', '.webp', None)
    """
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return ".webp"
    return next((suffix for magic, suffix in _PICTURES if head.startswith(magic)), None)
