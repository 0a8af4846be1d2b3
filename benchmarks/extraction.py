"""How well extraction uses the machine: whether its stages wait for each other, clips per minute, and memory over the run.

    python benchmarks/extraction.py [--clips 1000] [--workers 2] [--folder DIR]

Small clips are generated once. Then, each in a process of its own and on all cores:

- ``reading``: decoding and optical flow alone;
- ``encoding``: the encoders alone, on what the readers gave for some of the clips;
- ``whole``: `kinema.encoders.extract.extract`, writing included.

The parts share the same cores, so at best the whole takes as long as the two together; ``share`` is that best time over
the time it took. Memory is that of all processes, sampled while the whole runs, up to a fifth of the clips and up to the
end. Results go to ``results/extraction.json``.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy(num_threads=1)

import polars as pl  # noqa: E402  # the thread policy must come before the numeric libraries
import psutil  # noqa: E402

from kinema.encoders.clip_readers import read_clips  # noqa: E402
from kinema.encoders.clip_worker import ClipRequest  # noqa: E402
from kinema.encoders.extract import extract  # noqa: E402
from kinema.encoders.modality import ClipEncoder  # noqa: E402
from kinema.steps.extracting import CLIP_MODALITIES, EncoderOptions  # noqa: E402
from kinema.testing.clips import MOTIONS, render_clip  # noqa: E402

RESULT: Final = Path(__file__).parent / "results" / "extraction.json"
ENCODERS: Final = {"frames": "packaged:efficientnet-lite0", "motion": "flow:dis"}
BATCH: Final = 4
SAMPLE: Final = 64
"""Clips whose readings the encoders are run on alone, again and again: all of them would not fit into memory."""


def clips_in(folder: Path, count: int) -> list[Path]:
    """So many clips of 2-4 s, generated where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"c{number:05}.mp4" for number in range(count)]
    names = sorted(MOTIONS)
    for number, path in enumerate(paths):
        if not path.exists():
            seconds = 2.0 + number % 3
            render_clip(path, motion=names[number % len(names)], seed=number, seconds=seconds, width=320, height=240)
    return paths


def encoders() -> dict[str, ClipEncoder]:
    """Those of the default settings that take pictures."""
    return {modality: CLIP_MODALITIES[modality](name, EncoderOptions()) for modality, name in ENCODERS.items()}


def requests(paths: list[Path], clips: dict[str, ClipEncoder]) -> list[ClipRequest]:
    """All that the encoders want of clips."""
    readers = {name: one.reader for name, one in clips.items()}
    return [ClipRequest(str(path), path.name, readers, max_seconds=600.0, max_pixels=1 << 25) for path in paths]


def reading(paths: list[Path], workers: int) -> dict[str, float]:
    """Seconds to decode and to read."""
    wanted = requests(paths, encoders())
    started = time.perf_counter()
    for _ in read_clips(wanted, num_workers=workers):
        pass
    return {"seconds": time.perf_counter() - started}


def encoding(paths: list[Path], workers: int) -> dict[str, float]:
    """Seconds to encode as many clips, on all cores."""
    clips = encoders()
    kept = [one.arrays for one in read_clips(requests(paths[:SAMPLE], clips), num_workers=workers)]
    repeated = [kept[place % len(kept)] for place in range(len(paths))]
    groups = [repeated[place : place + BATCH] for place in range(0, len(repeated), BATCH)]

    def encode(group: list[dict[str, dict[str, Any]]]) -> None:
        for name, one in clips.items():
            for tokens in one.encode([arrays[name] for arrays in group]):
                one.pool(tokens)

    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        list(threads.map(encode, groups))  # results are awaited, so that errors show
    return {"seconds": time.perf_counter() - started}


def whole(paths: list[Path], workers: int) -> dict[str, float]:
    """Seconds for all of it, and memory."""
    clips = encoders()
    names = [path.name for path in paths]
    items = pl.DataFrame({"num": range(len(names)), "id": names, "title": [""] * len(names), "media_path": names})
    peaks, early, over = [0], [0], threading.Event()

    def watch() -> None:
        us = psutil.Process()
        while not over.wait(0.1):
            total = us.memory_info().rss
            for child in us.children():
                try:
                    total += child.memory_info().rss
                except psutil.Error:
                    continue
            peaks[0] = max(peaks[0], total)

    def progress(done: int, total: int, note: str = "") -> None:
        if note == "clips" and done <= total // 5:
            early[0] = peaks[0]

    watcher = threading.Thread(target=watch)
    watcher.start()
    with tempfile.TemporaryDirectory() as folder:
        report = extract(
            items=items,
            media_root=paths[0].parent,
            folder=Path(folder),
            clips=clips,
            workers=workers,
            batch_clips=BATCH,
            progress=progress,
        )
    over.set()
    watcher.join()
    if any(one.computed != len(paths) for one in report.counts.values()):
        raise SystemExit(f"not every clip was extracted: {report.counts}, {report.rejects[:3]}")
    return {"seconds": report.seconds, "peak_mb_early": early[0] / 2**20, "peak_mb": peaks[0] / 2**20}


PARTS: Final = {"reading": reading, "encoding": encoding, "whole": whole}


def measure(part: str, arguments: argparse.Namespace, folder: Path) -> dict[str, float]:
    """One part, in a process of its own."""
    sizes = ["--clips", str(arguments.clips), "--workers", str(arguments.workers), "--folder", str(folder)]
    command = [sys.executable, __file__, "--part", part, *sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return {key: round(value, 2) for key, value in json.loads(done.stdout.splitlines()[-1]).items()}


def main() -> None:
    """Measure all parts and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, help="where generated clips are kept; a temporary one by default")
    parser.add_argument("--part", choices=sorted(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if arguments.part:
        paths = clips_in(arguments.folder, arguments.clips)
        print(json.dumps(PARTS[arguments.part](paths, arguments.workers)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        clips_in(folder, arguments.clips)
        parts = {part: measure(part, arguments, folder) for part in PARTS}
    result = {
        "clips": arguments.clips,
        "workers": arguments.workers,
        "cores": os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "parts": parts,
        "share": round((parts["reading"]["seconds"] + parts["encoding"]["seconds"]) / parts["whole"]["seconds"], 3),
        "clips_per_minute": round(60 * arguments.clips / parts["whole"]["seconds"], 1),
        "memory_growth": round(parts["whole"]["peak_mb"] / max(1.0, parts["whole"]["peak_mb_early"]), 3),
    }
    arguments.result.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
