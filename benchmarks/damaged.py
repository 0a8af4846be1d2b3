"""Whether damaged files can stop a run: two hundred of them through `kinema ingest --videos` and `kinema extract`.

    python benchmarks/damaged.py [--data DIR] [--variants 200] [--seconds 30] [--memory-mb 512] [--seed 0]

`kinema.testing.damage` makes the copies from the real clips in ``DIR/clips`` (`KINEMA_DATA`). The commands run as a user runs
them, with strict limits in ``kinema.toml``, and are looked at from outside: exit codes, which clip each decoding process
holds open and for how long, and the most memory it ever had. Then each copy must have vectors (with a quality below 1
where it is known to be partial) or a reject that names it. A second extraction must change nothing.

In a second project of whole clips one clip's decoding process is killed (SIGKILL) while it reads it, each time one does. That
clip alone may be lost, and the next extraction must bring it back.

Only counts go to ``results/damaged.json``. The exit code is 1 if anything above does not hold. Linux only.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from kinema.encoders.extract import load_features
from kinema.project import Project
from kinema.sources.video_files import EXTENSIONS
from kinema.testing.damage import DAMAGES, damage_files

RESULT: Final = Path(__file__).parent / "results" / "damaged.json"
MARGIN_S: Final = 2.0
"""What ending a process and noticing it from outside may take."""
_LOOK_S: Final = 0.02
_PATIENCE: Final = 10
"""How many times its limit a clip may take by the clock on a machine that is busy with something else."""
_STANDSTILL_S: Final = 3.0
_IDLE_MB: Final = 128
"""What a decoding process has before any clip: interpreter, PyAV, OpenCV. The limit is on what comes to it."""
_WORKER: Final = "kinema.encoders.clip_worker"

_TRIES = 5
"""The clip may be read between two looks, above all where the machine has something else to do."""


@dataclass
class Watch:
    """What the decoding processes of a command do, seen from outside.

    Attributes:
        media: Folder of the clips.
        victim: Name of a clip whose process is killed whenever it has the clip open; None for none.
        longest_s: Clip -> longest time for which a process had it open, by the clock.
        longest_cpu_s: Clip -> the same in processor time.
        peak_mb: Most memory that any of the processes had at any moment.
        num_kills: Processes killed.
    """

    media: Path
    victim: str | None = None
    longest_s: dict[str, float] = field(default_factory=dict)
    longest_cpu_s: dict[str, float] = field(default_factory=dict)
    peak_mb: float = 0.0
    num_kills: int = 0
    _at: dict[int, tuple[str, float, float]] = field(default_factory=dict)
    _looked: float = field(default_factory=time.monotonic)

    def look(self, command: psutil.Process) -> None:
        """Look at all of them once. Where nobody looked for long, the whole machine stood still, and not the clip."""
        now = time.monotonic()
        passed_s, self._looked = now - self._looked, now
        passed_s = passed_s if passed_s < _STANDSTILL_S else 0.0
        try:
            workers = [one for one in command.children() if _WORKER in one.cmdline()]
        except psutil.Error:
            return
        for worker in workers:
            try:
                self.peak_mb = max(self.peak_mb, _peak_mb(worker.pid))
                cpu = worker.cpu_times()
                paths = [one.path for one in worker.open_files()]
                self._clip(worker.pid, paths, passed_s=passed_s, cpu_s=cpu.user + cpu.system)
            except (psutil.Error, OSError):
                continue

    def _clip(self, pid: int, paths: list[str], *, passed_s: float, cpu_s: float) -> None:
        """Count the time of the clip that a process has open; what it does after the last one has no file open."""
        name = next((Path(path).name for path in paths if Path(path).is_relative_to(self.media)), None)
        if name is None:
            return
        before, seconds, began_s = self._at.get(pid, (name, 0.0, cpu_s))
        seconds, began_s = (seconds + passed_s, began_s) if before == name else (0.0, cpu_s)
        self._at[pid] = name, seconds, began_s
        self.longest_s[name] = max(self.longest_s.get(name, 0.0), seconds)
        self.longest_cpu_s[name] = max(self.longest_cpu_s.get(name, 0.0), cpu_s - began_s)
        if name == self.victim:
            os.kill(pid, signal.SIGKILL)
            self.num_kills += 1


def _peak_mb(pid: int) -> float:
    """The most memory that a process has had."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


@dataclass(frozen=True)
class Run:
    """A command that has ended: its exit code, what it answered as JSON, and how long it took."""

    code: int
    answer: dict[str, Any]
    errors: str
    seconds: float


def kinema(project: Path, *arguments: str, watch: Watch | None = None) -> Run:
    """Run a command on a project, as a process of its own."""
    command = [sys.executable, "-m", "kinema.cli.main", *arguments, "--project", str(project), "--json"]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, watch, over))
    watcher.start()
    told, errors = process.communicate()
    over.set()
    watcher.join()
    answer = json.loads(told) if told.strip().startswith("{") else {}
    return Run(process.returncode, answer, errors, time.monotonic() - started)


def _watch(pid: int, watch: Watch | None, over: threading.Event) -> None:
    command = psutil.Process(pid)
    while watch is not None and not over.wait(_LOOK_S):
        watch.look(command)


def new_project(folder: Path, *, settings: str) -> Path:
    """A project with these settings."""
    folder.mkdir(parents=True)
    (folder / "kinema.toml").write_text(settings, encoding="utf-8")
    return folder


def strict(seconds: float, memory_mb: int, *, encoders: str = "") -> str:
    """Settings with strict limits."""
    limits = f"[limits]\ndecode_seconds = {seconds:g}\nclip_memory_mb = {memory_mb}\nmax_clip_pixels = {1 << 23}\n"
    return f"{limits}[runtime]\nworkers = 2\n{encoders}"


def fates(project: Path, names: Sequence[str]) -> dict[str, str]:
    """What became of each file: whole, partial, rejected or, which must not be, missing.

    Args:
        project: After its extraction.
        names: Of the files.
    """
    with Project.open(project) as opened:
        items = opened.store.items().sort("num")
        features = load_features(project / "artifacts" / "features", items)
        named = {Path(one.file).name for one in opened.store.rejects() if one.kind == "clip" and one.reason}
    quality: dict[str, float] = {}
    for row, path in enumerate(items["media_path"].to_list()):
        there = [float(one.quality_V[row]) for name, one in features.items() if name != "text" and one.present_V[row]]
        if there:
            quality[path] = min(there)
    found = {}
    for name in names:
        if name in quality:
            found[name] = "partial" if quality[name] < 1 else "whole"
        else:
            found[name] = "rejected" if name in named else "missing"
    return found


def damaged(
    sources: Sequence[Path], folder: Path, *, num_variants: int, seed: int, settings: str
) -> tuple[dict[str, Any], list[str]]:
    """Damaged copies through both commands.

    Args:
        sources: Whole clips.
        folder: For the copies and the project.
        num_variants: Copies.
        seed: Of the damage.
        settings: Of the project, with its limits.

    Returns:
        What was found, and what does not hold.
    """
    media = folder / "media"
    names = [path.name for path in damage_files(sources, media, num_variants=num_variants, seed=seed)]
    project = new_project(folder / "project", settings=settings)
    ingested = kinema(project, "ingest", "--videos", str(media))
    watch = Watch(media)
    first = kinema(project, "extract", watch=watch)
    if ingested.code or first.code:
        return {}, [f"exit codes {ingested.code} and {first.code}: {ingested.errors[-500:]} {first.errors[-2000:]}"]
    found = fates(project, names)
    second = kinema(project, "extract")
    with Project.open(project) as opened:
        limits = opened.settings.limits
    computed = sum(one["computed"] for one in second.answer["counts"].values())
    again = fates(project, names)
    longest_s, longest_cpu_s = (max(one.values(), default=0.0) for one in (watch.longest_s, watch.longest_cpu_s))
    table = Counter((name.split("-")[1], fate) for name, fate in found.items())
    wrong = [f"neither vectors nor a reject: {name}" for name, fate in found.items() if fate == "missing"]
    if longest_cpu_s > limits.decode_seconds + MARGIN_S or longest_s > _PATIENCE * limits.decode_seconds + MARGIN_S:
        wrong.append(
            f"a clip took {longest_s:.1f} s, {longest_cpu_s:.1f} s of a processor, more than {limits.decode_seconds:g} s"
        )
    if watch.peak_mb > limits.clip_memory_mb + _IDLE_MB:
        wrong.append(f"a decoding process had {watch.peak_mb:.0f} MB, more than {limits.clip_memory_mb}")
    if second.code or computed or again != found:
        wrong.append(f"a second extraction made {computed} vectors and ended with {second.code}")
    return {
        "variants": len(names),
        "by_kind": {
            kind: {fate: table[kind, fate] for fate in ("whole", "partial", "rejected", "missing")} for kind in DAMAGES
        },
        "exit_codes": [ingested.code, first.code, second.code],
        "limits": {"decode_seconds": limits.decode_seconds, "clip_memory_mb": limits.clip_memory_mb},
        "longest_clip_s": round(longest_s, 2),
        "longest_clip_cpu_s": round(longest_cpu_s, 2),
        "decoder_peak_mb": round(watch.peak_mb),
        "extract_s": round(first.seconds, 1),
    }, wrong


def killed(sources: Sequence[Path], folder: Path, *, victim: Path, settings: str) -> tuple[dict[str, Any], list[str]]:
    """Whole clips, and one whose decoding process is killed whenever it reads it; arguments as `damaged`.

    Returns:
        What was found, and what does not hold.
    """
    media = folder / "media"
    media.mkdir(parents=True)
    names = [f"{number:02d}-{path.name}" for number, path in enumerate(sources)]
    for name, path in zip(names, sources, strict=True):
        (media / name).write_bytes(path.read_bytes())
    name = names[list(sources).index(victim)]
    for attempt in range(_TRIES):
        project = new_project(folder / f"project-{attempt}", settings=settings)
        ingested = kinema(project, "ingest", "--videos", str(media))
        watch = Watch(media, victim=name)
        first = kinema(project, "extract", watch=watch)
        if watch.num_kills:
            break
    lost = [one for one, fate in fates(project, names).items() if fate != "whole"]
    second = kinema(project, "extract")
    left = [one for one, fate in fates(project, names).items() if fate != "whole"]
    wrong = []
    if ingested.code or first.code or second.code:
        wrong.append(f"exit codes {ingested.code}, {first.code}, {second.code}: {first.errors[-2000:]}")
    if not watch.num_kills:
        wrong.append("the process was never seen with the clip open, so it was not killed")
    if not set(lost) <= {name}:
        wrong.append(f"clips lost beside the one whose process was killed: {sorted(set(lost) - {name})}")
    if left:
        wrong.append(f"not made by the next extraction: {left}")
    return {"clips": len(names), "kills": watch.num_kills, "lost": len(lost), "lost_after_next": len(left)}, wrong


def main() -> None:
    """Run both and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("KINEMA_DATA"), help="KINEMA_DATA by default")
    parser.add_argument(
        "--folder", type=Path, help="scratch folder that does not exist yet; a temporary one by default"
    )
    parser.add_argument("--variants", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0, help="decode_seconds of the project")
    parser.add_argument("--memory-mb", type=int, default=512, help="clip_memory_mb of the project")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("--data must name the folder of the data sets, is empty, and KINEMA_DATA is not set")
    sources = sorted(path for path in (arguments.data / "clips").glob("*/*") if path.suffix in EXTENSIONS)
    settings = strict(arguments.seconds, arguments.memory_mb)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        variants, wrong = damaged(
            sources, folder / "damaged", num_variants=arguments.variants, seed=arguments.seed, settings=settings
        )
        largest = max(sources, key=lambda path: path.stat().st_size)
        kills, more = killed(sources, folder / "killed", victim=largest, settings=settings)
    result = {
        "damaged": variants,
        "killed": kills,
        "wrong": wrong + more,
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores",
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    arguments.result.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))
    sys.exit(1 if wrong or more else 0)


if __name__ == "__main__":
    main()
