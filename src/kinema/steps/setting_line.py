"""Settings changed in a person's `kinema.toml`: a line each, everything else as it was, comments included."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kinema.errors import ConfigError


def write_setting(path: Path, *, section: str, key: str, value: Any) -> None:
    """Set one value; see `write_settings`.

    Args:
        path: The file.
        section: Such as ``encoders``.
        key: Such as ``text``.
        value: The new value.
    """
    write_settings(path, {section: {key: value}})


def write_settings(path: Path, sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Set values, each on the line where its key stands or stood commented out, else below its section's head.

    The changed text is read back before it is written: if anything but these keys would change, nothing is written.

    Args:
        path: The file.
        sections: Section, such as ``finetune.click``, -> key -> text, number, truth value or list of these.

    Raises:
        ConfigError: The file is written in a way that leaves no such line; the text names the lines to add by hand.
    """
    text = changed = path.read_text(encoding="utf-8")
    expected = tomllib.loads(text)
    for section, values in sections.items():
        for key, value in reversed(list(values.items())):  # each new line goes below the head
            changed = _with_line(changed, section=section, key=key, line=_line(key, value))
        _inner(expected, section).update(values)
    if _parsed(changed) != expected:
        names = ", ".join(f"[{section}]" for section in sections)
        lines = "; ".join(_line(key, value) for values in sections.values() for key, value in values.items())
        raise ConfigError(f"{path.name} must have a plain {names} section to be changed; write there: {lines}")
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(changed, encoding="utf-8")
    draft.replace(path)


def _line(key: str, value: Any) -> str:
    # JSON and TOML write texts, numbers, truth values and lists of them alike.
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"


def _inner(tree: dict[str, Any], section: str) -> dict[str, Any]:
    """The table of a section, made where absent."""
    for name in section.split("."):
        inner = tree.setdefault(name, {})
        if not isinstance(inner, dict):
            return {}
        tree = inner
    return tree


def _with_line(text: str, *, section: str, key: str, line: str) -> str:
    lines = text.splitlines()
    heads = [place for place, one in enumerate(lines) if re.match(rf"\s*\[\s*{re.escape(section)}\s*\]", one)]
    if not heads:
        return "\n".join([*lines, "", f"[{section}]", line]) + "\n"
    start = heads[0] + 1
    stop = next((place for place in range(start, len(lines)) if re.match(r"\s*\[", lines[place])), len(lines))
    for pattern in (rf"\s*{re.escape(key)}\s*=", rf"\s*#\s*{re.escape(key)}\s*="):
        for place in range(start, stop):
            if re.match(pattern, lines[place]):
                return "\n".join([*lines[:place], line, *lines[place + 1 :]]) + "\n"
    return "\n".join([*lines[:start], line, *lines[start:]]) + "\n"


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
