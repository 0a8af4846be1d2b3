"""One column at a time: from what files hold to what the store takes, and which values are not what they must be.

Every parser returns the parsed column and a mask of the values that failed. A value that is absent (null, empty, blank)
is null and never fails; whether it may be absent is decided where the row is put together.

In text the words ``nan``, ``null`` and ``none`` are wrong values, because tools write absent ones as nothing. In Parquet
a NaN of a number column is an absent value, because tools have no other way to write one.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from kinema.schema import EventKind

MAX_ID: Final = 256
MAX_NUMBER: Final = 2**53
_LAST_MS: Final = 253_402_300_799_999


@dataclass(frozen=True)
class Parsed:
    """A parsed column.

    Attributes:
        values: As the store takes them, null where absent or failed.
        failed: Bool, the values that are not what they must be.
    """

    values: pl.Series
    failed: pl.Series


KIND_ALIASES: Final[dict[str, EventKind]] = {
    **{kind.value: kind for kind in EventKind},
    "impressions": EventKind.IMPRESSION,
    "show": EventKind.IMPRESSION,
    "expose": EventKind.IMPRESSION,
    "exposure": EventKind.IMPRESSION,
    "view": EventKind.WATCH,
    "viewed": EventKind.WATCH,
    "read": EventKind.CLICK,
    "open": EventKind.CLICK,
    "clicked": EventKind.CLICK,
    "detail": EventKind.CLICK,
    "play": EventKind.WATCH,
    "watched": EventKind.WATCH,
    "stream": EventKind.WATCH,
    "complete": EventKind.WATCH,
    "star": EventKind.LIKE,
    "favorite": EventKind.LIKE,
    "favourite": EventKind.LIKE,
    "fav": EventKind.LIKE,
    "liked": EventKind.LIKE,
    "upvote": EventKind.LIKE,
    "thumbs_up": EventKind.LIKE,
    "hate": EventKind.DISLIKE,
    "downvote": EventKind.DISLIKE,
    "thumbs_down": EventKind.DISLIKE,
    "forward": EventKind.SHARE,
    "repost": EventKind.SHARE,
    "review": EventKind.COMMENT,
    "subscribe": EventKind.FOLLOW,
    "skipped": EventKind.SKIP,
    "rate": EventKind.RATING,
    "rated": EventKind.RATING,
    "buy": EventKind.PURCHASE,
    "order": EventKind.PURCHASE,
}
"""Lower-case spelling -> kind."""


def text(column: pl.Series) -> Parsed:
    """Any text, without blanks at its ends; numbers are written out."""
    return Parsed(_as_text(column), _none_failed(column))


def path(column: pl.Series) -> Parsed:
    """A relative path with forward slashes, however it was written."""
    return Parsed(_as_text(column).str.replace_all("\\", "/", literal=True), _none_failed(column))


def identifier(column: pl.Series) -> Parsed:
    """An id: text of 1..256 characters. Whole floats lose their ``.0``, which tools add where a value is absent."""
    values = _as_text(column)
    wrong = (values.str.len_chars() > MAX_ID) | values.str.contains(r"^(?i:nan|null|none)$")
    return _blank_failed(values, wrong)


def moment(column: pl.Series) -> Parsed:
    """UTC milliseconds since the epoch.

    Whole numbers below 1e11 are seconds (until the year 5138), below 1e14 milliseconds, below 1e17 microseconds, above it
    nanoseconds. Text may be ISO 8601; without an offset it is UTC.

    Example:
        >>> moment(pl.Series(["881250949", "1700000000123", "2024-05-01T12:00:00+02:00", "soon"])).values.to_list()
        [881250949000, 1700000000123, 1714557600000, None]
    """
    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        return Parsed(column.cast(pl.Datetime("ms")).cast(pl.Int64), _none_failed(column))
    if column.dtype.is_integer():
        return _in_range(column, _by_magnitude(column.cast(pl.Int64, strict=False)))
    if column.dtype.is_numeric():
        return _in_range(column.fill_nan(None), _float_moment(column.cast(pl.Float64).fill_nan(None)))
    texts = _as_text(column)
    whole = texts.cast(pl.Int64, strict=False)
    values = _by_magnitude(whole)
    if whole.null_count() > texts.null_count():
        values = values.zip_with(whole.is_not_null(), _float_moment(texts.cast(pl.Float64, strict=False)))
    if values.null_count() > texts.null_count():
        values = values.zip_with(values.is_not_null(), _iso_moment(texts))
    return _in_range(texts, values)


def event_moment(column: pl.Series) -> Parsed:
    """A `moment` that is not before 1970."""
    parsed = moment(column)
    return _blank_failed(parsed.values, (parsed.values < 0) | parsed.failed)


def kind(column: pl.Series) -> Parsed:
    """An event kind, in any case, by its name or by one of `KIND_ALIASES`."""
    values = _as_text(column)
    spellings = [one for one in values.unique() if one is not None]
    known = {one: KIND_ALIASES.get(re.sub("[ -]", "_", one.lower())) for one in spellings}
    found = values.replace_strict({one: kind and kind.value for one, kind in known.items()}, return_dtype=pl.String)
    return Parsed(found, found.is_null() & values.is_not_null())


def number(column: pl.Series) -> Parsed:
    """A finite number."""
    given, values = _as_float(column)
    return _blank_failed(values, (given & values.is_null()) | ~values.is_finite())


def probability(column: pl.Series) -> Parsed:
    """A number in (0, 1]."""
    parsed = number(column)
    return _blank_failed(parsed.values, parsed.failed | (parsed.values <= 0) | (parsed.values > 1))


def whole(lowest: int, *, highest: int = MAX_NUMBER, rounded: bool = False) -> Callable[[pl.Series], Parsed]:
    """A parser of whole numbers in lowest..highest.

    Args:
        lowest: Smallest value allowed.
        highest: Largest value allowed.
        rounded: Fractions are rounded instead of refused (milliseconds).
    """

    def parse(column: pl.Series) -> Parsed:
        given, values = _as_float(column)
        nearest = values.round(0)
        wrong = (given & values.is_null()) | ~values.is_finite() | (nearest < lowest) | (nearest > highest)
        if not rounded:
            wrong |= nearest != values
        wrong = wrong.fill_null(value=True) & given
        return Parsed(nearest.set(wrong, None).cast(pl.Int64), wrong)

    return parse


def flag(column: pl.Series) -> Parsed:
    """True or false, also as 1/0, yes/no, t/f, y/n."""
    words = {"true": True, "1": True, "yes": True, "t": True, "y": True}
    words |= {"false": False, "0": False, "no": False, "f": False, "n": False}
    values = _as_text(column).str.to_lowercase()
    found = values.replace_strict(words, default=None, return_dtype=pl.Boolean)
    return Parsed(found, found.is_null() & values.is_not_null())


def texts(separator: str) -> Callable[[pl.Series], Parsed]:
    """A parser of lists: native lists, JSON arrays, or text with a separator.

    Args:
        separator: ``|``, or a blank for RecBole's ``token_seq``.
    """

    def parse(column: pl.Series) -> Parsed:
        if isinstance(column.dtype, (pl.List, pl.Array)):
            return Parsed(column.cast(pl.List(pl.String)).list.drop_nulls(), _none_failed(column))
        values = _as_text(column)
        lists = (
            values.str.split(separator)
            .list.eval(pl.element().str.strip_chars())
            .list.eval(pl.element().filter(pl.element() != ""))
        )
        as_json = values.str.contains(r"^[\[{]").fill_null(value=False)
        if not as_json.any():
            return Parsed(lists, _none_failed(column))
        decoded = [_json_texts(value) if is_json else None for value, is_json in zip(values, as_json, strict=True)]
        arrays = pl.Series(decoded, dtype=pl.List(pl.String))
        return Parsed(lists.zip_with(~as_json, arrays), as_json & arrays.is_null())

    return parse


def json_object(column: pl.Series) -> Parsed:
    """A JSON object, as text; a struct is written as one."""
    if isinstance(column.dtype, pl.Struct):
        return Parsed(column.struct.json_encode(), _none_failed(column))
    values = _as_text(column)
    kept = pl.Series([_object_text(value) for value in values], dtype=pl.String)
    return Parsed(kept, kept.is_null() & values.is_not_null())


def _object_text(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        found = json.loads(value, parse_constant=_refuse_constant)
    except ValueError:
        return None
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")) if isinstance(found, dict) else None


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _json_texts(value: str) -> list[str] | None:
    """The texts of a JSON array; of an object (gorse's labels) those of its values."""
    try:
        found = json.loads(value)
    except ValueError:
        return None
    parts = list(found.values()) if isinstance(found, dict) else found
    flat = [leaf for part in parts for leaf in (part if isinstance(part, list) else [part])]
    return [str(leaf) for leaf in flat if leaf not in (None, "") and not isinstance(leaf, (dict, list))]


def _as_text(column: pl.Series) -> pl.Series:
    if column.dtype.is_float():
        column = column.fill_nan(None)
        whole_ones = column.cast(pl.Int64, strict=False)
        is_whole = (whole_ones == column).fill_null(value=False)
        texts = whole_ones.cast(pl.String).zip_with(is_whole, column.cast(pl.String))
    elif column.dtype.is_nested():
        raise pl.exceptions.InvalidOperationError(f"text cannot be made of {column.dtype}")
    else:
        texts = column.cast(pl.String)
    stripped = texts.str.strip_chars()
    return stripped.set(stripped == "", None) if (stripped == "").any() else stripped


def _as_float(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Which values are given, and all of them as numbers."""
    if column.dtype.is_numeric():
        values = column.cast(pl.Float64).fill_nan(None)
        return values.is_not_null(), values
    texts = _as_text(column)
    return texts.is_not_null(), texts.cast(pl.Float64, strict=False)


def _blank_failed(values: pl.Series, wrong: pl.Series) -> Parsed:
    failed = wrong.fill_null(value=False)
    return Parsed(values.set(failed, None) if failed.any() else values, failed)


def _none_failed(column: pl.Series) -> pl.Series:
    return pl.repeat(value=False, n=len(column), dtype=pl.Boolean, eager=True)


def _in_range(given: pl.Series, values: pl.Series) -> Parsed:
    wrong = (given.is_not_null() & values.is_null()) | (values.abs() > _LAST_MS).fill_null(value=False)
    return _blank_failed(values, wrong)


def _by_magnitude(values: pl.Series) -> pl.Series:
    highest = values.abs().max()
    lowest = values.abs().min()
    if isinstance(lowest, int) and isinstance(highest, int) and lowest >= 10**11 and highest < 10**14:
        return values
    size = pl.col("it").abs()
    return (
        values.to_frame("it")
        .select(
            pl.when(size < 10**11)
            .then(pl.col("it") * 1000)
            .when(size < 10**14)
            .then(pl.col("it"))
            .when(size < 10**17)
            .then(pl.col("it") // 1000)
            .otherwise(pl.col("it") // 1_000_000)
        )
        .to_series()
    )


def _float_moment(values: pl.Series) -> pl.Series:
    finite = values.set(~values.is_finite() | (values.abs() > float(MAX_NUMBER) * 1000), None)
    seconds = finite.abs() < 1e11
    in_ms = (finite * 1000).round(0).cast(pl.Int64, strict=False)
    return in_ms.zip_with(seconds.fill_null(value=True), _by_magnitude(finite.round(0).cast(pl.Int64, strict=False)))


def _iso_moment(texts: pl.Series) -> pl.Series:
    tidy = texts.str.replace(r"^(\d{4}-\d\d-\d\d) +", "${1}T")
    with_offset = tidy.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", strict=False, time_unit="ms", time_zone="UTC")
    values = with_offset.cast(pl.Int64)
    for form in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d"):
        if values.null_count() > texts.null_count():
            local = tidy.str.to_datetime(form, strict=False, time_unit="ms").cast(pl.Int64)
            values = values.zip_with(values.is_not_null(), local)
    return values
