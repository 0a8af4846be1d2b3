"""Names of files that are written beside their place and then put there at once."""

import os
import threading
from pathlib import Path

import psutil


def own_draft(path: Path, *, ending: str = "draft") -> Path:
    """Where this thread writes what is to become a file: no other thread or process writes there.

    A service reads clips and texts in threads of one process, and two of them may make the same file at once; with one draft for
    both, the first to finish would take it away from the other.

    Args:
        path: Of the file.
        ending: Of the draft's name; the part before it is the number of the process.

    Example:
        >>> own_draft(Path("features/a.json")).name == f".a.json.{threading.get_native_id()}.{os.getpid()}.draft"
        True
    """
    return path.with_name(f".{path.name}.{threading.get_native_id()}.{os.getpid()}.{ending}")


def remove_left_drafts(folder: Path) -> None:
    """Remove what processes that are gone have left half written in a folder.

    Args:
        folder: One that need not be there.
    """
    for draft in folder.glob(".*.draft"):
        writer = draft.name.split(".")[-2]
        if not writer.isdigit() or not psutil.pid_exists(int(writer)):
            draft.unlink(missing_ok=True)
