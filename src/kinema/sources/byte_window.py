"""A file seen through a window of bounded size, so that a file larger than memory, or one endless line, can be read."""

import gzip
import zlib
from pathlib import Path
from typing import IO, Final, cast

from kinema.errors import DataError

BLOCK_BYTES: Final = 16 * 2**20
MAX_RECORD_BYTES: Final = 2**20
"""A longer record is set aside: it is a broken file, not data, and it could be of any length."""

READ_ERRORS: Final = (OSError, EOFError, zlib.error)
"""What a truncated or damaged file raises while it is read."""

_MARKS: Final = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"\x00\x00\xfe\xff", "UTF-32"))
_UTF8_MARK: Final = b"\xef\xbb\xbf"


class ByteWindow:
    """The bytes from ``offset`` on.

    Args:
        stream: Binary and seekable.
        offset: Where to begin.
        block_bytes: How much is read at a time.

    Attributes:
        data: The bytes in view.
        offset: Place of their first byte in the file (uncompressed).
        at_end: Nothing follows them.
    """

    def __init__(self, stream: IO[bytes], *, offset: int, block_bytes: int = BLOCK_BYTES) -> None:
        self._stream = stream
        self._block_bytes = block_bytes
        self.data = b""
        self.offset = offset
        self.at_end = False
        stream.seek(offset)

    def widen(self) -> None:
        """Read one more block behind those in view."""
        more = self._stream.read(self._block_bytes)
        self.data += more
        self.at_end = len(more) < self._block_bytes

    def drop(self, num_bytes: int) -> None:
        """Move the front of the window on."""
        self.offset += min(num_bytes, len(self.data))
        self.data = self.data[num_bytes:]

    def skip_line(self) -> int:
        """Drop everything up to and with the next line end, holding one block at most; returns the line's length."""
        skipped = 0
        while (end := self.data.find(b"\n")) < 0 and not self.at_end:
            skipped += len(self.data)
            self.drop(len(self.data))
            self.widen()
        length = end if end >= 0 else len(self.data)
        self.drop(length + 1)
        return skipped + length


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, decompressed where its name ends in ``.gz``."""
    if path.suffix.lower() == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")


def skip_byte_order_mark(path: Path) -> int:
    """Where the text begins.

    Args:
        path: A text file.

    Returns:
        3 behind a UTF-8 byte order mark, else 0.

    Raises:
        DataError: The file is UTF-16 or UTF-32.
    """
    with open_bytes(path) as stream:
        head = stream.read(4)
    for mark, name in _MARKS:
        if head.startswith(mark):
            raise DataError(f"'{path}' must be UTF-8, is {name}; run: iconv -f {name} -t UTF-8 '{path}' > utf8.csv")
    return len(_UTF8_MARK) if head.startswith(_UTF8_MARK) else 0


def shown_bytes(record: bytes) -> str:
    """The first 200 characters of a record for a reject, readable whatever its encoding."""
    return record[:800].decode("utf-8", errors="replace").replace("\0", "\N{SYMBOL FOR NULL}").rstrip("\r\n")[:200]
