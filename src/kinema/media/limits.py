"""What one clip may cost, so that a film or a forged header cannot take the machine."""

import time
from dataclasses import dataclass, field
from typing import Final

MAX_SECONDS: Final = 600.0
"""Of a clip that are looked at, from its beginning."""
MAX_PIXELS: Final = 2**25
"""Of one picture; 8K video."""
DECODE_SECONDS: Final = 60.0
"""Processor time that reading one clip may take; what was decoded by then is used."""
MAX_BYTES: Final = 2**30
"""Memory that decoding one clip may need, as estimated from its header."""

_REFERENCE_PIXELS: Final = 696_320 * 256
"""What the highest level of H.264 lets a decoder keep for reference."""
_MOST_REFERENCES, _FEWEST_REFERENCES, _IN_HAND = 16, 6, 3
_BYTES_PER_PIXEL: Final = 1.5
_BYTES_PER_DEEP_PIXEL: Final = 3.0


@dataclass(frozen=True)
class Deadline:
    """A moment after which decoding ends with what there is.

    Processor time of this thread is counted, so that a busy machine does not change what is seen of a clip. A decoder
    that hangs is not met by this: who decodes foreign files does it in a process that can be ended.

    Attributes:
        seconds: Processor time allowed from now on, > 0.

    Example:
        >>> Deadline(60.0).passed
        False
    """

    seconds: float
    _started: float = field(default_factory=time.thread_time, repr=False)

    @property
    def passed(self) -> bool:
        """Whether the time is over."""
        return time.thread_time() - self._started > self.seconds


def decoding_bytes(width: int, height: int, *, pixel_format: str | None, num_pictures: int, max_side: int) -> int:
    """Memory that decoding a clip needs at most, roughly: the decoder's reference pictures and the samples.

    Args:
        width: Of the stored picture, pixels.
        height: Of the stored picture, pixels.
        pixel_format: FFmpeg's name, such as ``yuv420p``; None where unknown.
        num_pictures: Samples that are kept.
        max_side: Longest side of a sample, pixels.

    Returns:
        Bytes.

    Example:
        >>> decoding_bytes(1920, 1080, pixel_format="yuv420p", num_pictures=24, max_side=256) // 2**20
        65
    """
    plain = pixel_format in {None, "yuv420p", "yuvj420p", "nv12", "gray", "pal8"}
    stored = width * height * (_BYTES_PER_PIXEL if plain else _BYTES_PER_DEEP_PIXEL)
    sample = 3 * min(max_side, width) * min(max_side, height)
    references = min(_MOST_REFERENCES, max(_FEWEST_REFERENCES, _REFERENCE_PIXELS // max(width * height, 1)))
    return round(stored * (references + _IN_HAND) + 2 * sample * num_pictures)
