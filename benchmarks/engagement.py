"""What sharing and duration-aware labels give in worlds whose right answer is known.

    python benchmarks/engagement.py [--seeds 3]

Pairs of tasks: ``click`` with many labels, ``like`` with few, related or not (`kinema.testing.engagement.task_world`); its loss
has weight .1, about what its labels are worth. Videos whose length misleads: AUC of true interest
(`kinema.testing.engagement.duration_world`). All on test rows; epochs are chosen on validation. Writes
``results/engagement.json`` and ``results/engagement.md``.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy must come before the numeric libraries

from kinema.evaluation.environment import run_facts  # noqa: E402
from kinema.metrics.classification import auc  # noqa: E402
from kinema.steps.engagement import train_engagement  # noqa: E402
from kinema.tasks.engagement import EngagementConfig, EngagementModel  # noqa: E402
from kinema.tasks.row_inputs import NumberInput  # noqa: E402
from kinema.testing.engagement import DurationWorld, TaskWorld, duration_world, task_world  # noqa: E402
from kinema.training.fitting import FitOptions  # noqa: E402

RESULT: Final = Path(__file__).parent / "results" / "engagement.json"
OPTIONS: Final = FitOptions(metric="loss", batch_size=256, learning_rate=3e-3, max_epochs=20, patience=3)
BOTH: Final = ("click", "like")
PAIRS: Final = {
    "shared bottom": {"sharing": "shared_bottom"},
    "MMoE": {"sharing": "mmoe"},
    "PLE": {"sharing": "ple"},
    "MMoE, uncertainty": {"sharing": "mmoe", "weighting": "uncertainty"},
    "MMoE, gradient conflicts": {"sharing": "mmoe", "weighting": "conflicts"},
}


def learn(world: TaskWorld | DurationWorld, heads: tuple[str, ...], seed: int, **changes: Any) -> EngagementModel:
    """One model."""
    return train_engagement(
        NumberInput(world.numbers_ND, world.train_rows),
        world.labels,
        train_rows=world.train_rows,
        valid_rows=world.valid_rows,
        config=EngagementConfig(heads=heads, widths=(32,), **changes),
        options=OPTIONS,
        seed=seed,
    ).model


def pair_quality(related: bool, seed: int) -> dict[str, dict[str, float]]:  # noqa: FBT001  # one of two worlds
    """Model -> head -> AUC on test."""
    world = task_world(related=related, seed=seed)
    rows = world.test_rows
    labels = {head: world.labels.binary[head][rows] for head in BOTH}
    found = {"the chances themselves": {head: auc(world.probs[head][rows], labels[head]) for head in BOTH}}
    alone = {head: learn(world, (head,), seed, sharing="separate").predict(rows)[head] for head in BOTH}
    found["one model each"] = {head: auc(alone[head], labels[head]) for head in BOTH}
    for name, changes in PAIRS.items():
        told = learn(world, BOTH, seed, task_weights={"like": 0.1}, **changes).predict(rows)
        found[name] = {head: auc(told[head], labels[head]) for head in BOTH}
    return found


def duration_quality(seed: int) -> dict[str, dict[str, float]]:
    """Label -> AUC of true interest by milliseconds and by the quantile, and the error of milliseconds."""
    world = duration_world(seed=seed)
    rows = world.test_rows
    durations, actual = world.labels.duration_ms_N, world.labels.watch_ms_N
    assert durations is not None
    assert actual is not None
    found = {}
    for watch in ("regression", "quantile", "ordinal"):
        model = learn(world, ("watch",), seed, sharing="shared_bottom", watch=watch)
        told = model.predict(rows, duration_ms_N=durations[rows])
        found[watch] = {
            "AUC of interest, by watch_ms": auc(told["watch_ms"], world.is_interested_N[rows]),
            "AUC of interest, by watch": auc(told["watch"], world.is_interested_N[rows]),
            "mean error, s": float(np.abs(told["watch_ms"] - actual[rows]).mean() / 1000),
        }
    return found


def table(runs: list[dict[str, dict[str, float]]]) -> list[str]:
    """Means over seeds, and deviations."""
    columns = list(next(iter(runs[0].values())))
    lines = ["| | " + " | ".join(columns) + " |", "|" + "---|" * (len(columns) + 1)]
    for name in runs[0]:
        cells = [[run[name][column] for run in runs] for column in columns]
        lines.append(f"| {name} | " + " | ".join(f"{np.mean(cell):.4f} ± {np.std(cell):.4f}" for cell in cells) + " |")
    return lines


def main() -> None:
    """Run all worlds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    parts = {
        "Related tasks, AUC": [pair_quality(related=True, seed=seed) for seed in seeds],
        "Unrelated tasks, AUC": [pair_quality(related=False, seed=seed) for seed in seeds],
        "Watch time where length misleads": [duration_quality(seed) for seed in seeds],
    }
    facts = run_facts(command="python benchmarks/engagement.py", seed=0)
    RESULT.write_text(json.dumps({"facts": facts, "runs": parts}, indent=1) + "\n", encoding="utf-8")
    lines = [
        "# Engagement in worlds whose right answer is known",
        "",
        f"Mean and deviation over {len(seeds)} seeds, on test rows.",
    ]
    for title, runs in parts.items():
        lines += ["", f"## {title}", "", *table(runs)]
    RESULT.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
