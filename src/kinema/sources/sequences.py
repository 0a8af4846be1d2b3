"""The sequence form of S3-Rec, DuoRec, TIGER and many others: one user a line, ``user item item ...``, oldest first.

There are no time stamps. The place in the sequence stands for the time, so order within a user is right and time
between users means nothing: use leave-one-out, not a split by time.
"""

from pathlib import Path
from typing import Final

import polars as pl

from kinema.artifacts import fingerprint, sha256_file
from kinema.errors import DataError
from kinema.schema import EventKind, Reject
from kinema.sources.blocks import Table, frame_table

_ITEM_COLUMNS: Final = ("item_id", "title", "categories")


def s3rec(folder: Path) -> list[Table]:
    """A data set in S3-Rec form.

    Args:
        folder: Holds ``NAME.txt`` and, where there is one, ``NAME_items.tsv`` (item_id, asin, title, categories).

    Returns:
        Items (if known) and events.

    Raises:
        DataError: There is no or more than one sequence file.
    """
    files = [path for path in sorted(folder.glob("*.txt")) if not path.name.startswith("README")]
    if len(files) != 1:
        found = ", ".join(path.name for path in files) or "none"
        raise DataError(f"'{folder}' must have one sequence file NAME.txt, has {found}; name its folder")
    items = files[0].with_name(f"{files[0].stem}_items.tsv")
    return [*([_items(items)] if items.is_file() else []), _events(files[0])]


def sequence_events(lines: list[str], *, file: str) -> tuple[pl.DataFrame, tuple[Reject, ...]]:
    """Clicks from lines ``user item item ...``.

    Args:
        lines: Of the file.
        file: For rejects.

    Returns:
        Events whose ``timestamp_ms`` is the place in the sequence, and the lines without an item.

    Example:
        >>> events, rejects = sequence_events(["7 a b", "8"], file="x.txt")
        >>> events.select("user", "item", "timestamp_ms").rows(), len(rejects)
        ([('7', 'a', 0), ('7', 'b', 1)], 1)
    """
    frame = pl.DataFrame({"row": range(1, len(lines) + 1), "line": lines}, schema={"row": pl.Int64, "line": pl.String})
    words = frame.with_columns(pl.col("line").str.strip_chars().str.split(" ")).filter(
        pl.col("line").list.first() != ""
    )
    lengths = pl.col("line").list.len()
    short = words.filter(lengths < 2)
    events = words.filter(lengths >= 2).select(
        "row",
        pl.col("line").list.first().alias("user"),
        pl.col("line").list.slice(1).alias("item"),
        pl.int_ranges(0, lengths - 1, dtype=pl.Int64).alias("timestamp_ms"),
    )
    rejects = tuple(
        Reject("event", file, row, "line must be a user and items, has one word", line[0]) for row, line in short.rows()
    )
    return events.explode("item", "timestamp_ms").with_columns(kind=pl.lit(EventKind.CLICK.value)), rejects


def _events(path: Path) -> Table:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    frame, rejects = sequence_events(lines, file=str(path))
    key = fingerprint([sha256_file(path), "sequences"])
    return frame_table(kind="event", file=str(path), key=key, frame=frame, rejects=rejects)


def _items(path: Path) -> Table:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    header, *rows = [line.split("\t") for line in lines]
    missing = [name for name in _ITEM_COLUMNS if name not in header]
    if missing:
        raise DataError(f"'{path}' must have a column '{missing[0]}', has: {', '.join(header)}; check the file")
    good = [
        (place, dict(zip(header, row, strict=True))) for place, row in enumerate(rows, 1) if len(row) == len(header)
    ]
    rejects = tuple(
        Reject("item", str(path), place, f"line must have {len(header)} columns, has {len(row)}", "\t".join(row)[:200])
        for place, row in enumerate(rows, 1)
        if len(row) != len(header)
    )
    frame = pl.DataFrame(
        {
            "row": [place for place, _ in good],
            "id": [row["item_id"] for _, row in good],
            "title": [row["title"] for _, row in good],
            "categories": [row["categories"].split(" > ") if row["categories"] else [] for _, row in good],
        },
        schema_overrides={"row": pl.Int64, "categories": pl.List(pl.String)},
    )
    key = fingerprint([sha256_file(path), "sequence items"])
    return frame_table(kind="item", file=str(path), key=key, frame=frame, rejects=rejects)
