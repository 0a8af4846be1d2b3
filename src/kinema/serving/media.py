"""Uploaded clips: kept, understood, recommendable. A job that was acknowledged is done, also after a restart.

A clip is decoded by worker processes with limits, never here; one that cannot be used costs its own job.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Literal, Protocol
from uuid import uuid4

import polars as pl

from kinema.errors import ConflictError, KinemaError
from kinema.logs import get_logger
from kinema.serving.engine import Engine, new_id, now_ms
from kinema.serving.problems import Problem, not_found
from kinema.serving.sniffing import SNIFFED, video_suffix
from kinema.store.service_protocols import Document

_LOG = get_logger("serving")
_ROOM: Final = "media"
_ENDED: Final = ("recommendable", "failed")
_MOST_WAITING: Final = 1000
_SILENT_MS: Final = 600_000
"""After which a job of another process is taken over."""
_LOOK_SECONDS: Final = 60.0
Status = Literal["queued", "decoding", "encoding", "recommendable", "failed"]


@dataclass(frozen=True)
class Understood:
    """What became of a clip.

    Attributes:
        reason: Why nothing can be had of it; empty where all is well.
        notice: What is partial; empty for nothing.
    """

    reason: str = ""
    notice: str = ""


class ClipRoom(Protocol):
    """Where clips are kept and understood."""

    @property
    def drafts(self) -> Path:
        """Folder for uploads that are not whole yet, on the disk of the others."""

    def keep(self, draft: Path, suffix: str) -> str:
        """Move a whole upload to its place, by content; its path inside the media folder."""

    def understand(self, media_path: str) -> Understood:
        """Make vectors, poster and preview of a clip."""


class MediaDesk:
    """Takes uploads in and works them off, one at a time.

    Args:
        engine: Started.
        room: Where clips are kept and understood.
    """

    def __init__(self, engine: Engine, room: ClipRoom) -> None:
        self._engine = engine
        self._room = room
        self._me = uuid4().hex
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="kinema-media", daemon=True)

    def start(self) -> None:
        """Take up what an earlier process has left undone, then wait for more."""
        self._take_up()
        self._thread.start()

    def _take_up(self) -> None:
        """Jobs that nobody works on: those whose process has said nothing for longer than a clip may take."""
        for job in self._engine.store.documents(_ROOM):
            if job.value["status"] not in _ENDED and self._is_free(job):
                self._queue.put(job.key)

    def _is_free(self, job: Document) -> bool:
        owner = job.value.get("owner", "")
        return owner in ("", self._me) or now_ms() - job.updated_ms > _SILENT_MS

    def stop(self) -> None:
        """Stop after the clip that is being understood; the others wait for the next start."""
        self._queue.put(None)
        self._thread.join(timeout=5)

    @property
    def num_waiting(self) -> int:
        """Clips that have not been begun."""
        return self._queue.qsize()

    def draft(self) -> Path:
        """A new file for an upload to be written to.

        Raises:
            Problem: 503, too many clips wait.
        """
        if self.num_waiting >= _MOST_WAITING:
            raise Problem(503, f"{_MOST_WAITING:,} clips wait; try again later", headers={"Retry-After": "60"})
        self._room.drafts.mkdir(parents=True, exist_ok=True)
        return self._room.drafts / f"{new_id(now_ms())}.draft"

    def take(self, item_id: str, draft: Path, *, title: str = "") -> Document:
        """Take a whole upload in.

        Args:
            item_id: Whose clip it is; an unknown item is made.
            draft: Its file; moved or removed.
            title: Of an item that is made.

        Returns:
            The job, durable.

        Raises:
            Problem: 415, it is no video container; 422, it is empty.
        """
        with draft.open("rb") as file:
            head = file.read(SNIFFED)
        suffix = video_suffix(head)
        if suffix is None:
            draft.unlink(missing_ok=True)
            raise Problem(
                422 if not head else 415,
                "a clip must be a video file (mp4, avi, flv, mkv, webm, mov, mpg, ts, wmv, ogv), "
                + ("is empty" if not head else "is none by its first bytes"),
                field="file",
            )
        store = self._engine.store
        media_path = self._room.keep(draft, suffix)
        known = store.item(item_id)
        row: dict[str, Any] = {"id": item_id, "media_path": media_path}
        if known is None:
            row |= {"title": title, "published_at": now_ms()}
        store.write_items(pl.DataFrame([row], schema_overrides={"published_at": pl.Int64}))
        key = new_id(now_ms())
        value = {
            "item_id": item_id,
            "media_path": media_path,
            "status": "queued",
            "created_ms": now_ms(),
            "message": "",
            "owner": self._me,
        }
        store.put_document(_ROOM, key, value, expected=0)
        self._queue.put(key)
        self._engine.telemetry.set_queue("media", self.num_waiting)
        return self.job(key)

    def job(self, key: str) -> Document:
        """One job.

        Raises:
            Problem: 404.
        """
        found = self._engine.store.document(_ROOM, key)
        if found is None:
            raise not_found("job", key, field="job_id")
        return found

    def jobs(self) -> list[Document]:
        """All jobs, newest first."""
        found = self._engine.store.documents(_ROOM)
        return sorted(found, key=lambda one: (one.value["created_ms"], one.key), reverse=True)

    def _run(self) -> None:
        while True:
            try:
                key = self._queue.get(timeout=_LOOK_SECONDS)
            except Empty:
                self._take_up()
                continue
            if key is None:
                return
            try:
                self._work(key)
            except Exception as error:  # noqa: BLE001  # the next clip is another one's
                _LOG.error("a clip failed", job=key, error=type(error).__name__, exc_info=error)
                self._say(key, "failed", str(error) if isinstance(error, KinemaError) else "it could not be understood")

    def _work(self, key: str) -> None:
        self._engine.telemetry.set_queue("media", self.num_waiting)
        job = self._engine.store.document(_ROOM, key)
        if job is None or job.value["status"] in _ENDED or not self._is_free(job):
            return
        claim: Mapping[str, Any] = {**job.value, "status": "decoding", "owner": self._me}
        try:
            self._engine.store.put_document(_ROOM, key, claim, expected=job.version)
        except ConflictError:
            return  # another process was first
        done = self._room.understand(job.value["media_path"])
        self._say(key, "encoding", done.notice)
        in_time = self._engine.keeper.wait_for_items(anew=True)
        if done.reason:
            reason = done.reason.replace("; the item keeps its text features", "")
            reason = reason.replace(f"'{job.value['media_path']}'", "the clip")  # whose name here says nothing
            self._say(key, "failed", f"{reason}; the item keeps its text")
        elif in_time:
            self._say(key, "recommendable", done.notice)
        else:
            self._say(key, "failed", self._engine.keeper.trouble or "the recommender was not ready in time")

    def _say(self, key: str, status: Status, message: str = "") -> None:
        job = self._engine.store.document(_ROOM, key)
        if job is not None:
            value: Mapping[str, Any] = {**job.value, "status": status, "message": message}
            self._engine.store.put_document(_ROOM, key, value)
