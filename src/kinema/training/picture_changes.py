"""Pictures changed as they are on their way through the world: saved small, in other colours, blurred, in a frame.

Beside crop, mirror and light of `kinema.training.augmentation`, and of the same form: pure functions of frames and a NumPy
generator, all frames of a clip alike. `usual`, `strange` and `unusual` are three mixtures that share no kind of change, so that what is
learnt with the first can be chosen with the second and measured with the third.

Shape suffixes: T frames, H height, W width, 3 red-green-blue.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinema.extras import require
from kinema.training.augmentation import crop_frames, light_frames

Frames = NDArray[np.uint8]
_Change = Callable[[Frames, np.random.Generator], Frames]


def compress_frames(frames_THW3: Frames, random: np.random.Generator, *, lowest: int = 15, highest: int = 80) -> Frames:
    """Saved as JPEG and read again.

    Args:
        frames_THW3: RGB.
        random: The draws.
        lowest: Least quality, 1..100.
        highest: Best quality.
    """
    cv2 = require("cv2")
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(lowest, highest + 1))]
    saved = [cv2.imencode(".jpg", one, quality)[1] for one in frames_THW3]
    return np.stack([cv2.imdecode(one, cv2.IMREAD_COLOR) for one in saved]).astype(np.uint8)


def tint_frames(frames_THW3: Frames, random: np.random.Generator, *, strength: float = 0.2) -> Frames:
    """Red, green and blue each stronger or weaker by a share of at most ``strength``."""
    return _rounded(frames_THW3 * random.uniform(1.0 - strength, 1.0 + strength, 3))


def blur_frames(frames_THW3: Frames, random: np.random.Generator, *, widest: float = 0.02) -> Frames:
    """Out of focus; ``widest`` is the largest deviation as a share of the height."""
    cv2 = require("cv2")
    deviation = max(0.3, random.uniform(0.3, 1.0) * widest * frames_THW3.shape[1])
    return np.stack([cv2.GaussianBlur(one, (0, 0), deviation) for one in frames_THW3])


def noise_frames(frames_THW3: Frames, random: np.random.Generator, *, strongest: float = 25.0) -> Frames:
    """Noise of a deviation up to ``strongest`` of 255 steps, another one in each frame."""
    return _rounded(frames_THW3 + random.uniform(0.3, 1.0) * strongest * random.standard_normal(frames_THW3.shape))


def shrink_frames(frames_THW3: Frames, random: np.random.Generator, *, smallest: float = 0.25) -> Frames:
    """Made small and large again; ``smallest`` is the least share of the sides, in (0, 1]."""
    cv2 = require("cv2")
    height, width = frames_THW3.shape[1:3]
    share = random.uniform(smallest, 2 * smallest)
    small = (max(1, round(width * share)), max(1, round(height * share)))
    less: list[Any] = [cv2.resize(one, small, interpolation=cv2.INTER_AREA) for one in frames_THW3]
    return np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in less])


def box_frames(frames_THW3: Frames, random: np.random.Generator, *, widest: float = 0.18) -> Frames:
    """Bars of one grey on two sides, each up to ``widest`` of the height or width."""
    boxed = frames_THW3.copy()
    across = int(random.integers(2))
    bar = max(1, round(random.uniform(0.3, 1.0) * widest * frames_THW3.shape[1 + across]))
    grey = int(random.integers(2)) * 255
    sides = boxed if not across else boxed.transpose(0, 2, 1, 3)
    sides[:, :bar], sides[:, -bar:] = grey, grey
    return boxed


def turn_frames(frames_THW3: Frames, random: np.random.Generator, *, most: float = 10.0) -> Frames:
    """Held askew by up to ``most`` degrees; corners are filled with what lies at the edge."""
    cv2 = require("cv2")
    height, width = frames_THW3.shape[1:3]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-most, most), 1.0)
    return np.stack(
        [cv2.warpAffine(one, turn, (width, height), borderMode=cv2.BORDER_REPLICATE) for one in frames_THW3]
    )


def fade_frames(frames_THW3: Frames, random: np.random.Generator) -> Frames:
    """Colours drawn towards grey, by a third at least."""
    share = random.uniform(1 / 3, 1.0)
    return _rounded((1 - share) * frames_THW3 + share * frames_THW3.mean(axis=3, keepdims=True))


def bend_frames(frames_THW3: Frames, random: np.random.Generator, *, strength: float = 0.6) -> Frames:
    """Middle tones lifted or lowered (gamma); ``strength`` is the largest logarithm of the exponent."""
    return _rounded(255 * (frames_THW3 / 255) ** np.exp(random.uniform(-strength, strength)))


def usual(frames_THW3: Frames, random: np.random.Generator) -> Frames:
    """Cropped, lit, tinted and compressed, each with a chance of .7: what is trained with."""
    ways: tuple[_Change, ...] = (
        lambda some, draws: crop_frames(some, draws, smallest=0.6),
        lambda some, draws: light_frames(some, draws, strength=0.4),
        tint_frames,
        compress_frames,
    )
    for way in ways:
        if random.random() < 0.7:
            frames_THW3 = way(frames_THW3, random)
    return frames_THW3


def unusual(frames_THW3: Frames, random: np.random.Generator) -> Frames:
    """Two of: blurred, noisy, small, in a frame. None of it is trained with."""
    ways: tuple[_Change, ...] = (blur_frames, noise_frames, shrink_frames, box_frames)
    for place in random.permutation(len(ways))[:2].tolist():
        frames_THW3 = ways[place](frames_THW3, random)
    return frames_THW3


def strange(frames_THW3: Frames, random: np.random.Generator) -> Frames:
    """Two of: askew, faded, with other middle tones. Validation looks at it beside `usual`; none of it is trained with."""
    ways: tuple[_Change, ...] = (turn_frames, fade_frames, bend_frames)
    for place in random.permutation(len(ways))[:2].tolist():
        frames_THW3 = ways[place](frames_THW3, random)
    return frames_THW3


def _rounded(frames: NDArray[np.floating]) -> Frames:
    rounded: Frames = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
    return rounded
