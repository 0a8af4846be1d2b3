"""How long it takes from a file to a clip that is found and recommended, and how long the commands of a served project take.

    python benchmarks/live.py [--items N] [--rounds R] [--seconds S]

The project is trained and has 10,000 items; `benchmarks/live_project.py` says exactly what is real in it and what is made up. In each
round a clip that nobody has seen is drawn, encoded (h264, 720p, a key frame every 250 frames, with sound) and given to

    kinema ingest --videos CLIP --live

Then come ``kinema similar`` and ``kinema search`` for it, and ``kinema recommend`` for a user it fits. Each command is a process of
its own, timed from its start to its end; processor time includes its decoding process. Afterwards the clip must be in what is similar to its
nearest item, be found by its title, be in the slate of at least one of the users that were named for it, and the model must be the one of before.
The first round is reported apart: the files that a process reads come from the disk.

What must hold: the median ``ingest`` takes less than 5 seconds of wall time on two free cores.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from kinema.artifacts import sha256_file
from live_project import CACHE, built_project, copied_project

RESULT = Path(__file__).parent / "results" / "live.json"
WIDTH, HEIGHT, FPS, HZ = 1280, 720, 25, 44_100
TITLES = (
    "Otters swim in the river",
    "Kites above the dunes",
    "Baking bread at night",
    "Goals of the season",
    "Stars at sea",
)
DEEP = 200
"""Places of a slate in which the clip is looked for: half of the catalogue's items fit each user as well."""


def draw_clip(path: Path, seconds: float, seed: int) -> None:
    """A camera gliding over a large picture, with circles flying across and a tone that rises."""
    rng = np.random.default_rng(seed)
    soft = cv2.resize(rng.random((70, 120, 3)).astype(np.float32), (2400, 1400), interpolation=cv2.INTER_CUBIC)
    canvas = (np.clip(soft, 0, 1) * 255).astype(np.uint8)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=FPS, options={"sc_threshold": "0"})
        video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", 3_000_000
        video.codec_context.gop_size = 250
        sound: Any = container.add_stream("aac", rate=HZ)
        for number in range(round(seconds * FPS)):
            angle = number / (12 * FPS) * 2 * np.pi + seed
            x, y = round(560 + 550 * np.sin(angle)), round(340 + 330 * np.sin(2 * angle))
            picture = canvas[y : y + HEIGHT, x : x + WIDTH].copy()
            for one in range(8):
                place = ((37 * one + 9 * number) % WIDTH, (91 * one + (5 + one) * number) % HEIGHT)
                cv2.circle(picture, place, 30, (25 * one, 255 - 25 * one, 128), thickness=-1)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        times = np.arange(round(seconds * HZ)) / HZ
        wave = (0.2 * np.sin(2 * np.pi * (300 + 20 * seed + 5 * times) * times)).astype(np.float32)
        tone = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        tone.sample_rate = HZ
        container.mux(sound.encode(tone))
        container.mux(sound.encode(None))


def timed(project: Path, *arguments: str) -> tuple[Any, dict[str, float]]:
    """Run a command and read its answer; wall and processor time of the process and of those it started."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "kinema.cli.main", *arguments, "--project", str(project), "--json", "--quiet"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr or done.stdout}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout), {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2)}


def round_of(project: Path, folder: Path, seconds: float, number: int) -> dict[str, Any]:
    """One clip comes in and is looked for."""
    title = TITLES[number % len(TITLES)]
    clip = folder / f"{title.lower().replace(' ', '_')}_{number}.mp4"
    draw_clip(clip, seconds, number)
    model = sha256_file(project / "artifacts" / "flm" / "manifest.json")
    report, ingest = timed(project, "ingest", "--videos", str(clip), "--live")
    (item,) = report["items"]
    nearest, similar = timed(project, "similar", item["id"], "-n", "5")
    back, _ = timed(project, "similar", nearest["items"][0]["id"], "-n", str(DEEP))
    found, search = timed(project, "search", item["title"])
    slates, recommend = [], {}
    for user in item["audience"]:
        slate, recommend = timed(project, "recommend", user, "-n", str(DEEP))
        slates += [place["position"] for place in slate["items"] if place["id"] == item["id"]]
        if slates:
            break
    return {
        "ingest": {**ingest, "stages": report["seconds"]},
        "similar": similar,
        "search": search,
        "recommend": recommend,
        "appears": {
            "similar to its nearest": item["id"] in [one["id"] for one in back["items"]],
            "search for its title": item["id"] in [one["id"] for one in found["items"]],
            "place in a slate": slates[0] + 1 if slates else None,
            "same model": model == sha256_file(project / "artifacts" / "flm" / "manifest.json"),
        },
    }


def measure(num_items: int, rounds: int, seconds: float) -> dict[str, Any]:
    """All rounds on one copy of the project."""
    source = built_project(num_items, lambda what: print(what, file=sys.stderr, flush=True))
    project = copied_project(source, CACHE / "run")
    with tempfile.TemporaryDirectory() as place:
        runs = [round_of(project, Path(place), seconds, number) for number in range(rounds + 1)]
    names = ("ingest", "similar", "search", "recommend")
    later = runs[1:]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "what": f"whole processes; {num_items:,} items, clips of {seconds:g} s; medians of {rounds} rounds after a first one",
        "required": {"ingest": {"wall_s": "< 5"}, "appears": "everywhere"},
        "median": {
            name: {key: round(statistics.median(run[name][key] for run in later), 2) for key in ("wall_s", "cpu_s")}
            for name in names
        },
        "first": {name: runs[0][name] for name in names},
        "rounds": later,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--dry", action="store_true", help="print, do not write the result")
    given = parser.parse_args()
    result = measure(given.items, given.rounds, given.seconds)
    print(json.dumps(result, indent=2))
    if not given.dry:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
