"""A table of confusions as a plot.

Shape suffixes: C classes.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.evaluation.plots import page_axes
from kinema.extras import is_installed

_MOST_NUMBERS: Final = 20
_DARK: Final = 0.5


def confusion_plot(table_CC: NDArray[np.int64], classes: Sequence[str]) -> str | None:
    """Classes down, what they were taken for across; the darker, the larger the share of the class.

    Args:
        table_CC: Clips of each class (row) by predicted class (column).
        classes: Names.

    Returns:
        One ``<svg>`` element; None where matplotlib is not installed.
    """
    if not is_installed("matplotlib"):
        return None
    shares_CC = table_CC / np.maximum(table_CC.sum(axis=1, keepdims=True), 1)
    places = range(len(classes))
    with page_axes(height=1.5 + 0.32 * len(classes), label="Which classes are taken for which") as (axes, finish):
        axes.imshow(shares_CC, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        if len(classes) <= _MOST_NUMBERS:
            for row, column in zip(*np.nonzero(table_CC), strict=True):
                ink = "white" if shares_CC[row, column] > _DARK else "black"
                axes.text(column, row, f"{table_CC[row, column]:,}", ha="center", va="center", color=ink, fontsize=8)
        axes.set_xticks(places)
        axes.set_xticklabels(classes, rotation=60, ha="right", parse_math=False)
        axes.set_yticks(places)
        axes.set_yticklabels(classes, parse_math=False)
        axes.set_xlabel("taken for")
        axes.set_ylabel("is")
        return finish()
