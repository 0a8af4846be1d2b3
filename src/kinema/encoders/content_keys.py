"""Content keys: the sha256 of files, remembered so that an unchanged file is not read again.

They are kept in a file that only grows, one JSON object a line; a line cut off by a crash is skipped.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from kinema.artifacts import sha256_file
from kinema.errors import DataError

FILE_NAME: Final = "content_keys.jsonl"
_BLOCK: Final = 256


@dataclass(frozen=True)
class _Seen:
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
        num_lines = 0
        if self.path.is_file():
            for line in self.path.read_bytes().splitlines():
                num_lines += 1
                try:
                    name, size, mtime_ns, key = json.loads(line)
                    self._seen[name] = _Seen(size, mtime_ns, key)
                except ValueError:
                    continue
        if num_lines > 2 * len(self._seen) + _BLOCK:
            self._compact()

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
        with ThreadPoolExecutor(num_threads) as threads, self.path.open("ab") as stream:
            self._end_line(stream)
            for start in range(0, len(names), _BLOCK):
                block = names[start : start + _BLOCK]
                for name, seen in zip(
                    block, threads.map(lambda name: self._look(name, files[name]), block), strict=True
                ):
                    if seen is None:
                        continue
                    if self._seen.get(name) != seen:
                        self._seen[name] = seen
                        stream.write(_line(name, seen))
                    result[name] = seen.key
                stream.flush()
        return result

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

    def _end_line(self, stream: IO[bytes]) -> None:
        """Finish a line that a crash cut off, so that the next one does not continue it."""
        if stream.tell() and not self.path.read_bytes().endswith(b"\n"):
            stream.write(b"\n")

    def _compact(self) -> None:
        """Rewrite the file without outdated lines."""
        draft = self.path.with_suffix(".draft")
        draft.write_bytes(b"".join(_line(name, seen) for name, seen in self._seen.items()))
        draft.replace(self.path)


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
