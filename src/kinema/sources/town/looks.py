"""How a clip looks: one palette and texture per style. The scene's inks come in, colours go out.

Noise and hatching are laid onto the scene, not onto the glass of the camera, so a texture moves with what it covers and
tells nothing about the movement.

A flow of movement is measured less surely in a soft or a hatched picture, and so knows a little of a texture after all. Where
a style must be seen in frames and nowhere else, it is a tint: colours laid over a texture that is drawn blindly, with the same
light in every pixel as without them. Flow, which is measured on light alone, then cannot know it.

Shapes: H height, W width, 3 red, green, blue.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.extras import require
from kinema.sources.town.rules import STYLES

cv2: Any = require("cv2")

Image = NDArray[np.uint8]

PALETTES: Final[dict[str, tuple[tuple[int, int, int], ...]]] = {
    "neon": ((12, 6, 30), (40, 200, 255), (255, 60, 220), (60, 255, 130), (255, 240, 60), (255, 90, 40)),
    "pastel": ((250, 240, 232), (214, 226, 246), (246, 214, 226), (190, 226, 200), (250, 226, 176), (150, 150, 190)),
    "noir": ((30, 30, 30), (78, 78, 78), (120, 120, 120), (215, 215, 215), (150, 150, 150), (0, 0, 0)),
    "mosaic": ((30, 60, 170), (20, 150, 150), (240, 200, 40), (220, 40, 40), (250, 250, 240), (40, 20, 60)),
    "paper": ((250, 250, 246), (205, 205, 205), (235, 235, 235), (240, 240, 238), (170, 170, 170), (25, 25, 25)),
    "sepia": ((206, 176, 130), (170, 136, 90), (188, 156, 110), (92, 60, 30), (140, 100, 60), (50, 30, 14)),
}
"""Style -> colour per ink."""

TINTS: Final[dict[str, tuple[tuple[float, float], tuple[float, float]]]] = {
    "neon": ((60.0, 45.0), (-60.0, -50.0)),
    "pastel": ((25.0, 35.0), (0.0, 40.0)),
    "noir": ((0.0, 0.0), (0.0, 0.0)),
    "mosaic": ((65.0, -20.0), (-70.0, 10.0)),
    "paper": ((15.0, -25.0), (25.0, -20.0)),
    "sepia": ((-40.0, 30.0), (-45.0, 25.0)),
}
"""Style -> blue and red difference (Cb, Cr of BT.601) of what is dark, and of what is light."""


@dataclass(frozen=True)
class Look:
    """Everything random about a clip's look, drawn once per clip.

    Attributes:
        style: Number in `STYLES`.
        tint: Number in `STYLES` of the colours laid over it, in place of its own; None keeps its own.
        palette_63: uint8, colour per ink.
        grain_HW: float32, standard normal noise fixed to the scene.
        blotches_HW: float32 in [-1, 1], smooth noise fixed to the scene.
    """

    style: int
    palette_63: NDArray[np.uint8]
    grain_HW: NDArray[np.float32]
    blotches_HW: NDArray[np.float32]
    tint: int | None = None


def plan_look(style: int, *, width: int, height: int, rng: np.random.Generator, tint: int | None = None) -> Look:
    """Draw a clip's variation of a style: its palette is shifted a little and its noise is its own."""
    base_63 = np.array(PALETTES[STYLES[style]], dtype=np.float64)
    shade = rng.uniform(-16, 16, size=(6, 3) if STYLES[style] not in ("noir", "paper") else (6, 1))
    grain_HW = rng.standard_normal((height, width)).astype(np.float32)
    # Resized with its own copies around it, then cut out: smooth and without a seam.
    coarse = np.tile(rng.uniform(-1, 1, size=(4, 6)), (3, 3)).astype(np.float32)
    blotches = cv2.resize(coarse, (3 * width, 3 * height), interpolation=cv2.INTER_CUBIC)
    return Look(
        style=style,
        palette_63=np.clip(base_63 + shade, 0, 255).astype(np.uint8),
        grain_HW=grain_HW,
        blotches_HW=blotches[height : 2 * height, width : 2 * width].copy(),
        tint=tint,
    )


def _edges(ink_HW: Image) -> NDArray[np.bool_]:
    """Where two inks meet."""
    return np.asarray(cv2.morphologyEx(ink_HW, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0)


def _clip(image: NDArray[np.floating]) -> Image:
    clipped: Image = np.clip(image, 0, 255).astype(np.uint8)
    return clipped


def _neon(ink_HW: Image, look: Look) -> Image:
    lines = look.palette_63[ink_HW] * _edges(ink_HW)[..., None]
    glow = cv2.GaussianBlur(lines, (0, 0), 3.0)
    ground = np.broadcast_to(look.palette_63[0], lines.shape).copy()
    return np.asarray(cv2.add(cv2.add(ground, lines), cv2.add(glow, glow)))


def _pastel(ink_HW: Image, look: Look) -> Image:
    soft = cv2.GaussianBlur(look.palette_63[ink_HW], (0, 0), 1.6).astype(np.float32)
    return _clip(soft + 14 * look.blotches_HW[..., None])


def _noir(ink_HW: Image, look: Look) -> Image:
    grey = look.palette_63[ink_HW].astype(np.float32)
    return _clip(grey * (1.0 + 0.35 * look.blotches_HW[..., None]) + 26 * look.grain_HW[..., None])


def _mosaic(ink_HW: Image, look: Look) -> Image:
    height, width = ink_HW.shape
    tile = 4
    small = cv2.resize(look.palette_63[ink_HW], (width // tile, height // tile), interpolation=cv2.INTER_AREA).astype(
        np.float32
    )
    small += 20 * look.grain_HW[: height // tile, : width // tile, None]
    tiles: Image = cv2.resize(_clip(small), (width, height), interpolation=cv2.INTER_NEAREST)
    joints_HW = (np.arange(height)[:, None] % tile == 0) | (np.arange(width) % tile == 0)
    tiles[joints_HW] = tiles[joints_HW] // 3 * 2
    return tiles


def _paper(ink_HW: Image, look: Look) -> Image:
    height, width = ink_HW.shape
    image = look.palette_63[ink_HW].copy()
    diagonal = np.arange(height)[:, None] + np.arange(width)
    hatched = ((diagonal % 5) == 0) & np.isin(ink_HW, (1, 4))
    crossed = (((np.arange(height)[:, None] - np.arange(width)) % 4) == 0) & np.isin(ink_HW, (3,))
    image[hatched | crossed | _edges(ink_HW)] = look.palette_63[5]
    return image


def _sepia(ink_HW: Image, look: Look) -> Image:
    soft = cv2.GaussianBlur(look.palette_63[ink_HW], (0, 0), 0.8).astype(np.float32)
    scratches_W = np.where(look.grain_HW[0] > 1.9, 50.0, 0.0)
    faded = soft * (1.0 + 0.28 * look.blotches_HW[..., None]) + scratches_W[:, None]
    return _clip(faded + 6 * look.grain_HW[..., None])


LOOKS: Final[dict[str, Callable[[Image, Look], Image]]] = {
    "neon": _neon,
    "pastel": _pastel,
    "noir": _noir,
    "mosaic": _mosaic,
    "paper": _paper,
    "sepia": _sepia,
}


def paint(ink_HW: Image, look: Look) -> Image:
    """uint8 [H, W, 3], the scene in its style's colours and texture."""
    image_HW3: Image = LOOKS[STYLES[look.style]](ink_HW, look)
    if look.tint is None:
        return image_HW3
    tinted: Image = _ramp(STYLES[look.tint])[cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY)]
    return tinted


@cache
def _ramp(style: str) -> NDArray[np.uint8]:
    """uint8 [256, 3], a colour of each light: as much of the tint as has room without changing the light."""
    light_L = np.arange(256.0)
    dark, bright = np.array(TINTS[style])
    share_L1 = (light_L / 255.0)[:, None]
    blue_L, red_L = ((1.0 - share_L1) * dark + share_L1 * bright).T
    shift_L3 = np.stack([1.402 * red_L, -0.344136 * blue_L - 0.714136 * red_L, 1.772 * blue_L], axis=1)
    room_L3 = np.where(shift_L3 > 0, 255.0 - light_L[:, None], light_L[:, None])
    fit_L1 = np.minimum(1.0, room_L3 / np.maximum(np.abs(shift_L3), 1e-9)).min(axis=1, keepdims=True)
    ramp_L3: NDArray[np.uint8] = np.round(light_L[:, None] + fit_L1 * shift_L3).astype(np.uint8)
    return ramp_L3
