"""Tables in files: CSV and its relatives, JSON lines, Parquet."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from kinema.artifacts import fingerprint, sha256_file
from kinema.errors import DataError
from kinema.schema import Reject
from kinema.sources.blocks import NO_ROWS, Block, RawBlock, Table, frame_table
from kinema.sources.byte_window import BLOCK_BYTES, READ_ERRORS, open_bytes, skip_byte_order_mark
from kinema.sources.columns import Columns, check_mapping, resolve
from kinema.sources.csv_blocks import read_csv_blocks
from kinema.sources.csv_header import Header, read_header
from kinema.sources.json_lines import columns_of_objects, member_names, read_json_blocks
from kinema.sources.media_paths import MediaPaths
from kinema.sources.parquet_blocks import open_parquet, read_parquet_blocks
from kinema.sources.rows import RowReader

PARQUET: Final = (".parquet", ".pq")
JSON_LINES: Final = (".jsonl", ".ndjson", ".json")


def open_table(
    path: Path,
    *,
    kind: str,
    mapping: Mapping[str, str] | None = None,
    media_root: Path | None = None,
    header: Sequence[str] | None = None,
    delimiter: str | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Table:
    """Open a file of items, users or events; its format goes by its name, its columns by their names.

    The columns are found before a row is read, so a run over several files fails before it writes, not halfway.

    Args:
        path: ``.parquet``, ``.jsonl`` or ``.ndjson``; anything else is delimited text. Text may be ``.gz``.
        kind: ``item``, ``user`` or ``event``.
        mapping: The file's column name -> ours, where `kinema.sources.columns` does not know it.
        media_root: What ``media_path`` is relative to; links are followed and must not lead out of it.
        header: Column names of a delimited file that has none.
        delimiter: Of delimited text; by default found from the header.
        block_bytes: How much text is read at a time.

    Returns:
        The table.

    Raises:
        DataError: There is no such file, it cannot be read as what its name says, or a required column is missing.
        ConfigError: The mapping names a column that no table has.
    """
    mapping = dict(mapping or {})
    check_mapping(mapping)
    file = str(path)
    if path.is_dir():
        raise DataError(f"'{file}' must be a file of {kind}s, is a folder; name the file inside it")
    if not path.is_file():
        raise DataError(f"'{file}' must be a file of {kind}s, there is none; check the path")
    key = fingerprint([sha256_file(path), kind, mapping, header, delimiter, str(media_root)])
    if path.stat().st_size == 0:
        nothing = Reject(kind, file, None, "file must have a header and rows, is empty")
        return frame_table(kind=kind, file=file, key=key, frame=NO_ROWS[kind], rejects=(nothing,))
    find = partial(resolve, kind=kind, mapping=mapping, file=file)
    raw, columns, size = _open(path, find, header=header, delimiter=delimiter, block_bytes=block_bytes)
    reader = RowReader(columns, file, MediaPaths(media_root) if kind == "item" else None)
    return Table(kind, file, key, size, partial(_blocks, raw, reader), used_mapping=columns.used_mapping)


RawReader = Callable[[int, int], Iterator[RawBlock]]


def _open(
    path: Path,
    find: Callable[[Sequence[str]], Columns],
    *,
    header: Sequence[str] | None,
    delimiter: str | None,
    block_bytes: int,
) -> tuple[RawReader, Columns, int]:
    """How the raw blocks of a file are read, which column is which, and where it ends (0 where unknown)."""
    is_packed = path.suffix.lower() == ".gz"
    suffix = path.with_suffix("").suffix.lower() if is_packed else path.suffix.lower()
    if suffix in PARQUET:
        file = open_parquet(path)
        columns = find(file.schema_arrow.names)
        return partial(_parquet, path=path, columns=columns), columns, file.metadata.num_rows
    size = 0 if is_packed else path.stat().st_size
    if suffix in JSON_LINES:
        start = skip_byte_order_mark(path)
        with open_bytes(path) as stream:
            columns = columns_of_objects(find(member_names(stream, position=start, file=str(path))))
        return partial(_json, path=path, columns=columns, start=start, block_bytes=block_bytes), columns, size
    form = read_header(path, header=header, delimiter=delimiter)
    return partial(_csv, path=path, form=form, block_bytes=block_bytes), find(form.names), size


def _csv(position: int, row: int, *, path: Path, form: Header, block_bytes: int) -> Iterator[RawBlock]:
    with open_bytes(path) as stream:
        yield from read_csv_blocks(
            stream,
            names=form.names,
            delimiter=form.delimiter,
            position=max(position, form.start),
            row=row,
            block_bytes=block_bytes,
        )


def _json(position: int, row: int, *, path: Path, columns: Columns, start: int, block_bytes: int) -> Iterator[RawBlock]:
    with open_bytes(path) as stream:
        yield from read_json_blocks(
            stream, columns=columns, position=max(position, start), row=row, block_bytes=block_bytes
        )


def _parquet(position: int, row: int, *, path: Path, columns: Columns) -> Iterator[RawBlock]:
    del position
    return read_parquet_blocks(path, names=[*columns.ours.values(), *columns.rest], row=row)


def _blocks(raw: RawReader, reader: RowReader, position: int, row: int) -> Iterator[Block]:
    """Checked blocks; where a file cannot be read to its end, what was read stands and the rest is set aside."""
    kind, file = reader.columns.kind, reader.file
    try:
        for block in raw(position, row):
            position, row = block.position, block.next_row
            frame, rejects = reader.check(block.frame)
            rejects += [Reject(kind, file, place, reason, shown) for place, reason, shown in block.bad]
            yield Block(frame, tuple(sorted(rejects, key=lambda one: one.row or 0)), row, position, block.done)
    except READ_ERRORS as error:
        reason = f"file must be readable to its end, is not behind row {row}: {error}"
        yield Block(NO_ROWS[kind], (Reject(kind, file, None, reason),), row, position, done=True)
