"""`kinema ingest` on a project: its media folder, the truth of a generated log, and where rejects are listed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kinema.progress import Progress, silent
from kinema.steps.ingest import IngestReport, ingest
from kinema.steps.media_folder import media_folder

if TYPE_CHECKING:
    from kinema.steps.open_project import OpenProject  # brings torch, which reading files does not need

MEDIA_ROOT: Final = "media_root"
"""What the store calls the folder that media paths start from, relative to the project's."""
TRUTH: Final = "truth_folder"
"""What the store calls the folder with the right answers of a generated log, relative to the project's."""


@dataclass(frozen=True)
class GivenFiles:
    """What is to be read; see `kinema.steps.ingest.ingest`."""

    videos: Path | None
    items: Path | None
    users: Path | None
    events: Path | None
    source: tuple[str, Path] | None


def ingest_project(
    project: "OpenProject",
    given: GivenFiles,
    *,
    mapping: Mapping[str, str] | None,
    strict: bool,
    progress: Progress = silent,
) -> IngestReport:
    """Read files into a project's store.

    Args:
        project: Where to.
        given: The files.
        mapping: Column of theirs -> column of ours.
        strict: A bad row is an error instead of being set aside.
        progress: Told rows read.

    Raises:
        DataError: Nothing to read, a folder of clips outside the media folder, a required column is missing, or a bad row with ``strict``.
    """
    folder, store = project.folder, project.store
    root = media_folder(given.videos, current=project.media_root, settings=project.settings, store=store)
    if given.videos is not None and root is not None:
        store.set_meta(MEDIA_ROOT, os.path.relpath(root, folder))
    if given.events is not None and (truth := given.events.resolve().parent / "truth.json").is_file():
        store.set_meta(TRUTH, os.path.relpath(truth.parent, folder))
    return ingest(
        store=store,
        videos=given.videos,
        items=given.items,
        users=given.users,
        events=given.events,
        source=given.source,
        mapping=mapping,
        media_root=root,
        rejects_folder=folder / "rejects",
        strict=strict,
        progress=progress,
    )
