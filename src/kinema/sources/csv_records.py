"""Delimited text record by record, for blocks whose quotes are not in order. Slow and exact.

A field that begins with a quote ends at the quote before the next delimiter or line end and may span lines. A quote
inside a field that does not begin with one is a plain character. A record that spans lines and does not come out with
the right number of columns was no such record: its first line is set aside and the next line begins a new one.
"""

import re
from dataclasses import dataclass, field
from functools import cache

from kinema.sources.byte_window import MAX_RECORD_BYTES, shown_bytes


@dataclass
class Records:
    """What a block was split into.

    Attributes:
        fields: The fields of each good record; None for an empty field.
        places: The number of each good record within the block, from 0.
        bad: (number, reason, raw) of the others.
        size: Bytes used; what follows them needs more of the file.
        num_records: Records in those bytes, blank ones included.
    """

    fields: list[list[str | None]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    bad: list[tuple[int, str, str]] = field(default_factory=list)
    size: int = 0
    num_records: int = 0


def split_records(data: bytes, delimiter: str, *, width: int, at_end: bool) -> Records:
    r"""Split bytes into records.

    Args:
        data: From the start of a record on.
        delimiter: One character.
        width: Number of columns a record must have.
        at_end: No bytes follow.

    Returns:
        The records. Where more bytes follow, a record is decided only if the longest allowed one would be in ``data``.

    Example:
        >>> found = split_records(b'1,"a, b"\n2,"never closed\n3,c\n', ",", width=2, at_end=True)
        >>> found.fields, [reason for _, reason, _ in found.bad]
        ([['1', 'a, b'], ['3', 'c']], ['quote must be closed, is not'])
    """
    records = Records()
    start = 0
    while start < len(data):
        line_end = data.find(b"\n", start)
        if line_end < 0 and not at_end:
            break
        may_go_on = data.find(b'"', start, line_end) >= 0
        if may_go_on and not at_end and len(data) - start <= MAX_RECORD_BYTES:
            break
        line_end = len(data) if line_end < 0 else line_end + 1
        end, fields, reason = _record(data, start, line_end, delimiter, width)
        place = records.num_records
        if reason:
            records.bad.append((place, reason, shown_bytes(data[start : min(end, start + 800)])))
        elif fields:
            records.fields.append(fields)
            records.places.append(place)
        records.num_records += 1
        start = end
    records.size = start
    return records


def _record(data: bytes, start: int, line_end: int, delimiter: str, width: int) -> tuple[int, list[str | None], str]:
    """End, fields and reason of the record at ``start``; no fields where it is blank."""
    line = data[start:line_end]
    if line in {b"\n", b"\r\n", b"\r"}:
        return line_end, [], ""
    length = len(line.removesuffix(b"\n"))
    if length > MAX_RECORD_BYTES:
        return line_end, [], f"line must be at most {MAX_RECORD_BYTES:,} bytes, is {length:,}"
    cells, end = _split(data, start, line_end, delimiter)
    if cells is None:
        return line_end, [], "quote must be closed, is not"
    if len(cells) != width:
        return line_end, [], _no_text(line) or f"line must have {width} columns, has {len(cells)}"
    reason = _no_text(data[start:end])
    return end, [] if reason else [cell.decode() or None for cell in cells], reason


def _no_text(record: bytes) -> str:
    """Why bytes are no text that can be taken; empty where they are."""
    if b"\0" in record:
        return "line must be text, has a NUL byte"
    try:
        record.decode()
    except UnicodeDecodeError:
        return "line must be UTF-8, is not; convert the file with: iconv -t UTF-8"
    return ""


def _split(data: bytes, start: int, line_end: int, delimiter: str) -> tuple[list[bytes] | None, int]:
    """The cells of one record and where it ends; None where a quote is never closed."""
    quoted, plain = _patterns(delimiter)
    cells: list[bytes] = []
    place = start
    limit = min(len(data), start + MAX_RECORD_BYTES)
    while True:
        if data[place : place + 1] == b'"':
            match = quoted.match(data, place, limit)
            if match is None or (match.end() == limit < len(data)):
                return None, line_end
            cells.append(match[1].replace(b'""', b'"'))
        else:
            match = plain.match(data, place)
            assert match is not None
            cells.append(match[1])
        place = match.end()
        if match[2] != delimiter.encode():
            return cells, place


@cache
def _patterns(delimiter: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    mark = re.escape(delimiter).encode()
    end = b"(" + mark + rb"|\r?\n|\r?\Z)"
    return re.compile(rb'"([^"]*(?:""[^"]*)*)"' + end), re.compile(rb"([^" + mark + rb"\n]*?)" + end)
