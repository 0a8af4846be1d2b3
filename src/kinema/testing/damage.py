"""Damaged copies of video files, the same for the same seed: for tests that nothing hostile stops a run."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from kinema.errors import ConfigError
from kinema.seeds import generator

_SUFFIXES: Final = (".mp4", ".avi", ".flv", ".mkv", ".webm", ".mov", ".mpg", ".wmv", ".ts", ".ogv", ".jpg", ".png")
_HUGE: Final = (0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0)
_BOXES: Final = (
    *(b"mvhd", b"tkhd", b"mdhd", b"elst", b"stsd", b"avc1", b"hev1", b"hvc1", b"mp4v", b"mp4a"),
    *(b"stsz", b"stts", b"ctts", b"stco", b"stsc", b"mdat", b"moov"),
    *(b"avih", b"strh", b"strf", b"movi", b"idx1", b"IHDR", b"FLV\x01", b"onMetaData"),
    *(b"\x1f\x43\xb6\x75", b"\x16\x54\xae\x6b", b"\x1c\x53\xbb\x6b", b"\xb0\x82", b"\xba\x82"),
)
"""Where lengths, counts and sizes of pictures stand: MP4, AVI, PNG, FLV; Matroska's clusters, tracks, cues, width and height."""

_Damage = Callable[[bytearray, np.random.Generator], bytes]


def _truncate(content: bytearray, rng: np.random.Generator) -> bytes:
    return bytes(content[: int(rng.integers(1, len(content)))])


def _flip_bits(content: bytearray, rng: np.random.Generator) -> bytes:
    for place in rng.integers(0, len(content), int(2 ** rng.integers(0, 9))).tolist():
        content[place] ^= 1 << int(rng.integers(8))
    return bytes(content)


def _zero_blocks(content: bytearray, rng: np.random.Generator) -> bytes:
    for _ in range(int(rng.integers(1, 9))):
        start = int(rng.integers(len(content)))
        end = min(len(content), start + int(2 ** rng.integers(4, 14)))
        content[start:end] = bytes(end - start)
    return bytes(content)


def _randomise(content: bytearray, rng: np.random.Generator) -> bytes:
    """Random bytes in a part of the file, or the file, or behind its first bytes."""
    start = int(rng.choice([0, 16, int(rng.integers(len(content)))]))
    return bytes(content[:start]) + rng.bytes(len(content) - start)


def _declare_huge(content: bytearray, rng: np.random.Generator) -> bytes:
    """Lengths, counts or sizes of pictures become huge: two where the container keeps them, else one in its first bytes."""
    order = ">I" if rng.random() < 0.5 else "<I"
    found = [place + len(box) for box in _BOXES if (place := content.find(box)) >= 0]
    places = [int(one) + int(rng.integers(0, 32)) for one in rng.permutation(found)[:2]]
    for place in places or [int(rng.integers(0, min(len(content), 4096)))]:
        struct.pack_into(order, content, max(0, min(place, len(content) - 4)), int(rng.choice(_HUGE)))
    return bytes(content)


def _keep(content: bytearray, _: np.random.Generator) -> bytes:
    return bytes(content)


DAMAGES: Final[dict[str, _Damage]] = {
    "truncated": _truncate,
    "bits": _flip_bits,
    "zeros": _zero_blocks,
    "random": _randomise,
    "huge": _declare_huge,
    "renamed": _keep,
}
"""Kind -> what it does to the content; ``renamed`` leaves it and changes the suffix."""


def damage_files(sources: Sequence[Path], folder: Path, *, num_variants: int, seed: int = 0) -> list[Path]:
    """Write damaged copies, going round the kinds of damage and the files.

    Args:
        sources: Whole files, at least one; none of them empty.
        folder: Where to; made where missing.
        num_variants: Copies, >= 1.
        seed: The same seed and sources give the same copies.

    Returns:
        The copies, called ``<number>-<kind>-<source's name>``.

    Raises:
        ConfigError: There is no source.
    """
    if not sources:
        raise ConfigError("sources must name at least one file, got none")
    rng = generator(seed, "testing/damage")
    folder.mkdir(parents=True, exist_ok=True)
    kinds = list(DAMAGES)
    variants = []
    for number in range(num_variants):
        kind = kinds[number % len(kinds)]
        source = sources[number // len(kinds) % len(sources)]
        suffix = (
            str(rng.choice([one for one in _SUFFIXES if one != source.suffix])) if kind == "renamed" else source.suffix
        )
        path = folder / f"{number:03d}-{kind}-{source.stem}{suffix}"
        path.write_bytes(DAMAGES[kind](bytearray(source.read_bytes()), rng))
        variants.append(path)
    return variants
