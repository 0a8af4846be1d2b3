"""What is wrong with a `kinema.toml`, in one line that names the key and what is allowed there."""

import os
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel

from kinema.errors import ConfigError, did_you_mean


def explained(error: dict[str, Any], model: type[BaseModel], place: str) -> str:
    """One of Pydantic's findings in the words of the house.

    Args:
        error: ``loc``, ``type``, ``msg`` and ``input``.
        model: Of the whole file.
        place: The file's name.
    """
    path = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        return unknown_key(".".join(path), keys_at(model, path[:-1]), place)
    if error["type"] == "missing":
        return f"{'.'.join(path)} is required, is missing ({place} or environment)"
    rule = error["msg"].removeprefix("Input should be ").removeprefix("String should ")
    for theirs, ours in (("a valid integer", "an integer"), ("a valid tuple", "a list"), ("a valid ", "a ")):
        rule = rule.replace(theirs, ours)
    if path[-1:] == ["[key]"]:
        rule = rule.partition(", unable to parse")[0]
        return (
            f"a key of {'.'.join(path[:-2])} must {_verb(rule)}{rule}, is {error['input']!r} ({place} or environment)"
        )
    found = "something else" if path == ["store", "url"] else repr(error["input"])  # a password may be in it
    return f"{'.'.join(path)} must {_verb(rule)}{rule}, is {found} ({place} or environment)"


def _verb(rule: str) -> str:
    """What joins "must" and a rule that has a verb of its own, or none."""
    return "" if rule.startswith(("match ", "have ")) else "be "


def unknown_key(key: str, allowed: Sequence[str], place: str) -> str:
    """A key that is not there, with the nearest one that is."""
    hint = did_you_mean(key.rsplit(".", maxsplit=1)[-1], allowed)
    return f"unknown key '{key}' in {place}{hint} allowed: {', '.join(allowed)}"


def keys_at(model: Any, path: Sequence[str]) -> list[str]:
    """The keys that a section may have, wherever it lies; sections by name and lists of sections among them.

    Example:
        >>> class Inner(BaseModel):
        ...     size: int = 0
        >>> class Outer(BaseModel):
        ...     named: dict[str, Inner] = {}
        >>> keys_at(Outer, ["named", "mine"])
        ['size']
    """
    kind = model
    for part in path:
        if _is_section(kind):
            field = kind.model_fields.get(part)
            kind = None if field is None else field.annotation
        else:
            kind = next((one for one in get_args(kind) if _is_section(one)), None)
    return sorted(kind.model_fields) if _is_section(kind) else []


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def check_environment(settings: type[BaseModel]) -> None:
    """Refuse ``KINEMA_FML__DROPOUT``, which would be ignored silently, and name the variable of ``KINEMA_FLM__DROPUT``.

    Raises:
        ConfigError: There is one.
    """
    sections = sorted(settings.model_fields)
    for name in os.environ:
        section, delimiter, key = name.removeprefix("KINEMA_").lower().partition("__")
        if not name.startswith("KINEMA_") or not delimiter:
            continue
        if section not in sections:
            raise ConfigError(unknown_key(section, sections, f"environment variable {name}"))
        keys = keys_at(settings, [section])
        if keys and key.partition("__")[0] not in keys:
            raise ConfigError(unknown_key(f"{section}.{key}", keys, f"environment variable {name}"))
