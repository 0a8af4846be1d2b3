"""From a table to arrays: every field's values become rows of one table of vectors, fitted on training rows only.

A field has these rows, in this order: a category or a cross has one for values that are rare or were never seen, one for
missing, one per value (or per bucket); a number has one that is multiplied with the scaled value, and one for missing; a
list has those of a category for its entries, or, read against a target, shares those of the target.

Shape suffixes: N rows of a table, F single-valued fields, E entries of lists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.tasks.field_cells import lists, numbers, stable_bucket, texts
from kinema.tasks.field_specs import FieldSpec

_UNKNOWN: Final = 0
_MISSING: Final = 1
_SKEWED: Final = 20.0
_FARTHEST: Final = 8.0
_OF_NORMAL: Final = 1.349
_BETWEEN: Final = "\x1f"


@dataclass(frozen=True)
class Field:
    """One field with what was learnt of it.

    Attributes:
        spec: What it is.
        first: Its first row in the table of vectors.
        size: Its rows; 0 for a list with a target, which has none of its own.
        vocabulary: Its listed values, the most frequent first.
        is_log: A number is replaced by the logarithm of one plus itself.
        centre: Median of a number after that.
        spread: Its interquartile range in standard deviations of a normal distribution.
    """

    spec: FieldSpec
    first: int
    size: int
    vocabulary: tuple[str, ...] = ()
    is_log: bool = False
    centre: float = 0.0
    spread: float = 1.0


@dataclass(frozen=True)
class FieldRows:
    """Rows of a table as places in the table of vectors.

    Attributes:
        rows_NF: int32, one per single-valued field.
        scales_NF: float32, what each vector is multiplied with, 1 for categories; None where no field is a number.
        lists: Per list field (offsets, entries): entries of row n are ``entries[offsets[n] : offsets[n + 1]]``, int32.
    """

    rows_NF: NDArray[np.int32]
    scales_NF: NDArray[np.float32] | None
    lists: tuple[tuple[NDArray[np.int64], NDArray[np.int32]], ...]


@dataclass(frozen=True)
class Fields:
    """All fields of a model.

    Attributes:
        fields: Single-valued ones first, then lists.
    """

    fields: tuple[Field, ...]

    @property
    def single(self) -> tuple[Field, ...]:
        """Fields with one value per row."""
        return tuple(one for one in self.fields if one.spec.kind != "list")

    @property
    def listed(self) -> tuple[Field, ...]:
        """Fields with any number of values per row."""
        return tuple(one for one in self.fields if one.spec.kind == "list")

    @property
    def num_rows(self) -> int:
        """Of the table of vectors."""
        return sum(one.size for one in self.fields)

    @property
    def targets(self) -> tuple[int | None, ...]:
        """Per list, the place of its target among the single-valued fields; None for none."""
        names = [one.spec.name for one in self.single]
        return tuple(None if one.spec.target is None else names.index(one.spec.target) for one in self.listed)

    def apply(self, frame: pl.DataFrame) -> FieldRows:
        """Turn a table into arrays.

        Args:
            frame: Any table with the fields' columns; others are not looked at.

        Raises:
            DataError: A column is missing, or its cells are not what they were in training.
        """
        for name in self.columns():
            if name not in frame.columns:
                raise DataError(
                    f"the table must have column '{name}', which the model has learnt from, has: "
                    f"{', '.join(frame.columns)}; add it, with empty cells where it is not known"
                )
        rows_NF = np.empty((frame.height, len(self.single)), dtype=np.int32)
        scales_NF = np.ones_like(rows_NF, dtype=np.float32)
        for place, field in enumerate(self.single):
            if field.spec.kind == "number":
                scaled_N = _scaled(field, numbers(frame[field.spec.name]))
                missing_N = np.isnan(scaled_N)
                rows_NF[:, place] = field.first + missing_N
                scales_NF[:, place] = np.where(missing_N, 1.0, scaled_N)
            else:
                rows_NF[:, place] = field.first + _codes(field, _values(frame, field.spec))
        has_numbers = any(field.spec.kind == "number" for field in self.single)
        packed = tuple(self._pack(field, frame[field.spec.name]) for field in self.listed)
        return FieldRows(rows_NF, scales_NF if has_numbers else None, packed)

    def _pack(self, field: Field, column: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        cells = lists(column, field.spec.separator).list.tail(field.spec.longest)
        offsets = np.concatenate([[0], np.cumsum(cells.list.len().to_numpy())]).astype(np.int64)
        entries = cells.explode(empty_as_null=False) if cells.dtype.is_nested() else cells
        of = field
        if field.spec.target is not None:
            of = next(one for one in self.single if one.spec.name == field.spec.target)
        return offsets, (of.first + _codes(of, entries.cast(pl.String))).astype(np.int32)

    def columns(self) -> tuple[str, ...]:
        """The columns a table must have."""
        return tuple(dict.fromkeys(name for one in self.fields for name in one.spec.of or (one.spec.name,)))

    def to_json(self) -> list[dict[str, Any]]:
        """For `fields_from_json`."""
        return [asdict(one) for one in self.fields]


def fields_from_json(saved: Sequence[Mapping[str, Any]]) -> Fields:
    """What `Fields.to_json` gave."""
    return Fields(
        tuple(
            Field(
                **{
                    **one,
                    "spec": FieldSpec(**{**one["spec"], "of": tuple(one["spec"]["of"])}),
                    "vocabulary": tuple(one["vocabulary"]),
                }
            )
            for one in saved
        )
    )


def fit_fields(frame: pl.DataFrame, specs: Sequence[FieldSpec], *, min_count: int = 2) -> Fields:
    """Learn vocabularies and scales.

    A value that the training table has once teaches nothing that holds elsewhere; together such values teach what to
    expect of a new one.

    Args:
        frame: The training table, and nothing of any other.
        specs: From `kinema.tasks.field_specs.complete_specs`.
        min_count: Rows a value must be in to have a vector of its own, >= 1.

    Raises:
        DataError: A column's cells are not what the spec says.

    Example:
        >>> table = pl.DataFrame({"user": ["a", "a", "b"], "price": [1.0, 2.0, None]})
        >>> fields = fit_fields(table, [FieldSpec("user", "category"), FieldSpec("price", "number")])
        >>> fields.num_rows, fields.apply(table).rows_NF.tolist()
        (5, [[2, 3], [2, 3], [0, 4]])
    """
    found: list[Field] = []
    first = 0
    for spec in sorted(specs, key=lambda one: one.kind == "list"):
        if spec.kind == "ignore":
            continue
        field = replace(_fit(frame, spec, min_count), first=first)
        first += field.size
        found.append(field)
    return Fields(tuple(found))


def _fit(frame: pl.DataFrame, spec: FieldSpec, min_count: int) -> Field:
    if spec.kind == "number":
        return _fit_number(spec, numbers(frame[spec.name]))
    if spec.kind == "list" and spec.target is not None:
        return Field(spec, 0, 0)
    if spec.buckets:
        return Field(spec, 0, spec.buckets + 2)
    if spec.kind == "list":
        values = lists(frame[spec.name], spec.separator).explode().drop_nulls()
    else:
        values = _values(frame, spec).drop_nulls()
    counts = pl.DataFrame({"value": values.cast(pl.String)}).group_by("value").len().filter(pl.col("len") >= min_count)
    vocabulary = tuple(counts.sort(["len", "value"], descending=[True, False])["value"].to_list())
    return Field(spec, 0, len(vocabulary) + 2, vocabulary)


def _fit_number(spec: FieldSpec, values_N: NDArray[np.float64]) -> Field:
    """Amounts and counts span powers of ten: those are logarithms first, or all but the largest would look the same."""
    known = values_N[~np.isnan(values_N)]
    if not len(known):
        return Field(spec, 0, 2)
    low, median, high = np.quantile(known, (0.0, 0.5, 0.99))
    is_log = bool(low >= 0 and high > _SKEWED * max(median, 1e-12) and high > 1)
    if is_log:
        known = np.log1p(known)
    quarter, median, three_quarters = np.quantile(known, (0.25, 0.5, 0.75))
    spread = (three_quarters - quarter) / _OF_NORMAL or float(known.std()) or 1.0
    return Field(spec, 0, 2, is_log=is_log, centre=float(median), spread=float(spread))


def _scaled(field: Field, values_N: NDArray[np.float64]) -> NDArray[np.float64]:
    if field.is_log:
        values_N = np.log1p(np.maximum(values_N, 0.0))
    return np.clip((values_N - field.centre) / field.spread, -_FARTHEST, _FARTHEST)


def _values(frame: pl.DataFrame, spec: FieldSpec) -> pl.Series:
    """Texts of a category or of a cross; a cross of which a part is missing is missing."""
    parts = []
    for name in spec.of or (spec.name,):
        if frame[name].dtype.is_nested():
            raise DataError(
                f"column '{name}' must hold one value per row for field '{spec.name}', holds lists; "
                f"learn it as what it is: --field {name}=list"
            )
        parts.append(texts(frame[name]).alias(name))
    return (
        parts[0]
        if len(parts) == 1
        else pl.DataFrame(parts).select(pl.concat_str(pl.all(), separator=_BETWEEN)).to_series()
    )


def _codes(field: Field, values: pl.Series) -> NDArray[np.int64]:
    """Place of each value among the field's rows."""
    if field.spec.buckets:
        distinct = values.drop_nulls().unique()
        codes = [_MISSING + 1 + stable_bucket(value, field.spec.buckets) for value in distinct.to_list()]
    else:
        distinct = pl.Series(field.vocabulary, dtype=pl.String)
        codes = list(range(_MISSING + 1, _MISSING + 1 + len(distinct)))
    found = values.replace_strict(distinct, pl.Series(codes, dtype=pl.Int64), default=_UNKNOWN, return_dtype=pl.Int64)
    places: NDArray[np.int64] = found.to_numpy().copy()
    places[values.is_null().to_numpy()] = _MISSING
    return places
