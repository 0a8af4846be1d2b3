"""What a clip shows: a wallpaper and a few objects of its topic, as maps of ink numbers without any colour.

Colour and texture are the style's business (`looks`), movement the camera's (`clips`): three files, three independent
factors. Wallpapers repeat without a seam, so that a camera that travels shows neither more nor less than one that rests.

Inks: 0 ground, 1 pattern, 2 second pattern, 3 object, 4 object's detail, 5 line. `CLEAR` marks where a sprite is see-through.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.extras import require
from kinema.sources.town.rules import TOPICS

cv2: Any = require("cv2")

Ink = NDArray[np.uint8]
CLEAR: Final = 255
SPRITE: Final = 64
"""Side of the square that sprites are drawn on before they are scaled."""


def _circle(ink: Ink, x: float, y: float, radius: float, value: int, *, thickness: int = -1) -> None:
    cv2.circle(ink, (round(x), round(y)), max(1, round(radius)), value, thickness)


def _polygon(ink: Ink, points: list[tuple[float, float]], value: int) -> None:
    cv2.fillPoly(ink, [np.round(np.array(points)).astype(np.int32)], value)


def _box(ink: Ink, top_left: tuple[float, float], bottom_right: tuple[float, float], value: int) -> None:
    (x0, y0), (x1, y1) = top_left, bottom_right
    cv2.rectangle(ink, (round(x0), round(y0)), (round(x1), round(y1)), value, -1)


def _scatter(ink: Ink, rng: np.random.Generator, count: int, draw: Callable[[float, float], None]) -> None:
    """Draw something at random places, and again beyond the opposite edges so that the wallpaper has no seam."""
    height, width = ink.shape
    for x, y in zip(rng.random(count) * width, rng.random(count) * height, strict=True):
        for right in (-width, 0, width):
            for down in (-height, 0, height):
                draw(float(x + right), float(y + down))


def _waves(ink: Ink, rng: np.random.Generator) -> None:
    height, width = ink.shape
    rows, waves = int(rng.integers(5, 8)), int(rng.integers(3, 6))
    x_W = np.arange(width)
    y_H1 = np.arange(height)[:, None]
    crest_W = 0.22 * height / rows * np.sin(2 * np.pi * waves * x_W / width)
    phase = (y_H1 + crest_W) * rows / height % 1.0
    ink[phase < 0.3] = 1
    ink[(phase > 0.3) & (phase < 0.42)] = 2


def _stars(ink: Ink, rng: np.random.Generator) -> None:
    _scatter(ink, rng, 45, lambda x, y: _circle(ink, x, y, 1, 1))
    _scatter(ink, rng, 8, lambda x, y: cv2.drawMarker(ink, (round(x), round(y)), 2, cv2.MARKER_STAR, 9, 1))


def _gingham(ink: Ink, rng: np.random.Generator) -> None:
    height, width = ink.shape
    bands = int(rng.integers(4, 6))
    across_W = (np.arange(width) * 2 * bands // width) % 2
    down_H1 = ((np.arange(height) * 2 * (bands - 1) // height) % 2)[:, None]
    ink[:] = across_W + down_H1
    _scatter(ink, rng, 5, lambda x, y: _circle(ink, x, y, 11, 2, thickness=2))


def _pitch(ink: Ink, rng: np.random.Generator) -> None:
    height, width = ink.shape
    stripes = int(rng.integers(2, 4))
    ink[:, (np.arange(width) * 2 * stripes // width) % 2 == 1] = 1
    for x in (0, width // 2):
        ink[:, x : x + 2] = 2
    _circle(ink, width / 2, height / 2, height * 0.27, 2, thickness=2)
    cv2.rectangle(ink, (0, height // 4), (width // 6, 3 * height // 4), 2, 2)


def _leaves(ink: Ink, rng: np.random.Generator) -> None:
    angles = iter(rng.integers(0, 180, size=9 * 60).tolist())

    def leaf(x: float, y: float) -> None:
        cv2.ellipse(ink, (round(x), round(y)), (8, 3), next(angles), 0, 360, 1 if next(angles) < 120 else 2, -1)

    _scatter(ink, rng, 26, leaf)


def _windows(ink: Ink, rng: np.random.Generator) -> None:
    height, width = ink.shape
    houses = int(rng.integers(3, 5))
    for house in range(houses):
        x0, x1 = house * width / houses + 2, (house + 1) * width / houses - 3
        _box(ink, (x0, height * rng.uniform(0.05, 0.3)), (x1, height * 0.92), 1)
        for x in np.arange(x0 + 4, x1 - 5, 9):
            for y in np.arange(height * 0.35, height * 0.88, 11):
                _box(ink, (x, y), (x + 4, y + 5), 2)


def _staves(ink: Ink, rng: np.random.Generator) -> None:
    height, width = ink.shape
    staves = int(rng.integers(2, 4))
    for stave in range(staves):
        for line in range(5):
            y = round((stave + 0.25 + 0.11 * line) * height / staves)
            ink[y : y + 1] = 1
    for bar in range(4):
        ink[:, bar * width // 4 : bar * width // 4 + 2] = 1
    _scatter(ink, rng, 6, lambda x, y: cv2.ellipse(ink, (round(x), round(y)), (4, 3), -20, 0, 360, 2, -1))


def _board(ink: Ink, rng: np.random.Generator) -> None:
    height, width = ink.shape
    across, down = (8, 6) if rng.random() < 0.5 else (6, 4)
    ink[:] = ((np.arange(width) * across // width) + (np.arange(height) * down // height)[:, None]) % 2


def _boat(ink: Ink) -> None:
    _polygon(ink, [(6, 42), (58, 42), (48, 56), (16, 56)], 3)
    _polygon(ink, [(30, 6), (30, 38), (8, 38)], 4)
    _polygon(ink, [(34, 12), (34, 38), (54, 38)], 4)
    _box(ink, (31, 6), (33, 42), 5)


def _fish(ink: Ink) -> None:
    cv2.ellipse(ink, (28, 32), (22, 12), 0, 0, 360, 3, -1)
    _polygon(ink, [(46, 32), (60, 20), (60, 44)], 4)
    _circle(ink, 16, 29, 3, 5)


def _planet(ink: Ink) -> None:
    _circle(ink, 32, 32, 18, 3)
    cv2.ellipse(ink, (32, 32), (30, 8), -20, 0, 360, 4, 3)
    cv2.ellipse(ink, (32, 32), (18, 18), 0, 180, 340, 3, -1)


def _rocket(ink: Ink) -> None:
    _polygon(ink, [(32, 2), (43, 20), (43, 46), (21, 46), (21, 20)], 3)
    _polygon(ink, [(21, 36), (10, 54), (21, 48)], 4)
    _polygon(ink, [(43, 36), (54, 54), (43, 48)], 4)
    _circle(ink, 32, 24, 5, 5)
    _polygon(ink, [(26, 48), (38, 48), (32, 62)], 4)


def _plate(ink: Ink) -> None:
    _circle(ink, 32, 32, 28, 3)
    _circle(ink, 32, 32, 20, 5, thickness=1)
    _circle(ink, 30, 33, 12, 4)
    _circle(ink, 33, 31, 5, 5)


def _pot(ink: Ink) -> None:
    _box(ink, (12, 24), (52, 54), 3)
    _box(ink, (8, 18), (56, 23), 4)
    _box(ink, (28, 10), (36, 17), 5)
    _box(ink, (2, 30), (12, 35), 5)
    _box(ink, (52, 30), (62, 35), 5)


def _ball(ink: Ink) -> None:
    _circle(ink, 32, 32, 27, 3)
    for turn in np.arange(5) * 2 * np.pi / 5:
        _circle(ink, 32 + 20 * np.sin(turn), 32 - 20 * np.cos(turn), 6, 5)
    _polygon(ink, [(32 + 9 * np.sin(a), 32 - 9 * np.cos(a)) for a in np.arange(5) * 2 * np.pi / 5 + 0.6], 5)
    _circle(ink, 32, 32, 27, 4, thickness=2)


def _cup(ink: Ink) -> None:
    _polygon(ink, [(16, 6), (48, 6), (42, 34), (22, 34)], 3)
    cv2.ellipse(ink, (14, 16), (8, 9), 0, 0, 360, 4, 3)
    cv2.ellipse(ink, (50, 16), (8, 9), 0, 0, 360, 4, 3)
    _box(ink, (29, 34), (35, 48), 4)
    _box(ink, (18, 48), (46, 58), 5)


def _fir(ink: Ink) -> None:
    _box(ink, (28, 50), (36, 62), 5)
    for top, half in ((2, 14), (16, 20), (30, 26)):
        _polygon(ink, [(32, top), (32 - half, top + 22), (32 + half, top + 22)], 3 if top != 16 else 4)


def _mushroom(ink: Ink) -> None:
    _polygon(ink, [(24, 32), (40, 32), (44, 60), (20, 60)], 4)
    cv2.ellipse(ink, (32, 32), (28, 24), 0, 180, 360, 3, -1)
    for x, y in ((20, 24), (34, 16), (44, 26)):
        _circle(ink, x, y, 4, 5)


def _car(ink: Ink) -> None:
    _polygon(ink, [(16, 30), (22, 16), (44, 16), (52, 30)], 4)
    _box(ink, (4, 30), (60, 46), 3)
    for x in (17, 47):
        _circle(ink, x, 47, 8, 5)
        _circle(ink, x, 47, 3, 4)


def _lamp(ink: Ink) -> None:
    _box(ink, (22, 4), (42, 48), 5)
    for y, value in ((12, 3), (26, 4), (40, 3)):
        _circle(ink, 32, y, 6, value)
    _box(ink, (30, 48), (34, 63), 3)


def _note(ink: Ink) -> None:
    for x, y in ((16, 50), (46, 44)):
        cv2.ellipse(ink, (x, y), (10, 8), -20, 0, 360, 3, -1)
    _box(ink, (22, 12), (26, 50), 3)
    _box(ink, (52, 6), (56, 44), 3)
    _polygon(ink, [(22, 12), (56, 6), (56, 16), (22, 22)], 4)


def _guitar(ink: Ink) -> None:
    _circle(ink, 32, 48, 15, 3)
    _circle(ink, 32, 32, 10, 3)
    _box(ink, (29, 4), (35, 36), 4)
    _box(ink, (26, 1), (38, 8), 5)
    _circle(ink, 32, 44, 5, 5)


def _pawn(ink: Ink) -> None:
    _circle(ink, 32, 16, 11, 3)
    _polygon(ink, [(26, 24), (38, 24), (46, 50), (18, 50)], 3)
    _box(ink, (12, 50), (52, 60), 4)
    _box(ink, (22, 25), (42, 28), 5)


def _rook(ink: Ink) -> None:
    _box(ink, (18, 20), (46, 50), 3)
    for x in (14, 28, 42):
        _box(ink, (x, 6), (x + 8, 20), 3)
    _box(ink, (14, 16), (50, 21), 4)
    _box(ink, (10, 50), (54, 61), 4)
    _box(ink, (29, 30), (35, 42), 5)


Scene = tuple[Callable[[Ink, np.random.Generator], None], tuple[Callable[[Ink], None], ...]]
SCENES: Final[dict[str, Scene]] = {
    "sea": (_waves, (_boat, _fish)),
    "space": (_stars, (_planet, _rocket)),
    "kitchen": (_gingham, (_plate, _pot)),
    "football": (_pitch, (_ball, _cup)),
    "forest": (_leaves, (_fir, _mushroom)),
    "city": (_windows, (_car, _lamp)),
    "music": (_staves, (_note, _guitar)),
    "chess": (_board, (_pawn, _rook)),
}
"""Topic -> wallpaper, objects."""


def wallpaper(topic: int, *, width: int, height: int, rng: np.random.Generator) -> Ink:
    """uint8 [height, width], the seamless ground of a topic's scene, inks 0 to 2."""
    ink = np.zeros((height, width), dtype=np.uint8)
    SCENES[TOPICS[topic]][0](ink, rng)
    return ink


def sprites(topic: int) -> list[Ink]:
    """The topic's objects, each uint8 [64, 64], inks 3 to 5 and `CLEAR`."""
    drawn = []
    for draw in SCENES[TOPICS[topic]][1]:
        ink = np.full((SPRITE, SPRITE), CLEAR, dtype=np.uint8)
        draw(ink)
        drawn.append(ink)
    return drawn


def place(ink: Ink, sprite: Ink, *, x: float, y: float, size: float, degrees: float) -> None:
    """Draw a sprite into a scene, in place; what leaves one edge comes in at the opposite one.

    Args:
        ink: The scene.
        sprite: From `sprites`.
        x: Centre, pixels.
        y: Centre, pixels.
        size: Side, pixels.
        degrees: How far it is turned, anticlockwise.
    """
    side = int(np.ceil(size * 1.42))
    matrix = cv2.getRotationMatrix2D((SPRITE / 2, SPRITE / 2), degrees, size / SPRITE)
    matrix[:, 2] += side / 2 - SPRITE / 2
    turned = cv2.warpAffine(sprite, matrix, (side, side), flags=cv2.INTER_NEAREST, borderValue=CLEAR)
    rows = (np.arange(side) + round(y - side / 2)) % ink.shape[0]
    columns = (np.arange(side) + round(x - side / 2)) % ink.shape[1]
    where = np.ix_(rows, columns)
    ink[where] = np.where(turned == CLEAR, ink[where], turned)
