"""Clips that come over HTTP: kept by content in the media folder, understood by the encoders of the settings."""

from pathlib import Path
from typing import Any, Final, Protocol

from kinema.artifacts import sha256_file
from kinema.serving.media import Understood
from kinema.settings import Settings
from kinema.steps.extracting import extract_project
from kinema.store.service_protocols import ServiceStore

FOLDER: Final = "uploads"
"""Inside the media folder."""


class MediaProject(Protocol):
    """The part of `kinema.project.Project` that uploads need."""

    @property
    def store(self) -> ServiceStore:
        """Its data."""

    @property
    def folder(self) -> Path:
        """Where it is."""

    @property
    def settings(self) -> Settings:
        """Of its `kinema.toml`."""

    @property
    def media_root(self) -> Path | None:
        """Where media paths start."""

    @property
    def workers(self) -> int:
        """Decoding processes."""


class ProjectClips:
    """`kinema.serving.media.ClipRoom` of a project.

    Args:
        project: Open, with a media folder.
    """

    def __init__(self, project: MediaProject) -> None:
        root = project.media_root
        assert root is not None
        self._project = project
        self._root = root

    @property
    def drafts(self) -> Path:
        """Folder for uploads that are not whole yet."""
        return self._root / FOLDER / ".drafts"

    def keep(self, draft: Path, suffix: str) -> str:
        """Move an upload to its place; the same content has the same place."""
        name = f"{FOLDER}/{sha256_file(draft)}{suffix}"
        draft.replace(self._root / name)
        return name

    def understand(self, media_path: str) -> Understood:
        """Run the encoders over one clip; it is read by processes with limits."""
        project = self._project
        parts: dict[str, Any] = {"folder": project.folder, "settings": project.settings, "store": project.store}
        report = extract_project(**parts, media_root=self._root, workers=1, only={media_path})
        reasons = [one.reason for one in report.rejects if one.file == media_path]
        return Understood("; ".join(reasons), "; ".join(report.notices))
