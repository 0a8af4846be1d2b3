"""What a column is to a model: said by the user, or guessed from the table by a rule that is written down here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from kinema.errors import ConfigError, DataError
from kinema.tasks.field_cells import is_text, numbers, texts

KINDS: Final = ("category", "number", "list", "cross", "ignore")
_HARDLY: Final = 0.1
_ENOUGH_ROWS: Final = 100


@dataclass(frozen=True)
class FieldSpec:
    """What one field is.

    Attributes:
        name: Of its column; a cross has a name of its own.
        kind: One of `KINDS`.
        buckets: Values are hashed into so many instead of being listed; 0 lists them.
        of: Columns a cross is made of.
        target: Field that a list is read against: the list shares its vocabulary and its vectors.
        separator: Between the entries of a list written as text.
        longest: Entries of a list that are kept, the last ones.
    """

    name: str
    kind: str
    buckets: int = 0
    of: tuple[str, ...] = ()
    target: str | None = None
    separator: str = "|"
    longest: int = 50


def parse_spec(text: str) -> FieldSpec:
    """Read ``NAME=KIND`` with options behind commas.

    Args:
        text: Such as ``user=category``, ``city=category,buckets=1000``, ``price=number``, ``seen=list,target=item``,
            ``pair=cross,of=user+hour,buckets=50000``, ``row=ignore``.

    Raises:
        ConfigError: It has not that form.

    Example:
        >>> parse_spec("seen=list,target=item,longest=20").target
        'item'
    """
    name, mark, rest = text.partition("=")
    kind, *options = rest.split(",")
    if not name or not mark or kind not in KINDS:
        raise ConfigError(f"--field must have the form NAME=KIND with KIND of {', '.join(KINDS)}, is '{text}'")
    spec = FieldSpec(name, kind)
    for option in options:
        key, mark, value = option.partition("=")
        if key not in _OPTIONS[kind] or not value:
            known = ", ".join(f"{one}=..." for one in _OPTIONS[kind]) or "none"
            raise ConfigError(f"--field {name}={kind} knows no option '{option}'; known: {known}")
        if key in {"buckets", "longest"}:
            if not value.isdecimal() or int(value) < 1:
                raise ConfigError(f"{key} of --field {name} must be a whole number >= 1, is '{value}'")
            spec = replace(spec, buckets=int(value)) if key == "buckets" else replace(spec, longest=int(value))
        elif key == "of":
            spec = replace(spec, of=tuple(value.split("+")))
        else:
            spec = replace(spec, target=value) if key == "target" else replace(spec, separator=value)
    if kind == "cross" and len(spec.of) < 2:
        raise ConfigError(f"--field {name}=cross must name its columns, as in: --field {name}=cross,of=user+hour")
    return spec


_OPTIONS: Final[dict[str, tuple[str, ...]]] = {
    "category": ("buckets",),
    "number": (),
    "list": ("target", "separator", "longest", "buckets"),
    "cross": ("of", "buckets"),
    "ignore": (),
}


def guess_kind(column: pl.Series) -> str:
    """What a column most likely is.

    - a list, where cells are lists, or at least half of the filled ones have a ``|`` or begin with ``[``;
    - a number, where cells are numbers and one has a fraction, or whole numbers that hardly repeat, such as amounts;
    - to be left out, where cells are texts that hardly repeat, such as titles and identifiers of rows;
    - else a category: ids, names, flags, whole numbers that repeat.

    Values hardly repeat where a table of 100 rows or more has fewer than a tenth of its filled cells with a value that is
    there twice.

    Example:
        >>> [guess_kind(pl.Series(one)) for one in (["1", "2"], ["0.5", "2"], ["a|b", "c|d"], ["x", None])]
        ['category', 'number', 'list', 'category']
    """
    if column.dtype.is_nested():
        return "list"
    written = texts(column).drop_nulls()
    if not len(written):
        return "ignore"
    if is_text(column):
        if (written.str.contains("|", literal=True) | written.str.starts_with("[")).sum() >= 0.5 * len(written):
            return "list"
        return "ignore" if _hardly_repeats(written) else "category"
    values = numbers(column)
    values = values[values == values]  # noqa: PLR0124  # not-a-number differs from itself
    if (values != values.round()).any():
        return "number"
    return "number" if _hardly_repeats(written) else "category"


def _hardly_repeats(written: pl.Series) -> bool:
    return len(written) >= _ENOUGH_ROWS and not written.is_duplicated().sum() >= _HARDLY * len(written)


def complete_specs(frame: pl.DataFrame, given: Sequence[FieldSpec], *, label: str) -> tuple[FieldSpec, ...]:
    """What the user said, and a guess for every other column.

    Args:
        frame: The training table.
        given: From the user; they win over guesses.
        label: The column that is predicted; it is no field.

    Returns:
        Specs of all columns in the table's order, those left out among them, then crosses.

    Raises:
        ConfigError: A field is given twice, or is the label.
        DataError: A field, a part of a cross or a target is no column of the table, or a target is no category.
    """
    known = [name for name in frame.columns if name != label]
    for place, spec in enumerate(given):
        if spec.name in {one.name for one in given[:place]}:
            raise ConfigError(f"field '{spec.name}' must be given once, is given twice; drop one --field")
        if spec.name == label or label in spec.of:
            raise ConfigError(f"'{label}' is the label and cannot be a field; a model must not see what it predicts")
        for name in spec.of or (spec.name,):
            if name not in known:
                raise DataError(
                    f"the table must have a column '{name}' for field '{spec.name}', has: {', '.join(known)}"
                )
    said = {spec.name: spec for spec in given}
    specs = tuple(
        said[name] if name in said and not said[name].of else FieldSpec(name, guess_kind(frame[name])) for name in known
    ) + tuple(spec for spec in given if spec.of)
    kinds = {spec.name: spec.kind for spec in specs}
    for spec in specs:
        if spec.target is not None and kinds.get(spec.target) != "category":
            raise DataError(
                f"target '{spec.target}' of field '{spec.name}' must be a category of the table, is "
                f"{kinds.get(spec.target, 'none of its columns')}; set it: --field {spec.target}=category"
            )
    if all(spec.kind == "ignore" for spec in specs):
        raise DataError("the table must have a column to learn from, all are left out; name one: --field NAME=category")
    return specs
