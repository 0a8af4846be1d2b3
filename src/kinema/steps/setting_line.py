"""One setting changed in a person's `kinema.toml`: one line, everything else as it was, comments included."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from kinema.errors import ConfigError


def write_setting(path: Path, *, section: str, key: str, value: str) -> None:
    """Set a text value, on the line where the key stands or stood commented out, else below the section's head.

    The changed text is read back before it is written: if anything but this one key would change, nothing is written.

    Args:
        path: The file.
        section: Such as ``encoders``.
        key: Such as ``text``.
        value: The new value.

    Raises:
        ConfigError: The file is written in a way that leaves no such line; the text names the line to add by hand.
    """
    text = path.read_text(encoding="utf-8")
    line = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    changed = _with_line(text, section=section, key=key, line=line)
    expected = tomllib.loads(text)
    expected.setdefault(section, {})[key] = value
    if _parsed(changed) != expected:
        raise ConfigError(f"{path.name} must have a plain [{section}] section to be changed; write there: {line}")
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(changed, encoding="utf-8")
    draft.replace(path)


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
