"""Processes that write to one file take turns in the order in which they came.

SQLite itself lets a writer that finds another one at work sleep and look again, longer and longer, up to a tenth of a second, while
the other one may write time after time. Here a writer first queues, then waits for its turn, and leaves the queue when it has it:
who has just written finds somebody in the queue and comes after them. The system drops both locks when a process ends. They order
writers and protect nothing: that stays with the database.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import fcntl

_FIRST_PAUSE_S: Final = 0.0002
_LONGEST_PAUSE_S: Final = 0.005


class Turns:
    """See the module docstring. One thread at a time.

    Args:
        path: A file that all writers name; None where they need not take turns.
        patience_s: After which a writer goes on without a turn, so that the database says who is in its way.
    """

    def __init__(self, path: Path | None, *, patience_s: float) -> None:
        self._file, self._patience_s = -1, patience_s
        if path is not None and sys.platform != "win32":
            try:
                self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError:  # a folder that may not be written to, as the store then says itself
                self._file = -1

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Have a turn; others have theirs afterwards."""
        if sys.platform == "win32" or self._file < 0:
            yield
            return
        deadline = time.monotonic() + self._patience_s
        try:
            if _waited(self._queue, deadline):
                _waited(self._take, deadline)
                fcntl.lockf(self._file, fcntl.LOCK_UN)
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _queue(self) -> None:
        if sys.platform != "win32":
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _take(self) -> None:
        if sys.platform != "win32":
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _waited(lock: Callable[[], None], deadline: float) -> bool:
    """Whether a lock could be had before a moment."""
    pause = _FIRST_PAUSE_S
    while True:
        try:
            lock()
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(1.2 * pause, _LONGEST_PAUSE_S)
        else:
            return True
