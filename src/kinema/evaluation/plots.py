"""Plots as SVG text that goes straight into the report: no file, no request, right in light and in dark.

Text and axes are drawn in ``currentColor``, so that a plot takes the colour of the page around it.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any, Final

from kinema.evaluation.tables import Line, metric_label
from kinema.extras import require

ACCENT: Final = "#2f6fdb"
WARM: Final = "#d97a1e"
COLD: Final = "#2a9db0"
QUIET: Final = "#8a94a3"
PALETTE: Final = (ACCENT, WARM, COLD, "#8d5fc9", "#4d9a4a", "#c2456f")

# matplotlib cannot draw in "the colour of the page": it draws in this one, and the text is replaced afterwards.
_PAGE_COLOUR: Final = "#010203"
_COLOURED: Final = (
    "text.color",
    "axes.edgecolor",
    "axes.labelcolor",
    "xtick.color",
    "ytick.color",
    "grid.color",
)
_WIDTH: Final = 6.0


def ranking_plot(lines: Sequence[Line], *, metric: str, highlight: str) -> str:
    """Horizontal bars with intervals, one per ranker, best on top.

    Args:
        lines: From `kinema.evaluation.tables.accuracy_lines`; each must have the metric.
        metric: What is drawn.
        highlight: The ranker in the accent colour.

    Returns:
        One ``<svg>`` element.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    cells = {line.name: next(cell for cell in line.cells if cell.metric == metric) for line in lines}
    order = sorted(cells, key=lambda name: cells[name].interval.mean)
    bound = {line.name for line in lines if line.bound}
    with page_axes(
        height=0.55 + 0.3 * len(order), label=f"{metric_label(metric)} of every ranker, with 95 % intervals"
    ) as (
        axes,
        finish,
    ):
        for place, name in enumerate(order):
            found = cells[name].interval
            colour = ACCENT if name == highlight else QUIET
            alpha = 0.35 if name in bound else 0.9
            axes.barh(place, found.mean, color=colour, alpha=alpha, height=0.66)
            _whisker(axes, place, found.low, found.high)
        axes.set_yticks(range(len(order)))
        axes.set_yticklabels(order, parse_math=False)
        axes.set_xlabel(metric_label(metric))
        axes.set_xlim(left=0)
        axes.grid(visible=True, axis="x")
        return finish()


def warm_cold_plot(warm: Sequence[Line], cold: Sequence[Line], *, metric: str) -> str:
    """Two bars per ranker: targets that training knew, and targets that it did not.

    Args:
        warm: Lines of the warm row.
        cold: Lines of the cold row.
        metric: What is drawn.

    Returns:
        One ``<svg>`` element.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    names = [line.name for line in warm]
    with page_axes(
        height=0.8 + 0.42 * len(names), label=f"{metric_label(metric)} on warm and cold targets, with 95 % intervals"
    ) as (axes, finish):
        for lines, colour, shift, label in ((warm, WARM, 0.19, "warm"), (cold, COLD, -0.19, "cold")):
            for line in lines:
                place = len(names) - 1 - names.index(line.name) + shift
                found = next(cell for cell in line.cells if cell.metric == metric).interval
                axes.barh(place, found.mean, color=colour, height=0.36, label=label, alpha=0.45 if line.bound else 0.95)
                _whisker(axes, place, found.low, found.high)
        axes.set_yticks(range(len(names)))
        axes.set_yticklabels(names[::-1], parse_math=False)
        axes.set_xlabel(metric_label(metric))
        axes.set_xlim(left=0)
        axes.grid(visible=True, axis="x")
        handles, labels = axes.get_legend_handles_labels()
        unique = dict(zip(labels[::-1], handles[::-1], strict=True))
        axes.legend(
            [unique["warm"], unique["cold"]], ["warm", "cold"], loc="lower right", bbox_to_anchor=(1, 1), ncol=2
        )
        return finish()


def curve_plot(curves: Sequence[Mapping[str, float]], *, keys: Sequence[str], label: str) -> str:
    """Lines over epochs.

    Args:
        curves: One mapping per epoch with ``epoch`` and some of the keys; a missing key leaves a gap.
        keys: What is drawn, one line each.
        label: What the plot shows, for the axis and for those who hear it.

    Returns:
        One ``<svg>`` element.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with page_axes(height=2.9, label=label) as (axes, finish):
        for place, key in enumerate(keys):
            points = [(one["epoch"], one[key]) for one in curves if one.get(key) is not None]
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                color=PALETTE[place % len(PALETTE)],
                linewidth=1.8,
                marker="o",
                markersize=3,
                label=key.replace("_", " "),
            )
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=True)
        if len(keys) > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=3, fontsize=9)
        return finish()


@contextmanager
def page_axes(*, height: float, label: str) -> Iterator[tuple[Any, Callable[[], str]]]:
    """Axes in the style of the page, and the function that turns them into text."""
    matplotlib = require("matplotlib")
    figures = require("matplotlib.figure")
    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": label,
        "font.family": "sans-serif",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.alpha": 0.18,
        "legend.frameon": False,
        **dict.fromkeys(_COLOURED, _PAGE_COLOUR),
    }
    with matplotlib.rc_context(style), warnings.catch_warnings():
        # Names in scripts that the built-in font lacks are drawn by the browser, which has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = figures.Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.add_subplot()

        def finish() -> str:
            stream = io.StringIO()
            figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
            return _embeddable(stream.getvalue(), label)

        yield axes, finish


def _whisker(axes: Any, place: float, low: float, high: float) -> None:
    """A 95 % interval; nothing where it is undefined."""
    if low <= high:
        axes.plot([low, high], [place, place], color=_PAGE_COLOUR, linewidth=1.2, alpha=0.75)


def _embeddable(svg: str, label: str) -> str:
    """From a file of its own to an element of the page, with a name for screen readers and the colour of the page."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # Groups are named alike in every plot, and nothing refers to them.
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    body = body.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
    return body.replace(_PAGE_COLOUR, "currentColor")
