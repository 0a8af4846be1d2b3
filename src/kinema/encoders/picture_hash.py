"""A fingerprint of what a clip shows, for finding the same pictures again: small grey pictures with their times.

Other encoders put like next to like; this one tells the same from the alike. Bars of one colour at the edges are cut off
before, and brightness and contrast are taken out after, so that a letterboxed or brightened copy keeps its fingerprint.
A crop is left to the comparison (`kinema.retrieval.same_pictures`), which can move and stretch pictures this small.

Shape suffixes: T moments, H height, W width, S side of a small picture, D width of a token, R rows or columns.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.modality import Clip, Tokens, Wants
from kinema.extras import require

SIDE: Final = 24
"""Cells per side of the small pictures."""
COARSE: Final = 8
"""Cells per side of the mean picture that makes the vector of a clip."""
CENTRE: Final = (0.5, 0.9, 0.5, 0.9)
"""What a crop of a tenth leaves, as a window: middle and size in width, then in height."""
VIEWS: Final = ((0.5, 1.0, 0.5, 1.0), CENTRE, *((x, 0.9, y, 0.9) for x in (0.45, 0.55) for y in (0.45, 0.55)))
"""The whole picture, and what a crop of a tenth leaves: the centre or the part at a corner."""
COARSE_CELLS: Final = 1.5
"""Blur for a first comparison, cells: a crop of a tenth moves nothing out of reach."""
_BROAD_CELLS: Final = 4.0
_LEAST_SUBSTANCE: Final = 0.1
_VERSION: Final = 2
_LEVEL_FLOOR: Final = 3.0
"""Deviation of grey levels below which a picture shows nothing; well above what compression leaves on black."""
_BAR_DEVIATION: Final = 4.0
_BAR_STEP: Final = 6.0
_BARS_WITHIN: Final = 3
_LEAST_PIXELS: Final = 8


@dataclass(frozen=True)
class PictureReader:
    """Takes small grey pictures from a clip: frames spread over it, and the firsts of the pairs that show how it moves.

    With both there are twice the moments, and none is decoded that frames and motion do not need anyway.

    Attributes:
        num_frames: Frames per clip. More of them find shorter cuts at the ends.
        num_pairs: Pairs per clip.
    """

    num_frames: int = 8
    num_pairs: int = 8

    @property
    def wants(self) -> Wants:
        """Frames and pairs."""
        return Wants(num_frames=self.num_frames, num_pairs=self.num_pairs, max_side=256)

    def read(self, clip: Clip) -> dict[str, NDArray[Any]]:
        """Small pictures without bars.

        Args:
            clip: What was decoded.

        Returns:
            ``grey`` float32 [T, S, S] in 0..255 and ``times_ms`` int64 [T]; empty for a clip without a picture.
        """
        if clip.frames is None:
            return {}
        cv2 = require("cv2")
        times_ms, places = np.unique(
            np.concatenate([clip.frames.times_ms, clip.frames.pair_times_ms]), return_index=True
        )
        pictures = [*clip.frames.array, *clip.frames.pairs[:, 0]]
        grey_THW = np.stack([cv2.cvtColor(pictures[place], cv2.COLOR_RGB2GRAY) for place in places.tolist()])
        top, bottom, left, right = content_box(grey_THW)
        inner_THW = grey_THW[:, top:bottom, left:right].astype(np.float32)
        small = [cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for one in inner_THW]
        return {"grey": np.stack(small), "times_ms": times_ms}


@dataclass(frozen=True)
class PictureHash:
    """The fingerprint as an encoder of clips. Nothing in it is learnt.

    Attributes:
        reader: The half that runs where clips are decoded.
        name: As in the configuration.
    """

    reader: PictureReader = PictureReader()
    name: str = "picture-hash"

    @property
    def token_width(self) -> int:
        """D."""
        return SIDE * SIDE

    @property
    def width(self) -> int:
        """Of the vector."""
        return len(VIEWS) * COARSE * COARSE

    @property
    def fingerprint(self) -> str:
        """Equal for equal tokens."""
        return fingerprint({"picture-hash": _VERSION, "side": SIDE, **asdict(self.reader)})

    def encode(self, readings: Sequence[dict[str, NDArray[Any]]]) -> list[Tokens]:
        """Pictures without brightness and contrast.

        Args:
            readings: From the reader, not empty.

        Returns:
            One `Tokens` per reading: rows of mean 0 and deviation about 1, less where a picture shows next to nothing.
        """
        return [Tokens(_levelled(one["grey"]), one["times_ms"].astype(np.int64)) for one in readings]

    def pool(self, tokens: Tokens) -> NDArray[np.float32]:
        """The mean picture in each of `VIEWS`: quick to compare, and near for clips that may be the same.

        Returns:
            float32 [width]: parts of length 1, one per view; all zero for a clip that shows nothing.
        """
        pictures_TSS = tokens.tokens_TD.reshape(-1, SIDE, SIDE)
        vector = np.zeros(self.width, dtype=np.float32)
        if substance(tokens).mean() < _LEAST_SUBSTANCE:
            return vector
        for part, where in zip(np.split(vector, len(VIEWS)), VIEWS, strict=True):
            seen_SS = band(cut(pictures_TSS, where), fine=COARSE_CELLS).mean(axis=0)
            cells = seen_SS.reshape(COARSE, SIDE // COARSE, COARSE, SIDE // COARSE).mean(axis=(1, 3)).ravel()
            part[:] = cells / max(float(np.linalg.norm(cells)), 1e-6)
        return vector


def substance(tokens: Tokens) -> NDArray[np.float32]:
    """float32 [T] in [0, 1]: how much there is to see; near 0 for black and single-coloured pictures.

    Example:
        >>> tokens = PictureHash().encode([{"grey": np.zeros((2, 24, 24), np.float32), "times_ms": np.arange(2)}])[0]
        >>> substance(tokens)
        array([0., 0.], dtype=float32)
    """
    return np.asarray(np.square(tokens.tokens_TD).mean(axis=1), dtype=np.float32)


def content_box(grey_THW: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Where the picture lies between bars of one colour.

    A row is part of a bar if it is even in itself, like the edge of the picture, in every frame. Bars within bars are
    cut off too, and a small thing on a plain ground is cut out, which makes its copies equal however much ground they
    have.

    Returns:
        top, bottom, left, right in pixels, ends excluded; the whole picture where next to nothing would be left.
    """
    top, left = 0, 0
    bottom, right = height, width = grey_THW.shape[1:]
    for _ in range(_BARS_WITHIN):
        before = top, bottom, left, right
        first, last = _between_bars(grey_THW[:, top:bottom, left:right])
        top, bottom = top + first, top + last
        if bottom - top >= _LEAST_PIXELS:
            first, last = _between_bars(grey_THW[:, top:bottom, left:right].transpose(0, 2, 1))
            left, right = left + first, left + last
        if min(bottom - top, right - left) < _LEAST_PIXELS:
            return 0, height, 0, width
        if before == (top, bottom, left, right):
            break
    return top, bottom, left, right


def _between_bars(grey_TRW: NDArray[np.uint8]) -> tuple[int, int]:
    """First and last row, the last excluded, that are not part of a bar; nothing where all are."""
    level_TR = grey_TRW.mean(axis=2, dtype=np.float32)
    even_R = (grey_TRW.std(axis=2, dtype=np.float32) < _BAR_DEVIATION).all(axis=0)
    ends = []
    for rows in (slice(None), slice(None, None, -1)):
        steps_R = np.abs(level_TR[:, rows] - level_TR[:, rows][:, :1]).max(axis=0)
        broken_R = ~(even_R[rows] & (steps_R < _BAR_STEP))
        ends.append(int(broken_R.argmax()) if broken_R.any() else len(broken_R))
    return ends[0], max(len(even_R) - ends[1], ends[0])


def _levelled(grey_TSS: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [T, D] without mean and contrast. The floor keeps the noise of an empty picture from becoming a picture."""
    flat_TD = grey_TSS.reshape(len(grey_TSS), -1).astype(np.float32)
    flat_TD = flat_TD - flat_TD.mean(axis=1, keepdims=True)
    variance_T = np.square(flat_TD).mean(axis=1, keepdims=True)
    return np.asarray(flat_TD / np.sqrt(variance_T + _LEVEL_FLOOR**2), dtype=np.float32)


def cut(pictures_TSS: NDArray[np.float32], where: tuple[float, float, float, float]) -> NDArray[np.float32]:
    """A window of pictures, stretched over the whole.

    Args:
        pictures_TSS: Small pictures.
        where: Middle and size of the window in width, then in height, as shares of the picture; what lies outside
            repeats the edge.

    Returns:
        float32 [T, S, S].

    Example:
        >>> slope = np.tile(np.arange(24, dtype=np.float32), (1, 24, 1))
        >>> left_half = cut(slope, (0.25, 0.5, 0.5, 1.0))
        >>> left_half[0, 0, [0, 12, 23]]
        array([ 0.  ,  5.75, 11.25], dtype=float32)
    """
    x, width, y, height = where
    return np.asarray(_stretch(y, height) @ pictures_TSS @ _stretch(x, width).T, dtype=np.float32)


def _stretch(middle: float, size: float) -> NDArray[np.float32]:
    """[S, S], linear interpolation along one axis."""
    places = np.clip((middle + ((np.arange(SIDE) + 0.5) / SIDE - 0.5) * size) * SIDE - 0.5, 0, SIDE - 1)
    below = np.minimum(places.astype(int), SIDE - 2)
    matrix = np.zeros((SIDE, SIDE), dtype=np.float32)
    matrix[np.arange(SIDE), below] = 1 - (places - below)
    matrix[np.arange(SIDE), below + 1] = places - below
    return matrix


def band(pictures_TSS: NDArray[np.float32], *, fine: float) -> NDArray[np.float32]:
    """Pictures without their broad light and shade, in which unlike pictures are alike, and without the finest detail.

    Args:
        pictures_TSS: Small pictures.
        fine: Blur that takes the finest detail, cells.
    """
    narrow, broad = _blur(fine), _blur(_BROAD_CELLS)
    return np.asarray(narrow @ pictures_TSS @ narrow.T - broad @ pictures_TSS @ broad.T)


@cache
def _blur(cells: float) -> NDArray[np.float32]:
    """[S, S], a Gaussian along one axis; rows add up to 1 also at the edges."""
    distance = np.arange(SIDE)[:, None] - np.arange(SIDE)[None]
    weights = np.exp(-0.5 * np.square(distance / cells))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
