"""Plots of predicted probabilities as SVG text for a page: what was said against what happened, ROC, precision and recall.

Shape suffixes: N rows, P points of a curve.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinema.errors import DataError
from kinema.evaluation.plots import PALETTE, QUIET, page_axes
from kinema.metrics.calibration import Reliability
from kinema.metrics.classification import auc, precision_recall_curve, roc_curve

_GRID: Final = 300
"""Points closer than this part of an axis are drawn as one: a curve over a million rows would be 50 MB of text."""
_HEIGHT: Final = 4.4

_Curve = Callable[[ArrayLike, ArrayLike], tuple[NDArray[np.float64], NDArray[np.float64]]]


def reliability_plot(tables: Mapping[str, Reliability], *, label: str = "Reliability of the probabilities") -> str:
    """Said probability against what happened; right ones lie on the diagonal.

    The whiskers are two standard deviations that chance alone would make: a point whose whisker reaches the diagonal says
    nothing against the model.

    Args:
        tables: Name -> table, such as before and after calibration, at least one.
        label: For those who hear the plot; ids inside follow from it, so two plots of a page need two labels.

    Returns:
        One ``<svg>`` element.

    Raises:
        DataError: There is no table.
        MissingExtraError: matplotlib is not installed.
    """
    _not_empty(tables)
    with page_axes(height=_HEIGHT, label=label) as (axes, finish):
        end = 1.05 * max(max(one.probs_B.max(), one.rates_B.max()) for one in tables.values())
        axes.plot([0, end], [0, end], color=QUIET, linewidth=1.2, linestyle="--")
        for place, (name, table) in enumerate(tables.items()):
            axes.errorbar(
                table.probs_B,
                table.rates_B,
                yerr=2 * table.spread_B,
                color=PALETTE[place % len(PALETTE)],
                linewidth=1.6,
                elinewidth=1.0,
                marker="o",
                markersize=4,
                label=_plain(name),
            )
        axes.set_xlim(0, end)
        axes.set_ylim(0, end)
        _finish(axes, "said", "happened")
        return str(finish())


def roc_plot(answers: Mapping[str, tuple[ArrayLike, ArrayLike]], *, label: str = "ROC curve") -> str:
    """Share of positives against share of negatives above every cut, with the area below in the legend.

    Args:
        answers: Name -> scores and labels, at least one; labels 0 and 1 both occur.
        label: See `reliability_plot`.

    Returns:
        One ``<svg>`` element.

    Raises:
        DataError: There is nothing to draw, or a metric refuses it.
        MissingExtraError: matplotlib is not installed.
    """
    named = {f"{name} (AUC {auc(*one):.4f})": one for name, one in answers.items()}
    return _curves_plot(named, roc_curve, label=label, axis_names=("false positive rate", "true positive rate"))


def precision_recall_plot(
    answers: Mapping[str, tuple[ArrayLike, ArrayLike]], *, label: str = "Precision and recall"
) -> str:
    """Precision against recall for every cut; tells more than ROC where positives are rare.

    Args:
        answers: See `roc_plot`.
        label: See `reliability_plot`.

    Returns:
        One ``<svg>`` element.

    Raises:
        DataError: See `roc_plot`.
        MissingExtraError: matplotlib is not installed.
    """
    return _curves_plot(dict(answers), precision_recall_curve, label=label, axis_names=("recall", "precision"))


def _curves_plot(
    answers: Mapping[str, tuple[ArrayLike, ArrayLike]], curve: _Curve, *, label: str, axis_names: tuple[str, str]
) -> str:
    """One line per name in the unit square."""
    _not_empty(answers)
    with page_axes(height=_HEIGHT, label=label) as (axes, finish):
        if curve is roc_curve:
            axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1.2, linestyle="--")
        for place, (name, one) in enumerate(answers.items()):
            x_P, y_P = _thinned(*curve(*one))
            axes.plot(x_P, y_P, color=PALETTE[place % len(PALETTE)], linewidth=1.8, label=_plain(name))
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        _finish(axes, *axis_names)
        return str(finish())


def _thinned(x_P: NDArray[np.float64], y_P: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first point of every cell that a curve enters, and its last point."""
    cells_P = np.stack([x_P * _GRID, y_P * _GRID]).astype(np.int64)
    kept = np.flatnonzero(np.r_[True, np.diff(cells_P).any(axis=0)])
    kept = np.union1d(kept, [len(x_P) - 1])
    return x_P[kept], y_P[kept]


def _finish(axes: Any, x_name: str, y_name: str) -> None:
    """Names of the axes, grid and legend."""
    axes.set_xlabel(x_name)
    axes.set_ylabel(y_name)
    axes.grid(visible=True)
    legend = axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=2, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _plain(name: str) -> str:
    """A leading underscore would hide a name from the legend."""
    return name.lstrip("_") or name


def _not_empty(tables: Mapping[str, Any]) -> None:
    """Something must be drawn."""
    if not tables:
        raise DataError("a plot must have at least one curve, got none")
