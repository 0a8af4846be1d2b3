"""JSON lines in blocks: one object a line, a bad line costs itself."""

import json
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

import polars as pl

from kinema.errors import DataError
from kinema.sources.blocks import ROW, RawBlock
from kinema.sources.byte_window import BLOCK_BYTES, MAX_RECORD_BYTES, ByteWindow, shown_bytes
from kinema.sources.columns import REST, Columns

_LINES_LOOKED_AT: Final = 1000


def columns_of_objects(columns: Columns) -> Columns:
    """The columns of blocks read by `read_json_blocks`: all members that are none of ours are in one object."""
    target = REST[columns.kind]
    ours = {**columns.ours, target: columns.ours.get(target, target)}
    return Columns(columns.kind, ours, (), columns.types, columns.used_mapping)


def read_json_blocks(
    stream: IO[bytes], *, columns: Columns, position: int, row: int, block_bytes: int = BLOCK_BYTES
) -> Iterator[RawBlock]:
    """Read objects from a position on.

    Args:
        stream: Binary, seekable, UTF-8.
        columns: From `columns_of_objects`.
        position: Byte to begin at, the start of a line.
        row: Number of that line, from 0.
        block_bytes: How much is read at a time.

    Yields:
        Blocks whose frames have String columns by the file's names, and `ROW`; other members are gathered in
        the column of ``attributes`` or ``context``.
    """
    window = ByteWindow(stream, offset=position, block_bytes=block_bytes)
    while True:
        if not window.at_end:
            window.widen()
        size = len(window.data) if window.at_end else window.data.rfind(b"\n") + 1
        if size or window.at_end:
            frame, bad, num_lines = _read_lines(window.data[:size], columns, row)
            window.drop(size)
        elif len(window.data) > MAX_RECORD_BYTES:
            shown = shown_bytes(window.data)
            frame, bad, num_lines = objects_frame([], columns), [(row + 1, _too_long(window.skip_line()), shown)], 1
        else:
            continue
        row += num_lines
        done = window.at_end and not window.data
        yield RawBlock(frame, tuple(bad), row, window.offset, done)
        if done:
            return


def objects_frame(objects: Sequence[tuple[int, dict[str, Any]]], columns: Columns) -> pl.DataFrame:
    """Objects as a raw frame.

    Args:
        objects: (row, object) pairs.
        columns: From `columns_of_objects`.

    Returns:
        String columns by the objects' names, and `ROW`.
    """
    rest = columns.ours[REST[columns.kind]]
    names = [name for name in columns.ours.values() if name != rest]
    cells: dict[str, list[str | None]] = {name: [as_text(value.get(name)) for _, value in objects] for name in names}
    cells[rest] = [_rest_of(value, names, rest) for _, value in objects]
    frame = pl.DataFrame(cells, schema=dict.fromkeys(cells, pl.String))
    return frame.with_columns(pl.Series(ROW, [row for row, _ in objects], dtype=pl.Int64))


def _rest_of(value: dict[str, Any], names: Sequence[str], rest: str) -> str | None:
    given = value.get(rest)
    if given is not None and not isinstance(given, dict):
        return as_text(given)
    others = {name: member for name, member in value.items() if name not in names and name != rest}
    members = {name: member for name, member in {**(given or {}), **others}.items() if member is not None}
    return as_text(members) if members else None


def _read_lines(data: bytes, columns: Columns, row: int) -> tuple[pl.DataFrame, list[tuple[int, str, str]], int]:
    """The objects in whole lines, the lines that hold none, and the number of lines."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    good: list[tuple[int, dict[str, Any]]] = []
    bad: list[tuple[int, str, str]] = []
    for number, line in enumerate(lines, row + 1):
        value = _read_object(line)
        if isinstance(value, str):
            bad.append((number, value, shown_bytes(line)))
        elif value is not None:
            good.append((number, value))
    return objects_frame(good, columns), bad, len(lines)


def as_text(value: Any) -> str | None:
    """A JSON value as the text a CSV cell would hold; lists and objects stay JSON.

    Example:
        >>> as_text(5), as_text("x"), as_text(None), as_text(["a"]), as_text(True)
        ('5', 'x', None, '["a"]', 'true')
    """
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def member_names(stream: IO[bytes], *, position: int, file: str) -> list[str]:
    """The names of the members of the first thousand objects, in order of appearance.

    Raises:
        DataError: The file is one JSON array.
    """
    stream.seek(position)
    names: dict[str, None] = {}
    for number in range(_LINES_LOOKED_AT):
        line = stream.readline(MAX_RECORD_BYTES)
        if number == 0 and line.lstrip().startswith(b"["):
            raise DataError(
                f"'{file}' must have one JSON object a line, is an array; run: jq -c '.[]' '{file}' > lines.jsonl"
            )
        if not line:
            break
        value = _read_object(line)
        if isinstance(value, dict):
            names |= dict.fromkeys(value)
    return list(names)


def _read_object(line: bytes) -> dict[str, Any] | str | None:
    """An object, None for a blank line, or why it is neither."""
    if not line.strip():
        return None
    if len(line) > MAX_RECORD_BYTES:
        return _too_long(len(line))
    if b"\0" in line:
        return "line must be text, has a NUL byte"
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError:
        return "line must be UTF-8, is not; convert the file with: iconv -t UTF-8"
    except (ValueError, RecursionError) as error:
        return f"line must be a JSON object, is not: {error}"
    return value if isinstance(value, dict) else f"line must be a JSON object, is {type(value).__name__}"


def _too_long(length: int) -> str:
    return f"line must be at most {MAX_RECORD_BYTES:,} bytes, is {length:,}"
