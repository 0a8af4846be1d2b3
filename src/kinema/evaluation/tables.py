"""Results arranged for people: which number is best, which cannot be told from it, what differs clearly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kinema.evaluation.bootstrap import Interval
from kinema.evaluation.offline import CHANCE
from kinema.evaluation.results import ROWS, Difference, RankingResult, compare

Mark = Literal["best", "tie", ""]

METRIC_LABELS: Final = {
    "ndcg": "NDCG",
    "recall": "Recall",
    "mrr": "MRR",
    "map": "MAP",
    "hit_rate": "Hit rate",
    "precision": "Precision",
}


@dataclass(frozen=True)
class Cell:
    """One number of the table.

    Attributes:
        metric: Such as ``ndcg@10``.
        interval: Mean and 95 % interval.
        mark: ``best`` of its column, ``tie`` where the paired interval of the difference to the best holds zero.
    """

    metric: str
    interval: Interval
    mark: Mark


@dataclass(frozen=True)
class Line:
    """One ranker's line. ``bound`` is true for chance and for the ceiling, which compete with nobody."""

    name: str
    bound: bool
    cells: tuple[Cell, ...]


def accuracy_lines(
    results: Sequence[RankingResult], *, row: str, metrics: Sequence[str], ceiling: str = ""
) -> list[Line]:
    """The table of one row: every ranker that has it, every metric, the best and its ties marked.

    Args:
        results: On the same cases.
        row: A name of `kinema.evaluation.results.ROWS`.
        metrics: Columns.
        ceiling: Name of the ranker that knows the right answers; it does not compete.

    Returns:
        One line per ranker in the order given.
    """
    present = [result for result in results if row in result.rows]
    contenders = [result for result in present if result.name not in {CHANCE, ceiling}]
    marks: dict[tuple[str, str], Mark] = {}
    for metric in metrics if contenders else ():
        best = max(contenders, key=lambda result: result.rows[row].mean(metric))
        if best.rows[row].mean(metric) == 0:
            continue
        for result in contenders:
            # Without resamples the interval is NaN and nothing can be called a tie.
            holds_zero = compare(best, result, metric=metric, row=row).low <= 0
            marks[result.name, metric] = "best" if result is best else "tie" if holds_zero else ""
    return [
        Line(
            result.name,
            result.name in {CHANCE, ceiling},
            tuple(
                Cell(metric, result.rows[row].interval(metric), marks.get((result.name, metric), ""))
                for metric in metrics
            ),
        )
        for result in present
    ]


def differences(results: Sequence[RankingResult], *, reference: str, row: str, metric: str) -> list[Difference]:
    """Reference minus every other ranker, paired.

    Args:
        results: On the same cases.
        reference: Name of the ranker that is compared with all others.
        row: A name of `kinema.evaluation.results.ROWS`.
        metric: Such as ``ndcg@10``.

    Returns:
        In the order given; empty where the reference or the row is absent.
    """
    chosen = next((result for result in results if result.name == reference and row in result.rows), None)
    if chosen is None:
        return []
    return [
        compare(chosen, other, metric=metric, row=row) for other in results if other is not chosen and row in other.rows
    ]


def summary_rows(
    results: Sequence[RankingResult],
    *,
    metrics: Sequence[str] = ("ndcg@10", "recall@10"),
    ceiling: str = "",
    min_cases: int = 1,
) -> list[dict[str, str]]:
    """The table for a terminal: plain text cells.

    Args:
        results: On the same cases.
        metrics: Shown for each row of `kinema.evaluation.results.ROWS` that has cases.
        ceiling: See `accuracy_lines`.
        min_cases: Rows with fewer cases are left to the report, where their number stands beside them.

    Returns:
        One mapping per ranker: ``ranker``, then ``<row> <METRIC>@k`` -> ``0.1234 *`` where ``*`` is the best and ``=`` a
        tie with it, last ``ms/case``. All mappings have the same keys.
    """
    rows = [
        row
        for row in ROWS
        if any(row in result.rows and len(result.rows[row].cases_R) >= min_cases for result in results)
    ]
    table = {result.name: {"ranker": result.name} for result in results}
    signs = {"best": " *", "tie": " =", "": ""}
    for row in rows:
        for line in accuracy_lines(results, row=row, metrics=metrics, ceiling=ceiling):
            for cell in line.cells:
                text = f"{cell.interval.mean:.4f}{signs[cell.mark]}"
                table[line.name][f"{row} {metric_label(cell.metric)}"] = text
    for result in results:
        table[result.name]["ms/case"] = f"{result.milliseconds_per_case:.2f}" if result.seconds else ""
    return list(table.values())


def metric_label(metric: str) -> str:
    """How people write a metric.

    Example:
        >>> metric_label("hit_rate@10")
        'Hit rate@10'
    """
    name, _, k = metric.partition("@")
    return f"{METRIC_LABELS[name]}@{k}"


def verdict(results: Sequence[RankingResult], *, reference: str, metric: str, ceiling: str = "") -> str:
    """One honest sentence: where the reference stands among those that compete.

    Args:
        results: On the same cases.
        reference: The ranker the report is about.
        metric: Such as ``ndcg@10``.
        ceiling: See `accuracy_lines`.

    Returns:
        Plain text; empty where the reference is absent or has no rival.
    """
    contenders = {result.name: result for result in results if result.name not in {CHANCE, ceiling}}
    rivals = [result for name, result in contenders.items() if name != reference]
    if reference not in contenders or not rivals:
        return ""
    own = contenders[reference].rows["all"].mean(metric)
    best = max(rivals, key=lambda result: result.rows["all"].mean(metric))
    theirs = best.rows["all"].mean(metric)
    found = compare(contenders[reference], best, metric=metric)
    relation = (
        "clearly better than" if found.low > 0 else "clearly worse than" if found.high < 0 else "not told apart from"
    )
    change = f" ({own / theirs - 1:+.0%})" if theirs else ""
    return (
        f"{reference} reaches {metric_label(metric)} {own:.4f}: {relation} the best other ranker, "
        f"{best.name} with {theirs:.4f}{change}."
    )
