"""One HTML file that tells what was run, on what, and what came out; it needs no network and runs no script.

Titles and descriptions come from the owner of the data and are not trusted: the template escapes everything but the
plots, which are made here.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kinema.evaluation.bootstrap import Interval
from kinema.evaluation.notes import protocol_notes
from kinema.evaluation.plots import curve_plot, ranking_plot, warm_cold_plot
from kinema.evaluation.results import ROWS, Difference, RankingResult
from kinema.evaluation.slices import SliceValue, Slicing, slice_values
from kinema.evaluation.tables import Line, accuracy_lines, differences, metric_label, verdict
from kinema.extras import is_installed
from kinema.metrics.ranking import METRICS
from kinema.schema import SlateItem

_PLOTS_MISSING: Final = "Plots were left out: matplotlib is not installed (pip install 'kinema[report]')."
_SLICE_RESAMPLES: Final = 200


@dataclass(frozen=True)
class ExampleUser:
    """A user whom a reader can judge a slate by.

    Attributes:
        user: The user's id.
        history: Titles, oldest first.
        slate: What would be recommended, with reasons.
        targets: Ids of the items that the user went on to; they are marked in the slate.
        target_titles: Their titles.
        profile: What is known of the user besides the history.
    """

    user: str
    history: Sequence[str]
    slate: Sequence[SlateItem]
    targets: Sequence[str] = ()
    target_titles: Sequence[str] = ()
    profile: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportData:
    """Everything a report says.

    Attributes:
        title: Heading.
        results: All rankers on the same test cases, in the order of display.
        reference: Name of the ranker the report is about.
        run: What was run, label -> text (see `kinema.evaluation.environment.run_facts`).
        data: On what, label -> number or text: counts, time range, sparsity.
        split_facts: ``facts`` of the split.
        ceiling: Name of the ranker that knows the right answers; empty where there is none.
        metric: The metric of plots, differences and slices.
        config: Configuration of the model and the run, JSON values.
        tuned: Baseline -> hyper-parameters that won on validation.
        curves: One mapping per epoch: ``epoch``, ``seconds``, loss parts (a key with "loss"), validation (a key with
            "valid").
        examples: Users with histories and slates.
        slicings: Groups of the test cases.
        notes: What else a reader should know.
    """

    title: str
    results: Sequence[RankingResult]
    reference: str
    run: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    split_facts: Mapping[str, Any] = field(default_factory=dict)
    ceiling: str = ""
    metric: str = "ndcg@10"
    config: Mapping[str, Any] = field(default_factory=dict)
    tuned: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    curves: Sequence[Mapping[str, float]] = ()
    examples: Sequence[ExampleUser] = ()
    slicings: Sequence[Slicing] = ()
    notes: Sequence[str] = ()

    @property
    def k(self) -> int:
        """Cut-off of the main metric."""
        return int(self.metric.rsplit("@", maxsplit=1)[-1])

    def all_notes(self) -> list[str]:
        """Notes that follow from protocol and results, then the caller's."""
        length = max((result.slate_length for result in self.results), default=0)
        own = protocol_notes(self.results, facts=self.split_facts, ceiling=self.ceiling, slate_length=length)
        return [*own, *self.notes]


def write_report(path: Path, data: ReportData) -> None:
    """Write the report as one HTML file.

    Args:
        path: Where to; the folder must exist.
        data: What it says. Without matplotlib it has no plots and says so.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_report(folder / "report.html", ReportData(title="Nothing yet", results=(), reference="FLM"))
        >>> "<h1>Nothing yet</h1>" in (folder / "report.html").read_text(encoding="utf-8")
        True
    """
    environment = Environment(
        loader=PackageLoader("kinema.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, interval=_interval, metric=metric_label, seconds=_seconds)
    page = environment.get_template("report.html.j2").render(_view(data))
    path.write_text(page, encoding="utf-8")


def write_json(path: Path, data: ReportData) -> None:
    """Write the same facts for machines: strict JSON, undefined numbers as null.

    Args:
        path: Where to; the folder must exist.
        data: What it says; plots and example users are left out.
    """
    document = {
        "title": data.title,
        "reference": data.reference,
        "ceiling": data.ceiling,
        "run": data.run,
        "data": data.data,
        "split": data.split_facts,
        "config": data.config,
        "tuned": data.tuned,
        "results": [result.to_dict() for result in data.results],
        "differences": [
            {**vars(found), "is_clear": found.is_clear}
            for rows in _differences(data).values()
            for found in rows.values()
        ],
        "curves": list(data.curves),
        "notes": data.all_notes(),
    }
    path.write_text(json.dumps(_strict(document), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _view(data: ReportData) -> dict[str, Any]:
    """What the template shows, arranged."""
    main = [f"{name}@{data.k}" for name in METRICS]
    tables = [
        (row, accuracy_lines(data.results, row=row, metrics=main, ceiling=data.ceiling), _row_facts(data, row))
        for row in _rows(data)
    ]
    ks = data.results[0].ks if data.results else ()
    other = [f"{name}@{k}" for k in ks if k != data.k for name in ("ndcg", "recall", "mrr")]
    return {
        "data": data,
        "verdict": verdict(data.results, reference=data.reference, metric=data.metric, ceiling=data.ceiling),
        "tables": tables,
        "main_metrics": main,
        "other_metrics": other,
        "other_lines": accuracy_lines(data.results, row="all", metrics=other, ceiling=data.ceiling) if other else [],
        "difference_rows": _rows(data),
        "differences": _differences(data),
        "plots": _plots(data, {row: lines for row, lines, _ in tables}),
        "slices": [(slicing, *_slice_table(data, slicing)) for slicing in data.slicings],
        "curve_keys": list(dict.fromkeys(key for epoch in data.curves for key in epoch)),
        "config": json.dumps(_strict(data.config), indent=2, ensure_ascii=False) if data.config else "",
        "notes": data.all_notes(),
    }


def _rows(data: ReportData) -> list[str]:
    return [row for row in ROWS if any(row in result.rows for result in data.results)]


def _differences(data: ReportData) -> dict[str, dict[str, Difference]]:
    """Ranker -> row -> the reference minus it."""
    table: dict[str, dict[str, Difference]] = {}
    for row in _rows(data):
        for found in differences(data.results, reference=data.reference, row=row, metric=data.metric):
            table.setdefault(found.reference, {})[row] = found
    return table


def _row_facts(data: ReportData, row: str) -> dict[str, float]:
    found = next(result.rows[row] for result in data.results if row in result.rows)
    return {"cases": len(found.cases_R), "users": found.num_users, "candidates": found.mean_candidates}


def _plots(data: ReportData, lines: Mapping[str, Sequence[Line]]) -> dict[str, Markup]:
    """Name -> SVG; empty without matplotlib."""
    if not is_installed("matplotlib"):
        return {"missing": Markup.escape(_PLOTS_MISSING)}
    plots: dict[str, str] = {}
    if lines.get("all"):
        plots["ranking"] = ranking_plot(lines["all"], metric=data.metric, highlight=data.reference)
    if lines.get("warm") and lines.get("cold"):
        plots["warm_cold"] = warm_cold_plot(lines["warm"], lines["cold"], metric=data.metric)
    keys = list(dict.fromkeys(key for epoch in data.curves for key in epoch))
    for name, label in (("loss", "training loss"), ("valid", "validation")):
        chosen = [key for key in keys if name in key]
        if chosen:
            plots[name] = curve_plot(data.curves, keys=chosen, label=label)
    # The SVG is ours: matplotlib escapes every text it draws.
    return {name: Markup(svg) for name, svg in plots.items()}  # noqa: S704


def _slice_table(data: ReportData, slicing: Slicing) -> tuple[list[SliceValue], list[tuple[str, list[SliceValue]]]]:
    """Header cells, and one line per ranker."""
    lines = [
        (result.name, slice_values(result, slicing, metric=data.metric, num_resamples=_SLICE_RESAMPLES))
        for result in data.results
    ]
    return (lines[0][1] if lines else []), lines


def _number(value: Any) -> str:
    """Counts with thousands marks, fractions with four digits, a dash for what is undefined."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "\N{EN DASH}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.4f}"


def _interval(interval: Interval) -> str:
    """The ends of an interval."""
    return "" if math.isnan(interval.low) else f"{interval.low:.4f}\N{EN DASH}{interval.high:.4f}"


def _seconds(value: float) -> str:
    """A duration for people."""
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def _strict(value: Any) -> Any:
    """JSON values without NaN or infinity; what JSON does not know becomes text."""
    if isinstance(value, np.generic):
        return _strict(value.item())
    if isinstance(value, Mapping):
        return {str(key): _strict(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
