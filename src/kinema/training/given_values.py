"""Settings as a person gives them, by name and of the kind that the default has; what is wrong is said with what to write."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kinema.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_WORDS: Final = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a table of numbers",
    tuple: "a list",
}
_Made = TypeVar("_Made", bound="DataclassInstance")


def changed(default: _Made, values: Mapping[str, Any], *, where: str) -> _Made:
    """A dataclass with some of its fields as given.

    Args:
        default: An instance; its values say of which kind a given one must be, None that any is right.
        values: Field -> value, as TOML gives them: a list for a tuple, a whole number for any number.
        where: They stand; named in errors.

    Raises:
        ConfigError: A name is unknown, a value is of another kind, or the dataclass refuses it.

    Example:
        >>> from kinema.training.fit_options import FitOptions
        >>> changed(FitOptions("auc"), {"learning_rate": 1}, where="[finetune]").learning_rate
        1.0
    """
    known = [one.name for one in fields(default)]
    check_names(values, known, where=where)
    read = {name: read_value(name, one, getattr(default, name), where=where) for name, one in values.items()}
    try:
        return replace(default, **read)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def check_names(names: Collection[str], known: Collection[str], *, where: str, hint: str = "") -> None:
    """Refuse a name that is unknown, and name the nearest.

    Args:
        names: As given.
        known: What there is.
        where: They stand.
        hint: What else may be meant; put at the end.

    Raises:
        ConfigError: A name is unknown.
    """
    for name in names:
        if name not in known:
            raise ConfigError(
                f"unknown key '{name}' in {where}{did_you_mean(name, known)} known: {', '.join(known)}{hint}"
            )


def read_value(name: str, value: Any, default: Any, *, where: str) -> Any:
    """The value as its default's kind; a whole number is a number, and a truth value is none.

    Raises:
        ConfigError: It is of another kind.
    """
    if default is None or default is MISSING:
        return value
    return _read(name, value, dict if isinstance(default, Mapping) else type(default), where)


def _read(name: str, value: Any, kind: type, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is dict and isinstance(value, Mapping):
        return {key: _read(f"{name}.{key}", one, float, where) for key, one in value.items()}
    if kind is tuple and isinstance(value, list):
        return tuple(value)
    if (isinstance(value, bool) and kind is not bool) or not isinstance(value, kind):
        raise ConfigError(f"'{name}' in {where} must be {_WORDS.get(kind, kind.__name__)}, is {value!r}; correct it")
    return value
