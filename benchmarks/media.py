"""How fast clips are read, beside the readers one would otherwise take.

    python benchmarks/media.py [--seconds S] [--rounds R]

A clip of 720p is drawn and encoded three ways: h264 with a key frame every 250 frames, mpeg4 in avi and flv1 in flv with one
every 12. Sixteen evenly spaced frames of it are read, brought to 256 pixels, by

- ``pyav``: PyAV, decoding in order up to the last frame wanted;
- ``opencv``, ``opencv seek``: OpenCV, grabbing in order, or going to each frame by its number;
- ``decord``: where it is installed;
- ``kinema``, ``kinema key``, ``kinema shots``: `kinema.media.sampling.sample_frames` in its three modes.

Each reading is a process of its own on one thread, and processor time is what counts, so that a busy machine changes little.
Ratios are taken within a round and their median is reported. A reader counts as exact when each of its pictures is nearer
to the frame wanted than to the ones before and after. What must hold: ``kinema`` takes at most 1.1 times the time of the fastest exact reader, and on h264 ``kinema key``
at most a fifteenth of ``pyav``.
"""

import argparse
import importlib
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from kinema.media.sampling import sample_frames

RESULT = Path(__file__).parent / "results" / "media.json"
NUM_FRAMES, MAX_SIDE, FPS = 16, 256, 25
WIDTH, HEIGHT = 1280, 720
CLIPS = {
    "h264 gop 250": ("clip.mp4", "libx264", 250),
    "mpeg4 avi gop 12": ("clip.avi", "mpeg4", 12),
    "flv gop 12": ("clip.flv", "flv", 12),
}


def draw_clips(folder: Path, seconds: float) -> None:
    """Draw once, encode three ways: a camera gliding over a large picture, with circles flying across."""
    rng = np.random.default_rng(0)
    soft = cv2.resize(rng.random((70, 120, 3)).astype(np.float32), (2400, 1400), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(rng.random((700, 1200, 3)).astype(np.float32), (2400, 1400), interpolation=cv2.INTER_LINEAR)
    canvas = (np.clip(0.8 * soft + 0.2 * fine, 0, 1) * 255).astype(np.uint8)
    outputs = []
    for name, codec, gop in CLIPS.values():
        container = av.open(str(folder / name), "w")
        stream: Any = container.add_stream(codec, rate=FPS, options={"sc_threshold": "0"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 3_000_000
        stream.codec_context.gop_size = gop
        outputs.append((container, stream))
    for number in range(round(seconds * FPS)):
        angle = number / (12 * FPS) * 2 * np.pi
        x, y = round(560 + 550 * np.sin(angle)), round(340 + 330 * np.sin(2 * angle))
        picture = canvas[y : y + HEIGHT, x : x + WIDTH].copy()
        for one in range(8):
            place = ((37 * one + 9 * number) % WIDTH, (91 * one + (5 + one) * number) % HEIGHT)
            cv2.circle(picture, place, 30, (25 * one, 255 - 25 * one, 128), thickness=-1)
        for container, stream in outputs:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    for container, stream in outputs:
        container.mux(stream.encode(None))
        container.close()


def wanted_frames(path: Path) -> list[int]:
    """Numbers of the frames on screen in the middles of sixteen equal parts."""
    seconds = json.loads((path.parent / "seconds.json").read_text())
    count = round(seconds * FPS)
    return sorted({int((part + 0.5) * count / NUM_FRAMES) for part in range(NUM_FRAMES)})


def pyav(path: Path) -> NDArray[np.uint8]:
    """In order, up to the last frame wanted."""
    return in_order(path, wanted_frames(path))


def in_order(path: Path, numbers: list[int]) -> NDArray[np.uint8]:
    """Frames by their numbers, ascending."""
    wanted, taken = set(numbers), []
    convert = VideoReformatter().reformat
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.thread_count = "NONE", 1
        for number, frame in enumerate(container.decode(stream)):
            if number in wanted:
                small = convert(frame, width=256, height=144, format="rgb24", interpolation="AREA", threads=1)
                taken.append(small.to_ndarray())
            if len(taken) == len(wanted):
                break
    return np.stack(taken)


def opencv(path: Path, *, seeks: bool = False) -> NDArray[np.uint8]:
    """By grabbing in order, or by going to each frame."""
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "threads;1"
    cv2.setNumThreads(1)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    taken, place = [], 0
    for number in wanted_frames(path):
        if seeks:
            capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        while not seeks and place < number:
            capture.grab()
            place += 1
        picture = capture.read()[1]
        place += 1
        small = cv2.resize(picture, (256, 144), interpolation=cv2.INTER_AREA)
        taken.append(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))
    return np.stack(taken)


def decord(path: Path) -> NDArray[np.uint8]:
    """By its own index."""
    reader = importlib.import_module("decord").VideoReader(str(path), width=256, height=144, num_threads=1)
    return np.asarray(reader.get_batch(wanted_frames(path)).asnumpy())


def kinema(mode: Any) -> Callable[[Path], NDArray[np.uint8]]:
    """Our sampler."""
    return lambda path: sample_frames(path, num_frames=NUM_FRAMES, num_pairs=0, max_side=MAX_SIDE, mode=mode).array


READERS: dict[str, Callable[[Path], NDArray[np.uint8]]] = {
    "pyav": pyav,
    "opencv": opencv,
    "opencv seek": lambda path: opencv(path, seeks=True),
    "decord": decord,
    "kinema": kinema("even"),
    "kinema key": kinema("key"),
    "kinema shots": kinema("shots"),
}
OTHERS = ("pyav", "opencv", "opencv seek", "decord")


def read(name: str, path: Path) -> dict[str, float]:
    """Read a clip in this process; the modules are warm, as they are in a run over many clips."""
    READERS[name](path)
    started = time.process_time()
    pictures = READERS[name](path)
    taken = time.process_time() - started
    reference = path.with_suffix(path.suffix + ".npy")
    if not reference.is_file():
        around = [number + step for number in wanted_frames(path) for step in (-1, 0, 1)]
        np.save(reference, in_order(path, around).reshape(-1, 3, *pictures.shape[1:]))
    right = np.load(reference).astype(np.int16)
    is_exact = len(pictures) == len(right)
    if is_exact:
        apart = np.abs(right - pictures[:, None]).mean(axis=(2, 3, 4))
        is_exact = bool((apart.argmin(axis=1) == 1).all())
    return {"seconds": taken, "exact": float(is_exact), "frames": len(pictures)}


def measure(name: str, path: Path) -> dict[str, float] | None:
    """`read` in a process of its own; None where the reader fails on this file."""
    command = [sys.executable, __file__, "--read", name, "--path", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def compare(runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians and ratios for one clip."""

    def ratio(name: str, to: str) -> float:
        pairs = zip(runs[name], runs[to], strict=True)
        return round(statistics.median(one["seconds"] / other["seconds"] for one, other in pairs), 3)

    exact = [name for name in OTHERS if name in runs and all(one["exact"] for one in runs[name])]
    fastest = min(exact, key=lambda name: statistics.median(one["seconds"] for one in runs[name]))
    return {
        "ms": {name: round(1000 * statistics.median(one["seconds"] for one in some), 1) for name, some in runs.items()},
        "exact": [name for name in runs if all(one["exact"] for one in runs[name])],
        "fastest_exact_other": fastest,
        "time_of_fastest": {name: ratio(name, fastest) for name in ("kinema", "kinema shots")},
        "pyav_over_key": round(1 / ratio("kinema key", "pyav"), 1),
        "key_frames_read": int(runs["kinema key"][0]["frames"]),
    }


def decode_part(seconds: float, rounds: int) -> dict[str, Any]:
    """All clips, all readers."""
    missing = [name for name in ("decord",) if importlib.util.find_spec(name) is None]
    clips: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "seconds.json").write_text(json.dumps(seconds))
        draw_clips(folder, seconds)
        for label, (file, _, _) in CLIPS.items():
            names = [name for name in READERS if name not in missing]
            rows = [{name: measure(name, folder / file) for name in names} for _ in range(rounds)]
            clips[label] = compare(
                {name: [row[name] for row in rows] for name in names if all(row[name] for row in rows)}
            )
    return {
        "what": f"16 frames of a {seconds:g} s 720p clip, processor time, one thread; medians of {rounds} rounds",
        "left_out": missing,
        "clips": clips,
        "required": {"time_of_fastest": "<= 1.1 (kinema)", "pyav_over_key": ">= 15 (h264)"},
    }


def write_part(name: str, part: dict[str, Any]) -> None:
    """Keep a part of the result beside the others."""
    result = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    result[name] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        **part,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result[name], indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="print, do not write the result")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        print(json.dumps(read(given.read, given.path)))
    elif given.dry:
        print(json.dumps(decode_part(given.seconds, given.rounds), indent=2))
    else:
        write_part("decode", decode_part(given.seconds, given.rounds))
