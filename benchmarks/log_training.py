"""Whether changed histories, ensembles and distillation pay for the click model of a log.

    python benchmarks/log_training.py [PROJECT] [--of interests town ensembles] [--seeds 3]

``interests``: the world of `tests/learning/test_interests.py`, people with three interests and three aversions. ``town``: a project that has
been pre-trained, such as ``demo/project`` after ``make demo``; read only. Ways are compared on validation; of each set the best one there and
the plain one are measured on test, the others are not. ``ensembles``: three networks, and one distilled from them, against one network.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy comes first
import polars as pl  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from kinema.metrics.classification import auc, log_loss  # noqa: E402
from kinema.project import Project  # noqa: E402
from kinema.schema import EventKind  # noqa: E402
from kinema.steps.click_learning import ClickPlan, plain_training, train_members  # noqa: E402
from kinema.steps.log_world import LOG_COLUMNS, TRAIL_KINDS, click_world, needed_scorer  # noqa: E402
from kinema.steps.slates import trained_profile_schema  # noqa: E402
from kinema.store.exposures import Exposures, exposures_of  # noqa: E402
from kinema.store.histories import pack_histories  # noqa: E402
from kinema.store.trails import pack_trails  # noqa: E402
from kinema.tasks.history_click import ClickWorld, by_time  # noqa: E402
from kinema.tasks.target_attention import HistoryClickConfig  # noqa: E402
from kinema.training.fitting import FitOptions  # noqa: E402
from kinema.training.history_augmentation import HistoryAugmenter, memory_neighbours  # noqa: E402
from kinema.training.task_extras import ClickExtras, HistoryChanges  # noqa: E402

RESULT = Path(__file__).parent / "results" / "log_training.json"
WAYS: dict[str, dict[str, float]] = {
    "plain": {},
    "crop": {"crop": 0.3},
    "mask": {"mask": 0.2},
    "reorder": {"reorder": 0.5},
    "substitute": {"substitute": 0.2},
    "all": {"crop": 0.2, "mask": 0.1, "reorder": 0.3, "substitute": 0.1},
}
NUM_TOPICS, NUM_ITEMS, NUM_USERS, SHOWN = 12, 240, 300, 24


@dataclass(frozen=True)
class Log:
    """What is learnt from.

    Attributes:
        world: What exposures are judged by.
        exposures: Oldest first.
        parts: ``train``, ``valid`` and ``test`` -> rows.
        neighbours_VK: By the memory, of what came before validation.
        config: Of the network.
        options: Of training.
    """

    world: ClickWorld
    exposures: Exposures
    parts: Mapping[str, NDArray[np.int64]]
    neighbours_VK: NDArray[np.int64]
    config: HistoryClickConfig
    options: FitOptions


def log_of(
    events: pl.DataFrame, world: ClickWorld, shares: tuple[float, float], config: HistoryClickConfig, options: Any
) -> Log:
    """The same for any events."""
    exposures = exposures_of(events)
    parts = dict(zip(("train", "valid", "test"), by_time(exposures, shares), strict=True))
    before_ms = int(exposures.times_ms_N[parts["valid"][0]])
    acted = events.filter((pl.col("timestamp_ms") < before_ms) & (pl.col("kind") != EventKind.IMPRESSION.value))
    sizes = {"num_users": len(world.trails.offsets) - 1, "num_items": len(world.vectors_VD)}
    neighbours_VK = memory_neighbours(pack_histories(acted, **sizes))
    batch_size = options.pop("batch_size", len(parts["train"]) // 50)
    return Log(world, exposures, parts, neighbours_VK, config, FitOptions("log_loss", batch_size=batch_size, **options))


def interests() -> Log:
    """Everybody likes three topics, cannot stand three, and is shown these six only."""
    random = np.random.default_rng(0)
    topics_V = np.arange(NUM_ITEMS) % NUM_TOPICS
    vectors_VD = (np.eye(NUM_TOPICS)[topics_V] + 0.1 * random.normal(size=(NUM_ITEMS, NUM_TOPICS))).astype(np.float32)
    rows = []
    for user in range(NUM_USERS):
        mine = random.permutation(NUM_TOPICS)[:6]
        for step in range(SHOWN):
            topic = int(random.choice(mine))
            item, moment = int(random.choice(np.flatnonzero(topics_V == topic))), 1_000_000 * step + user
            likes = topic in mine[:3]
            rows.append((user, item, moment, "impression"))
            rows.append((user, item, moment + 10, "click" if likes == (random.random() < 0.95) else "skip"))
    schema = {"user": pl.Int32, "item": pl.Int32, "timestamp_ms": pl.Int64, "kind": pl.String}
    events = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        watch_ms=pl.lit(None, pl.Int64), position=pl.lit(None, pl.Int32), propensity=pl.lit(None, pl.Float64)
    )
    trails = pack_trails(events, kinds=[EventKind.CLICK, EventKind.SKIP], num_users=NUM_USERS)
    world = ClickWorld(vectors_VD, np.zeros(NUM_ITEMS, np.float32), np.full(NUM_ITEMS, np.iinfo(np.int64).min), trails)
    config = HistoryClickConfig(width=32, max_length=SHOWN, hidden=(32,), cross_layers=1)
    options = {"batch_size": 128, "learning_rate": 5e-3, "max_epochs": 12, "patience": 3}
    return log_of(events, world, (0.7, 0.15), config, options)


def town(folder: Path) -> Log:
    """A project's log, as ``kinema finetune click`` reads it."""
    with Project.open(folder) as project:
        dataset = project.dataset(profile_schema=trained_profile_schema(project.artifacts / "flm"))
        scorer = needed_scorer(project.artifacts, dataset, needs_it="the benchmark")
        events = project.store.events(columns=LOG_COLUMNS)
    trails = pack_trails(events, kinds=TRAIL_KINDS, num_users=dataset.histories.num_users)
    nothing_V = np.zeros(len(dataset.item_ids), np.float32)
    world = click_world(dataset, vectors_VD=scorer.item_vectors_VD, popularity_V=nothing_V, trails=trails)
    return log_of(events, world, (0.8, 0.1), HistoryClickConfig(), {"learning_rate": 2e-3})


def learnt(
    log: Log, seed: int, *, changes: HistoryChanges | None = None, extras: ClickExtras
) -> dict[str, dict[str, float]]:
    """Part -> AUC and log loss of one model, as it is served: without places; and what it cost."""
    started = time.process_time()
    change = None if changes is None or not changes.anything else HistoryAugmenter(changes, log.neighbours_VK)
    task, _ = train_members(
        ClickPlan("click", log.config, seed, extras),
        log.world,
        log.exposures,
        log.parts["train"],
        log.parts["valid"],
        train=plain_training(log.options),
        change=change,
    )
    found: dict[str, dict[str, float]] = {"cost": {"cpu_s": time.process_time() - started}}
    for part in ("valid", "test"):
        rows = log.parts[part]
        probs_N, labels_N = task.probabilities(rows), log.exposures.outcomes["click"][rows]
        found[part] = {"auc": auc(probs_N, labels_N), "log_loss": log_loss(probs_N, labels_N)}
    return found


def compared(name: str, log: Log, ways: Mapping[str, Any], seeds: int) -> dict[str, Any]:
    """Way -> means; test of the plain one and of the best by log loss on validation only."""
    means: dict[str, dict[str, Any]] = {}
    for way, how in ways.items():
        runs = [learnt(log, seed, **how) for seed in range(seeds)]
        means[way] = {
            part: {
                key: [round(float(np.mean(values)), 5), round(float(np.std(values)), 5)]
                for key in runs[0][part]
                for values in [[one[part][key] for one in runs]]
            }
            for part in runs[0]
        }
        print(name, way, {part: one for part, one in means[way].items() if part != "test"}, flush=True)
    best = min(means, key=lambda way: means[way]["valid"]["log_loss"][0])
    shown = {"plain", "one", best} | ({"three", "distilled"} if name == "ensembles" else set())
    for way, one in means.items():
        if way not in shown:
            del one["test"]
    print(name, "best on validation:", best, {way: means[way]["test"] for way in shown & set(means)}, flush=True)
    return {"best_on_validation": best, "ways": means}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path, nargs="?")
    parser.add_argument(
        "--of", nargs="+", choices=("interests", "town", "ensembles"), default=["interests", "town", "ensembles"]
    )
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    alone = ClickExtras()
    augmented = {way: {"changes": HistoryChanges(**shares), "extras": alone} for way, shares in WAYS.items()}
    joined = {"one": alone, "three": ClickExtras(ensemble=3), "distilled": ClickExtras(ensemble=3, distil=True)}
    for one in given.of:
        the_log = interests() if one == "interests" else town(given.project)
        the_ways = {way: {"extras": extras} for way, extras in joined.items()} if one == "ensembles" else augmented
        part = compared(one, the_log, the_ways, given.seeds)
        before = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {}
        facts = {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
            "seeds": given.seeds,
        }
        RESULT.write_text(json.dumps(before | facts | {one: part}, indent=1) + "\n", encoding="utf-8")
