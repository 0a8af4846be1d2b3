"""Cells of a column as texts, as numbers or as lists, whatever the file wrote them as.

One value has one text: the 7 of a CSV, of a whole-number column and the 7.0 of a column that had gaps are the same category.
"""

import hashlib
import json
import re

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.errors import DataError


def texts(column: pl.Series) -> pl.Series:
    """The cells as text, null where missing.

    Example:
        >>> texts(pl.Series([7.0, 2.5, None])).to_list()
        ['7', '2.5', None]
    """
    if column.dtype == pl.Boolean:
        column = column.cast(pl.Int8)
    found = column if column.dtype == pl.String else column.cast(pl.String)
    return found.str.strip_chars().replace("", None).str.replace(r"^(-?\d+)\.0+$", "${1}")


def is_text(column: pl.Series) -> bool:
    """Whether a column is text of which some cell is no number."""
    if column.dtype.is_numeric() or column.dtype == pl.Boolean or column.dtype.is_nested():
        return False
    written = texts(column)
    return bool((written.is_not_null() & _parsed(written).is_null()).any())


def numbers(column: pl.Series) -> NDArray[np.float64]:
    """The cells as numbers, not-a-number where missing.

    Raises:
        DataError: A cell is neither a number nor empty.

    Example:
        >>> numbers(pl.Series("price", ["1.5", None, "2"]))
        array([1.5, nan, 2. ])
    """
    if column.dtype.is_nested():
        raise DataError(
            f"column '{column.name}' must hold numbers, holds lists; learn it as what it is: --field {column.name}=list"
        )
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        found = column.cast(pl.Float64)
    else:
        written = texts(column)
        found = _parsed(written)
        bad = (written.is_not_null() & found.is_null()).arg_true()
        if len(bad):
            raise DataError(
                f"column '{column.name}' must hold numbers, holds '{column[int(bad[0])]}' in row {int(bad[0]) + 1}; "
                f"correct it, or learn it as a category: --field {column.name}=category"
            )
    values = found.fill_null(float("nan")).to_numpy().copy()
    values[~np.isfinite(values)] = np.nan
    return values


def _parsed(written: pl.Series) -> pl.Series:
    return written.cast(pl.Float64, strict=False)


def lists(column: pl.Series, separator: str) -> pl.Series:
    """The cells as lists of texts; an empty cell is an empty list.

    Args:
        column: Lists, JSON arrays, or texts between separators.
        separator: For the last.

    Raises:
        DataError: A cell begins like a JSON array and is none.

    Example:
        >>> lists(pl.Series(["a|b", '["c", 4]', None]), "|").to_list()
        [['a', 'b'], ['c', '4'], []]
    """
    if isinstance(column.dtype, pl.List | pl.Array):
        return _clean(column.cast(pl.List(pl.String)))
    written = column.cast(pl.String).str.strip_chars()
    is_json = written.str.starts_with("[").fill_null(value=False)
    split = _clean(written.str.split(separator))
    if not is_json.any():
        return split
    cells_N = split.to_list()
    for row in is_json.arg_true():
        cells_N[row] = _json_list(str(written[int(row)]), column.name, int(row))
    return pl.Series(column.name, cells_N, dtype=pl.List(pl.String))


def _clean(cells: pl.Series) -> pl.Series:
    """Entries as `texts` gives them, none empty, and an empty list where there is no cell."""
    entry = pl.element().str.strip_chars().str.replace(r"^(-?\d+)\.0+$", "${1}")
    return cells.list.eval(entry.replace("", None).drop_nulls()).fill_null([])


def _json_list(cell: str, name: str, row: int) -> list[str]:
    try:
        values = json.loads(cell)
    except ValueError as error:
        raise DataError(
            f"column '{name}' must hold lists, holds '{cell[:60]}' in row {row + 1}, which is no JSON array: {error}; correct it"
        ) from error
    return [re.sub(r"^(-?\d+)\.0+$", r"\1", str(value)) for value in values if value is not None]


def stable_bucket(value: str, num_buckets: int) -> int:
    """The bucket of a value, the same on every machine and in every version.

    Example:
        >>> stable_bucket("lisbon", 100)
        83
    """
    return int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8).digest(), "little") % num_buckets
