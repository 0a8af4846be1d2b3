"""The quality table for people: mean and deviation over seeds, and the paired bootstrap against FLM."""

import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from kinema.evaluation.bootstrap import resampled_means

REFERENCE: Final = "FLM"
QUERY_TIME: Final = ("FLM, query time",)
"""Rankers that are told when the question is asked; the others are not, so they stand in a table of their own."""
_ROWS: Final = ("all", "warm", "cold", "cold among cold")
_TITLES: Final = {
    "rectools": "RecTools SASRec (softmax)",
    "recbole": "RecBole SASRec (CE)",
    "implicit": "iALS (implicit)",
}


def write_table(results: Mapping[str, Any], path: Path, cases_file: Callable[[str, str, int], Path]) -> None:
    """Write ``quality.md``.

    Args:
        results: Content of ``quality.json``.
        path: Of the table.
        cases_file: Set, ranker and seed -> file of the per-case values; a missing one leaves the comparison out.
    """
    lines = [
        "# Quality on public sets",
        "",
        results["protocol"] + ".",
        "Mean and deviation over seeds; `x (1)` is one seed. The last column is FLM minus the ranker, seed 0, with the 95 %",
        "interval of the paired bootstrap over users. A dash: no such cases.",
    ]
    for set_name, rankers in results["sets"].items():
        lines += ["", *_section(set_name, rankers, cases_file)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _section(set_name: str, rankers: Mapping[str, Any], cases_file: Callable[[str, str, int], Path]) -> list[str]:
    facts = rankers["facts"]
    cold = facts["test_cases_with_cold_target"]
    rows = _ROWS[: 4 if cold else 1]
    measured = {
        name: seeds for name, seeds in rankers.items() if name != "facts" and "rows" in next(iter(seeds.values()))
    }
    blind = {name: seeds for name, seeds in measured.items() if name not in QUERY_TIME}
    told = {name: seeds for name, seeds in measured.items() if name in QUERY_TIME}
    lines = [
        f"## {set_name}",
        "",
        (
            f"{facts['protocol']}: {facts['users']:,} users, {facts['items']:,} items, {facts['train_interactions']:,} training "
            f"interactions, {facts['test_cases']:,} test cases, {cold:,} of them with a cold target."
        ),
        "",
        *_table(set_name, blind, facts["metrics"], rows, cases_file),
    ]
    if told:
        said = "Told the moment of the question, which is more than the rankers above know:"
        lines += ["", said, "", *_table(set_name, told, facts["metrics"], rows, cases_file)]
    for name, seeds in rankers.items():
        for one in seeds.values() if name != "facts" else ():
            if "left_out" in one:
                lines += ["", f"{_TITLES.get(name, name)} left out: {one['left_out']}"]
    return lines


def _table(
    set_name: str,
    measured: Mapping[str, Any],
    metrics: list[str],
    rows: tuple[str, ...],
    cases_file: Callable[[str, str, int], Path],
) -> list[str]:
    head = ["ranker", *(f"{metric}, {row}" for row in rows for metric in metrics), "training s", "FLM minus it"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name in sorted(measured, key=lambda name: _mean(measured[name], "all", metrics[0])[0]):
        seeds = measured[name]
        cells = [_cell(*_mean(seeds, row, metric), len(seeds)) for row in rows for metric in metrics]
        spent = [one["wall_seconds"] for one in seeds.values() if "wall_seconds" in one]
        seconds = f"{statistics.median(spent):.0f}" if spent else "-"
        difference = _difference(set_name, name, metrics[0], cases_file) if name != REFERENCE else ""
        lines.append("| " + " | ".join([_TITLES.get(name, name), *cells, seconds, difference]) + " |")
    return lines


def _mean(seeds: Mapping[str, Any], row: str, metric: str) -> tuple[float, float]:
    values = [one["rows"][row][metric] for one in seeds.values() if row in one["rows"]]
    if not values:
        return float("nan"), 0.0
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def _cell(mean: float, deviation: float, count: int) -> str:
    if mean != mean:  # noqa: PLR0124  # not a number is not itself
        return "-"
    return f"{mean:.4f} ± {deviation:.4f}" if count > 1 else f"{mean:.4f} (1)"


def _difference(set_name: str, name: str, metric: str, cases_file: Callable[[str, str, int], Path]) -> str:
    """FLM minus the ranker on the same cases."""
    files = [cases_file(set_name, REFERENCE, 0), cases_file(set_name, name, 0)]
    if not all(file.is_file() for file in files):
        return "-"
    ours, theirs = (np.load(file) for file in files)
    column = ours["metrics"].tolist().index(metric)
    gain_C1 = (ours["values_CM"][:, [column]] - theirs["values_CM"][:, [column]]).astype(np.float64)
    samples = resampled_means(gain_C1, ours["users_C"], num_resamples=1000, seed=0)[:, 0]
    low, high = np.quantile(samples, [0.025, 0.975])
    return f"{gain_C1.mean():+.4f} [{low:+.4f}, {high:+.4f}]"
