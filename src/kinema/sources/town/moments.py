"""Clips that show what they are about for a moment only: the rest is stock footage that all clips have in common.

Stock footage has grounds and shapes of no topic, in any of the looks, so what a clip looks like on the whole says next to
nothing: a mean over its frames is mostly the looks of the stock. The moment has the clip's own look, and is told apart by
what is in it: the topic's scene with its objects, and the caption.

Shapes: H height, W width, 3 red, green, blue.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.extras import require
from kinema.sources.town.looks import Image, paint, plan_look
from kinema.sources.town.rules import STYLES

cv2: Any = require("cv2")

FEWEST_CUTS: Final = 3
MOST_CUTS: Final = 5


def plan_moment(num_frames: int, *, share: float, rng: np.random.Generator) -> tuple[int, int]:
    """Draw when a clip's moment is.

    Args:
        num_frames: Of the clip.
        share: Of the frames; at least two are taken.
        rng: Source of chance.

    Returns:
        First frame of the moment, and first frame after it.

    Example:
        >>> first, stop = plan_moment(48, share=0.125, rng=np.random.default_rng(0))
        >>> stop - first
        6
    """
    length = min(num_frames, max(2, round(share * num_frames)))
    first = int(rng.integers(num_frames - length + 1))
    return first, first + length


def _clouds(ink_HW: Image, rng: np.random.Generator) -> None:
    height, width = ink_HW.shape
    coarse = np.tile(rng.uniform(-1, 1, size=(4, 5)), (3, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (3 * width, 3 * height), interpolation=cv2.INTER_CUBIC)
    smooth_HW = smooth[height : 2 * height, width : 2 * width]
    ink_HW[smooth_HW > 0.15] = 1
    ink_HW[smooth_HW > 0.55] = 2


def _stripes(ink_HW: Image, rng: np.random.Generator) -> None:
    height, width = ink_HW.shape
    across, down = int(rng.integers(2, 6)), int(rng.integers(-3, 4))
    phase_HW = (np.arange(width) * across / width + np.arange(height)[:, None] * down / height) % 1.0
    ink_HW[phase_HW < 0.5] = 1
    ink_HW[phase_HW < 0.12] = 2


def _confetti(ink_HW: Image, rng: np.random.Generator) -> None:
    height, width = ink_HW.shape
    for _ in range(40):
        x, y, size = int(rng.integers(4, width - 9)), int(rng.integers(4, height - 9)), int(rng.integers(2, 6))
        cv2.rectangle(ink_HW, (x, y), (x + size, y + size), int(rng.integers(1, 3)), -1)


def _plain(ink_HW: Image, rng: np.random.Generator) -> None:
    ink_HW[: int(rng.uniform(0.3, 0.7) * ink_HW.shape[0])] = 1


_GROUNDS: Final[tuple[Callable[[Image, np.random.Generator], None], ...]] = (_clouds, _stripes, _confetti, _plain)


def _shapes(ink_HW: Image, rng: np.random.Generator) -> None:
    """Discs and blocks in the inks of objects, so that neither the presence nor the colour of objects marks a moment."""
    height, width = ink_HW.shape
    for cell in rng.permutation(6)[: int(rng.integers(3, 6))].tolist():
        x = round((cell % 3 + 0.5 + rng.uniform(-0.15, 0.15)) * width / 3)
        y = round((cell // 3 + 0.5 + rng.uniform(-0.15, 0.15)) * height / 2)
        side = round(height * rng.uniform(0.1, 0.17))
        ink, detail = (int(value) for value in rng.permutation([3, 4, 5])[:2])
        if rng.random() < 0.5:
            cv2.circle(ink_HW, (x, y), side, ink, -1)
            cv2.circle(ink_HW, (x, y), side // 2, detail, -1)
        else:
            cv2.rectangle(ink_HW, (x - side, y - side), (x + side, y + side), ink, -1)
            cv2.rectangle(ink_HW, (x - side, y), (x + side, y + side // 3), detail, -1)


def draw_stock(
    num_frames: int, *, width: int, height: int, rng: np.random.Generator, has_tints: bool = False
) -> tuple[tuple[int, Image], ...]:
    """Draw a clip's stock footage: a few scenes one after the other, each in a look drawn blindly.

    Args:
        num_frames: Of the clip.
        width: Pixels.
        height: Pixels.
        rng: Source of chance.
        has_tints: Each look has colours drawn blindly, too.

    Returns:
        (first frame, uint8 [H, W, 3]) per scene, in order; the first begins at 0.
    """
    num_cuts = int(rng.integers(FEWEST_CUTS, MOST_CUTS + 1))
    firsts = [0, *sorted(rng.integers(1, num_frames, size=num_cuts - 1).tolist())]
    scenes = []
    for first in firsts:
        ink_HW: NDArray[np.uint8] = np.zeros((height, width), dtype=np.uint8)
        _GROUNDS[int(rng.integers(len(_GROUNDS)))](ink_HW, rng)
        _shapes(ink_HW, rng)
        style, tint = int(rng.integers(len(STYLES))), int(rng.integers(len(STYLES))) if has_tints else None
        look = plan_look(style, width=width, height=height, rng=rng, tint=tint)
        scenes.append((first, paint(ink_HW, look)))
    return tuple(scenes)


def stock_at(stock: tuple[tuple[int, Image], ...], frame: int) -> Image:
    """The scene that is on at a frame."""
    return next(image for first, image in reversed(stock) if first <= frame)
