"""The quality table: FLM against baselines and peers on public sets, everything scored by one evaluator.

    python benchmarks/quality.py [--sets beauty ml-1m ...] [--seeds 5] [--short] [--peers rectools recbole implicit]
                                 [--again "FLM"] [--max-seconds 600]

Protocols are those of `datasets.py`; all items are candidates, seen ones filtered, ties count against the ranker,
everything is chosen on validation. ``--short`` is two small sets, one seed and a minute of training: ten minutes in all. Results are merged into
``results/quality.json`` entry by entry, so a run that is stopped goes on where it was; ``results/quality.md`` is the table.
Per-case values stay under ``build/bench``: they are derived from the sets row by row.

Shape suffixes: C cases, M metrics.
"""

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy must come before the numeric libraries

from datasets import CACHE, ROOT, SETS, BenchmarkSet, data_root  # noqa: E402
from kinema.evaluation.baselines.prequential import PrequentialMemory  # noqa: E402
from kinema.evaluation.baselines.tuning import tuned_baselines  # noqa: E402
from kinema.evaluation.offline import evaluate  # noqa: E402
from kinema.evaluation.protocol import Ranker, ScorerRanker  # noqa: E402
from kinema.evaluation.results import RankingResult  # noqa: E402
from kinema.steps.pretraining import choose_config  # noqa: E402
from kinema.store.histories import Histories  # noqa: E402
from kinema.training.loop import pretrain  # noqa: E402
from kinema.training.preparation import fit_memory  # noqa: E402
from peering import PEERS, PeerError, run_peer, write_exchange  # noqa: E402
from quality_table import compare, write_table  # noqa: E402

RESULT: Final = Path(__file__).parent / "results" / "quality.json"
VARIANTS: Final[dict[str, dict[str, Any]]] = {"FLM": {}, "FLM, IDs only": {"use_content": False, "use_profiles": False}}
TIMED: Final[dict[str, dict[str, Any]]] = {
    "FLM, time within histories": {"time_bias": "history"},
    "FLM, query time": {"time_bias": "query"},
}
"""On sets with real time stamps; the second is told when the question is asked, which the other rankers are not."""
BRANCHES: Final = {"sequential": "FLM: sequential", "collaborative": "FLM: collaborative", "content": "FLM: content"}
PREQUENTIAL: Final = "memory, counting on"
SHORT_SECONDS: Final = 60.0
SHORT_SETS: Final = ("ml-100k", "tiktok")
"""The two smallest: films and clips, with and without cold items."""

Entry = dict[str, Any]


def measured(one: BenchmarkSet, ranker: Ranker, *, name: str, seed: int, cost: Mapping[str, Any]) -> Entry:
    """Evaluate on test, keep the per-case values aside, and return what goes into the table."""
    result = evaluate(ranker, one.split.test, one.split, num_resamples=0)
    keep_cases(one.name, name, seed, result)
    rows = {
        row: {metric: round(cases.mean(metric), 5) for metric in dict.fromkeys((*one.metrics, "ndcg@10", "recall@10"))}
        | {"cases": len(cases.cases_R)}
        for row, cases in result.rows.items()
    }
    return {"rows": rows, **cost, "measured": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit()}


def keep_cases(set_name: str, name: str, seed: int, result: RankingResult) -> None:
    """Per-case values for the paired bootstrap."""
    path = cases_file(set_name, name, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    row = result.rows["all"]
    np.savez(path, users_C=row.users_R, values_CM=row.values_RM.astype(np.float32), metrics=np.array(row.metrics))


def cases_file(set_name: str, name: str, seed: int) -> Path:
    """Where the per-case values of an entry lie."""
    return CACHE / "cases" / set_name / f"{name.replace(':', '').replace(' ', '-').lower()}-{seed}.npz"


def flm_entries(one: BenchmarkSet, *, name: str, seed: int, limits: Mapping[str, Any]) -> Iterator[tuple[str, Entry]]:
    """Train FLM and measure it, and its branches alone."""
    split = one.split
    config = choose_config(split.train, {**(VARIANTS | TIMED)[name], **limits})
    wall, cpu = time.perf_counter(), time.process_time()
    model = pretrain(
        train=split.train,
        valid=split.valid,
        features=one.features if config.use_content else {},
        profiles=one.profiles if config.use_profiles else None,
        item_ids=one.item_ids,
        config=config,
        seed=seed,
    )
    cost = {
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "training_seconds": model.report["seconds"],
        "epochs": model.report["epochs"],
        "best_epoch": model.report["best_epoch"],
        "validation": model.report.get("validation"),
        "settings": config.as_dict(),
    }
    scorer = model.serve(one.features if model.whitenings else {}, split.train.num_items)
    profiles = one.profiles if model.profile_columns else None
    yield name, measured(one, ScorerRanker(name, scorer, profiles), name=name, seed=seed, cost=cost)
    if name == "FLM":
        for branch, title in BRANCHES.items():
            ranker = ScorerRanker(title, scorer, profiles, branch)
            yield title, measured(one, ranker, name=title, seed=seed, cost={})
        if seed == 0:
            alone = ScorerRanker("memory alone", scorer, None, "memory")
            yield "memory alone", measured(one, alone, name="memory alone", seed=0, cost={})


def baseline_entries(one: BenchmarkSet) -> Iterator[tuple[str, Entry]]:
    """Popularity, item-kNN and EASE, tuned on validation."""
    started = time.perf_counter()
    tuned = tuned_baselines(one.split)
    seconds = round(time.perf_counter() - started, 1)
    for found in tuned:
        cost = {"settings": dict(found.params), "wall_seconds_of_all": seconds}
        yield found.ranker.name, measured(one, found.ranker, name=found.ranker.name, seed=0, cost=cost)


def prequential_entry(one: BenchmarkSet, log: Histories) -> Entry:
    """The memory alone, counting on during the test period."""
    train = one.split.train
    config = choose_config(train, {})
    memory = fit_memory(train, config)
    ranker = PrequentialMemory(PREQUENTIAL, memory, log, counted_until_ms=int(train.timestamps_ms.max()) + 1)
    return measured(one, ranker, name=PREQUENTIAL, seed=0, cost={})


def peer_entry(one: BenchmarkSet, peer: str, *, seed: int, threads: int, max_seconds: float) -> Entry:
    """Train a peer in its own environment; one that cannot be had is an entry that says why."""
    exchange = CACHE / "exchange" / one.name
    write_exchange(exchange, train=one.split.train, valid=one.split.valid, test=one.split.test)
    try:
        run = run_peer(peer, exchange, seed=seed, threads=threads, max_seconds=max_seconds)
    except PeerError as error:
        return {"left_out": str(error)}
    cost = {
        "wall_seconds": run.log["wall_seconds"],
        "cpu_seconds": run.log["cpu_seconds"],
        "wall_seconds_to_best": run.log["wall_seconds_to_best"],
        "cpu_seconds_to_best": run.log["cpu_seconds_to_best"],
        "best_epoch": run.log["best_epoch"],
        "stopped_by": run.log["stopped_by"],
        "version": run.log["version"],
        "settings": run.log["settings"],
        "peak_memory_mb": run.log["peak_memory_mb"],
    }
    entry = measured(one, run.ranker(peer), name=peer, seed=seed, cost=cost)
    (run.folder / "scores.npy").unlink()
    return entry


def commit() -> str:
    """The commit that was measured; marked where the tree has changes."""
    command = ["git", "describe", "--always", "--dirty"]  # found on the path wherever git is
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def load(path: Path) -> dict[str, Any]:
    """Earlier results."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"sets": {}}
    return found


def save(path: Path, results: dict[str, Any]) -> None:
    """Write results, and the table made of them."""
    results["machine"] = {"cpus": os.cpu_count(), "python": platform.python_version()}
    results["protocol"] = (
        "all items are candidates, seen ones filtered, ties count against the ranker; chosen on validation only; "
        "'valid' of FLM settings: one set of defaults by size of the log, none per set"
    )
    compare(results, cases_file)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    write_table(results, path.with_suffix(".md"))


def entries(one: BenchmarkSet, arguments: argparse.Namespace) -> Iterator[tuple[str, int, Entry]]:
    """Ranker, seed and entry of everything that is missing of one set."""
    known = load(arguments.result)["sets"].get(one.name, {})

    def missing(name: str, seed: int) -> bool:
        return name in arguments.again or str(seed) not in known.get(name, {})

    if missing("EASE", 0):
        for name, entry in baseline_entries(one):
            yield name, 0, entry
    if one.log is not None and missing(PREQUENTIAL, 0):
        yield PREQUENTIAL, 0, prequential_entry(one, one.log)
    limits = {"max_seconds": SHORT_SECONDS if arguments.short else arguments.max_seconds}
    variants = [*VARIANTS, *(TIMED if one.timed and not arguments.short else ())]
    wanted = [(variant, seed) for seed in range(arguments.seeds) for variant in variants if missing(variant, seed)]
    for variant, seed in wanted:
        for name, entry in flm_entries(one, name=variant, seed=seed, limits=limits):
            yield name, seed, entry
    seconds = SHORT_SECONDS if arguments.short else arguments.peer_seconds
    for peer in (peer for peer in arguments.peers if missing(peer, 0)):
        yield peer, 0, peer_entry(one, peer, seed=0, threads=arguments.threads, max_seconds=seconds)


def keep(one: BenchmarkSet, path: Path, name: str, seed: int, entry: Entry) -> None:
    """Write one entry at once: a run may be stopped at any moment."""
    results = load(path)
    facts = {key: value for key, value in one.split.facts.items() if isinstance(value, str | int | float)}
    kept = results["sets"].setdefault(one.name, {})
    kept["facts"] = facts | {"metrics": list(one.metrics)}
    kept.setdefault(name, {})[str(seed)] = entry
    save(path, results)
    print(f"{one.name:18} {name:22} seed {seed}  {entry.get('rows', {}).get('all', entry)}", flush=True)


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=SETS, help="all of them, or the two smallest with --short")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="two small sets, one seed, a minute of training, own file")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=[])
    parser.add_argument("--peer-seconds", type=float, default=7200.0, help="most training time of a peer")
    parser.add_argument("--max-seconds", type=float, default=600.0, help="most training time of FLM")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--again", nargs="*", default=[], metavar="RANKER", help="measure these again")
    arguments = parser.parse_args()
    arguments.result = RESULT.with_name("quality-short.json") if arguments.short else RESULT
    arguments.seeds = 1 if arguments.short else arguments.seeds
    if not data_root().is_dir():
        print(f"left out: no data at {data_root()}; set KINEMA_DATA")
        return
    for set_name in arguments.sets or (SHORT_SETS if arguments.short else SETS):
        one = SETS[set_name]()
        for name, seed, entry in entries(one, arguments):
            keep(one, arguments.result, name, seed, entry)


if __name__ == "__main__":
    main()
