"""How well extraction uses the machine: whether its stages wait for each other, clips per minute, and memory over the run.

    python benchmarks/extraction.py [--clips 1000] [--workers 2] [--folder DIR]

Small clips are generated once, each with pictures of its own, so that none is found in the cache by its content. Then, each
part in a process of its own, on all cores and without the others:

- ``decoding``: frames and pairs are decoded in the decoding processes, and nothing is made of them;
- ``reading``: the same with what the modalities take from them (squares for the network, optical flow) and the pictures
  for people, as in an extraction; what it takes more than ``decoding`` is mostly flow;
- ``encoding``: the encoders, on what the readers gave for some of the clips, again and again;
- ``whole``: `kinema.encoders.extract.extract`, writing included.

Each has the seconds it took and the processor seconds of all its processes. The parts share the same cores, so the whole
is at best done when the cores have done the work of both ``reading`` and ``encoding``:

- ``share``: seconds of ``reading`` and ``encoding``, each alone on all cores, over those of the whole (wanted: .8);
- ``share_of_cores``: processor seconds of the two, spread over all cores, over the seconds of the whole. It is lower where the
  parts alone do not fill the cores either;
- ``extra_work``: processor seconds of the whole over those of the two: what sending, writing and waiting cost. This one does
  not depend on what else the machine does.

Memory is that of this process and of the decoding processes, sampled while the whole runs, at most in each tenth of the
clips; ``memory_growth`` is the last tenth over the second. Results go to ``results/extraction.json``.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy(num_threads=1)

import polars as pl  # noqa: E402  # the thread policy must come before the numeric libraries
import psutil  # noqa: E402

from kinema.encoders.clip_passes import plan_passes  # noqa: E402
from kinema.encoders.clip_readers import read_clips  # noqa: E402
from kinema.encoders.clip_worker import ClipRequest  # noqa: E402
from kinema.encoders.extract import extract  # noqa: E402
from kinema.encoders.modality import ClipEncoder, Reader  # noqa: E402
from kinema.steps.extracting import CLIP_MODALITIES, EncoderOptions  # noqa: E402
from kinema.testing.clips import MOTIONS, render_clip  # noqa: E402
from unread import Unread  # noqa: E402

RESULT: Final = Path(__file__).parent / "results" / "extraction.json"
ENCODERS: Final = {"frames": "packaged:efficientnet-lite0", "motion": "flow:dis"}
BATCH: Final = 4
SAMPLE: Final = 64
"""Clips whose readings the encoders are run on alone, again and again: all of them would not fit into memory."""
_MB: Final = 1 << 20
_SAMPLE_S: Final = 0.5
"""Between two looks at the memory: finding the processes takes milliseconds of the very time that is measured."""


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


def requests(paths: list[Path], readers: dict[str, Reader], pictures: Path | None) -> list[ClipRequest]:
    """All that readers want of clips."""
    return [
        ClipRequest(
            str(path),
            path.name,
            readers,
            max_seconds=600.0,
            max_pixels=1 << 25,
            pictures=None if pictures is None else (str(pictures), path.stem),
        )
        for path in paths
    ]


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Seconds and processor seconds of all processes; those that work starts must have ended with it."""
    started, before = time.perf_counter(), cpu_seconds()
    work()
    return {"seconds": time.perf_counter() - started, "cpu_seconds": cpu_seconds() - before}


def cpu_seconds() -> float:
    """Of this process and of those it has started and that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usages)


def read_all(wanted: list[ClipRequest], workers: int) -> dict[str, float]:
    """What it takes to read clips."""
    reasons = []

    def work() -> None:
        reasons.extend(one.reasons for one in read_clips(wanted, num_workers=workers) if one.reasons)

    measured = timed(work)
    if reasons:
        raise SystemExit(f"not every clip was read: {reasons[:3]}")
    return measured


def decoding(paths: list[Path], workers: int) -> dict[str, Any]:
    """Decoding alone."""
    passes = plan_passes({name: one.reader for name, one in encoders().items()})
    readers = {
        f"pass{number}": Unread(wants.num_frames, wants.num_pairs, wants.max_side)
        for number, (wants, _) in enumerate(passes)
    }
    return read_all(requests(paths, dict(readers), None), workers)


def reading(paths: list[Path], workers: int) -> dict[str, Any]:
    """Decoding, what readers take, pictures for people."""
    readers = {name: one.reader for name, one in encoders().items()}
    with tempfile.TemporaryDirectory() as pictures:
        return read_all(requests(paths, readers, Path(pictures)), workers)


def encoding(paths: list[Path], workers: int) -> dict[str, Any]:
    """The encoders for as many clips, on all cores."""
    clips = encoders()
    sample = requests(paths[:SAMPLE], {name: one.reader for name, one in clips.items()}, None)
    kept = [one.arrays for one in read_clips(sample, num_workers=workers)]
    repeated = [kept[place % len(kept)] for place in range(len(paths))]
    groups = [repeated[place : place + BATCH] for place in range(0, len(repeated), BATCH)]

    def encode(group: list[dict[str, dict[str, Any]]]) -> None:
        for name, one in clips.items():
            for tokens in one.encode([arrays[name] for arrays in group]):
                one.pool(tokens)

    def work() -> None:
        with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
            list(threads.map(encode, groups))  # results are awaited, so that errors show

    return timed(work)


@dataclass
class Memory:
    """Most memory in each tenth of a run, of this process and of those it has started."""

    ours: list[int] = field(default_factory=lambda: [0] * 10)
    theirs: list[int] = field(default_factory=lambda: [0] * 10)
    tenth: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Look again and again, until it is over."""
        us = psutil.Process()
        while not self.over.wait(_SAMPLE_S):
            tenth = self.tenth
            self.ours[tenth] = max(self.ours[tenth], us.memory_info().rss)
            total = 0
            for child in us.children():
                try:
                    total += child.memory_info().rss
                except psutil.Error:
                    continue
            self.theirs[tenth] = max(self.theirs[tenth], total)

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Which tenth of the clips is at work."""
        if note == "clips" and total:
            self.tenth = min(9, 10 * done // total)


def whole(paths: list[Path], workers: int) -> dict[str, Any]:
    """All of it, and memory."""
    clips, memory = encoders(), Memory()
    names = [path.name for path in paths]
    items = pl.DataFrame({"num": range(len(names)), "id": names, "title": [""] * len(names), "media_path": names})
    reports = []

    def work(folder: Path) -> None:
        reports.append(
            extract(
                items=items,
                media_root=paths[0].parent,
                folder=folder / "features",
                clips=clips,
                workers=workers,
                batch_clips=BATCH,
                pictures=folder / "pictures",
                progress=memory.progress,
            )
        )

    watcher = threading.Thread(target=memory.watch)
    watcher.start()
    with tempfile.TemporaryDirectory() as folder:
        measured: dict[str, Any] = timed(lambda: work(Path(folder)))
    memory.over.set()
    watcher.join()
    report = reports[0]
    if any(one.computed != len(paths) for one in report.counts.values()):
        raise SystemExit(f"not every clip was extracted: {report.counts}, {report.rejects[:3]}")
    both = [ours + theirs for ours, theirs in zip(memory.ours, memory.theirs, strict=True)]
    measured["peak_mb"] = max(both) / _MB
    measured["memory_mb"] = [round(one / _MB) for one in memory.ours]
    measured["decoders_mb"] = [round(one / _MB) for one in memory.theirs]
    return measured


PARTS: Final = {"decoding": decoding, "reading": reading, "encoding": encoding, "whole": whole}


def measure(part: str, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One part, in a process of its own."""
    sizes = ["--clips", str(arguments.clips), "--workers", str(arguments.workers), "--folder", str(folder)]
    command = [sys.executable, __file__, "--part", part, *sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    measured = json.loads(done.stdout.splitlines()[-1])
    return {key: round(value, 2) if isinstance(value, float) else value for key, value in measured.items()}


def summary(parts: dict[str, dict[str, Any]], *, num_clips: int, cores: int) -> dict[str, Any]:
    """The numbers that answer the questions."""
    both = {key: parts["reading"][key] + parts["encoding"][key] for key in ("seconds", "cpu_seconds")}
    run = parts["whole"]
    total_mb = [ours + theirs for ours, theirs in zip(run["memory_mb"], run["decoders_mb"], strict=True)]
    return {
        "share": round(both["seconds"] / run["seconds"], 3),
        "share_of_cores": round(both["cpu_seconds"] / cores / run["seconds"], 3),
        "extra_work": round(run["cpu_seconds"] / both["cpu_seconds"], 3),
        "cpu_seconds_per_clip": {
            "decode": round(parts["decoding"]["cpu_seconds"] / num_clips, 4),
            "flow_and_pictures": round(
                (parts["reading"]["cpu_seconds"] - parts["decoding"]["cpu_seconds"]) / num_clips, 4
            ),
            "encode": round(parts["encoding"]["cpu_seconds"] / num_clips, 4),
            "whole": round(run["cpu_seconds"] / num_clips, 4),
        },
        "clips_per_minute": round(60 * num_clips / run["seconds"], 1),
        "memory_growth": round(total_mb[-1] / max(1, total_mb[1]), 3),
    }


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
        **summary(parts, num_clips=arguments.clips, cores=os.cpu_count() or 1),
    }
    arguments.result.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
