"""Small video files with known content, drawn and encoded on the spot: for tests that need a real clip."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError
from kinema.extras import require
from kinema.seeds import generator

CODECS: Final[dict[str, str]] = {
    ".mp4": "mpeg4",
    ".mov": "mpeg4",
    ".mkv": "mpeg4",
    ".avi": "mpeg4",
    ".flv": "flv",
    ".mpg": "mpeg1video",
    ".wmv": "wmv2",
    ".webm": "libvpx",
    ".m4v": "mpeg4",
    ".3gp": "mpeg4",
    ".ts": "mpeg2video",
    ".ogv": "libvpx",
}
"""Suffix -> codec. FFmpeg's own builds often cannot write Theora; VP8 is the other codec that Ogg files hold."""

_FORMATS: Final = {".m4v": "mp4", ".ogv": "ogg"}
_FIXED_RATES: Final = {".mpg": 24, ".ts": 25}

Pose: TypeAlias = tuple[float, float, float, float]
MOTIONS: Final[dict[str, Pose]] = {
    "still": (0.0, 0.0, 0.0, 0.0),
    "pan_left": (-0.2, 0.0, 0.0, 0.0),
    "pan_right": (0.2, 0.0, 0.0, 0.0),
    "pan_up": (0.0, -0.2, 0.0, 0.0),
    "pan_down": (0.0, 0.2, 0.0, 0.0),
    "zoom_in": (0.0, 0.0, 0.25, 0.0),
    "zoom_out": (0.0, 0.0, -0.25, 0.0),
    "spin": (0.0, 0.0, 0.0, 0.6),
    "shake": (0.0, 0.0, 0.0, 0.0),
}
"""Name -> how the picture moves, per second: right and down in widths, logarithm of the zoom, clockwise turn in radians.
A shake trembles in place."""


def render_clip(
    path: Path,
    *,
    motion: str = "pan_left",
    seed: int = 0,
    seconds: float = 2.0,
    fps: int = 12,
    width: int = 160,
    height: int = 112,
    hue: float | None = None,
) -> Path:
    """Write a clip of drawn shapes that move in one way.

    Args:
        path: Where to; the suffix chooses container and codec (see `CODECS`).
        motion: A key of `MOTIONS`.
        seed: Of shapes, colours and the shake's phase; the same seed gives the same pictures.
        seconds: Length.
        fps: Frames per second.
        width: Pixels, even.
        height: Pixels, even.
        hue: Mean colour in [0, 1); drawn from the seed where None.

    Returns:
        ``path``.

    Raises:
        ConfigError: The motion or the suffix is unknown.
        MissingExtraError: PyAV or OpenCV is not installed.
    """
    if motion not in MOTIONS or path.suffix not in CODECS:
        raise ConfigError(
            f"cannot render '{path.name}' with motion '{motion}'; known: {', '.join((*MOTIONS, *CODECS))}"
        )
    phase, canvas = _look(seed, width=width, height=height, hue=hue)
    count = max(1, round(seconds * fps))
    middle = (count - 1) / 2
    poses = [_pose(motion, (n - middle) / fps, phase) for n in range(count)]
    return write_clip(path, [_view(canvas, pose, width, height) for pose in poses], fps=fps)


def render_poses(
    path: Path,
    poses: Sequence[Pose],
    *,
    seed: int = 0,
    fps: int = 12,
    width: int = 160,
    height: int = 112,
    hue: float | None = None,
) -> Path:
    """Write a clip of drawn shapes, seen from one pose after the other; what `render_clip` has no word for.

    Args:
        path: See `render_clip`.
        poses: Of each frame: right and down in widths, logarithm of the zoom, clockwise turn in radians.
        seed: Of shapes and colours.
        fps: See `render_clip`.
        width: See `render_clip`.
        height: See `render_clip`.
        hue: See `render_clip`.

    Returns:
        ``path``.
    """
    _, canvas = _look(seed, width=width, height=height, hue=hue)
    return write_clip(path, [_view(canvas, pose, width, height) for pose in poses], fps=fps)


def _look(seed: int, *, width: int, height: int, hue: float | None) -> tuple[float, NDArray[np.uint8]]:
    """A phase, and the picture that is looked at."""
    rng = generator(seed, "testing/clips")
    canvas = _canvas(rng, side=2 * max(width, height), hue=rng.random() if hue is None else hue)
    return rng.random() * 2 * np.pi, canvas


def write_clip(
    path: Path,
    frames: list[NDArray[np.uint8]],
    *,
    fps: int = 12,
    gop: int = 12,
    codec: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode pictures.

    Args:
        path: Where to; the suffix chooses container and codec (see `CODECS`).
        frames: uint8 [H, W, 3] each, of one even size.
        fps: Frames per second; MPEG streams have rates of their own.
        gop: Frames from one key frame to the next.
        codec: FFmpeg's encoder; what the suffix says where None.
        options: Of the encoder.

    Returns:
        ``path``.
    """
    av = require("av")
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w", format=_FORMATS.get(path.suffix)) as container:
        rate = _FIXED_RATES.get(path.suffix, fps)
        stream: Any = container.add_stream(codec or CODECS[path.suffix], rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1  # libvpx's threads burn a core each while they wait
        stream.bit_rate = 1_500_000
        stream.codec_context.gop_size = gop
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def _canvas(rng: np.random.Generator, *, side: int, hue: float) -> NDArray[np.uint8]:
    """uint8 [side, side, 3]: noise in soft patches with shapes over it, all near one hue."""
    cv2 = require("cv2")
    noise = cv2.resize(
        rng.random((side // 8, side // 8)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC
    )
    colours = np.empty((side, side, 3), dtype=np.float32)
    colours[..., 0], colours[..., 1], colours[..., 2] = hue * 360, 0.6, 0.2 + 0.6 * np.clip(noise, 0, 1)
    canvas = np.ascontiguousarray(cv2.cvtColor(colours, cv2.COLOR_HSV2RGB) * 255).astype(np.uint8)
    for _ in range(40):
        x, y, size = (int(v) for v in (rng.integers(side), rng.integers(side), rng.integers(6, max(8, side // 10))))
        ink = tuple(int(v) for v in rng.integers(0, 256, 3))
        if rng.random() < 0.5:
            cv2.circle(canvas, (x, y), size, ink, thickness=-1)
        else:
            cv2.rectangle(canvas, (x, y), (x + size, y + size), ink, thickness=-1)
    return canvas


def _pose(motion: str, seconds: float, phase: float) -> Pose:
    """Where the picture is, some seconds after (or before) the clip's middle."""
    right, down, zoom, turn = (part * seconds for part in MOTIONS[motion])
    if motion == "shake":
        right, down = 0.05 * np.sin(17 * seconds + phase), 0.05 * np.sin(23 * seconds + 2 * phase)
    return float(right), float(down), zoom, turn


def _view(canvas: NDArray[np.uint8], pose: Pose, width: int, height: int) -> NDArray[np.uint8]:
    """uint8 [height, width, 3], the canvas' middle moved, zoomed and turned by a pose."""
    cv2 = require("cv2")
    right, down, zoom, turn = pose
    matrix = cv2.getRotationMatrix2D((canvas.shape[1] / 2, canvas.shape[0] / 2), -np.degrees(turn), float(np.exp(zoom)))
    matrix[:, 2] += (width / 2 - canvas.shape[1] / 2 + right * width, height / 2 - canvas.shape[0] / 2 + down * width)
    return np.asarray(cv2.warpAffine(canvas, matrix, (width, height), borderMode=cv2.BORDER_REFLECT))
