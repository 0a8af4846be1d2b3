"""User attributes (JSON) as rows of numbers, with columns chosen once and applied to users who come later.

Text becomes one column per frequent value, lists may set several, numbers are standardised. An attribute whose values
are nearly all different (zip codes, names) would cost a column per user and teach nothing, so only frequent values count
and the rest share one column.

Shape suffixes: U users, P columns.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import polars as pl

from kinema.store.features import Profiles

MAX_VALUES: Final = 64
MIN_USERS: Final = 2
_OTHER: Final = "other"


@dataclass(frozen=True)
class NumberColumn:
    """A numeric attribute: value minus mean, over spread.

    Attributes:
        attribute: Its name.
        mean: Over the users it was fitted on.
        spread: Standard deviation, 1 where all are equal.
    """

    attribute: str
    mean: float
    spread: float


@dataclass(frozen=True)
class TextColumns:
    """A text or list attribute: one column per value, one for all others.

    Attributes:
        attribute: Its name.
        values: With a column each.
        has_other: There is a column for the rest.
    """

    attribute: str
    values: tuple[str, ...]
    has_other: bool


@dataclass(frozen=True)
class ProfileSchema:
    """Which attributes become which columns."""

    numbers: tuple[NumberColumn, ...] = ()
    texts: tuple[TextColumns, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """P names, such as ``age`` or ``country=de``."""
        named = [f"{one.attribute}={value}" for one in self.texts for value in _values(one)]
        return (*[one.attribute for one in self.numbers], *named)

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, for a manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(
            tuple(NumberColumn(**one) for one in values["numbers"]),
            tuple(TextColumns(one["attribute"], tuple(one["values"]), one["has_other"]) for one in values["texts"]),
        )


def fit_profiles(users: pl.DataFrame, *, max_values: int = MAX_VALUES, min_users: int = MIN_USERS) -> ProfileSchema:
    """Choose the columns.

    An attribute is numeric if all its values are numbers (true and false count as text).

    Args:
        users: ``attributes`` as JSON text, as `Store.users` gives them.
        max_values: Most values of one attribute that get a column.
        min_users: Fewest users a value must have to get one.

    Returns:
        The schema, attributes in alphabetical order.

    Example:
        >>> frame = pl.DataFrame({"attributes": ['{"age": 20, "sex": "f"}', '{"age": 40, "sex": "f"}']})
        >>> fit_profiles(frame).columns
        ('age', 'sex=f')
    """
    seen: dict[str, list[Any]] = {}
    for text in users["attributes"]:
        for name, value in _attributes(text).items():
            if value not in (None, "", []):
                seen.setdefault(name, []).append(value)
    numbers: list[NumberColumn] = []
    texts: list[TextColumns] = []
    for name in sorted(seen):
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in seen[name]):
            found = np.array(seen[name], dtype=np.float64)
            numbers.append(NumberColumn(name, float(found.mean()), float(found.std()) or 1.0))
            continue
        counts = Counter(word for value in seen[name] for word in _words(value))
        frequent = sorted(
            (value for value in counts if counts[value] >= min_users), key=lambda one: (-counts[one], one)
        )
        kept = tuple(frequent[:max_values])
        if kept:
            texts.append(TextColumns(name, kept, has_other=len(kept) < len(counts)))
    return ProfileSchema(tuple(numbers), tuple(texts))


def transform_profiles(users: pl.DataFrame, schema: ProfileSchema) -> Profiles:
    """Attributes as numbers.

    Args:
        users: ``attributes`` as JSON text, one row per user.
        schema: From `fit_profiles`, on these or other users.

    Returns:
        float32 [U, P]; an attribute that is missing or of the wrong type is zero, which is the mean of a number.
    """
    columns = schema.columns
    place = {name: column for column, name in enumerate(columns)}
    values_UP = np.zeros((users.height, len(columns)), dtype=np.float32)
    for row, text in enumerate(users["attributes"]):
        attributes = _attributes(text)
        for number in schema.numbers:
            value = attributes.get(number.attribute)
            if isinstance(value, int | float) and not isinstance(value, bool):
                values_UP[row, place[number.attribute]] = (value - number.mean) / number.spread
        for one in schema.texts:
            for word in _words(attributes.get(one.attribute)):
                name = word if word in one.values else _OTHER
                if word in one.values or one.has_other:
                    values_UP[row, place[f"{one.attribute}={name}"]] = 1.0
    return Profiles(values_UP, columns)


def encode_profiles(users: pl.DataFrame) -> Profiles:
    """Columns chosen from these very users, and their rows; see `fit_profiles` and `transform_profiles`."""
    return transform_profiles(users, fit_profiles(users))


def _attributes(text: str | None) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def _values(column: TextColumns) -> Sequence[str]:
    return (*column.values, _OTHER) if column.has_other and _OTHER not in column.values else column.values


def _words(value: Any) -> list[str]:
    """The texts of a value; nested objects have none."""
    if isinstance(value, list):
        return sorted({word for part in value for word in _words(part)})
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return [str(value)] if isinstance(value, str | int | float) and value != "" else []
