"""From the raw columns of a block to good rows in our columns, and rejects with the first reason of each bad row."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import polars as pl

from kinema.errors import DataError
from kinema.schema import EventKind, Reject
from kinema.sources import values
from kinema.sources.blocks import ROW
from kinema.sources.columns import REQUIRED, REST, Columns
from kinema.sources.media_paths import MediaPaths
from kinema.sources.values import Parsed

Parser = Callable[[pl.Series], Parsed]
Converted = TypeVar("Converted")

_INT32: Final = 2**31 - 1

PARSERS: Final[dict[str, dict[str, tuple[Parser, str]]]] = {
    "item": {
        "id": (values.identifier, "be 1 to 256 characters"),
        "title": (values.text, "be text"),
        "description": (values.text, "be text"),
        "categories": (values.texts("|"), "be a list: a|b or a JSON array"),
        "tags": (values.texts("|"), "be a list: a|b or a JSON array"),
        "language": (values.text, "be text"),
        "published_at": (values.moment, "be a time: whole seconds or milliseconds, or ISO 8601"),
        "duration_ms": (values.whole(1, rounded=True), "be > 0 milliseconds"),
        "media_path": (values.path, "be a path inside the media folder"),
        "hidden": (values.flag, "be true or false"),
        "attributes": (values.json_object, "be a JSON object"),
    },
    "user": {
        "id": (values.identifier, "be 1 to 256 characters"),
        "attributes": (values.json_object, "be a JSON object"),
    },
    "event": {
        "user": (values.identifier, "be 1 to 256 characters"),
        "item": (values.identifier, "be 1 to 256 characters"),
        "timestamp_ms": (
            values.event_moment,
            "be a time from 1970 on: whole seconds or milliseconds, or ISO 8601",
        ),
        "kind": (values.kind, f"be one of {', '.join(EventKind)}"),
        "id": (values.identifier, "be at most 256 characters"),
        "value": (values.number, "be a finite number"),
        "watch_ms": (values.whole(0, rounded=True), "be >= 0 milliseconds"),
        "session_id": (values.text, "be text"),
        "slate_id": (values.text, "be text"),
        "position": (values.whole(0, highest=_INT32), "be a whole number >= 0"),
        "propensity": (values.probability, "be in (0, 1]"),
        "context": (values.json_object, "be a JSON object"),
    },
}
"""For each of our columns how it is read, and what it must be."""


@dataclass(frozen=True)
class RowReader:
    """Checks the blocks of one file.

    Attributes:
        columns: Which column is which.
        file: For rejects.
        media: Judges ``media_path``; None where a table has no media.
    """

    columns: Columns
    file: str
    media: MediaPaths | None = None

    def check(self, raw: pl.DataFrame) -> tuple[pl.DataFrame, list[Reject]]:
        """Good rows in our columns, rejects for the others.

        Args:
            raw: The file's columns and `ROW`.

        Returns:
            Columns of `Item`, `User` or `Event`, with ``row``; and the rejects by row.
        """
        kind = self.columns.kind
        good: dict[str, pl.Series] = {"row": raw[ROW].alias("row")}
        reasons: dict[int, str] = {}
        for name, theirs in self.columns.ours.items():
            parse, rule = self._parser(name, theirs)
            parsed = self._convert(parse, raw[theirs])
            failed = parsed.failed
            if name in REQUIRED[kind]:
                failed = failed | parsed.values.is_null()
            for place in failed.arg_true() if failed.any() else ():
                reasons.setdefault(place, f"{name} must {rule}, is {_shown(raw[theirs][place])}")
            good[name] = parsed.values.alias(name)
        if kind == "item" and self.media and "media_path" in good:
            for place, reason in self.media.judge(good["media_path"]):
                reasons.setdefault(place, reason)
        rows = pl.DataFrame(good)
        if self.columns.rest:
            rows = rows.with_columns(self._rest(raw, rows))
        if kind == "event" and "kind" not in good:
            rows = rows.with_columns(kind=pl.lit(self._default_kind().value))
        if kind == "event" and "kind" in good:
            rows = rows.with_columns(pl.col("kind").fill_null(self._default_kind().value))
        if not reasons:
            return rows, []
        is_bad = pl.Series(range(rows.height)).is_in(list(reasons))
        return rows.filter(~is_bad), self._rejects(raw, reasons)

    def _convert(self, convert: Callable[[pl.Series], Converted], column: pl.Series) -> Converted:
        """Convert a column; types that cannot be converted at all occur in Parquet only."""
        try:
            return convert(column)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise DataError(
                f"'{self.file}' column '{column.name}' must have a type that can be read, has {column.dtype}; "
                "write it as text"
            ) from error

    def _parser(self, name: str, theirs: str) -> tuple[Parser, str]:
        if name in {"categories", "tags"} and self.columns.types.get(theirs) == "token_seq":
            return values.texts(" "), "be a list of words"
        return PARSERS[self.columns.kind][name]

    def _default_kind(self) -> EventKind:
        """What an event is where the file does not say: the strongest statement its columns allow."""
        if "value" in self.columns.ours:
            return EventKind.RATING
        return EventKind.WATCH if "watch_ms" in self.columns.ours else EventKind.CLICK

    def _rest(self, raw: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
        """The columns that are none of ours, as one JSON object a row, joined with the object the file has itself."""
        target = REST[self.columns.kind]
        members = [
            self._convert(partial(member, name=self.columns.label(name), kind=self.columns.types.get(name)), raw[name])
            for name in self.columns.rest
        ]
        if target in rows.columns:
            members.append(rows[target].str.slice(1).str.head(-1).replace("", None))
        joined = pl.DataFrame(members).select(pl.concat_str(pl.all(), separator=",", ignore_nulls=True)).to_series()
        return ("{" + joined + "}").alias(target)

    def _rejects(self, raw: pl.DataFrame, reasons: Mapping[int, str]) -> list[Reject]:
        found = []
        for place in sorted(reasons):
            row = raw.row(place, named=True)
            number = row.pop(ROW)
            shown = ",".join("" if value is None else str(value) for value in row.values())[:200]
            found.append(Reject(self.columns.kind, self.file, number, reasons[place], shown))
        return found


def member(column: pl.Series, name: str, kind: str | None = None) -> pl.Series:
    """One member of a JSON object for each value, such as ``"age":30``; null where the value is absent.

    Text becomes a number where it is written exactly as JSON writes numbers (so ``007`` stays text), true or false, or a
    list or object where it is valid JSON.

    Args:
        column: Any type.
        name: Name of the member.
        kind: RecBole's type of the column: ``token`` stays text, ``token_seq`` is a list of words.

    Returns:
        String.

    Example:
        >>> member(pl.Series(["30", "x", None, "007"]), "age").to_list()
        ['"age":30', '"age":"x"', None, '"age":"007"']
    """
    if kind in {"token_seq", "float_seq"}:
        words = column.cast(pl.String).str.split(" ")
        column = words.cast(pl.List(pl.Float64), strict=False) if kind == "float_seq" else words
    is_text = column.dtype in (pl.String, pl.Categorical) or isinstance(column.dtype, pl.Enum)
    if column.dtype.is_float():
        column = column.set(~column.is_finite().fill_null(value=True), None)
    if is_text:
        column = column.cast(pl.String).str.strip_chars()
        column = column.set(column == "", None)
    elif isinstance(column.dtype, pl.Duration):
        column = column.dt.total_milliseconds()
    elif column.dtype.is_temporal():
        column = column.cast(pl.String)
    head = json.dumps(name, ensure_ascii=False) + ":"
    frame = pl.DataFrame({"it": column})
    encoded = frame.select(pl.struct("it").struct.json_encode().str.slice(len('{"it":')).str.head(-1)).to_series()
    if is_text and kind in {None, "float"}:
        is_plain = column.str.contains(r"^(?:-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?|true|false)$").fill_null(value=False)
        encoded = column.zip_with(is_plain, encoded)
        nested = column.str.contains(r"^(?:\[.*\]|\{.*\})$").fill_null(value=False)
        if nested.any():
            encoded = pl.Series(
                [
                    _nested(value, other) if yes else other
                    for value, other, yes in zip(column, encoded, nested, strict=True)
                ],
                dtype=pl.String,
            )
    return (pl.Series([head]) + encoded).set(column.is_null(), None).alias(name)


def _nested(value: str, otherwise: str) -> str:
    try:
        return json.dumps(json.loads(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return otherwise


def _shown(value: Any) -> str:
    """A value for a message: short, and told apart from its text."""
    if value is None:
        return "empty"
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:60]}... ({len(shown):,} characters)"
