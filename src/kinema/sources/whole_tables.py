"""A whole table in memory, whatever its columns mean: what a task learns from, as against what the store takes in."""

from pathlib import Path
from typing import Final

import polars as pl

from kinema.errors import DataError
from kinema.schema import Reject
from kinema.sources.blocks import ROW, RawBlock
from kinema.sources.byte_window import READ_ERRORS, open_bytes, skip_byte_order_mark
from kinema.sources.columns import Columns
from kinema.sources.csv_blocks import read_csv_blocks
from kinema.sources.csv_header import read_header
from kinema.sources.json_lines import member_names, read_json_blocks
from kinema.sources.parquet_blocks import open_parquet, read_parquet_blocks
from kinema.sources.tables import JSON_LINES, PARQUET

_KIND: Final = "table"
_REST: Final = "\0rest"
"""Where JSON members go that the first thousand lines do not have; no file can have a column of this name."""


def read_whole_table(path: Path) -> tuple[pl.DataFrame, tuple[Reject, ...]]:
    r"""Read every column of a table.

    Args:
        path: ``.parquet``, ``.jsonl`` or ``.ndjson``; anything else is delimited text. Text may be ``.gz``.

    Returns:
        The good rows, text as it stands where the file is text, lists of JSON as JSON, empty cells as null; and the
        lines that could not be split, with their place and reason.

    Raises:
        DataError: There is no such file, it cannot be read as what its name says, or it has no rows.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "x.csv").write_text("user,label\nann,1\nbob,\n")
        ...     read_whole_table(Path(folder) / "x.csv")[0].rows()
        [('ann', '1'), ('bob', None)]
    """
    if not path.is_file():
        raise DataError(f"'{path}' must be a table (CSV, JSON lines or Parquet), there is no such file; check the path")
    if path.stat().st_size == 0:
        raise DataError(f"'{path}' must have rows, is empty; check how it was written")
    try:
        blocks = _blocks(path)
    except READ_ERRORS as error:
        raise DataError(f"'{path}' must be readable to its end, is not: {error}; copy it again") from error
    frame = pl.concat([block.frame for block in blocks], how="diagonal_relaxed").drop(ROW, _REST, strict=False)
    bad = tuple(Reject(_KIND, str(path), row, reason, shown) for block in blocks for row, reason, shown in block.bad)
    if not frame.height:
        first = f"; the first line that could not be read, {bad[0].row}: {bad[0].reason}" if bad else ""
        raise DataError(f"'{path}' must have rows, has none{first}; check how it was written")
    return frame.with_columns(pl.col(pl.String).replace("", None)), bad


def _blocks(path: Path) -> list[RawBlock]:
    packed = path.suffix.lower() == ".gz"
    suffix = path.with_suffix("").suffix.lower() if packed else path.suffix.lower()
    if suffix in PARQUET:
        names = open_parquet(path).schema_arrow.names
        return list(read_parquet_blocks(path, names=names, row=0))
    if suffix in JSON_LINES:
        start = skip_byte_order_mark(path)
        with open_bytes(path) as stream:
            names = member_names(stream, position=start, file=str(path))
            ours = {**{f"c{place}": name for place, name in enumerate(names)}, "attributes": _REST}
            columns = Columns("item", ours, (), {}, frozenset())
            return list(read_json_blocks(stream, columns=columns, position=start, row=0))
    form = read_header(path)
    repeated = sorted({name for name in form.names if form.names.count(name) > 1})
    if repeated:
        raise DataError(f"'{path}' must have distinct column names, has '{repeated[0]}' twice; rename one")
    with open_bytes(path) as stream:
        return list(read_csv_blocks(stream, names=form.names, delimiter=form.delimiter, position=form.start, row=0))
