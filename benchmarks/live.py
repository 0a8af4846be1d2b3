"""How long it takes from a file to a clip that is found and recommended, and how long the commands of a served project take.

    python benchmarks/live.py [--items N] [--rounds R] [--seconds S]

The project is trained and has 10,000 items; `benchmarks/live_project.py` says exactly what is real in it and what is made up. In each
round a clip of the town that the catalogue does not have is drawn, enlarged, played again and again for 30 seconds (h264, 720p, a key
frame every 250 frames, with sound) and given to

    kinema ingest --videos CLIP --live

Then come ``kinema similar`` and ``kinema search`` for it, and ``kinema recommend`` for a user it fits. Each command is a process of
its own, timed from its start to its end; processor time includes its decoding process. Afterwards the clip must be in what is similar to one of
its five nearest items, be found by its title, be in the slate of at least one of the users that were named for it, and the model must be the one of before.
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
import numpy as np

from kinema.artifacts import sha256_file
from kinema.sources.town.clips import plan_clip, render_clip
from kinema.sources.town.rules import MOTIONS, SOUNDS, STYLES, TOPICS
from kinema.sources.town.sounds import RATE_HZ, draw_sound
from kinema.sources.town.texts import write_texts
from live_project import CACHE, SEED, built_project, copied_project

RESULT = Path(__file__).parent / "results" / "live.json"
WIDTH, HEIGHT, FPS = 1280, 720, 24
UNSEEN = 10_000_000
"""Behind every clip of the catalogue."""
DEEP = 100
"""Places of a slate in which the clip is looked for: one of a hundred items of the catalogue."""


def draw_clip(folder: Path, seconds: float, number: int) -> Path:
    """A clip of the town that its catalogue does not have, enlarged and played again and again; the file is called by its title."""
    rng = np.random.default_rng([SEED, number])
    topic, style, motion, sound = (int(rng.integers(len(one))) for one in (TOPICS, STYLES, MOTIONS, SOUNDS))
    (text,) = write_texts(np.array([topic]), rng=rng)
    traits = {"topic": topic, "style": style, "motion": motion, "sound": sound}
    plan = plan_clip(UNSEEN + number, seed=SEED, caption=text.caption, item_id=f"drawn{number}", **traits)
    render_clip(plan, folder)
    drawn = folder / plan.file
    with av.open(str(drawn)) as container:
        shown = [frame.reformat(WIDTH, HEIGHT, "yuv420p") for frame in container.decode(video=0)]
    drawn.unlink()
    clip = folder / f"{'_'.join(text.title.lower().split())}_{number}.mp4"
    with av.open(str(clip), "w") as container:
        video: Any = container.add_stream("libx264", rate=FPS, options={"sc_threshold": "0"})
        video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", 3_000_000
        video.codec_context.gop_size = 250
        track: Any = container.add_stream("aac", rate=RATE_HZ, layout="mono", format="fltp")
        for place in range(round(seconds * FPS)):
            picture = av.VideoFrame.from_ndarray(shown[place // 2 % len(shown)].to_ndarray(), format="yuv420p")
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        heard = av.AudioFrame.from_ndarray(
            draw_sound(sound, seconds=seconds, seed=number)[None], format="fltp", layout="mono"
        )
        heard.sample_rate = RATE_HZ
        container.mux(track.encode(heard))
        container.mux(track.encode(None))
    return clip


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
    clip = draw_clip(folder, seconds, number)
    model = sha256_file(project / "artifacts" / "flm" / "manifest.json")
    report, ingest = timed(project, "ingest", "--videos", str(clip), "--live")
    (item,) = report["items"]
    nearest, similar = timed(project, "similar", item["id"], "-n", "5")
    is_back = False
    for one in nearest["items"]:
        back, _ = timed(project, "similar", one["id"], "-n", str(DEEP))
        is_back = is_back or item["id"] in [other["id"] for other in back["items"]]
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
            "similar to one of its nearest": is_back,
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
