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
_MINUS: Final = "FLM minus it"
_ROUNDED: Final = 1e-5
"""Means of entries are rounded to so much."""
_TITLES: Final = {
    "rectools": "RecTools SASRec (softmax)",
    "recbole": "RecBole SASRec (CE)",
    "implicit": "iALS (implicit)",
}


def compare(results: Mapping[str, Any], cases_file: Callable[[str, str, int], Path]) -> None:
    """Enter beside each ranker by how much FLM is better, where the per-case values of both are at hand and are those of the entries.

    They lie on the machine that measured; what was entered there before stays, for another one to write the table.

    Args:
        results: Content of ``quality.json``, changed in place.
        cases_file: Set, ranker and seed -> file of the per-case values.
    """
    for set_name, rankers in results["sets"].items():
        metric = rankers["facts"]["metrics"][0]
        if REFERENCE not in rankers:
            continue
        ours, our_mean = cases_file(set_name, REFERENCE, 0), _first_mean(rankers[REFERENCE], metric)
        for name, seeds in rankers.items():
            if name in ("facts", REFERENCE) or our_mean is None or _first_mean(seeds, metric) is None:
                continue
            found = _difference(ours, cases_file(set_name, name, 0), metric, (our_mean, _first_mean(seeds, metric)))
            if found is not None:
                seeds["0"][_MINUS] = {"of": our_mean, **found}


def write_table(results: Mapping[str, Any], path: Path) -> None:
    """Write ``quality.md``.

    Args:
        results: Content of ``quality.json``.
        path: Of the table.
    """
    lines = [
        "# Quality on public sets",
        "",
        results["protocol"] + ".",
        "Mean and deviation over seeds; `x (1)` is one seed. The last column is FLM minus the ranker, seed 0, with the 95 %",
        "interval of the paired bootstrap over users. A dash: no such cases, or not compared since one of the two was measured again.",
    ]
    for set_name, rankers in results["sets"].items():
        lines += ["", *_section(set_name, rankers)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _section(set_name: str, rankers: Mapping[str, Any]) -> list[str]:
    facts = rankers["facts"]
    cold = facts["test_cases_with_cold_target"]
    rows = _ROWS[: 4 if cold else 1]
    measured = {
        name: seeds for name, seeds in rankers.items() if name != "facts" and "rows" in next(iter(seeds.values()))
    }
    blind = {name: seeds for name, seeds in measured.items() if name not in QUERY_TIME}
    our_mean = _first_mean(rankers.get(REFERENCE, {}), facts["metrics"][0])
    told = {name: seeds for name, seeds in measured.items() if name in QUERY_TIME}
    lines = [
        f"## {set_name}",
        "",
        (
            f"{facts['protocol']}: {facts['users']:,} users, {facts['items']:,} items, {facts['train_interactions']:,} training "
            f"interactions, {facts['test_cases']:,} test cases, {cold:,} of them with a cold target."
        ),
        "",
        *_table(blind, facts["metrics"], rows, our_mean),
    ]
    if told:
        said = "Told the moment of the question, which is more than the rankers above know:"
        lines += ["", said, "", *_table(told, facts["metrics"], rows, our_mean)]
    for name, seeds in rankers.items():
        for one in seeds.values() if name != "facts" else ():
            if "left_out" in one:
                lines += ["", f"{_TITLES.get(name, name)} left out: {one['left_out']}"]
    return lines


def _table(measured: Mapping[str, Any], metrics: list[str], rows: tuple[str, ...], our_mean: float | None) -> list[str]:
    head = ["ranker", *(f"{metric}, {row}" for row in rows for metric in metrics), "training s", "FLM minus it"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name in sorted(measured, key=lambda name: _mean(measured[name], "all", metrics[0])[0]):
        seeds = measured[name]
        cells = [_cell(*_mean(seeds, row, metric), len(seeds)) for row in rows for metric in metrics]
        spent = [one["wall_seconds"] for one in seeds.values() if "wall_seconds" in one]
        seconds = f"{statistics.median(spent):.0f}" if spent else "-"
        difference = _told(seeds, our_mean) if name != REFERENCE else ""
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


def _first_mean(seeds: Mapping[str, Any], metric: str) -> float | None:
    """Of all cases at seed 0; None where that was not measured."""
    mean: float | None = seeds.get("0", {}).get("rows", {}).get("all", {}).get(metric)
    return mean


def _told(seeds: Mapping[str, Any], our_mean: float | None) -> str:
    """What `compare` entered, unless FLM has been measured again since."""
    found = seeds.get("0", {}).get(_MINUS)
    if found is None or found["of"] != our_mean:
        return "-"
    return f"{found['mean']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"


def _difference(ours: Path, theirs: Path, metric: str, means: tuple[float, float | None]) -> dict[str, float] | None:
    """FLM minus a ranker on the same cases; None where a file is missing or of another run than the entry."""
    if not (ours.is_file() and theirs.is_file()):
        return None
    cases = [np.load(file) for file in (ours, theirs)]
    columns = [one["values_CM"][:, one["metrics"].tolist().index(metric)].astype(np.float64) for one in cases]
    if any(abs(column_C.mean() - mean) > _ROUNDED for column_C, mean in zip(columns, means, strict=True)):
        return None
    gain_C1 = (columns[0] - columns[1])[:, None]
    samples = resampled_means(gain_C1, cases[0]["users_C"], num_resamples=1000, seed=0)[:, 0]
    low, high = np.quantile(samples, [0.025, 0.975])
    return {name: round(float(one), 5) for name, one in (("mean", gain_C1.mean()), ("low", low), ("high", high))}
