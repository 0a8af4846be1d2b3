"""What each part of FLM is worth: switched off one at a time, at equal CPU-seconds.

    python benchmarks/ablation.py [--sets ml-100k beauty-cold tiktok] [--seconds 60] [--seeds 1] [--parts "LiGR blocks"]

Modalities are switched off one at a time on sets that have more than one. Every run trains for the same CPU-seconds on one
core, so that a part which costs time has to earn it; two runs go side by side on two cores. Test numbers of one protocol,
defaults otherwise. The table ends with what each part adds on each set and whether that bears out its default.
Results go to ``results/ablation.json`` and, as a table, ``results/ablation.md``.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ablation_table import ALL, Part, table_lines

RESULT: Final = Path(__file__).parent / "results" / "ablation.json"
_BRIDGES: Final = "search, which finds pictures by words through what it aligns"
PARTS: Final[dict[str, Part]] = {
    "without L_seq": Part({"weight_sequence": 0.0}),
    "without L_collab": Part({"weight_collab": 0.0}),
    "without L_collab: items": Part({"collab_terms": ("users",)}),
    "without L_collab: users": Part({"collab_terms": ("items",)}),
    "without L_content": Part({"weight_content": 0.0}),
    "without L_content: next": Part({"content_terms": ("align", "modalities", "reconstruction")}),
    "without L_content: align": Part({"content_terms": ("next", "modalities", "reconstruction")}, kept_for=_BRIDGES),
    "without L_content: modalities": Part({"content_terms": ("next", "align", "reconstruction")}, kept_for=_BRIDGES),
    "without L_content: reconstruction": Part({"content_terms": ("next", "align", "modalities")}, kept_for=_BRIDGES),
    "without L_content: all but next": Part({"content_terms": ("next",)}, kept_for=_BRIDGES),
    "without L_collab and L_content": Part({"weight_collab": 0.0, "weight_content": 0.0}),
    "without content": Part({"use_content": False}),
    "without profiles": Part({"use_profiles": False}, kept_for="users without events, of whom nothing else is known"),
    "without memory": Part({"use_memory": False}),
    "without IDs": Part({"use_ids": False}),
    "without imputation": Part({"use_imputation": False}),
    "without shrinkage of items with events": Part({"shrinkage": 1e-6}),
    "without frequency filter": Part({"filter_share": 0.0}),
    "LiGR blocks": Part({"block": "ligr"}, is_default=False),
    "auxiliary at every step": Part({"auxiliary_every": 1}, is_default=False),
    "half the negatives by popularity": Part({"popular_negatives": 0.5}, is_default=False),
    "full softmax": Part({"full_softmax_items": 20_000}, is_default=False),
}
"""Every part of the joint loss, and what else can be switched."""
WITHOUT: Final = "without modality "
MODALITIES: Final = {"tiktok": ("frames", "sound")}
"""Of sets with more than one."""


def parts_of(name: str) -> list[str]:
    """Parts that a set can do without."""
    return [ALL, *PARTS, *(WITHOUT + modality for modality in MODALITIES.get(name, ()))]


def one_run(name: str, part: str, seed: int, seconds: float) -> dict[str, Any]:
    """Train and measure; in a process with one thread."""
    import torch  # noqa: PLC0415  # only the child needs it, and the thread policy comes first

    from datasets import SETS  # noqa: PLC0415
    from kinema.evaluation.offline import evaluate  # noqa: PLC0415
    from kinema.evaluation.protocol import ScorerRanker  # noqa: PLC0415
    from kinema.steps.pretraining import choose_config  # noqa: PLC0415
    from kinema.training.loop import pretrain  # noqa: PLC0415

    torch.set_num_threads(1)
    one = SETS[name]()
    split = one.split
    # Epochs are left open, so that the time decides.
    changes = PARTS[part].changes if part in PARTS else {}
    config = choose_config(split.train, {"max_epochs": 1000, "patience": 1000, **changes, "max_seconds": seconds})
    features = {key: value for key, value in one.features.items() if part != WITHOUT + key}
    model = pretrain(
        train=split.train,
        valid=split.valid,
        features=features if config.use_content else {},
        profiles=one.profiles if config.use_profiles else None,
        item_ids=one.item_ids,
        config=config,
        seed=seed,
        clock=time.process_time,
    )
    scorer = model.serve(features if model.whitenings else {}, split.train.num_items)
    ranker = ScorerRanker(part, scorer, one.profiles if model.profile_columns else None)
    rows = evaluate(ranker, split.test, split, num_resamples=0).rows
    return {
        "epochs": model.report["epochs"],
        "rows": {row: {metric: round(cases.mean(metric), 5) for metric in one.metrics} for row, cases in rows.items()},
        "errors": {row: round(_error(cases.values(one.metrics[0])), 5) for row, cases in rows.items()},
    }


def _error(values_C: NDArray[np.float64]) -> float:
    """Standard error of a mean over cases."""
    return float(values_C.std() / max(len(values_C), 1) ** 0.5)


def child(name: str, part: str, seed: int, seconds: float) -> dict[str, Any]:
    """`one_run` in a process of its own."""
    command = [sys.executable, __file__, "--run", json.dumps([name, part, seed, seconds])]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def write_table(results: dict[str, Any]) -> None:
    """The table for people."""
    modalities = {WITHOUT + one: Part({}) for names in MODALITIES.values() for one in names}
    RESULT.with_suffix(".md").write_text("\n".join(table_lines(results, PARTS | modalities)) + "\n", encoding="utf-8")


def main() -> None:
    """Run every part on every set, two at a time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["ml-100k", "beauty-cold", "tiktok"])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--parts", nargs="+", help="only these")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(one_run(*json.loads(arguments.run))))
        return
    results = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {"sets": {}}
    results["what"] = (
        f"{arguments.seconds:.0f} CPU-seconds of training on one core each, {arguments.seeds} seed(s), test rows, one part changed at a time."
    )
    results["machine"] = {"cpus": os.cpu_count(), "python": platform.python_version()}
    results["date"] = datetime.now(UTC).strftime("%Y-%m-%d")
    jobs = [
        (name, part, seed)
        for name in arguments.sets
        for part in arguments.parts or parts_of(name)
        for seed in range(arguments.seeds)
    ]
    with ThreadPoolExecutor(2) as pool:
        for (name, part, seed), found in zip(
            jobs, pool.map(lambda job: child(*job, arguments.seconds), jobs), strict=True
        ):
            errors = found.pop("errors")
            if part == ALL:
                results.setdefault("errors", {})[name] = errors
            results["sets"].setdefault(name, {}).setdefault(part, {})[str(seed)] = found
            RESULT.parent.mkdir(exist_ok=True)
            RESULT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            write_table(results)
            print(f"{name:12} {part:28} {found}", flush=True)


if __name__ == "__main__":
    main()
