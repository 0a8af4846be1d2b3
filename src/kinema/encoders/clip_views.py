"""What people look at of clips, made once and kept by content: the clip as browsers play it, and what is drawn of it.

The folder is a cache: whatever is gone is made again, and the least used goes first when there is too much of it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final

from kinema.drafts import own_draft
from kinema.encoders.clip_readers import CLIP_MEMORY_MB, DECODE_SECONDS, TimeLimit
from kinema.encoders.view_worker import ViewRequest, read_view, write_view_request

VIEW_COMMAND: Final = (sys.executable, "-P", "-m", "kinema.encoders.view_worker")
_NOTE: Final = ".json"
_PARTIAL: Final = ".partial"
_LEFT_SECONDS: Final = 86_400.0
"""After which a file that was never finished is left over from a process that died."""
_FRESH_SECONDS: Final = 3600.0
"""A view that was looked at within this time is not marked as looked at again."""


class ViewMaker:
    """One process that makes views, started at the first request and again after its death; for one thread at a time.

    Args:
        timeout_s: A clip that takes more processor time is given up, seconds; one that hangs, by the clock.
        memory_mb: A clip that takes more is given up.
        command: How the process is started; the memory is added to it.
    """

    def __init__(
        self,
        *,
        timeout_s: float = DECODE_SECONDS,
        memory_mb: int = CLIP_MEMORY_MB,
        command: Sequence[str] = VIEW_COMMAND,
    ) -> None:
        self._command = (*command, str(memory_mb))
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        self._closed = False

    def make(self, request: ViewRequest) -> dict[str, Any]:
        """Make a view; see `kinema.encoders.view_worker.make_view`."""
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            limit = TimeLimit(process, self._timeout_s)
            try:
                write_view_request(process.stdin, request)
                found = read_view(process.stdout)
            except OSError:
                found = None
            finally:
                limit.end()
            if found is not None:
                return found
            self._stop()
        why = f"not done after {self._timeout_s:g} s" if limit.passed else "the decoder crashed on it"
        return {"reason": f"cannot show '{request.name}': {why}"}

    def close(self) -> None:
        """End the process for good; what is under way is given up."""
        self._closed = True
        if self._process is not None:
            self._process.kill()
        with self._lock:
            self._stop()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            places = os.pathsep.join(os.path.realpath(place) for place in sys.path if place)
            self._process = subprocess.Popen(  # noqa: S603  # our own module, run by our own interpreter
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": places},
            )
            if self._closed:
                self._process.kill()
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


@dataclass
class ViewFolder:
    """The views of a project's clips.

    A view is a note, ``<key>.<view>.json``, and the files that it names. A clip of which a view cannot be had has a note that
    says why, and is tried again under other limits.

    Attributes:
        folder: Where they are; made where missing.
        limits: Equal for equal limits of what one clip may cost.
        max_bytes: Of all of them; the least used go first.
    """

    folder: Path
    limits: str
    max_bytes: int
    _lock: Lock = field(default_factory=Lock, repr=False)

    def find(self, key: str, view: str) -> dict[str, Any] | None:
        """The note of a view; None where it is still to be made, or has lost a file."""
        path = self._path(key, view)
        try:
            note: dict[str, Any] = json.loads(path.read_bytes())
            if note["limits"] != self.limits or not all((self.folder / name).is_file() for name in note["files"]):
                return None
            status = path.stat()
            if time.time() - status.st_mtime > _FRESH_SECONDS:
                os.utime(path)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return note

    def keep(self, key: str, view: str, made: dict[str, Any], files: Sequence[str]) -> dict[str, Any]:
        """Write the note of a view that was made, and make room if there is too much."""
        note = {"limits": self.limits, "files": list(files), **made}
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = own_draft(self._path(key, view))
        draft.write_text(json.dumps(note) + "\n", encoding="utf-8")
        draft.replace(self._path(key, view))
        with self._lock:
            self._make_room(spared=f"{key}.{view}{_NOTE}")
        return note

    def _path(self, key: str, view: str) -> Path:
        return self.folder / f"{key}.{view}{_NOTE}"

    def _make_room(self, *, spared: str) -> None:
        """Remove the views looked at longest ago, until the rest is small enough."""
        with os.scandir(self.folder) as entries:
            there = {one.name: one.stat() for one in entries if one.is_file(follow_symlinks=False)}
        for name, one in there.items():
            if name.endswith(_PARTIAL) and time.time() - one.st_mtime > _LEFT_SECONDS:
                (self.folder / name).unlink(missing_ok=True)
        total = sum(one.st_size for one in there.values())
        if total <= self.max_bytes:
            return
        for name in sorted((one for one in there if one.endswith(_NOTE)), key=lambda one: there[one].st_mtime):
            if name == spared:
                continue
            for file in (name, *_named(self.folder / name)):
                (self.folder / file).unlink(missing_ok=True)
                total -= there[file].st_size if file in there else 0
            if total <= self.max_bytes:
                return


def _named(note: Path) -> list[str]:
    """The files of a note; none where it cannot be read."""
    try:
        return [str(name) for name in json.loads(note.read_bytes())["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
