"""How fast a million events come in, beside the fastest thing SQLite can do with the same rows.

    python benchmarks/ingest.py [--events N] [--rounds R]

Measured in each round, each in a process of its own, so that its peak memory is its own:

- ``bare``: rows that are tuples of numbers in memory already, one ``executemany`` into a table with the columns of the
  store's but without any key or index. No file is read, nothing is checked, no duplicate is found.
- ``parquet``, ``csv``: `kinema.steps.ingest.ingest` into a new store: the file is hashed, read, checked, its ids numbered,
  duplicates found, events written and indexed by user. ``by user`` is the same log ordered by user instead of by time.
- ``bare group``: Polars, sort by time and group by user, unstable, in memory.
- ``pack``: `pack_histories` of the same frame in memory: stable, first interaction of each pair, range checked.
- ``read and pack``: the same from the store on disk.

Ratios are taken within a round, because the machine may be busy, and their median is reported. What must hold:
ingest at half the bare rate or more, packing in twice the bare grouping or less, peak memory below 1.5 GB.
"""

import argparse
import json
import platform
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from kinema.steps.ingest import ingest
from kinema.store.histories import pack_histories
from kinema.store.sql import SqlStore
from kinema.store.tables import EVENTS, KIND_CODES

RESULT = Path(__file__).parent / "results" / "ingest.json"
NUM_USERS, NUM_ITEMS = 20_000, 5_000


def make_log(num_events: int) -> pl.DataFrame:
    """A log of ``num_events`` distinct events in time order: ids as text, popularity with a long tail, sessions."""
    rng = np.random.default_rng(0)
    users = rng.integers(0, NUM_USERS, num_events)
    kinds = np.array(["impression", "click", "watch", "like"])[rng.choice(4, num_events, p=[0.5, 0.2, 0.25, 0.05])]
    times = np.sort(1_700_000_000_000 + rng.integers(0, 90 * 86_400_000, num_events))
    watched = pl.Series(rng.integers(1, 600_000, num_events))
    return pl.DataFrame(
        {
            "user": pl.Series(users).cast(pl.String).str.zfill(6).map_elements(lambda one: f"u{one}", pl.String),
            "item": pl.Series(rng.zipf(1.3, num_events) % NUM_ITEMS).cast(pl.String),
            "timestamp": times,
            "kind": kinds,
            "watch_ms": watched.set(pl.Series(kinds != "watch"), None),
            "session_id": [f"s{user}-{place // 100_000}" for place, user in enumerate(users)],
        }
    )


def prepare(folder: Path, num_events: int) -> None:
    """Write the files, and a store to read from."""
    log = make_log(num_events)
    log.write_parquet(folder / "log.parquet")
    log.write_csv(folder / "log.csv")
    log.sort("user").write_parquet(folder / "by_user.parquet")
    store = SqlStore.open(folder / "read.db")
    ingest(store=store, events=folder / "log.parquet")
    store.close()


def bare(folder: Path) -> float:
    """One executemany into a table without keys."""
    log = pl.read_parquet(folder / "log.parquet")
    codes = {kind.value: code for kind, code in KIND_CODES.items()}
    rows = log.select(
        pl.col("user").rank("dense").cast(pl.Int64),
        pl.col("item").rank("dense").cast(pl.Int64),
        "timestamp",
        pl.col("kind").replace_strict(codes),
        "watch_ms",
        "session_id",
    ).rows()
    columns = ", ".join(f'"{column.name}"' for column in EVENTS.columns)
    path = _new(folder, "bare.db")
    started = time.perf_counter()
    connection = sqlite3.connect(path)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(f"CREATE TABLE events ({columns})")
    connection.executemany(
        'INSERT INTO events ("user", item, timestamp_ms, kind, watch_ms, session_id) VALUES (?, ?, ?, ?, ?, ?)', rows
    )
    connection.commit()
    connection.close()
    return time.perf_counter() - started


def ingest_file(name: str) -> Callable[[Path], float]:
    """Ingest of one file into a new store."""

    def run(folder: Path) -> float:
        path = _new(folder, "ingest.db")
        started = time.perf_counter()
        store = SqlStore.open(path)
        report = ingest(store=store, events=folder / name)
        store.close()
        seconds = time.perf_counter() - started
        assert report.counts["events"].rejected == 0
        return seconds

    return run


def _frame(folder: Path) -> pl.DataFrame:
    store = SqlStore.open(folder / "read.db")
    frame = store.events(columns=["user", "item", "timestamp_ms"])
    store.close()
    return frame.sample(fraction=1.0, shuffle=True, seed=1)


def _median_time(work: Callable[[], object], times: int = 5) -> float:
    """Median of a few runs in this process: these take a tenth of a second, and the first one pays for memory."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def bare_group(folder: Path) -> float:
    """Polars, the plainest way."""
    frame = _frame(folder)
    return _median_time(lambda: frame.sort("timestamp_ms").group_by("user").agg("item", "timestamp_ms"))


def pack(folder: Path) -> float:
    """Packed histories of a frame in memory."""
    frame = _frame(folder)
    return _median_time(lambda: pack_histories(frame, num_users=NUM_USERS, num_items=NUM_ITEMS))


def read_and_pack(folder: Path) -> float:
    """Packed histories from the store on disk."""
    store = SqlStore.open(folder / "read.db")
    started = time.perf_counter()
    frame = store.events(columns=["user", "item", "timestamp_ms"])
    pack_histories(frame, num_users=NUM_USERS, num_items=NUM_ITEMS)
    seconds = time.perf_counter() - started
    store.close()
    return seconds


MEASURED: dict[str, Callable[[Path], float]] = {
    "bare": bare,
    "parquet": ingest_file("log.parquet"),
    "csv": ingest_file("log.csv"),
    "parquet by user": ingest_file("by_user.parquet"),
    "bare group": bare_group,
    "pack": pack,
    "read and pack": read_and_pack,
}


def _new(folder: Path, name: str) -> Path:
    for path in folder.glob(f"{name}*"):
        path.unlink()
    return folder / name


def measure(name: str, folder: Path) -> dict[str, float]:
    """Run one of `MEASURED` in a process of its own."""
    command = [sys.executable, __file__, "--measure", name, "--folder", str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def cpu_model() -> str:
    """The processor's name, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def main(num_events: int, rounds: int) -> None:
    """Measure, print and keep the result."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in MEASURED}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        subprocess.run(
            [sys.executable, __file__, "--prepare", "--folder", place, "--events", str(num_events)], check=True
        )
        for _ in range(rounds):
            for name in MEASURED:
                runs[name].append(measure(name, folder))

    def ratio(name: str, to: str) -> float:
        pairs = zip(runs[name], runs[to], strict=True)
        return round(statistics.median(one["seconds"] / other["seconds"] for one, other in pairs), 2)

    result = {
        "what": f"{num_events:,} events; medians of {rounds} rounds; ratios within a round",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": len(_cpus()), "cpu": cpu_model(), "python": platform.python_version()},
        "seconds": {name: round(statistics.median(one["seconds"] for one in runs[name]), 2) for name in MEASURED},
        "peak_mb": {name: round(max(one["peak_mb"] for one in runs[name])) for name in MEASURED},
        "rate_of_bare": {name: round(1 / ratio(name, "bare"), 2) for name in ("parquet", "csv", "parquet by user")},
        "time_of_bare_group": {name: ratio(name, "bare group") for name in ("pack", "read and pack")},
        "required": {"rate_of_bare": ">= 0.5", "time_of_bare_group": "<= 2 (pack)", "peak_mb": "< 1500"},
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def _cpus() -> list[int]:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return [place for place, line in enumerate(lines) if line.startswith("processor")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.prepare:
        prepare(given.folder, given.events)
    elif given.measure:
        cpu = time.process_time()
        seconds = MEASURED[given.measure](given.folder)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "cpu": time.process_time() - cpu, "peak_mb": peak_mb}))
    else:
        main(given.events, given.rounds)
