"""The guarantee that matters most: a run that is killed at any moment and started again ends as if it had not been."""

import random
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

from kinema.steps.ingest import ingest
from kinema.store.sql import SqlStore

RUN = """
import sys
from pathlib import Path
from kinema.steps.ingest import ingest
from kinema.store.sql import SqlStore
folder, name = Path(sys.argv[1]), sys.argv[2]
store = SqlStore.open(folder / name)
ingest(store=store, items=folder / "items.csv", events=[folder / "log.csv", folder / "log.parquet"],
       rejects_folder=folder / f"{name}-rejects", block_bytes=4000, progress=lambda *_: print("block", flush=True))
"""


def make_files(folder):
    """A catalogue with repeated ids and two logs with repeated and bad rows, cut into some 60 blocks."""
    numbers = random.Random(3)
    items = [f"i{number % 180}" for number in range(200)]
    (folder / "items.csv").write_text("id,title\n" + "".join(f"{one},title {row}\n" for row, one in enumerate(items)))
    rows = []
    for number in range(6000):
        item = numbers.randrange(185)
        time_ms = "soon" if number % 97 == 0 else 1_700_000_000 + numbers.randrange(3000)
        rows.append((f"u{numbers.randrange(50)}", f"i{item}", time_ms, "click"))
    lines = [",".join(map(str, row)) for row in rows]
    (folder / "log.csv").write_text("user,item,timestamp,kind\n" + "\n".join([*lines, *lines[:500]]) + "\n")
    frame = pl.DataFrame(
        {
            "user": [row[0] for row in rows[:3000]],
            "item": [row[1] for row in rows[:3000]],
            "timestamp": [None if row[2] == "soon" else row[2] + 1 for row in rows[:3000]],
        }
    )
    frame.write_parquet(folder / "log.parquet", row_group_size=500)


def content(path):
    """All that a store holds, as plain values."""
    store = SqlStore.open(path)
    found = (
        store.items().to_dicts(),
        store.users().to_dicts(),
        store.events().to_dicts(),
        store.rejects(),
        store.summary().num_events,
    )
    store.close()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    make_files(folder)
    store = SqlStore.open(folder / "whole.db")
    ingest(
        store=store,
        items=folder / "items.csv",
        events=[folder / "log.csv", folder / "log.parquet"],
        rejects_folder=folder / "whole.db-rejects",
        block_bytes=4000,
    )
    store.close()
    return folder


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_again_and_again_the_store_ends_as_if_it_had_not_been(folder, seed):
    numbers = random.Random(seed)
    name = f"killed{seed}.db"
    kills = 0
    for attempt in range(40):
        run = subprocess.Popen([sys.executable, "-c", RUN, str(folder), name], stdout=subprocess.PIPE, text=True)
        for _ in range(numbers.randrange(9)):
            run.stdout.readline()
        time.sleep(numbers.uniform(0, 0.005))
        if attempt < 6:
            run.send_signal(signal.SIGKILL)
        run.communicate()
        kills += run.returncode == -signal.SIGKILL
        if run.returncode == 0:
            break
    assert run.returncode == 0
    assert kills >= 2
    assert content(folder / name) == content(folder / "whole.db")
    rejects = [(folder / f"{one}-rejects" / "log.csv.jsonl").read_text() for one in (name, "whole.db")]
    assert rejects[0] == rejects[1]
    assert rejects[0].count("\n") > 60
