"""The ablation for people: what every part is worth on every set, and whether its default follows from that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

ALL: Final = "all"
ROWS: Final = ("all", "warm", "cold", "cold among cold")
_JUDGED: Final = ("all", "cold")
_FEWEST_CASES_ERROR: Final = 0.05
"""A row whose standard error is larger than this tells nothing; TikTok's cold cases have .007."""


@dataclass(frozen=True)
class Part:
    """One change of the defaults.

    Attributes:
        changes: Settings of FLM; none for a part that is left out of the data.
        is_default: The part is on by default and the change takes it away; else the change puts it in.
        kept_for: Why a part that pays nowhere is on all the same; empty where there is no such reason.
    """

    changes: Mapping[str, Any]
    is_default: bool = True
    kept_for: str = ""


def table_lines(results: Mapping[str, Any], parts: Mapping[str, Part]) -> list[str]:
    """The whole table.

    Args:
        results: Content of ``ablation.json``.
        parts: Every part that can be measured; those without a measurement are named.

    Returns:
        Lines of Markdown.
    """
    lines = ["# What each part is worth", "", results["what"]]
    for name, measured in results["sets"].items():
        lines += ["", f"## {name}", "", *_set_lines(measured)]
    return [*lines, "", *_verdict_lines(results, parts)]


def _set_lines(measured: Mapping[str, Any]) -> list[str]:
    first = next(iter(measured.values()))["0"]["rows"]
    shown = [row for row in ROWS if row in first]
    metrics = list(first[ALL])
    head = ["part", "epochs", *(f"{metric}, {row}" for row in shown for metric in metrics)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for part, seeds in measured.items():
        means = [f"{_mean(seeds, row, metric):.4f}" for row in shown for metric in metrics]
        lines.append("| " + " | ".join([part, str(seeds["0"]["epochs"]), *means]) + " |")
    return lines


def _verdict_lines(results: Mapping[str, Any], parts: Mapping[str, Part]) -> list[str]:
    sets = list(results["sets"])
    lines = [
        "## What pays",
        "",
        "What each part adds to the first measure of each set, all cases and cold ones, against the same model without it.",
        "Bold: by more than a standard error of one measurement. A dash: not measured, or too few cases. A part pays where a",
        "difference in its favour is bold. What pays nowhere is off, or its row says why it is not.",
        "",
        "| part | by default | " + " | ".join(f"{name}: all / cold" for name in sets) + " | verdict |",
        "|" + "---|" * (len(sets) + 3),
    ]
    for title, part in parts.items():
        gains = {name: _gains(results, name, title, part) for name in sets}
        cells = [" / ".join(_cell(gain) for gain in gains[name]) for name in sets]
        state = "on" if part.is_default else "off"
        lines.append("| " + " | ".join([_named(title), state, *cells, verdict(part, gains)]) + " |")
    return lines


def verdict(part: Part, gains: Mapping[str, Sequence[tuple[float, float] | None]]) -> str:
    """What the measurements say of a part's default.

    Args:
        part: The change.
        gains: Set -> gain and standard error of all and of cold cases; None where there is none.

    Example:
        >>> verdict(Part({}), {"films": [(0.02, 0.01), None]}), verdict(Part({}, is_default=False), {"films": [None, None]})
        ('pays on films', 'not measured')
    """
    known = [
        (f"{name} (cold)" if row == "cold" else name, *gain)
        for name, found in gains.items()
        for row, gain in zip(_JUDGED, found, strict=True)
        if gain is not None
    ]
    if not known:
        return "not measured"
    pays = ", ".join(place for place, gain, error in known if gain > error)
    costs = ", ".join(place for place, gain, error in known if gain < -error)
    if pays:
        said = f"pays on {pays}" if part.is_default else f"would pay on {pays}"
        return f"{said}, costs on {costs}" if costs else said
    if not part.is_default:
        return "pays nowhere"
    return f"pays nowhere; kept for {part.kept_for}" if part.kept_for else "pays nowhere: should be off"


def _gains(results: Mapping[str, Any], name: str, title: str, part: Part) -> list[tuple[float, float] | None]:
    measured, errors = results["sets"][name], results.get("errors", {}).get(name, {})
    if title not in measured or ALL not in measured:
        return [None, None]
    metric = next(iter(measured[ALL]["0"]["rows"][ALL]))
    found: list[tuple[float, float] | None] = []
    for row in _JUDGED:
        if errors.get(row, 1.0) > _FEWEST_CASES_ERROR:
            found.append(None)
            continue
        whole, changed = _mean(measured[ALL], row, metric), _mean(measured[title], row, metric)
        found.append((whole - changed if part.is_default else changed - whole, errors[row]))
    return found


def _cell(gain: tuple[float, float] | None) -> str:
    if gain is None:
        return "-"
    return f"**{gain[0]:+.4f}**" if abs(gain[0]) > gain[1] else f"{gain[0]:+.4f}"


def _mean(seeds: Mapping[str, Any], row: str, metric: str) -> float:
    values = [one["rows"][row][metric] for one in seeds.values()]
    return float(sum(values) / len(values))


def _named(title: str) -> str:
    """A part that is taken away, by its own name."""
    return title.removeprefix("without ").removeprefix("no ")
