"""Claims: several processes share one pile of work without doing any of it twice.

Each content is one byte of a lock file. The system drops a process's locks when it ends, however it ends, so a claim is
never left behind. Where the system has no such locks (Windows) every claim is granted: work may be done twice, none is lost.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Self

if sys.platform != "win32":
    import fcntl

FILE_NAME: Final = ".claims"
_HEX_DIGITS: Final = 15
_PATIENCE_S: Final = 0.2


class Claims:
    """What this process is at work on, seen by every other one that shares the folder.

    A process must not hold two of these for one folder: the system gives up all its locks when either is closed.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o666)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Give up all claims."""
        os.close(self._file)

    def take(self, key: str) -> bool:
        """Claim a content by its key (hexadecimal); False where another process is at work on it."""
        if sys.platform == "win32":
            return True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(key))
        except OSError:
            return False
        return True

    def release(self, keys: Iterable[str]) -> None:
        """Give up claims."""
        if sys.platform != "win32":
            for key in keys:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(key))


class SharedWork:
    """Keys that are to be worked on, by whoever comes first.

    Args:
        keys: All of them, without repeats.
        claims: Of this process.
        is_done: Whether the result of a key is there.
        refresh: Called so that `is_done` knows of what others have written.
    """

    def __init__(
        self, keys: Sequence[str], *, claims: Claims, is_done: Callable[[str], bool], refresh: Callable[[], None]
    ) -> None:
        self.total = len(keys)
        self._left = deque(keys)
        self._elsewhere: list[str] = []
        self._ours: set[str] = set()
        self._claims = claims
        self._is_done = is_done
        self._refresh = refresh

    @property
    def num_done(self) -> int:
        """Keys that are dealt with, by us or by others."""
        return self.total - len(self._left) - len(self._elsewhere) - len(self._ours)

    @property
    def finished(self) -> bool:
        """Whether every key is dealt with."""
        return self.num_done == self.total

    @property
    def available(self) -> bool:
        """Whether there may be keys that nobody is at work on."""
        return bool(self._left)

    def take(self, count: int) -> list[str]:
        """Up to ``count`` keys that are ours now; empty when the rest is done or others are at work on it."""
        if not self._left:
            self._left, self._elsewhere = deque(self._elsewhere), []
        fresh: list[str] = []
        while self._left and not fresh:
            self._refresh()
            taken = self._claim(count)
            self._refresh()  # another process may have finished a key between our look and our claim
            fresh = [key for key in taken if not self._is_done(key)]
            self._claims.release(set(taken) - set(fresh))
        self._ours.update(fresh)
        return fresh

    def _claim(self, count: int) -> list[str]:
        """Go through what is left until ``count`` keys are claimed."""
        taken: list[str] = []
        while self._left and len(taken) < count:
            key = self._left.popleft()
            if self._is_done(key):
                continue
            if self._claims.take(key):
                taken.append(key)
            else:
                self._elsewhere.append(key)
        return taken

    def settle(self, keys: Iterable[str]) -> None:
        """Say that keys of ours are dealt with: their results are there, or they failed."""
        for key in keys:
            self._ours.discard(key)
            self._claims.release([key])

    def wait(self) -> None:
        """Let the others work for a moment."""
        time.sleep(_PATIENCE_S)


def _place(key: str) -> int:
    """The byte that stands for a key."""
    return int(key[:_HEX_DIGITS], 16)
