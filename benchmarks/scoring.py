"""How long a second opinion on the candidates of one user takes: click and engagement, on one core.

    python benchmarks/scoring.py [--repeats 5]

500 random items of a catalogue of 10,000 for one user with 50 events, FLM vectors of width 64, the networks as they are by default
and untrained; engagement has four heads by MMoE. A repeat is the median of 60 answers, in processor time of one thread; what
is told is the median and the least of the repeats: on a machine with other work a core is slower than its clock. Writes ``results/scoring.json``.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy comes first
import polars as pl  # noqa: E402
import torch  # noqa: E402

from kinema.schema import EventKind  # noqa: E402
from kinema.store.trails import pack_trails  # noqa: E402
from kinema.tasks.engagement import EngagementConfig, EngagementModel, fresh_network  # noqa: E402
from kinema.tasks.engagement_labels import WATCH  # noqa: E402
from kinema.tasks.history_click import ClickWorld  # noqa: E402
from kinema.tasks.history_click_model import HistoryClickModel  # noqa: E402
from kinema.tasks.history_engagement import HistoryEngagement  # noqa: E402
from kinema.tasks.history_facts import HistoryFacts, HistoryReading  # noqa: E402
from kinema.tasks.target_attention import HistoryClickConfig, HistoryClickNetwork  # noqa: E402
from kinema.tasks.watch_time import DurationGroups  # noqa: E402

RESULT: Final = Path(__file__).parent / "results" / "scoring.json"
ITEMS, WIDTH, EVENTS, CANDIDATES, ROUNDS = 10_000, 64, 50, 500, 60


def answers() -> dict[str, Callable[[], Any]]:
    """Name -> one answer about 500 candidates."""
    random = np.random.default_rng(0)
    columns = {"user": np.zeros(EVENTS, np.int32), "item": random.integers(0, ITEMS, EVENTS).astype(np.int32)}
    log = pl.DataFrame(columns | {"timestamp_ms": np.arange(EVENTS) * 1_000_000, "kind": ["click"] * EVENTS})
    trails = pack_trails(log, kinds=[EventKind.CLICK], num_users=1)
    vectors_VD = random.normal(size=(ITEMS, WIDTH)).astype(np.float32)
    world = ClickWorld(vectors_VD, np.zeros(ITEMS, np.float32), np.zeros(ITEMS, np.int64), trails)
    network = HistoryClickNetwork(HistoryClickConfig(), num_ids=ITEMS, item_width=WIDTH, num_kinds=1)
    facts = HistoryFacts.of(world, network, profile_columns=(), flm="")
    config = EngagementConfig(heads=("click", "like", "finish", WATCH))
    groups = DurationGroups.fit(random.random(200) * 5000, random.random(200) * 9000 + 1000, num_groups=4)
    heads = EngagementModel(config, fresh_network(HistoryReading(network), config, seed=0).eval(), groups)
    engagement, click = HistoryEngagement(heads, facts), HistoryClickModel(network.eval(), "click", facts)
    items_K, lengths_K = random.permutation(ITEMS)[:CANDIDATES], np.full(CANDIDATES, 5000.0)
    asked: dict[str, Any] = {"user": 0, "items_K": items_K, "now_ms": 10**9}
    return {
        "click": lambda: click.probabilities(world, **asked),
        "engagement, four heads by MMoE": lambda: engagement.predict(world, **asked, duration_ms_K=lengths_K),
    }


def median_ms(answer: Callable[[], Any]) -> float:
    """Processor time of an answer."""
    taken = []
    for _ in range(ROUNDS):
        started = time.thread_time()
        answer()
        taken.append(1000 * (time.thread_time() - started))
    return round(statistics.median(taken), 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    asked = answers()
    told: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(given.repeats):
        for name, answer in asked.items():
            told[name].append(median_ms(answer))
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "torch": torch.__version__},
        "load": round(os.getloadavg()[0], 1),
        "scoring_500_ms": {
            name: {"median": statistics.median(one), "least": min(one), "repeats": one} for name, one in told.items()
        },
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
