"""What a store costs on each database: bytes per million rows of its tables, and the time of what a service asks most.

    python benchmarks/stores.py [URL ...] [--rows N]

Without a URL a SQLite file in a temporary folder is measured. A database that is named must be empty, and is left filled.
Sizes are the database's own numbers, indexes included, both lazy ones made. Times are medians of a hundred calls, of the
wall clock and of this process's processor; they include the sync of each commit where the server is set to do it.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import text

from kinema.store.service_protocols import LoggedSlate
from kinema.store.sql import SqlStore

CALLS = 100
SIZES = {
    "sqlite": "SELECT sum(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = :name)",
    "postgresql": "SELECT pg_total_relation_size(to_regclass(:name))",
    "mysql": "SELECT data_length + index_length FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = :name",
}


def items_of(rows: int) -> pl.DataFrame:
    """Items with a title, a sentence, two categories, three tags and a file."""
    numbers = pl.Series("n", range(rows))
    return pl.DataFrame(numbers).select(
        id=pl.format("video-{}", "n"),
        title=pl.format("A title of about forty characters {}", "n"),
        description=pl.lit(
            "What happens in the clip, in the hundred and twenty characters that an owner writes about it"
        ),
        categories=pl.lit(["sports", "outdoor"]),
        tags=pl.lit(["climbing", "mountains", "winter"]),
        duration_ms=pl.col("n") + 1000,
        media_path=pl.format("clips/{}.mp4", "n"),
    )


def events_of(rows: int, *, users: int, items: int, first: int = 0) -> pl.DataFrame:
    """Events as a service writes them: each with an id, its slate and its place there."""
    draws = np.random.default_rng(first)
    frame = pl.DataFrame(
        {"n": range(first, first + rows), "u": draws.integers(0, users, rows), "i": draws.integers(0, items, rows)}
    )
    return frame.select(
        user=pl.format("user-{}", "u"),
        item=pl.format("video-{}", "i"),
        timestamp_ms=1_700_000_000_000 + pl.col("n") * 100,
        kind=pl.lit("watch"),
        id=pl.format("e-0123456789abcdef-{}", "n"),
        watch_ms=pl.col("n") % 60_000,
        slate_id=pl.format("s-0123456789abcdef-{}", pl.col("n") // 4),
        position=pl.col("n") % 20,
    )


def slates_of(rows: int, *, users: int) -> list[LoggedSlate]:
    """Slates of twenty items."""
    return [
        LoggedSlate(
            id=f"s-0123456789abcdef-{number}",
            user=f"user-{number % users}",
            timestamp_ms=1_700_000_000_000 + number * 100,
            scenario="home",
            variant="",
            model_version="flm-0123456789abcdef",
            items=tuple(f"video-{(number * 7 + place) % 10_000}" for place in range(20)),
            propensities=tuple(1 / (1 + place) for place in range(20)),
        )
        for number in range(rows)
    ]


def timed(call: Callable[[Any], object], arguments: list[Any]) -> str:
    """Medians of a call, in milliseconds."""
    walls, busy = [], []
    for argument in arguments:
        wall, processor = time.perf_counter(), time.process_time()
        call(argument)
        walls.append(1000 * (time.perf_counter() - wall))
        busy.append(1000 * (time.process_time() - processor))
    return f"{statistics.median(walls):8.2f} ms {statistics.median(busy):8.2f} ms"


def measure(store: SqlStore, rows: int) -> None:
    """Fill a store and print what it costs."""
    users, items = rows, rows
    steps = {
        "items": lambda: store.write_items(items_of(items)),
        "users": lambda: store.write_users(pl.DataFrame({"id": [f"user-{n}" for n in range(users)]})),
        "events": lambda: store.write_events(events_of(rows, users=users, items=items)),
        "slates": lambda: store.write_slates(slates_of(rows, users=users)),
    }
    for table, write in steps.items():
        started = time.perf_counter()
        write()
        seconds = time.perf_counter() - started
        if table == "events":
            store.user_events("user-1")
            store.events_after(-1, limit=1)
        print(f"{table:8} {size(store, table) / rows:8.0f} MB per million {rows / seconds:10,.0f} rows/s")
    calls: dict[str, tuple[Callable[[Any], object], list[Any]]] = {
        f"write_events of {count}": (
            store.write_events,
            [events_of(count, users=users, items=items, first=rows * 10 * count + n * count) for n in range(CALLS)],
        )
        for count in (1, 50)
    }
    calls["state"] = (lambda _: store.state(), list(range(CALLS)))
    newest = store.state().seq
    calls["events_after, 10 of them"] = (lambda _: store.events_after(newest - 10, limit=10), list(range(CALLS)))
    calls["user_events"] = (store.user_events, [f"user-{n}" for n in range(CALLS)])
    calls["item"] = (store.item, [f"video-{n}" for n in range(CALLS)])
    for name, (call, arguments) in calls.items():
        print(f"{name:26} {timed(call, arguments)}")


def size(store: SqlStore, table: str) -> float:
    """Bytes of a table with its indexes."""
    with store._engine.begin() as connection:  # noqa: SLF001  # no store tells its size
        database = connection.dialect.name.replace("mariadb", "mysql")
        if database == "mysql":
            connection.execute(text(f"ANALYZE TABLE {table}"))
        return float(connection.execute(text(SIZES[database]), {"name": table}).scalar() or 0)


def main() -> None:
    """Measure each database that was named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("urls", nargs="*")
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for url in arguments.urls or [str(Path(folder) / "store.db")]:
            store = SqlStore.open(url)
            print(f"\n{store._engine.dialect.name}")  # noqa: SLF001  # nothing else of it may be shown
            measure(store, arguments.rows)
            store.close()


if __name__ == "__main__":
    main()
