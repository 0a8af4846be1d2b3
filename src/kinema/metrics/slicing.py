"""Any metric, group by group.

Shape suffixes: N rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kinema.errors import DataError


@dataclass(frozen=True)
class SliceMeasure:
    """A metric in one slice."""

    value: float
    num_rows: int


def by_slice(
    metric: Callable[..., float], slices_N: ArrayLike, *arrays_N: ArrayLike, **options: Any
) -> dict[Any, SliceMeasure]:
    """A metric of the rows of each slice.

    A mean over all rows hides the placement or the country where the model is wrong.

    Args:
        metric: Any function of this room, or one's own, of arrays with one entry per row.
        slices_N: Slice of each row; numbers or texts.
        arrays_N: What the metric takes by position, each with N rows: predictions, labels, groups.
        options: What it takes by name, the same for every slice.

    Returns:
        Slice -> value and rows, in the order of the slices' names; the value is NaN where the metric is undefined.

    Raises:
        DataError: An array has another length than the slices; or what the metric raises.

    Example:
        >>> from kinema.metrics.regression import mae
        >>> by_slice(mae, ["home", "search", "home"], [1.0, 2.0, 3.0], [1.0, 5.0, 5.0])
        {'home': SliceMeasure(value=1.0, num_rows=2), 'search': SliceMeasure(value=3.0, num_rows=1)}
    """
    slices = np.asarray(slices_N)
    arrays = [np.asarray(one) for one in arrays_N]
    for place, one in enumerate(arrays):
        if one.shape[:1] != slices.shape:
            raise DataError(f"array {place} must have one entry per row, {slices.size}, has shape {one.shape}")
    names, codes_N, counts = np.unique(slices, return_inverse=True, return_counts=True)
    parts = np.split(np.argsort(codes_N, kind="stable"), np.cumsum(counts)[:-1])
    return {
        name: SliceMeasure(metric(*(one[rows] for one in arrays), **options), len(rows))
        for name, rows in zip(names.tolist(), parts, strict=True)
    }
