"""The first line of a delimited file: its delimiter and its column names."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kinema.errors import DataError
from kinema.sources.byte_window import MAX_RECORD_BYTES, READ_ERRORS, open_bytes, skip_byte_order_mark

_TAB_SUFFIXES: Final = (".tsv", ".tab", ".inter", ".item", ".user")
_DELIMITERS: Final = (",", "\t", ";", "|")


@dataclass(frozen=True)
class Header:
    """How a delimited file is read.

    Attributes:
        names: Of the columns, in order.
        delimiter: One character.
        start: Byte at which the first record begins.
    """

    names: list[str]
    delimiter: str
    start: int


def read_header(path: Path, *, header: Sequence[str] | None = None, delimiter: str | None = None) -> Header:
    """Find out how a delimited file is read.

    Args:
        path: The file, not empty.
        header: Its column names where the file has no header line.
        delimiter: By default a tab for ``.tsv`` and RecBole's files, else the one the header has most of.

    Returns:
        Names, delimiter and the place of the first record.

    Raises:
        DataError: The file cannot be read, is no UTF-8 text, or has no header line.
    """
    try:
        start = skip_byte_order_mark(path)
        with open_bytes(path) as stream:
            stream.seek(start)
            line = stream.readline(MAX_RECORD_BYTES)
    except READ_ERRORS as error:
        raise DataError(f"'{path}' must be readable, is not: {error}; copy it again") from error
    if b"\0" in line or (len(line) == MAX_RECORD_BYTES and not line.endswith(b"\n")):
        raise DataError(f"'{path}' must begin with a line of column names, begins with other data; check its format")
    try:
        text = line.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"'{path}' must be UTF-8, its first line is not: {error}; run: iconv -t UTF-8") from error
    mark = delimiter or _find_delimiter(path, text)
    if header is not None:
        return Header(list(header), mark, start)
    names = [name.strip() for name in next(csv.reader([text], delimiter=mark), [])]
    if not any(names):
        raise DataError(f"'{path}' must begin with a line of column names, begins with an empty line; add one")
    return Header([name or f"column_{place}" for place, name in enumerate(names, 1)], mark, start + len(line))


def _find_delimiter(path: Path, line: str) -> str:
    if path.name.lower().removesuffix(".gz").endswith(_TAB_SUFFIXES):
        return "\t"
    return max(_DELIMITERS, key=line.count)
