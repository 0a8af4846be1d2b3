"""Parquet in blocks of rows. Positions are rows: whole row groups are skipped, so going on is quick."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl

from kinema.errors import DataError
from kinema.sources.blocks import ROW, RawBlock

ROWS_PER_BLOCK: Final = 262_144


def open_parquet(path: Path) -> Any:
    """The file's `pyarrow.parquet.ParquetFile`.

    Raises:
        DataError: It is not Parquet, or its end is missing.
    """
    # Imported here: it takes as long as all the rest of an ingest of a small file.
    from pyarrow import ArrowException  # noqa: PLC0415 (see above)
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415 (see above)

    try:
        return ParquetFile(path)
    except (OSError, ArrowException) as error:
        raise DataError(f"'{path}' must be Parquet, cannot be read: {error}; write it again") from error


def read_parquet_blocks(
    path: Path, *, names: list[str], row: int, block_rows: int = ROWS_PER_BLOCK
) -> Iterator[RawBlock]:
    """Read rows from ``row`` on.

    Args:
        path: The file.
        names: Its columns.
        row: Number of the first row, from 0.
        block_rows: Rows per block.

    Yields:
        Blocks with the file's own types; ``position`` is a row number.
    """
    file = open_parquet(path)
    total = file.metadata.num_rows
    groups, first = _groups_from(file, row)
    for batch in _batches(file, groups, block_rows):
        end = first + batch.num_rows
        if end > row:
            whole = pl.from_arrow(batch)
            assert isinstance(whole, pl.DataFrame)
            frame = _with_text(whole.slice(row - first))
            numbers = pl.int_range(row + 1, end + 1, dtype=pl.Int64, eager=True)
            row = end
            yield RawBlock(frame.with_columns(numbers.alias(ROW)), (), end, end, end == total)
        first = end
    if total == 0 or not groups:
        empty = pl.DataFrame(schema={**dict.fromkeys(names, pl.String), ROW: pl.Int64})
        yield RawBlock(empty, (), total, total, done=True)


def _batches(file: Any, groups: list[int], block_rows: int) -> Iterator[Any]:
    """Batches of rows; damage inside a file is an `OSError`, as in other files."""
    from pyarrow import ArrowException  # noqa: PLC0415 (see `open_parquet`)

    try:
        yield from file.iter_batches(batch_size=block_rows, row_groups=groups) if groups else ()
    except ArrowException as error:
        raise OSError(str(error)) from error


def _with_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Bytes as text: some writers do not mark their text columns as text."""
    for column in frame:
        if column.dtype == pl.Binary:
            texts = [value and value.decode(errors="replace") for value in column]
            frame = frame.with_columns(pl.Series(column.name, texts, dtype=pl.String))
    return frame


def _groups_from(file: Any, row: int) -> tuple[list[int], int]:
    """The row groups that hold rows from ``row`` on, and the number of their first row."""
    first = 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if first + size > row:
            return list(range(group, file.num_row_groups)), first
        first += size
    return [], first
