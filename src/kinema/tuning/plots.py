"""Pictures of a search as SVG text: how it went, which settings mattered, and how each was met."""

from collections.abc import Mapping, Sequence
from typing import Any

from kinema.evaluation.plots import ACCENT, QUIET, WARM, page_axes
from kinema.tuning.domains import Span
from kinema.tuning.study import TrialRecord


def history_plot(trials: Sequence[TrialRecord], *, metric: str, sign: float, chosen: int) -> str:
    """Trials in their order, and the best so far.

    Args:
        trials: Those that are over.
        metric: Name of the value.
        sign: -1 where smaller is better; what is drawn is the metric.
        chosen: Trial that is marked.

    Returns:
        One ``<svg>`` element.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    finished = [(one.number, sign * one.value) for one in trials if one.state == "finished" and one.value is not None]
    given_up = [(one.number, sign * one.value) for one in trials if one.state == "given up" and one.value is not None]
    failed = [one.number for one in trials if one.state == "failed"]
    best = [max((sign * value, value) for _, value in finished[: place + 1])[1] for place in range(len(finished))]
    with page_axes(height=3.1, label=f"{metric} of every trial") as (axes, finish):
        axes.step([one for one, _ in finished], best, where="post", color=ACCENT, linewidth=1.8, label="best so far")
        axes.scatter(*_columns(finished), color=ACCENT, s=26, label="finished", zorder=3)
        if given_up:
            axes.scatter(*_columns(given_up), facecolors="none", edgecolors=QUIET, s=26, label="given up")
        for place, number in enumerate(failed):
            axes.axvline(number, color=WARM, linewidth=1, linestyle=":", label="failed" if not place else None)
        axes.scatter(
            *_columns([one for one in finished if one[0] == chosen]), color=WARM, s=60, label="chosen", zorder=4
        )
        _zoom(axes, [value for _, value in finished])
        axes.set_xlabel("trial")
        axes.set_ylabel(metric)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=True)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=4, fontsize=9)
        return str(finish())


def importance_plot(importances: Mapping[str, float]) -> str:
    """Horizontal bars, the most important setting on top.

    Args:
        importances: Setting -> share; they add up to 1.

    Returns:
        One ``<svg>`` element.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    order = sorted(importances, key=lambda name: importances[name])
    with page_axes(height=0.75 + 0.34 * len(order), label="Importance of each setting") as (axes, finish):
        for place, name in enumerate(order):
            axes.barh(place, importances[name], color=ACCENT, height=0.66)
            axes.text(importances[name] + 0.012, place, f"{importances[name]:.2f}", va="center", fontsize=9)
        axes.set_yticks(range(len(order)))
        axes.set_yticklabels(order, parse_math=False)
        axes.set_xlim(0, max([0.1, *importances.values()]) * 1.15)
        axes.set_xlabel("share of what moved the value")
        axes.grid(visible=True, axis="x")
        return str(finish())


def slice_plot(trials: Sequence[TrialRecord], name: str, domain: Any, *, metric: str, sign: float, chosen: int) -> str:
    """The value of finished trials against one setting.

    Args:
        trials: Those that are over.
        name: Of the setting.
        domain: Of it; a span with ``log`` has such an axis.
        metric: Name of the value.
        sign: See `history_plot`.
        chosen: See `history_plot`.

    Returns:
        One ``<svg>`` element.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    finished = [one for one in trials if one.state == "finished" and one.value is not None]
    values = [sign * (one.value or 0.0) for one in finished]
    with page_axes(height=2.6, label=f"{metric} by {name}") as (axes, finish):
        if isinstance(domain, Span):
            places = [one.settings[name] for one in finished]
            if domain.log:
                axes.set_xscale("log")
        else:
            known = [str(one) for one in domain.values]
            places = [known.index(str(one.settings[name])) for one in finished]
            axes.set_xticks(range(len(known)))
            axes.set_xticklabels(known, parse_math=False)
            axes.set_xlim(-0.5, len(known) - 0.5)
        colours = [WARM if one.number == chosen else ACCENT for one in finished]
        axes.scatter(places, values, c=colours, s=28, zorder=3)
        _zoom(axes, values)
        axes.set_xlabel(name, parse_math=False)
        axes.set_ylabel(metric)
        axes.grid(visible=True)
        return str(finish())


def _columns(points: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [one for one, _ in points], [one for _, one in points]


def _zoom(axes: Any, values: Sequence[float]) -> None:
    """Room for the finished trials: one that was given up far away would press them into a line."""
    if len(values) > 1 and max(values) > min(values):
        room = 0.25 * (max(values) - min(values))
        axes.set_ylim(min(values) - room, max(values) + room)
