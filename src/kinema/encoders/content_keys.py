"""Content keys: the sha256 of files, remembered so that an unchanged file is not read again.

They are kept in a file that only grows, one JSON list a line; a line cut off by a crash is skipped. Processes that share
the file write whole blocks of lines at its end, one after the other.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from kinema.artifacts import sha256_file
from kinema.errors import DataError

if sys.platform != "win32":
    import fcntl

FILE_NAME: Final = "content_keys.jsonl"
_BLOCK: Final = 256


class _Seen(NamedTuple):
    """A file as it was when its key was made."""

    size: int
    mtime_ns: int
    key: str


class ContentKeys:
    """Keys of the files under one media root.

    Attributes:
        path: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE_NAME
        self._seen: dict[str, _Seen] = {}
        self._num_lines = self._load()

    def _load(self) -> int:
        """Read all lines; returns how many there are."""
        if not self.path.is_file():
            return 0
        lines = self.path.read_bytes().splitlines()
        try:
            rows = json.loads(b"[" + b",".join(lines) + b"]")  # three times as quick as line by line
        except ValueError:
            rows = _whole(lines)
        for row in rows:
            with suppress(ValueError, TypeError):
                name, *seen = row
                self._seen[name] = _Seen(*seen)
        return len(lines)

    def recorded(self, name: str) -> str:
        """The key of a media path as it was last extracted; empty where it never was."""
        seen = self._seen.get(name)
        return seen.key if seen else ""

    def update(self, files: dict[str, Path], *, num_threads: int) -> dict[str, str]:
        """Make or confirm the keys of files.

        Args:
            files: Media path -> file.
            num_threads: Files hashed at once, >= 1.

        Returns:
            Media path -> key; files that vanished or cannot be read are absent.
        """
        names = list(files)
        result: dict[str, str] = {}
        with ThreadPoolExecutor(num_threads) as threads:
            for start in range(0, len(names), _BLOCK):
                block = names[start : start + _BLOCK]
                looks = threads.map(lambda name: self._look(name, files[name]), block)
                found = {name: seen for name, seen in zip(block, looks, strict=True) if seen is not None}
                fresh = {name: seen for name, seen in found.items() if self._seen.get(name) != seen}
                if fresh:
                    self._append(fresh)
                result.update({name: seen.key for name, seen in found.items()})
        if self._num_lines > 2 * len(self._seen) + _BLOCK:
            self._compact()
        return result

    def _append(self, fresh: dict[str, _Seen]) -> None:
        """Write lines at the end; a line that a crash cut off is finished first, so that ours does not continue it."""
        self._seen.update(fresh)
        self._num_lines += len(fresh)
        lines = b"".join(_line(name, seen) for name, seen in fresh.items())
        with self._alone(), self.path.open("ab+") as stream:
            whole = True
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                whole = stream.read() == b"\n"
            stream.write(lines if whole else b"\n" + lines)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process writes the file meanwhile."""
        with self.path.with_suffix(".lock").open("ab") as lock:
            if sys.platform != "win32":
                fcntl.lockf(lock, fcntl.LOCK_EX)
            yield

    def _look(self, name: str, path: Path) -> _Seen | None:
        """Size, time and key of a file; its content is read only when size or time differ from what is known."""
        try:
            status = path.stat()
            known = self._seen.get(name)
            if known and (known.size, known.mtime_ns) == (status.st_size, status.st_mtime_ns):
                return known
            return _Seen(status.st_size, status.st_mtime_ns, sha256_file(path))
        except OSError:
            return None

    def _compact(self) -> None:
        """Rewrite the file without outdated lines, those of other processes included."""
        with self._alone():
            self._load()
            draft = self.path.with_suffix(".draft")
            draft.write_bytes(b"".join(_line(name, seen) for name, seen in self._seen.items()))
            draft.replace(self.path)
        self._num_lines = len(self._seen)


def _whole(lines: Iterable[bytes]) -> Iterator[Any]:
    """What the lines say that are JSON."""
    for line in lines:
        with suppress(ValueError):
            yield json.loads(line)


def _line(name: str, seen: _Seen) -> bytes:
    """One record."""
    return json.dumps([name, seen.size, seen.mtime_ns, seen.key]).encode() + b"\n"


def inside(media_root: Path, media_path: str) -> Path:
    """Resolve a media path, which comes from a table and must not reach other files of the machine.

    Args:
        media_root: Folder all media lie in.
        media_path: Relative, with forward slashes.

    Returns:
        The resolved file inside the root.

    Raises:
        DataError: The path leads outside (absolute, ``..`` or a link), or there is no such file.
    """
    root = media_root.resolve()
    try:
        path = (root / media_path).resolve()
    except (OSError, ValueError) as error:
        raise DataError(f"media_path must name a file in the media root, got {media_path!r}: {error}") from error
    if not path.is_relative_to(root):
        raise DataError(
            f"media_path must stay inside the media root, '{media_path}' leads outside; the item keeps its text features; "
            "move the file into the root"
        )
    if not path.is_file():
        raise DataError(
            f"media_path must name a file in the media root, there is no '{media_path}'; the item keeps its text features; "
            "run the ingest again with --videos"
        )
    return path
