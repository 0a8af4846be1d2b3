"""Delimited text in blocks: a fast way for well-formed blocks, an exact way for damaged ones.

The fast way finds records with a few passes of NumPy over the bytes and leaves the splitting to Polars. It takes a block
only if every quote in it opens or closes a field as it should. Otherwise the block is split record by record
(`kinema.sources.csv_records`), so that one quote that is never closed costs one row, not the rest of the file.

Shape suffixes: R records, M bytes, Q quotes, D delimiters.
"""

from collections.abc import Iterator
from typing import IO, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.sources.blocks import ROW, RawBlock
from kinema.sources.byte_window import BLOCK_BYTES, MAX_RECORD_BYTES, ByteWindow, shown_bytes
from kinema.sources.csv_records import split_records

_NEWLINE: Final = 10
_RETURN: Final = 13
_QUOTE: Final = 34


def read_csv_blocks(
    stream: IO[bytes],
    *,
    names: list[str],
    delimiter: str,
    position: int,
    row: int,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[RawBlock]:
    """Split a file from a position on.

    Blank lines count as rows, so that row 7 is the seventh line behind the header where no record spans two lines, and
    yield nothing.

    Args:
        stream: Binary, seekable, UTF-8.
        names: One per column.
        delimiter: One character.
        position: Byte to begin at, the start of a record.
        row: Number of that record, from 0.
        block_bytes: How much is read at a time.

    Yields:
        Blocks; the last has ``done`` set. There is one even where nothing follows.
    """
    window = ByteWindow(stream, offset=position, block_bytes=block_bytes)
    while True:
        if not window.at_end:
            window.widen()
        size = _whole_records(window.data, at_end=window.at_end)
        if size == 0 and not window.at_end and len(window.data) <= MAX_RECORD_BYTES:
            continue
        found = _fast(window.data[:size], names, delimiter, row) if size else None
        if found is None:
            size, found = _exact(window, names, delimiter, row)
        frame, bad, num_records = found
        row += num_records
        window.drop(size)
        done = window.at_end and not window.data
        if num_records or done:
            yield RawBlock(frame, tuple(bad), row, window.offset, done)
        if done:
            return


Found = tuple[pl.DataFrame, list[tuple[int, str, str]], int]


def _whole_records(data: bytes, *, at_end: bool) -> int:
    """Bytes up to the last line end outside of quotes."""
    if at_end:
        return len(data)
    last = data.rfind(b"\n") + 1
    if last == 0 or data.find(b'"') < 0:
        return last
    bytes_M = np.frombuffer(data, dtype=np.uint8)
    ends_R = np.flatnonzero(bytes_M == _NEWLINE)
    quotes_Q = np.flatnonzero(bytes_M == _QUOTE)
    outside_R = ends_R[np.searchsorted(quotes_Q, ends_R) % 2 == 0]
    return int(outside_R[-1]) + 1 if len(outside_R) else 0


def _fast(data: bytes, names: list[str], delimiter: str, row: int) -> Found | None:
    """Split a block with Polars; None where its quotes are not in order."""
    bytes_M = np.frombuffer(data, dtype=np.uint8)
    ends_R = np.flatnonzero(bytes_M == _NEWLINE)
    delimiters_D = np.flatnonzero(bytes_M == ord(delimiter))
    quoted = data.find(b'"') >= 0
    if quoted:
        quotes_Q = np.flatnonzero(bytes_M == _QUOTE)
        if not _in_order(bytes_M, quotes_Q, ord(delimiter)):
            return None
        ends_R = ends_R[np.searchsorted(quotes_Q, ends_R) % 2 == 0]
        delimiters_D = delimiters_D[np.searchsorted(quotes_Q, delimiters_D) % 2 == 0]
    if not len(ends_R) or ends_R[-1] != len(data) - 1:
        ends_R = np.append(ends_R, len(data))
    starts_R = np.concatenate([[0], ends_R[:-1] + 1])
    widths_R = np.diff(np.searchsorted(delimiters_D, starts_R), append=len(delimiters_D)) + 1
    blank_R = _blank(bytes_M, starts_R, ends_R)
    ragged_R = np.flatnonzero((widths_R != len(names)) & ~blank_R)
    if quoted and any(b"\n" in data[starts_R[place] : ends_R[place]] for place in ragged_R):
        return None
    reasons = _judge(data, bytes_M, starts_R, ends_R)
    for place in ragged_R:
        reasons.setdefault(int(place), f"line must have {len(names)} columns, has {widths_R[place]}")
    good_R = ~blank_R
    good_R[list(reasons)] = False
    rows = pl.Series(ROW, np.flatnonzero(good_R) + row + 1, dtype=pl.Int64)
    if not good_R.all():
        lengths_R = np.minimum(ends_R + 1, len(data)) - starts_R
        data = bytes_M[np.repeat(good_R, lengths_R)].tobytes()
    try:
        frame = _parse(data, names, delimiter, quoted=quoted)
    except pl.exceptions.PolarsError:
        return None
    if frame.height != len(rows):
        return None
    bad = [
        (place + row + 1, reason, shown_bytes(bytes_M[starts_R[place] : ends_R[place]][:800].tobytes()))
        for place, reason in sorted(reasons.items())
    ]
    return frame.with_columns(rows), bad, len(starts_R)


def _in_order(bytes_M: NDArray[np.uint8], quotes_Q: NDArray[np.int64], delimiter: int) -> bool:
    """Whether quotes open behind a delimiter or line end, close before one, and are doubled inside."""
    if len(quotes_Q) % 2:
        return False
    opening, closing = quotes_Q[::2], quotes_Q[1::2]
    before = np.where(opening > 0, bytes_M[opening - 1], _NEWLINE)
    last = len(bytes_M) - 1
    behind = np.where(closing < last, bytes_M[np.minimum(closing + 1, last)], _NEWLINE)
    behind2 = np.where(closing + 1 < last, bytes_M[np.minimum(closing + 2, last)], _NEWLINE)
    opens = (before == delimiter) | (before == _NEWLINE) | (before == _QUOTE)
    ends = (behind == _NEWLINE) | ((behind == _RETURN) & (behind2 == _NEWLINE))
    closes = (behind == delimiter) | ends | (behind == _QUOTE)
    return bool(opens.all() and closes.all())


def _judge(
    data: bytes, bytes_M: NDArray[np.uint8], starts_R: NDArray[np.int64], ends_R: NDArray[np.int64]
) -> dict[int, str]:
    """The records whose bytes are no text that can be taken, and why."""
    reasons: dict[int, str] = {}
    lengths_R = ends_R - starts_R
    for place in np.flatnonzero(lengths_R > MAX_RECORD_BYTES):
        reasons[int(place)] = f"line must be at most {MAX_RECORD_BYTES:,} bytes, is {lengths_R[place]:,}"
    if data.find(b"\0") >= 0:
        zeros = np.searchsorted(ends_R, np.flatnonzero(bytes_M == 0))
        for place in np.unique(zeros):
            reasons.setdefault(int(place), "line must be text, has a NUL byte")
    if not data.isascii():
        high = np.searchsorted(ends_R, np.flatnonzero(bytes_M >= 128))
        for place in np.unique(high):
            if not _is_utf8(data[starts_R[place] : ends_R[place]]):
                reasons.setdefault(int(place), "line must be UTF-8, is not; convert the file with: iconv -t UTF-8")
    return reasons


def _blank(bytes_M: NDArray[np.uint8], starts_R: NDArray[np.int64], ends_R: NDArray[np.int64]) -> NDArray[np.bool_]:
    lengths_R = ends_R - starts_R
    only_return_R = (lengths_R == 1) & (bytes_M[np.minimum(starts_R, len(bytes_M) - 1)] == _RETURN)
    blank_R: NDArray[np.bool_] = (lengths_R == 0) | only_return_R
    return blank_R


def _is_utf8(record: bytes) -> bool:
    try:
        record.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parse(data: bytes, names: list[str], delimiter: str, *, quoted: bool) -> pl.DataFrame:
    if not data:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    return pl.read_csv(
        data,
        has_header=False,
        new_columns=names,
        separator=delimiter,
        quote_char='"' if quoted else None,
        infer_schema=False,
        raise_if_empty=False,
    )


def _exact(window: ByteWindow, names: list[str], delimiter: str, row: int) -> tuple[int, Found]:
    """Split what is in view record by record, as far as it can be decided without reading on."""
    if not window.at_end and len(window.data) > MAX_RECORD_BYTES and b"\n" not in window.data:
        shown = shown_bytes(window.data)
        length = window.skip_line()
        reason = f"line must be at most {MAX_RECORD_BYTES:,} bytes, is {length:,}"
        return 0, (
            pl.DataFrame(schema={**dict.fromkeys(names, pl.String), ROW: pl.Int64}),
            [(row + 1, reason, shown)],
            1,
        )
    records = split_records(window.data, delimiter, width=len(names), at_end=window.at_end)
    bad = [(row + place + 1, reason, shown) for place, reason, shown in records.bad]
    columns = list(zip(*records.fields, strict=True)) or [()] * len(names)
    texts = [pl.Series(name, values, dtype=pl.String) for name, values in zip(names, columns, strict=True)]
    rows = pl.Series(ROW, [row + place + 1 for place in records.places], dtype=pl.Int64)
    frame = pl.DataFrame([*texts, rows])
    return records.size, (frame, bad, records.num_records)
