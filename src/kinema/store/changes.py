"""How often the processes of one machine have written to a store: two numbers in a small file that all of them map.

A service that shares its store must know before each answer whether somebody else has written. Asking the database costs a
transaction; looking at a mapped file costs a microsecond. The numbers say that something was written, never what: who finds them
changed asks the store. They are raised after a commit and before anybody is told of it, so whoever was told finds them raised.
"""

import mmap
import os
import struct
import sys
from pathlib import Path
from threading import Lock
from typing import Final

if sys.platform != "win32":
    import fcntl

_NUMBERS: Final = struct.Struct("@QQ")


class Changes:
    """Writes of events, and writes of anything else that a service follows.

    Args:
        path: The file; made where it is not there. None, or one that cannot be written, counts within this object alone.

    Example:
        >>> changes = Changes(None)
        >>> changes.tell(events=True)
        >>> changes.read()
        (1, 0)
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = Lock()
        self._file = -1
        self._map: mmap.mmap | bytearray = bytearray(_NUMBERS.size)
        if path is None or sys.platform == "win32":
            return
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            if os.fstat(self._file).st_size < _NUMBERS.size:
                os.ftruncate(self._file, _NUMBERS.size)
            self._map = mmap.mmap(self._file, _NUMBERS.size)
        except OSError:
            self.close()

    def read(self) -> tuple[int, int]:
        """Both numbers."""
        events, others = _NUMBERS.unpack_from(self._map)
        return events, others

    def tell(self, *, events: bool = False, others: bool = False) -> None:
        """Raise them, for all processes.

        Args:
            events: Events were written.
            others: Something else was.
        """
        if not events and not others:
            return
        with self._lock:
            self._hold(held=True)
            try:
                before = self.read()
                _NUMBERS.pack_into(self._map, 0, before[0] + events, before[1] + others)
            finally:
                self._hold(held=False)

    def close(self) -> None:
        """Let go of the file; what is told afterwards stays here."""
        with self._lock:
            mapped = self._map
            if isinstance(mapped, mmap.mmap):
                self._map = bytearray(mapped[:])
                mapped.close()
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _hold(self, *, held: bool) -> None:
        if sys.platform != "win32" and self._file >= 0:
            fcntl.flock(self._file, fcntl.LOCK_EX if held else fcntl.LOCK_UN)
