"""What each modality is worth: modality x planted taste, on towns whose taste is in one thing alone.

    python benchmarks/modalities.py [--tastes all topic style motion sound moment] [--sets text frames all] [--seeds 1]
                                    [--short] [--clips 440] [--users 2000] [--events 60000] [--again]

For each town, FLM is trained with no content, with one modality at a time and with all together, by attention over
moments and by fixed pooling (the mean; several time scales), and asked for the next click after the town's cut-off (temporal
protocol, full ranking). Reported is NDCG@10 of the clicks that went to cold clips,
ranked among cold clips, as a share of the oracle's. A taste should be recovered by the modality that can see it and by no
other: those stay at the level of chance, which is a row of the table.

Modalities are those that `kinema extract` makes with its defaults. Towns, projects and features are kept under
``build/bench/towns`` and used again; towns that differ in their log only share clips and features. Results are merged into
``results/modalities.json``, run by run; ``results/modalities.md`` is the table. ``--short`` is 120 clips, 400 users and a result
file of its own.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from kinema.threads import set_thread_policy

set_thread_policy()

from kinema.artifacts import fingerprint  # noqa: E402  # the thread policy comes first
from kinema.encoders.modality import Tokens  # noqa: E402
from kinema.encoders.pooling import SegmentPooling  # noqa: E402
from kinema.evaluation.offline import chance_level, evaluate  # noqa: E402
from kinema.evaluation.protocol import ScorerRanker  # noqa: E402
from kinema.evaluation.results import RankingResult  # noqa: E402
from kinema.project import Project  # noqa: E402
from kinema.settings import FILE_NAME  # noqa: E402
from kinema.sources.town.rules import PLANTED, Rules  # noqa: E402
from kinema.sources.town.write import MARKER, VIDEOS, generate  # noqa: E402
from kinema.steps.dataset import Dataset  # noqa: E402
from kinema.steps.evaluating import split_for  # noqa: E402
from kinema.steps.pretraining import choose_config  # noqa: E402
from kinema.steps.truth import Oracle, load_oracle  # noqa: E402
from kinema.store.features import ModalityFeatures  # noqa: E402
from kinema.store.splits import Split  # noqa: E402
from kinema.training.loop import pretrain  # noqa: E402

ROOT: Final = Path(__file__).parents[1]
CACHE: Final = ROOT / "build" / "bench" / "towns"
RESULT: Final = Path(__file__).parent / "results" / "modalities.json"
SHORT: Final = {"clips": 120, "users": 400, "events": 12_000}
FULL: Final = {"clips": 440, "users": 2000, "events": 60_000}
TABLES: Final = {"items": "items.csv", "users": "users.csv", "events": "events.parquet"}
MOMENT_FRAMES: Final = 16
"""Frames per clip where the taste is in a moment of an eighth of its time: one or more of them show it."""
NONE: Final = "nothing"
ALL: Final = "all together"
MEAN: Final = " by the mean"
"""Behind a modality, or all: without attention over moments, whose vectors then are plain means."""
SCALES: Final = " by scales"
"""The same with means and maxima of the whole, halves and quarters side by side."""
ROWS: Final = ("cold among cold", "cold", "warm", "all")
METRIC: Final = "ndcg@10"


def prepare(taste: str, sizes: Mapping[str, int], seed: int) -> tuple[Dataset, Oracle]:
    """Generate, ingest and extract a town, as far as it was not done before."""
    home, rules = home_of(taste, sizes, seed), Rules.planted(taste)
    borrow(home, [home_of(other, sizes, seed) for other in PLANTED if same_clips(other, taste)])
    generate(
        home / "town",
        seed=seed,
        num_clips=sizes["clips"],
        num_users=sizes["users"],
        num_events=sizes["events"],
        rules=rules,
    )
    project_folder = home / "project"
    project_folder.mkdir(exist_ok=True)
    settings = f"[media]\nnum_frames = {MOMENT_FRAMES}\n" if rules.moment_share else ""
    (project_folder / FILE_NAME).write_text(settings, encoding="utf-8")
    with Project.open(project_folder) as project:
        tables = {kind: home / "town" / name for kind, name in TABLES.items()}
        project.ingest(videos=home / "town" / VIDEOS, **tables)
        for notice in project.extract().notices:
            print(f"{taste}: {notice}", flush=True)
        dataset = project.dataset()
    oracle = load_oracle(home / "town", dataset)
    assert oracle is not None
    return dataset, oracle


def home_of(taste: str, sizes: Mapping[str, int], seed: int) -> Path:
    """Where a town is kept; one with other rules is another town."""
    return CACHE / "-".join(map(str, (taste, *sizes.values(), seed, fingerprint(Rules.planted(taste).as_dict())[:6])))


def same_clips(one: str, other: str) -> bool:
    """Whether two towns of a seed have the very same clips, sampled alike."""
    return one != other and Rules.planted(one).changed_clips() == Rules.planted(other).changed_clips()


def borrow(home: Path, siblings: Sequence[Path]) -> None:
    """Copy clips and features of a town with the same clips, whose vectors then need not be made again."""
    parts = (Path("town") / VIDEOS, Path("town") / MARKER, Path("project") / "artifacts" / "features")
    donor = next((one for one in siblings if all((one / part).exists() for part in parts)), None)
    if donor is None or home.exists():
        return
    for part in parts:
        copy = shutil.copytree if (donor / part).is_dir() else shutil.copy2
        (home / part).parent.mkdir(parents=True, exist_ok=True)
        copy(donor / part, home / part)


def rows_of(result: RankingResult) -> dict[str, float]:
    """NDCG@10 of the rows that there are."""
    return {row: round(result.rows[row].mean(METRIC), 5) for row in ROWS if row in result.rows}


def run(
    dataset: Dataset, split: Split, modalities: Sequence[str], *, pooling: str, seed: int, max_seconds: float
) -> dict[str, Any]:
    """Train FLM with some modalities and measure it."""
    features = {name: dataset.features[name] for name in modalities}
    if pooling == SCALES:
        features = {name: at_scales(one) for name, one in features.items()}
    config = choose_config(split.train, {"max_seconds": max_seconds, "use_moments": not pooling})
    cpu = time.process_time()
    model = pretrain(
        train=split.train,
        valid=split.valid,
        features=features,
        profiles=dataset.profiles,
        item_ids=dataset.item_ids,
        published_ms_V=dataset.published_ms_V,
        config=config,
        seed=seed,
    )
    scorer = model.serve(features if model.whitenings else {}, split.train.num_items)
    result = evaluate(ScorerRanker("FLM", scorer, dataset.profiles), split.test, split, num_resamples=0)
    return {
        "rows": rows_of(result),
        "epochs": model.report["epochs"],
        "likeness": {} if model.liken is None else model.liken.as_dict(),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "measured": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
    }


def at_scales(features: ModalityFeatures) -> ModalityFeatures:
    """Vectors pooled anew from the moments of a modality that has some."""
    if features.tokens is None or not features.present_V.any():
        return features
    pooling, kept = SegmentPooling(), features.tokens.get(np.flatnonzero(features.present_V))
    clips = (kept.of(clip) for clip in range(len(kept)))
    pooled = [pooling.pool(Tokens(tokens_TD.astype(np.float32), times_ms_T)) for tokens_TD, times_ms_T in clips]
    vectors_VD = np.zeros((len(features.present_V), len(pooled[0])), np.float32)
    vectors_VD[features.present_V] = pooled
    return replace(features, vectors_VD=vectors_VD)


def pooling_of(name: str) -> str:
    """`MEAN`, `SCALES`, or nothing for attention."""
    return next((one for one in (MEAN, SCALES) if name.endswith(one)), "")


def sets_of(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """What FLM is given -> modalities; what has moments also by fixed pooling."""
    sets = {NONE: (), **{name: (name,) for name in dataset.features}, ALL: tuple(dataset.features)}
    timed = [name for name, one in dataset.features.items() if one.tokens is not None]
    timed += [ALL] if timed else []
    return sets | {name + pooling: sets[name] for name in timed for pooling in (MEAN, SCALES)}


def measure(taste: str, arguments: argparse.Namespace) -> None:
    """Everything that is missing of one town; each run is written at once."""
    dataset, oracle = prepare(taste, arguments.sizes, arguments.town_seed)
    split = split_for(
        dataset, "temporal", seed=0, test_from_ms=oracle.cutoff_ms, test_share=0.2, valid_share=0.1, cold_share=0.1
    )
    town = {
        "rules": Rules.planted(taste).changed_clips() | PLANTED[taste],
        "sizes": dict(arguments.sizes),
        "modalities": {name: one.encoder for name, one in dataset.features.items()},
        "cold_cases": split.facts["test_cases_with_cold_target"],
        "oracle": rows_of(evaluate(oracle, split.test, split, num_resamples=0)),
        "chance": rows_of(chance_level(split.test, split, num_resamples=0)),
    }
    sets = sets_of(dataset)
    for name, modalities in sets.items():
        if arguments.sets and name not in arguments.sets:
            continue
        for seed in range(arguments.seeds):
            results = load(arguments.result)
            kept = results["towns"].setdefault(taste, {})
            known = kept.setdefault("runs", {}).setdefault(name, {})
            same = all(kept.get(key) == value for key, value in town.items())
            if same and str(seed) in known and not arguments.again:
                continue
            kept["runs"] = kept["runs"] if same else {name: {}}
            limits = {"seed": seed, "max_seconds": arguments.max_seconds}
            found = run(dataset, split, modalities, pooling=pooling_of(name), **limits)
            kept["runs"].setdefault(name, {})[str(seed)] = found
            kept |= town
            save(arguments.result, results)
            print(f"{taste:8} {name:22} seed {seed}  {found['rows']}  oracle {town['oracle']}", flush=True)


def load(path: Path) -> dict[str, Any]:
    """Earlier results."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"towns": {}}
    return found


def save(path: Path, results: dict[str, Any]) -> None:
    """Write results, and the tables made of them."""
    results["machine"] = {"cpus": os.cpu_count(), "python": platform.python_version()}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text("\n".join(table(results)) + "\n", encoding="utf-8")


def table(results: Mapping[str, Any]) -> list[str]:
    """Modality x planted taste: shares of the oracle's NDCG@10, then the part above chance."""
    towns = {taste: results["towns"][taste] for taste in PLANTED if taste in results["towns"]}
    lines = [
        "# What each modality is worth",
        "",
        "NDCG@10 of the next click on a cold clip, as a share of the oracle's; mean over seeds. Rows: what FLM was given besides",
        "the log and the profiles. Columns: what decides the taste in the town. Ties count against the ranker, so a model that",
        "cannot tell cold clips apart stands below chance.",
    ]
    for row, title in (("cold among cold", "Ranked among cold clips"), ("cold", "Ranked among all clips")):
        lines += ["", f"## {title}", "", *_shares(towns, row, above_chance=False)]
    lines += ["", "## Among cold clips, part of the way from chance to the oracle"]
    return [*lines, "", *_shares(towns, "cold among cold", above_chance=True)]


def _shares(towns: Mapping[str, Any], row: str, *, above_chance: bool) -> list[str]:
    """One table; a dash where there is no such run."""
    order = list(dict.fromkeys(name for town in towns.values() for name in town["runs"]))
    order.sort(key=lambda name: (name.startswith(ALL), name != NONE, name))

    def cell(town: Mapping[str, Any], name: str) -> str:
        seeds = town["runs"].get(name, {}).values()
        values = (
            [town["chance"][row]] if name == "chance" else [one["rows"][row] for one in seeds if row in one["rows"]]
        )
        if not values:
            return "-"
        floor = town["chance"][row] if above_chance else 0.0
        return f"{(sum(values) / len(values) - floor) / (town['oracle'][row] - floor):.2f}"

    lines = ["| given | " + " | ".join(towns) + " |", "|---|" + "---|" * len(towns)]
    lines += [
        f"| {name} | " + " | ".join(cell(town, name) for town in towns.values()) + " |"
        for name in (order if above_chance else ["chance", *order])
    ]
    if not above_chance:
        lines.append(
            "| oracle, NDCG@10 | " + " | ".join(f"{town['oracle'][row]:.3f}" for town in towns.values()) + " |"
        )
        lines.append("| cold cases | " + " | ".join(str(town["cold_cases"]) for town in towns.values()) + " |")
    return lines


def commit() -> str:
    """The commit that was measured; marked where the tree has changes."""
    command = ["git", "describe", "--always", "--dirty"]  # found on the path wherever git is
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tastes", nargs="+", choices=tuple(PLANTED), default=list(PLANTED))
    parser.add_argument("--sets", nargs="+", metavar="GIVEN", help=f"only these: '{NONE}', a modality, '{ALL}'")
    parser.add_argument("--seeds", type=int, default=1, help="of training; the town stays")
    parser.add_argument("--town-seed", type=int, default=7)
    parser.add_argument("--short", action="store_true", help="small towns and a result file of their own")
    parser.add_argument("--clips", type=int)
    parser.add_argument("--users", type=int)
    parser.add_argument("--events", type=int)
    parser.add_argument("--max-seconds", type=float, default=600.0, help="most training time of a run")
    parser.add_argument("--again", action="store_true", help="measure also what is there")
    arguments = parser.parse_args()
    defaults = SHORT if arguments.short else FULL
    arguments.sizes = {name: getattr(arguments, name) or value for name, value in defaults.items()}
    arguments.result = RESULT.with_name("modalities-short.json") if arguments.short else RESULT
    for taste in arguments.tastes:
        measure(taste, arguments)


if __name__ == "__main__":
    main()
