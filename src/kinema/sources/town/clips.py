"""The clips of the town as real video files: a scene in its look, seen by a moving camera, with a caption.

The five motions are made so that no single frame tells them apart: wallpapers have no seam, every clip is seen at some
scale and with its objects at some angle, and only the change from frame to frame differs.

Shapes: H height, W width, 3 red, green, blue.
"""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.extras import require
from kinema.progress import Progress, silent
from kinema.seeds import derive_seed
from kinema.sources.town.looks import Look, paint, plan_look
from kinema.sources.town.moments import draw_stock, plan_moment, stock_at
from kinema.sources.town.rules import MOTIONS, STYLES
from kinema.sources.town.scenes import place, sprites, wallpaper
from kinema.sources.town.sounds import RATE_HZ, draw_sound

av: Any = require("av")
cv2: Any = require("cv2")

FPS: Final = 12
SIZES: Final = ((128, 96), (160, 120), (176, 144), (192, 144))
CONTAINERS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "mp4": ("libx264", {"preset": "veryfast", "crf": "27", "threads": "1"}),
    "avi": ("mpeg4", {"threads": "1"}),
    "flv": ("flv", {"threads": "1"}),
}
"""Container -> codec and its options. One thread, so that the same frames always give the same file."""
BIT_RATE: Final = 260_000
"""Bits per second of the codecs without a quality target."""
SOUND_CODECS: Final = {"mp4": ("aac", "fltp"), "avi": ("pcm_s16le", "s16"), "flv": ("aac", "fltp")}
"""Container -> codec of the sound track and its sample format."""


@dataclass(frozen=True)
class ClipPlan:
    """Everything that decides the pixels of one clip.

    Attributes:
        file: Name of the file; its ending chooses the container.
        seed: For all that is random in the clip.
        topic: Number in `TOPICS`.
        style: Number in `STYLES`.
        motion: Number in `MOTIONS`.
        caption: Text at the foot of the picture.
        width: Pixels, even.
        height: Pixels, even.
        num_frames: At `FPS` frames per second.
        sound: Number in `SOUNDS`; None for a silent clip.
        moment: First frame in which the clip shows what it is about, and first frame after; None for all of it.
        has_tint: The style is colours alone, over a texture drawn blindly.
    """

    file: str
    seed: int
    topic: int
    style: int
    motion: int
    caption: str
    width: int
    height: int
    num_frames: int
    sound: int | None = None
    moment: tuple[int, int] | None = None
    has_tint: bool = False

    @property
    def duration_ms(self) -> int:
        """Length, milliseconds."""
        return self.num_frames * 1000 // FPS

    @property
    def moment_ms(self) -> tuple[int, int]:
        """When the clip shows what it is about, milliseconds."""
        first, stop = self.moment or (0, self.num_frames)
        return first * 1000 // FPS, stop * 1000 // FPS


def plan_clip(
    number: int,
    *,
    seed: int,
    topic: int,
    style: int,
    motion: int,
    caption: str,
    item_id: str,
    sound: int | None = None,
    moment_share: float = 0.0,
    has_tint: bool = False,
) -> ClipPlan:
    """Draw the shape of a clip's file; containers take turns by chance, whatever the clip shows."""
    clip_seed = derive_seed(seed, f"town/clip/{number}")
    rng = np.random.default_rng(clip_seed)
    ending = tuple(CONTAINERS)[int(rng.integers(len(CONTAINERS)))]
    width, height = SIZES[int(rng.integers(len(SIZES)))]
    num_frames = 3 * int(rng.integers(FPS, 2 * FPS + 1))
    moment = plan_moment(num_frames, share=moment_share, rng=rng) if moment_share else None
    file = f"{item_id}.{ending}"
    shape = (width, height, num_frames)
    return ClipPlan(file, clip_seed, topic, style, motion, caption, *shape, sound, moment, has_tint)


@dataclass(frozen=True)
class _Path:
    """Where camera and objects are: offset in pixels and scale per frame, and one period of the objects' swing.

    Attributes:
        right_T: float64, one per frame.
        down_T: float64, one per frame.
        scale_T: float64, one per frame.
        swings: Degrees, one per frame of the period; a single 0 where nothing swings.
    """

    right_T: NDArray[np.float64]
    down_T: NDArray[np.float64]
    scale_T: NDArray[np.float64]
    swings: tuple[float, ...]


def _plan_path(plan: ClipPlan, rng: np.random.Generator) -> _Path:
    """The planted motion."""
    seconds_T = np.arange(plan.num_frames) / FPS
    still_T = np.zeros(plan.num_frames)
    right_T, down_T = still_T, still_T
    swings = (0.0,)
    scale_T = still_T + np.exp(rng.uniform(np.log(0.8), np.log(1.5)))
    motion = MOTIONS[plan.motion]
    speed = rng.uniform(0.8, 1.2)
    if motion == "pan":
        right_T = 0.3 * speed * plan.width * seconds_T
    elif motion == "tilt":
        down_T = -0.35 * speed * plan.height * seconds_T
    elif motion == "zoom":
        scale_T = np.geomspace(0.75, 1.6, plan.num_frames)
    elif motion == "shake":
        right_T, down_T = 0.02 * speed * plan.width * rng.standard_normal((2, plan.num_frames))
    else:
        period = int(rng.integers(11, 17))
        swings = tuple((30.0 * np.sin(2 * np.pi * (np.arange(period) / period + rng.random()))).tolist())
    return _Path(right_T, down_T, scale_T, swings)


@dataclass(frozen=True)
class _Object:
    """A sprite and where it stands."""

    sprite: NDArray[np.uint8]
    x: float
    y: float
    size: float
    degrees: float


def _plan_objects(plan: ClipPlan, rng: np.random.Generator) -> list[_Object]:
    """Four to six objects on a loose grid, so that they cover the scene without hiding each other."""
    kinds = sprites(plan.topic)
    cells = rng.permutation(6)[: int(rng.integers(4, 7))]
    return [
        _Object(
            sprite=kinds[place_number % len(kinds)],
            x=(cell % 3 + 0.5 + rng.uniform(-0.15, 0.15)) * plan.width / 3,
            y=(cell // 3 + 0.5 + rng.uniform(-0.15, 0.15)) * plan.height / 2,
            size=plan.height * rng.uniform(0.34, 0.46),
            degrees=0.0 if MOTIONS[plan.motion] == "swing" else 30.0 * np.sin(2 * np.pi * rng.random()),
        )
        for place_number, cell in enumerate(cells.tolist())
    ]


def _scene(ground_HW: NDArray[np.uint8], objects: Sequence[_Object], swing: float, look: Look) -> NDArray[np.uint8]:
    """uint8 [H, W, 3], wallpaper and objects in their style; neighbours swing against each other."""
    ink_HW = ground_HW.copy()
    for number, one in enumerate(objects):
        turn = one.degrees + swing * (-1) ** number
        place(ink_HW, one.sprite, x=one.x, y=one.y, size=one.size, degrees=turn)
    return paint(ink_HW, look)


def _plan_look(plan: ClipPlan, rng: np.random.Generator) -> Look:
    """The look of what the clip is about."""
    if not plan.has_tint:
        return plan_look(plan.style, width=plan.width, height=plan.height, rng=rng)
    texture = int(np.random.default_rng(derive_seed(plan.seed, "texture")).integers(len(STYLES)))
    return plan_look(texture, width=plan.width, height=plan.height, rng=rng, tint=plan.style)


def _write_caption(image_HW3: NDArray[np.uint8], caption: str) -> None:
    """Write the caption at the foot of the picture, in place, with a dark rim so that it is legible on any ground."""
    scale = image_HW3.shape[1] / 340
    for right, down, shade in ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, 255)):
        where = (5 + right, image_HW3.shape[0] - 6 + down)
        cv2.putText(image_HW3, caption, where, cv2.FONT_HERSHEY_SIMPLEX, scale, (shade,) * 3, 1, cv2.LINE_AA)


def draw_frames(plan: ClipPlan) -> Iterator[NDArray[np.uint8]]:
    """Draw a clip.

    Args:
        plan: The clip.

    Yields:
        uint8 [H, W, 3], one per frame.
    """
    rng = np.random.default_rng(derive_seed(plan.seed, "pixels"))
    look = _plan_look(plan, rng)
    ground_HW = wallpaper(plan.topic, width=plan.width, height=plan.height, rng=rng)
    objects = _plan_objects(plan, rng)
    path = _plan_path(plan, rng)
    centre = np.array([plan.width / 2, plan.height / 2])
    start = rng.random(2) * (plan.width, plan.height)
    scenes = [_scene(ground_HW, objects, swing, look) for swing in path.swings]
    first, stop = plan.moment or (0, plan.num_frames)
    size = {"width": plan.width, "height": plan.height}
    stock = draw_stock(plan.num_frames, **size, rng=rng, has_tints=plan.has_tint) if plan.moment else ()
    for frame in range(plan.num_frames):
        is_shown = first <= frame < stop
        scale = 1.0 / path.scale_T[frame]
        offset = start + np.array([path.right_T[frame], path.down_T[frame]]) + (1.0 - scale) * centre
        matrix = np.array([[scale, 0.0, offset[0]], [0.0, scale, offset[1]]])
        image_HW3 = cv2.warpAffine(
            scenes[frame % len(scenes)] if is_shown else stock_at(stock, frame),
            matrix,
            (plan.width, plan.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_WRAP,
        )
        if is_shown:
            _write_caption(image_HW3, plan.caption)
        yield image_HW3


def _add_track(container: Any, ending: str) -> Any:
    """A stream for the sound; all streams must be there before the first packet."""
    codec, sample_format = SOUND_CODECS[ending]
    track = container.add_stream(codec, rate=RATE_HZ, layout="mono", format=sample_format)
    track.codec_context.time_base = Fraction(1, RATE_HZ)
    return track


def _write_track(container: Any, track: Any, plan: ClipPlan) -> None:
    """Encode the sound of the clip; the container sorts the packets in between the pictures."""
    sound_N = draw_sound(plan.sound or 0, seconds=plan.num_frames / FPS, seed=derive_seed(plan.seed, "sound"))
    waves_N = np.round(sound_N * 32_767).astype(np.int16)
    for start in range(0, len(waves_N), 1024):
        frame = av.AudioFrame.from_ndarray(waves_N[None, start : start + 1024], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE_HZ, start
        container.mux(track.encode(frame))
    container.mux(track.encode())


def render_clip(plan: ClipPlan, folder: Path) -> None:
    """Write one clip: under another name first, so that a file with the final name is always whole.

    Args:
        plan: The clip.
        folder: Where it goes.
    """
    ending = plan.file.rsplit(".", maxsplit=1)[1]
    codec, options = CONTAINERS[ending]
    draft = folder / f".{plan.file}.part"
    with av.open(str(draft), mode="w", format=ending, options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream(codec, rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = plan.width, plan.height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        stream.codec_context.gop_size = 2 * FPS
        if "crf" not in options:
            stream.codec_context.bit_rate = BIT_RATE
        track = _add_track(container, ending) if plan.sound is not None else None
        for number, image_HW3 in enumerate(draw_frames(plan)):
            frame = av.VideoFrame.from_ndarray(image_HW3, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if track is not None and plan.sound is not None:
            _write_track(container, track, plan)
    draft.replace(folder / plan.file)


def _start_worker() -> None:
    """The clips are spread over processes; threads inside them would only get into each other's way."""
    cv2.setNumThreads(1)


def _render_some(plans: Sequence[ClipPlan], folder: Path) -> int:
    """What a worker process does."""
    for plan in plans:
        render_clip(plan, folder)
    return len(plans)


def render_clips(plans: Sequence[ClipPlan], folder: Path, *, workers: int, progress: Progress = silent) -> int:
    """Write the clips that are not there yet.

    Args:
        plans: All clips.
        folder: Where they go; created if need be.
        workers: Processes; 1 stays in this one.
        progress: Told the clips done.

    Returns:
        How many were written; the others were there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [plan for plan in plans if not (folder / plan.file).is_file()]
    done = len(plans) - len(missing)
    progress(done, len(plans), "clips")
    batches = [missing[start : start + 8] for start in range(0, len(missing), 8)]
    if workers <= 1 or len(batches) <= 1:
        for batch in batches:
            done += _render_some(batch, folder)
            progress(done, len(plans), "clips")
        return len(missing)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker) as pool:
        for future in as_completed([pool.submit(_render_some, batch, folder) for batch in batches]):
            done += future.result()
            progress(done, len(plans), "clips")
    return len(missing)
