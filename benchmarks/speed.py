"""How fast FLM trains: against the hardware, against growth of the log, against peers' converged quality.

    python benchmarks/speed.py [limit] [growth] [quality]     all three without a name

- ``limit``: seconds of one training epoch over the practical limit of this machine, which is the sum over the necessary
  operations of max(floating-point operations / peak, bytes / bandwidth), peak and bandwidth measured in the same run on the
  same number of cores. Auxiliary losses are part of the epoch and not of the limit.
- ``growth``: time per event and peak memory of one epoch on a generated log of 1, 3 and 10 times the events.
- ``quality``: whole runs (loading, preparation, training, choice, evaluation) with growing budgets of training seconds, until
  the test NDCG@10 passes what RecTools' SASRec came to in ``results/quality.json``, against the peer's seconds until its best
  epoch on validation. A peer that was stopped by its time limit may not have converged; the result says which.

Each epoch is a process of its own; medians of three. Results go to ``results/speed.json``.

Shape suffixes: none.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy must come before the numeric libraries
import torch  # noqa: E402

from datasets import SETS, BenchmarkSet  # noqa: E402
from kinema.evaluation.offline import evaluate  # noqa: E402
from kinema.evaluation.protocol import ScorerRanker  # noqa: E402
from kinema.flm.config import FLMConfig  # noqa: E402
from kinema.steps.pretraining import choose_config  # noqa: E402
from kinema.store.histories import Histories  # noqa: E402
from kinema.training.loader import plan_epoch  # noqa: E402
from kinema.training.loop import pretrain  # noqa: E402

RESULT: Final = Path(__file__).parent / "results" / "speed.json"
ROUNDS: Final = 3
LIMIT_SETS: Final = ("ml-1m", "beauty")
BUDGETS: Final = (15, 30, 60, 120, 240, 480)
GROWTH: Final = (1, 3, 10)
_FLOAT: Final = 4


def generated(num_events: int) -> Histories:
    """A log with a long tail of items and histories of 5 to 95 events; users grow with the events, items do not."""
    random = np.random.default_rng(0)
    lengths = random.integers(5, 96, max(1, num_events // 50))
    items = (random.zipf(1.2, int(lengths.sum())) % 20_000).astype(np.int32)
    times = np.concatenate([np.arange(length) for length in lengths]).astype(np.int64)
    return Histories(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), items, times, 20_000)


def peak_mb() -> int:
    """Most memory this process has held, MB. ``getrusage`` would count what its parent held before it was started."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024)
    raise RuntimeError("/proc/self/status names no VmHWM; the benchmark needs Linux")


def one_epoch(name: str) -> dict[str, float]:
    """Train one epoch of a set or of ``events:N``; memory above what the process had before."""
    if name.startswith("events:"):
        train, features = generated(int(name.removeprefix("events:"))), {}
    else:
        one = SETS[name]()
        train, features = one.split.train, one.features
    config = choose_config(train, {"max_epochs": 1})
    before = peak_mb()
    cpu = time.process_time()
    model = pretrain(
        train=train,
        valid=None,
        features=features,
        profiles=None,
        item_ids=[str(item) for item in range(train.num_items)],
        config=config,
        seed=0,
    )
    after = peak_mb()
    return {
        "seconds": float(model.report["seconds"]),
        "cpu_seconds": time.process_time() - cpu,
        "events": len(train.items),
        "memory_mb": after - before,
        "peak_memory_mb": after,
    }


def epoch(name: str) -> dict[str, float]:
    """`one_epoch` in a process of its own, median of the rounds."""
    rounds = []
    for _ in range(ROUNDS):
        command = [sys.executable, __file__, "--epoch", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rounds.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return {key: round(statistics.median(one[key] for one in rounds), 3) for key in rounds[0]}


def peak_flops() -> float:
    """Floating-point operations per second of a large product on all cores, best of several."""
    left, right = torch.randn(2048, 2048), torch.randn(2048, 2048)
    return 2 * 2048**3 / _best(lambda: left @ right)


def bandwidth() -> float:
    """Bytes per second read and written by a copy too large for any cache."""
    source, target = torch.randn(1 << 26), torch.empty(1 << 26)
    return 2 * source.numel() * _FLOAT / _best(lambda: target.copy_(source))


def _best(work: Any) -> float:
    work()
    seconds = []
    for _ in range(7):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def limit_seconds(train: Histories, config: FLMConfig, widths: list[int], *, flops: float, rate: float) -> float:
    """Practical limit of one epoch: forward and backward are three products each; nothing is read twice.

    Args:
        train: Histories.
        config: Of the model.
        widths: Whitened width of each modality.
        flops: Of the machine.
        rate: Bytes per second.
    """
    width, total = config.d_model, 0.0
    plan = plan_epoch(train, max_length=config.max_length, batch_tokens=config.batch_tokens, seed=0, epoch=0)

    def cost(operations: float, numbers: float) -> float:
        return max(operations / flops, numbers * _FLOAT / rate)

    full = train.num_items <= config.full_softmax_items
    for step in range(len(plan)):
        batch = plan.batch(step)
        tokens = batch.num_targets
        lengths = (batch.items_BL >= 0).sum(dim=1).to(torch.float64)
        negatives = train.num_items if full else config.num_negatives
        touched = train.num_items if full else len(torch.unique(batch.items_BL)) + negatives
        for inner in (3, 1, 8):  # queries, keys and values; out; both feed-forward matrices
            work = 3 * 2 * tokens * width * width * inner
            total += config.num_blocks * cost(work, 3 * tokens * width * (1 + max(1, inner / 2)))
        pairs = float((lengths * (lengths + 1) / 2).sum())
        total += config.num_blocks * cost(3 * 2 * 2 * pairs * width, 8 * tokens * width)
        total += cost(3 * 2 * tokens * negatives * width, 3 * (tokens + negatives) * width)
        for modality in widths:
            total += cost(2 * 2 * touched * modality * width, touched * (modality + 2 * width))
        total += cost(0, 7 * touched * width)  # gather, and Adam on the touched rows
        total += config.num_blocks * cost(0, 10 * tokens * width)  # norms, residuals and dropout, each read and written
    return total


def measure_limit() -> dict[str, Any]:
    """Epoch over limit, for each set."""
    found: dict[str, Any] = {}
    for name in LIMIT_SETS:
        one = SETS[name]()
        config = choose_config(one.split.train, {})
        flops, rate = peak_flops(), bandwidth()
        widths = [min(config.whitened_width, feature.vectors_VD.shape[1]) for feature in one.features.values()]
        limit = limit_seconds(one.split.train, config, widths, flops=flops, rate=rate)
        measured = epoch(name)
        found[name] = measured | {
            "limit_seconds": round(limit, 2),
            "ratio": round(measured["seconds"] / limit, 2),
            "gigaflops": round(flops / 1e9),
            "gigabytes_per_second": round(rate / 1e9, 1),
            "required": "<= 3, aim <= 2",
        }
        print(name, found[name], flush=True)
    return found


def measure_growth() -> dict[str, Any]:
    """Time per event as the log grows."""
    found = {}
    for factor in GROWTH:
        one = epoch(f"events:{300_000 * factor}")
        found[f"x{factor}"] = one | {"microseconds_per_event": round(1e6 * one["seconds"] / one["events"], 1)}
        print(f"x{factor}", found[f"x{factor}"], flush=True)
    base = found["x1"]["microseconds_per_event"]
    return found | {
        "growth": {name: round(one["microseconds_per_event"] / base, 2) for name, one in found.items()},
        "required": "<= 1.2",
    }


def whole_run(name: str, budget: float) -> tuple[float, float, float]:
    """Wall and CPU seconds from loading to the evaluated test, and the test NDCG@10."""
    started, cpu = time.perf_counter(), time.process_time()
    one: BenchmarkSet = SETS[name]()
    split = one.split
    config = choose_config(split.train, {"max_seconds": budget})
    model = pretrain(
        train=split.train,
        valid=split.valid,
        features=one.features,
        profiles=one.profiles,
        item_ids=one.item_ids,
        config=config,
        seed=0,
    )
    scorer = model.serve(one.features if model.whitenings else {}, split.train.num_items)
    ranker = ScorerRanker("FLM", scorer, one.profiles if model.profile_columns else None)
    value = evaluate(ranker, split.test, split, num_resamples=0).rows["all"].mean("ndcg@10")
    return time.perf_counter() - started, time.process_time() - cpu, value


def measure_quality() -> dict[str, Any]:
    """Seconds until the peer's converged quality is passed."""
    path = RESULT.with_name("quality.json")
    known = json.loads(path.read_text(encoding="utf-8"))["sets"] if path.is_file() else {}
    found: dict[str, Any] = {}
    for name in ("beauty", "ml-1m"):
        peer = known.get(name, {}).get("rectools", {}).get("0", {})
        if "rows" not in peer:
            found[name] = {"left_out": "results/quality.json has no RecTools run; run: make bench-quality"}
            continue
        goal, runs = peer["rows"]["all"]["ndcg@10"], []
        for budget in BUDGETS:
            seconds, cpu, value = whole_run(name, budget)
            runs.append(
                {
                    "budget_seconds": budget,
                    "wall_seconds": round(seconds, 1),
                    "cpu_seconds": round(cpu, 1),
                    "ndcg@10": round(value, 5),
                }
            )
            print(name, runs[-1], "goal", goal, flush=True)
            if value > goal:
                break
        passed = runs[-1]["ndcg@10"] > goal
        found[name] = {
            "peer_ndcg@10": goal,
            "peer_stopped_by": peer["stopped_by"],
            "runs": runs,
            "required": ">= 10 times less wall time, aim 40",
        }
        for clock in ("wall_seconds", "cpu_seconds"):
            theirs = peer[f"{clock}_to_best"]
            found[name][f"peer_{clock}_to_best"] = theirs
            found[name][f"times_less_{clock}"] = round(theirs / runs[-1][clock], 1) if passed else None
    return found


def main() -> None:
    """Measure what is asked for and merge it into the results."""
    parts = {"limit": measure_limit, "growth": measure_growth, "quality": measure_quality}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], default=[])
    parser.add_argument("--epoch", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.epoch:
        print(json.dumps(one_epoch(arguments.epoch)))
        return
    for part in arguments.parts or parts:
        measured = parts[part]()
        results = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {}
        results[part] = measured | {"date": datetime.now(UTC).strftime("%Y-%m-%d")}
        results["machine"] = {"cpus": os.cpu_count(), "python": platform.python_version(), "torch": torch.__version__}
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
