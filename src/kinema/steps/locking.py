"""One process at a time: a lock that the system drops when its holder ends, however it ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def only_one(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a lock while something is done that two must not do at once.

    Args:
        path: The lock's file; made with its folder.
        wait: Until whoever holds it is done; otherwise see what is yielded.

    Yields:
        Whether the lock was had. Where the system has no such locks (Windows) it always is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield _locked(file, wait=wait)
    finally:
        os.close(file)


def _locked(file: int, *, wait: bool) -> bool:
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
