"""The click model of a project's log: attention against the mean of the history, and how long candidates take.

    python benchmarks/history_click.py PROJECT [--seeds 3]

PROJECT is one that has been pre-trained, such as ``demo/project`` after ``make demo``; it is read only. Parts of the log and examples are
those of ``kinema finetune click``; the test tenth is looked at once per model. FLM has seen the whole log, so both numbers are a
little high. Scoring is 500 random items for one user with 50 events in a catalogue of 10,000, on one thread, median of 60.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from kinema.project import Project
from kinema.schema import EventKind
from kinema.steps.finetuning_log import finetune_click_on_log
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.slates import trained_profile_schema
from kinema.store.trails import pack_trails
from kinema.tasks.history_click import ClickWorld
from kinema.tasks.history_click_model import HistoryClickModel
from kinema.tasks.history_facts import HistoryFacts
from kinema.tasks.target_attention import HistoryClickConfig, HistoryClickNetwork, Pooling
from kinema.training.task_settings import TaskSettings

RESULT = Path(__file__).parent / "results" / "history_click.json"
ITEMS, WIDTH, EVENTS, CANDIDATES, ROUNDS = 10_000, 64, 50, 500, 60


def compared(folder: Path, num_seeds: int) -> dict[str, list[dict[str, float]]]:
    """Pooling -> what each seed came to on the newest tenth."""
    poolings: tuple[Pooling, ...] = ("target", "mean")
    with Project.open(folder) as project, tempfile.TemporaryDirectory() as place:
        dataset = project.dataset(profile_schema=trained_profile_schema(project.artifacts / "flm"))
        copy = Path(place)
        for name in ("flm", "bound"):
            (copy / name).symlink_to(project.artifacts / name)
        return {
            pooling: [
                dict(
                    finetune_click_on_log(
                        project.store,
                        dataset,
                        artifacts=copy,
                        plan=FitPlan(TaskSettings(network={"pooling": pooling}), seed=seed),
                    ).metrics["test"]
                )
                for seed in range(num_seeds)
            ]
            for pooling in poolings
        }


def milliseconds() -> float:
    """Processor time for the candidates of one user."""
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    log = pl.DataFrame(
        {
            "user": np.zeros(EVENTS, np.int32),
            "item": random.integers(0, ITEMS, EVENTS).astype(np.int32),
            "timestamp_ms": np.arange(EVENTS) * 1_000_000,
            "kind": ["click"] * EVENTS,
        }
    )
    trails = pack_trails(log, kinds=[EventKind.CLICK], num_users=1)
    vectors_VD = random.normal(size=(ITEMS, WIDTH)).astype(np.float32)
    world = ClickWorld(vectors_VD, np.zeros(ITEMS, np.float32), np.zeros(ITEMS, np.int64), trails)
    network = HistoryClickNetwork(HistoryClickConfig(), num_ids=ITEMS, item_width=WIDTH, num_kinds=1).eval()
    model = HistoryClickModel(network, "click", HistoryFacts.of(world, network, profile_columns=(), flm=""))
    items_K = random.permutation(ITEMS)[:CANDIDATES]
    taken = []
    for _ in range(ROUNDS):
        started = time.thread_time()
        model.probabilities(world, user=0, items_K=items_K, now_ms=10**9)
        taken.append(1000 * (time.thread_time() - started))
    return statistics.median(taken)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    result: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "scoring_500_ms": round(milliseconds(), 2),
        "test": compared(given.project, given.seeds),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
