"""Paths of media files that tables name: each must stay inside the media folder, whatever it is made of."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

import polars as pl


def inside(path: str) -> str | None:
    """Why a path would leave the folder it is relative to, None where it stays.

    Example:
        >>> inside("a/b.mp4")
        >>> inside("../b.mp4")
        "leads out of the folder through '..'"
    """
    windows = PureWindowsPath(path)
    if "\0" in path:
        return "has a NUL character"
    if PurePosixPath(path).is_absolute() or windows.drive or windows.root:
        return "is absolute"
    depth = 0
    for part in windows.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return "leads out of the folder through '..'"
    return None


@dataclass(frozen=True)
class MediaPaths:
    """Judges the ``media_path`` column of a table of items.

    Attributes:
        root: The media folder; None where it is not known, then links cannot be followed.
    """

    root: Path | None
    _folders: dict[str, str] = field(default_factory=dict, repr=False)

    def judge(self, paths: pl.Series) -> Iterator[tuple[int, str]]:
        """Places and reasons of the paths that leave the media folder.

        Args:
            paths: String, relative to the media folder, with forward slashes.

        Yields:
            The place in the series and the reason.
        """
        for place, path in enumerate(paths):
            if path is None:
                continue
            reason = inside(path) or self._follow(path)
            if reason:
                yield place, f"media_path must stay inside the media folder, {path[:80]!r} {reason}"

    def _follow(self, path: str) -> str | None:
        """Resolve links; folders are resolved once each, because a catalogue has many files in few folders."""
        if self.root is None:
            return None
        folder, _, name = path.rpartition("/")
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(self.root / folder)
        real = Path(self._folders[folder], name)
        if real.is_symlink():
            real = Path(os.path.realpath(real))
        return None if real.is_relative_to(os.path.realpath(self.root)) else "is a link that leads out of it"
