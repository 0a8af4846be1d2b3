"""A poster and a preview strip of a clip, chosen among its samples.

Shape suffixes: T frames, H height, W width, 3 red-green-blue.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError
from kinema.extras import require
from kinema.media.sampling import Frames

POSTER_SUFFIX: Final = ".poster.webp"
"""Of a poster's name, in the default format."""

PictureFormat = Literal["webp", "jpg"]
"""File formats that pictures are written in, by their suffix."""

_SIDE: Final = 128
_DARKEST, _BRIGHTEST = 20.0, 235.0
_FLATTEST: Final = 8.0
_TRANSITION_MS: Final = 150
_BINS: Final = 4
_SUFFIXES: Final = {"webp": "WEBP", "jpg": "JPEG"}


@dataclass(frozen=True)
class Pictures:
    """Where the pictures of a clip are.

    Attributes:
        poster: One frame.
        strip: Several frames side by side.
        poster_ms: Time of the poster's frame, from the first.
    """

    poster: Path
    strip: Path
    poster_ms: int


def poster_scores(frames: Frames) -> NDArray[np.float64]:
    """How well each frame would stand for the clip.

    A poster is sharp (variance of the Laplacian), neither dark nor burnt out, and looks like the clip does on average
    (histogram of colours). Black and empty frames and those at a cut are taken only where there is nothing else.

    Args:
        frames: Samples of the clip.

    Returns:
        float64 [T], the higher the better; a black, white, empty or transition frame has less than any other.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """
    cv2 = require("cv2")
    small = [_shrink(picture) for picture in frames.array]
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in small]
    sharp = np.log1p([float(cv2.Laplacian(picture, cv2.CV_64F).var()) for picture in grey])
    light = np.array([float(picture.mean()) for picture in grey])
    spread = np.array([float(picture.std()) for picture in grey])
    colours = np.stack([_histogram(picture) for picture in small])
    unusual = np.abs(colours - colours.mean(axis=0)).sum(axis=1) / 2
    bright = 1.0 - np.abs(light - 128.0) / 128.0
    score = sharp / max(float(sharp.max()), 1e-9) + bright - unusual
    poor = (light < _DARKEST) | (light > _BRIGHTEST) | (spread < _FLATTEST)
    if len(frames.shots_ms) > 1:
        poor |= np.abs(frames.times_ms[:, None] - frames.shots_ms[1:]).min(axis=1) < _TRANSITION_MS
    return np.asarray(score - 10.0 * poor)


def choose_poster(frames: Frames) -> int:
    """Place of the frame with the best of `poster_scores`, the earliest of equal ones."""
    return int(poster_scores(frames).argmax())


def preview_strip(frames: Frames, *, num_pictures: int = 8, height: int = 72) -> NDArray[np.uint8]:
    """Frames side by side.

    Args:
        frames: Samples of the clip.
        num_pictures: Frames to show, >= 1; a clip with fewer shows all.
        height: Of the strip, pixels, >= 8.

    Returns:
        uint8 [height, W, 3], oldest on the left.

    Raises:
        ConfigError: A number is out of range.
        MissingExtraError: OpenCV is not installed.
    """
    for label, value, least in (("num_pictures", num_pictures, 1), ("height", height, 8)):
        if value < least:
            raise ConfigError(f"{label} must be >= {least}, got {value}")
    cv2 = require("cv2")
    count = len(frames.array)
    places = np.unique(((np.arange(num_pictures) + 0.5) * count / num_pictures).astype(np.int64))
    width = max(1, round(height * frames.array.shape[2] / frames.array.shape[1]))
    shown = [cv2.resize(frames.array[one], (width, height), interpolation=cv2.INTER_AREA) for one in places.tolist()]
    return np.concatenate(shown, axis=1)


def write_pictures(
    frames: Frames,
    folder: Path,
    stem: str,
    *,
    file_format: PictureFormat = "webp",
    quality: int = 80,
    num_pictures: int = 8,
    height: int = 72,
) -> Pictures:
    """Write a clip's poster and preview strip.

    Args:
        frames: Samples of the clip; the poster has their size.
        folder: Where to; made where missing.
        stem: The files are called ``<stem>.poster.webp`` and ``<stem>.strip.webp``.
        file_format: ``webp`` or ``jpg``.
        quality: Of the compression, 1 to 100.
        num_pictures: Frames in the strip.
        height: Of the strip, pixels.

    Returns:
        Where they are. A file appears as a whole or not at all.

    Raises:
        ConfigError: A setting is out of range.
        MissingExtraError: OpenCV or Pillow is not installed.
    """
    if file_format not in _SUFFIXES:
        raise ConfigError(f"file_format must be one of {', '.join(_SUFFIXES)}, got '{file_format}'")
    if not 1 <= quality <= 100:
        raise ConfigError(f"quality must be from 1 to 100, got {quality}")
    place = choose_poster(frames)
    strip = preview_strip(frames, num_pictures=num_pictures, height=height)
    folder.mkdir(parents=True, exist_ok=True)
    return Pictures(
        poster=_write(frames.array[place], folder / f"{stem}.poster.{file_format}", quality),
        strip=_write(strip, folder / f"{stem}.strip.{file_format}", quality),
        poster_ms=int(frames.times_ms[place]),
    )


def _write(picture: NDArray[np.uint8], path: Path, quality: int) -> Path:
    """Write beside the place and rename, so that nobody reads half a picture."""
    require("PIL")
    image: Any = require("PIL.Image")
    partial = path.with_name(path.name + ".partial")
    image.fromarray(picture).save(partial, format=_SUFFIXES[path.suffix[1:]], quality=quality)
    partial.replace(path)
    return path


def _shrink(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One size for all clips: sharpness depends on it."""
    cv2 = require("cv2")
    scale = min(1.0, _SIDE / max(picture.shape[:2]))
    size = (max(8, round(picture.shape[1] * scale)), max(8, round(picture.shape[0] * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _histogram(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """float64 [64], shares of coarse colours."""
    bins = (picture.reshape(-1, 3) >> 6).astype(np.int64) @ np.array([_BINS**2, _BINS, 1])
    return np.bincount(bins, minlength=_BINS**3) / len(bins)
