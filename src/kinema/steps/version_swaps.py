"""The swap between versions: publish one, roll back to one.

The swap is the renaming of a link: whoever looks sees one version or the other. Everything else is done beside and renamed into place, so a
process that dies at any point leaves a whole model, and the next publication clears away what it left.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from kinema.artifacts import MANIFEST, sha256_file
from kinema.errors import DataError, NotBuiltError, StaleArtifactError
from kinema.steps.locking import only_one
from kinema.steps.versions import (
    BESIDE,
    FACTS,
    LOCK,
    SERVING,
    STAMP,
    STAMP_LENGTH,
    VERSIONS,
    Version,
    find_version,
    id_of,
    learnt_with,
    stamp_of,
    version_folders,
    version_of,
)

RANKERS: Final = ("click", "engagement", "several")
KEEP: Final = 5
_INCOMING: Final = ".incoming"


@dataclass(frozen=True)
class Made:
    """How a model came about; the part of a `Version` that who makes it knows."""

    command: str
    seed: int | None = None
    training_seconds: float | None = None
    validation: Mapping[str, float] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


def publish(
    artifacts: Path,
    write: Callable[[Path], None],
    made: Callable[[Path], Made],
    *,
    ready: Callable[[Path], None] | None = None,
    keep: int = KEEP,
) -> Version:
    """Make a model the one that serves, and keep the one that served.

    Args:
        artifacts: Of the project.
        write: Writes the artefact to the folder it is given.
        made: Says of that folder how the model came about.
        ready: Does what is to be done before it serves, such as binding it; if it fails nothing is published.
        keep: Versions that are kept, this one among them. The one that serves and the one before it are never removed.

    Returns:
        The new version.
    """
    folder = artifacts / VERSIONS
    with only_one(folder / LOCK, wait=True):
        _tidy(folder)
        before = _adopt(artifacts)
        draft = folder / _INCOMING
        write(draft)
        digest = sha256_file(draft / MANIFEST)
        moment = _next_moment(artifacts)
        version = Version(
            id_of(moment, digest),
            moment.isoformat(timespec="milliseconds"),
            parent=None if before is None else before.id,
            sha256=digest,
            **asdict(made(draft)),
        )
        _write_facts(draft, version)
        if ready is not None:
            ready(draft)
        draft.rename(folder / version.id)
        _serve(artifacts, version, leaving=before)
        _prune(artifacts, keep=keep, spared={version.id, version.parent})
    return version


def publish_staged(artifacts: Path, staged: Path, made: Made, *, keep: int = KEEP) -> Version:
    """Publish a model that lies ready in ``flm`` of a folder, with the rankers beside it that have learnt with it.

    Args:
        artifacts: Of the project.
        staged: The folder; it stays as it is.
        made: How the model came about.
        keep: See `publish`.
    """

    def write(draft: Path) -> None:
        _link_tree(staged / SERVING, draft)
        for name in RANKERS:
            if learnt_with(staged / name) == sha256_file(draft / MANIFEST):
                _link_tree(staged / name, draft / BESIDE / name)

    return publish(artifacts, write, lambda _: made, keep=keep)


def roll_back(artifacts: Path, wanted: str | None = None) -> tuple[Version, Version | None]:
    """Let another version serve.

    Args:
        artifacts: Of the project.
        wanted: Its id; None for the one that served before the one that serves now was published.

    Returns:
        The version that serves now, and the one that served; None where `artifacts/flm` was gone.

    Raises:
        NotBuiltError: There is no model.
        DataError: There is no such version, none before, or it serves already.
        StaleArtifactError: It is damaged.
    """
    with only_one(artifacts / VERSIONS / LOCK, wait=True):
        _tidy(artifacts / VERSIONS)
        serving = _adopt(artifacts)
        if not version_folders(artifacts):
            raise NotBuiltError("there is no model to roll back to; run: kinema pretrain")
        target = _before(artifacts, serving) if wanted is None else find_version(artifacts, wanted)
        if serving is not None and target.id == serving.id:
            raise DataError(f"version '{target.id}' serves already; see: kinema model list")
        _check_whole(artifacts / VERSIONS / target.id)
        _serve(artifacts, target, leaving=serving)
    return target, serving


def _before(artifacts: Path, serving: Version | None) -> Version:
    """The parent, which has served; what is only older may be a version that somebody has rolled back from."""
    kept = {path.name: path for path in version_folders(artifacts)}
    older = [name for name in kept if serving is None or name < serving.id]
    name = serving.parent if serving is not None and serving.parent in kept else max(older, default=None)
    if name is None:
        raise DataError(
            f"version '{'' if serving is None else serving.id}' must have one before it to roll back to, has none; "
            "see: kinema model list"
        )
    return version_of(kept[name])


def _check_whole(folder: Path) -> None:
    files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    for name, digest in files.items():
        if not (folder / name).is_file() or sha256_file(folder / name) != digest:
            raise StaleArtifactError(
                f"file '{name}' of version '{folder.name}' is missing or damaged; choose another: kinema model list"
            )


def _serve(artifacts: Path, version: Version, *, leaving: Version | None) -> None:
    """Point to a version.

    The renaming of a link is one step. A folder that stands in its place needs two, and `serving_folder` mends what a process
    that died between them has left.
    """
    if leaving is not None:
        _keep_rankers(artifacts, artifacts / VERSIONS / leaving.id)
    place, fresh, old = (artifacts / name for name in (SERVING, f".{SERVING}.next", f".{SERVING}.old"))
    _discard(fresh)
    try:
        fresh.symlink_to(Path(VERSIONS) / version.id, target_is_directory=True)
    except OSError:
        _link_tree(artifacts / VERSIONS / version.id, fresh)
    if fresh.is_symlink() and (place.is_symlink() or not place.exists()):
        fresh.replace(place)
        return
    _discard(old)
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    _discard(old)


def _adopt(artifacts: Path) -> Version | None:
    """What serves, as a version that is kept: a folder that stands in the link's place is taken in first."""
    place, old = artifacts / SERVING, artifacts / f".{SERVING}.old"
    if not place.exists() and old.exists():
        old.rename(place)
    _discard(old)
    if not (place / MANIFEST).is_file():
        return None
    version = version_of(place.resolve())
    kept = artifacts / VERSIONS / version.id
    if not kept.is_dir():
        draft = artifacts / VERSIONS / _INCOMING
        _link_tree(place.resolve(), draft)
        _write_facts(draft, version)
        draft.rename(kept)
        _discard(artifacts / "bound")  # where projects that are older kept what is now in the version
    return version


def _keep_rankers(artifacts: Path, folder: Path) -> None:
    """Keep the project's rankers with the version they have learnt with: it may come back."""
    flm = sha256_file(folder / MANIFEST)
    for name in RANKERS:
        if learnt_with(artifacts / name) == flm:
            draft = folder / BESIDE / f".{name}.draft"
            _discard(draft)
            _link_tree(artifacts / name, draft)
            _discard(folder / BESIDE / name)
            draft.rename(folder / BESIDE / name)


def _prune(artifacts: Path, *, keep: int, spared: set[str | None]) -> None:
    folders = version_folders(artifacts)
    removable = [path for path in folders if path.name not in spared]
    for path in removable[: max(0, len(folders) - keep)]:
        gone = path.with_name(f".{path.name}.gone")
        path.rename(gone)
        _discard(gone)


def _tidy(folder: Path) -> None:
    """Remove what a process that died has left; only one is at work here."""
    for path in folder.glob(".*"):
        if path.name != LOCK:
            _discard(path)


def _discard(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _link_tree(source: Path, target: Path) -> None:
    """The same files once more: hard links where that can be, copies elsewhere."""
    _discard(target)
    shutil.copytree(source, target, copy_function=_link)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _write_facts(folder: Path, version: Version) -> None:
    (folder / FACTS).unlink(missing_ok=True)  # it may be a link to another version's
    (folder / FACTS).write_text(json.dumps(asdict(version), indent=1, default=str) + "\n", encoding="utf-8")


def _next_moment(artifacts: Path) -> datetime:
    """Now, but behind every version there is: a clock that was set back must not change their order."""
    now = datetime.now(UTC)
    newest = max((path.name[:STAMP_LENGTH] for path in version_folders(artifacts)), default="")
    if stamp_of(now) > newest:
        return now
    return datetime.strptime(f"{newest}000", f"{STAMP}%f").replace(tzinfo=UTC) + timedelta(milliseconds=1)
