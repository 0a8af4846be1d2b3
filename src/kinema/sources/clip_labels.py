"""Which class a clip belongs to: by its file's name or folder, by a table, or by a column of the catalogue.

Names may also tell which clips belong together, such as parts of one recording; those must not be divided between what is
learnt from and what is measured on.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import polars as pl

from kinema.errors import ConfigError, DataError
from kinema.sources.whole_tables import read_whole_table

UCF: Final = r"(?:^|/)v_(?P<label>[^/]+?)_g(?P<group>\d+)_c\d+\.[^./]+$"
FOLDER: Final = r"(?:^|/)(?P<label>[^/]+)/[^/]+$"
NUMBERED: Final = r"(?:^|/)(?P<label>[^/]*?[^/\d_-])[ _-]*\d+\.[^./]+$"
PATTERNS: Final[Mapping[str, str]] = {"ucf": UCF, "folder": FOLDER, "numbered": NUMBERED}
"""Name -> what is looked for in a path: ``v_Label_g01_c01.avi``, ``label/clip.mp4``, ``label_12.mp4``."""

_KEYS: Final = ("item", "id", "item_id", "media_path", "path", "file", "filename", "clip", "video")
_LISTS: Final = {"category": "categories", "tag": "tags"}


@dataclass(frozen=True)
class ClipLabels:
    """Labels of clips, in the order of the clips.

    Attributes:
        labels_N: None where there is none.
        groups_N: Clips with the same text belong together; empty where nothing is known.
        how: Where the labels come from, for people.
        notices: What a person should know.
    """

    labels_N: tuple[str | None, ...]
    groups_N: tuple[str, ...]
    how: str
    notices: tuple[str, ...] = ()


def labels_from_names(names: Sequence[str], pattern: str = "auto") -> ClipLabels:
    """Labels from paths.

    Args:
        names: Paths with forward slashes, below the folder of all clips.
        pattern: A name of `PATTERNS`; or a regular expression with ``(?P<label>...)`` and, where clips belong together,
            ``(?P<group>...)``; or ``auto``: ``ucf`` where half of the names are such, else ``folder`` where clips lie in at least
            two folders, else ``numbered``.

    Raises:
        ConfigError: It is no regular expression with a label.

    Example:
        >>> labels_from_names(["v_Jump_g01_c01.avi", "v_Run_g02_c03.avi"]).labels_N
        ('Jump', 'Run')
        >>> labels_from_names(["jump/1.mp4", "run/1.mp4"]).how
        "the name of the clip's folder"
        >>> labels_from_names(["jump_high-12.mp4", "run2.mp4", "odd.mp4"]).labels_N
        ('jump_high', 'run', None)
    """
    chosen = _best_pattern(names) if pattern == "auto" else pattern
    found = [_compiled(PATTERNS.get(chosen, chosen)).search(name) for name in names]
    how = {
        "ucf": "names like v_Label_g01_c01.avi",
        "folder": "the name of the clip's folder",
        "numbered": "names like label_12.mp4",
    }.get(chosen, f"names, by the pattern {chosen}")
    labels_N = tuple(one["label"] if one else None for one in found)
    if chosen in PATTERNS:
        return ClipLabels(labels_N, groups_from_names(names), how)
    groups_N = tuple((one.groupdict().get("group") or "") if one else "" for one in found)
    return ClipLabels(labels_N, groups_N if any(groups_N) else groups_from_names(names), how)


def groups_from_names(names: Sequence[str]) -> tuple[str, ...]:
    """Which recording a clip is a part of, where its name is like ``v_Label_g01_c01.avi``; empty elsewhere.

    Example:
        >>> groups_from_names(["x/v_Jump_g01_c01.avi", "clip.mp4"])
        ('Jump/g01', '')
    """
    found = [re.search(UCF, name) for name in names]
    return tuple(f"{one['label']}/g{one['group']}" if one else "" for one in found)


def labels_from_table(
    path: Path, *, column: str, ids: Sequence[str], names: Sequence[str], key: str | None = None
) -> ClipLabels:
    """Labels from a table that names clips by item id, by media path or by file name, with or without its suffix.

    Args:
        path: CSV, JSON lines or Parquet.
        column: Of the label.
        ids: Item ids of the clips.
        names: Their paths.
        key: Column that names the clip; None takes the first of ``item``, ``id``, ``media_path``, ``path``, ``file`` and the like.

    Raises:
        ConfigError: There is no such column.
        DataError: The table cannot be read, or names none of the clips.
    """
    frame, bad = read_whole_table(path)
    keys = [key] if key else [name for name in _KEYS if name in frame.columns]
    for role, name in (("--column", column), ("--key", keys[0] if keys else "item")):
        if name not in frame.columns:
            raise ConfigError(
                f"{role} must be a column of '{path.name}', is '{name}'; it has {', '.join(frame.columns)}"
            )
    places = _places(ids, names)
    told: dict[int, set[str]] = {}
    unknown = 0
    for named, label in frame.select(keys[0], pl.col(column).cast(pl.String)).iter_rows():
        place = places.get(str(named).removeprefix("./"))
        if place is None:
            unknown += 1
        elif label is not None:
            told.setdefault(place, set()).add(label)
    if not told:
        raise DataError(
            f"'{path.name}' must name clips in column '{keys[0]}' by item id or path, names none of the {len(names):,}; "
            "name the right column with --key"
        )
    torn = sum(len(one) > 1 for one in told.values())
    notices = [
        text
        for count, text in (
            (len(bad), f"{len(bad):,} lines of '{path.name}' could not be read and are left out"),
            (unknown, f"{unknown:,} rows of '{path.name}' name no clip that is here"),
            (torn, f"{torn:,} clips have more than one label in '{path.name}' and are left out"),
        )
        if count
    ]
    labels_N = tuple(next(iter(told[row])) if len(told.get(row, ())) == 1 else None for row in range(len(names)))
    return ClipLabels(labels_N, groups_from_names(names), f"column {column} of {path.name}", tuple(notices))


def _places(ids: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """What a table may call a clip -> its row; ids win, and what several clips could be called is left out."""
    found: dict[str, int] = {}
    short = [(PurePosixPath(name).name, PurePosixPath(name).stem) for name in names]
    for spellings in ([stem for _, stem in short], [file for file, _ in short], list(names), list(ids)):
        times = Counter(spellings)
        found |= {one: row for row, one in enumerate(spellings) if times[one] == 1}
    return found


def labels_from_items(items: pl.DataFrame, *, column: str, names: Sequence[str]) -> ClipLabels:
    """Labels from a column of a catalogue; of a list, as of categories, the first.

    Args:
        items: Of the store.
        column: ``category`` and ``tag`` mean the lists; a name that is no column is looked for in the attributes.
        names: Media paths of the items, which may tell groups.

    Raises:
        ConfigError: No item has such a column.

    Example:
        >>> labels_from_items(pl.DataFrame({"categories": [["a", "b"], []]}), column="category", names=["", ""]).labels_N
        ('a', None)
    """
    name = _LISTS.get(column, column)
    if name in items.columns and name != "attributes":
        values = items[name].to_list()
    else:
        rows = items["attributes"].to_list() if "attributes" in items.columns else []
        attributes = [json.loads(one or "{}") for one in rows]
        known = sorted({key for one in attributes for key in one})
        if column not in known:
            columns = [*items.columns, *known]
            raise ConfigError(f"--column must be a column of the catalogue, is '{column}'; it has {', '.join(columns)}")
        values = [one.get(column) for one in attributes]
    labels_N = tuple(_first(value) for value in values)
    return ClipLabels(labels_N, groups_from_names(names), f"column {column} of the catalogue")


def _first(value: Any) -> str | None:
    """One label of a cell."""
    if isinstance(value, list | tuple | pl.Series):
        value = next(iter(value), None)
    return None if value is None or value == "" else str(value)


def _best_pattern(names: Sequence[str]) -> str:
    if 2 * sum(bool(re.search(UCF, name)) for name in names) >= len(names) > 0:
        return "ucf"
    return "folder" if len({str(PurePosixPath(name).parent) for name in names}) > 1 else "numbered"


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"--name-pattern must be a regular expression, '{pattern}' is none: {error}") from error
    if "label" not in found.groupindex:
        known = ", ".join(PATTERNS)
        raise ConfigError(
            f"--name-pattern must be auto, {known} or a regular expression with (?P<label>...), is '{pattern}'"
        )
    return found
