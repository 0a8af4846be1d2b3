"""Versions of the model on disk: what serves, and what else is kept.

    artifacts/flm               what serves: a link to one of the versions
    artifacts/versions/ID/      a model as it was published, with `version.json`; nothing in it is ever written over

Whoever reads finds the folder once (`serving_folder`) and goes on with it, whatever is published meanwhile. In projects that are older than
versions, and where the file system knows no links, `artifacts/flm` is a folder like any other. Who changes what serves: `version_swaps`.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kinema.artifacts import MANIFEST, sha256_file
from kinema.errors import DataError, NotBuiltError, StaleArtifactError
from kinema.steps.locking import only_one

SERVING: Final = "flm"
VERSIONS: Final = "versions"
FACTS: Final = "version.json"
BESIDE: Final = "beside"
"""Folder of a version with the rankers that have learnt with it."""
LOCK: Final = ".lock"
STAMP: Final = "%Y%m%dT%H%M%S"
STAMP_LENGTH: Final = 18
_DIGITS: Final = 8
_ID: Final = re.compile(rf"\d{{8}}T\d{{9}}-[0-9a-f]{{{_DIGITS}}}")


@dataclass(frozen=True)
class Version:
    """What is known of a published model.

    Attributes:
        id: When it was made, to the millisecond, and the first digits of its manifest's sha256: ids sort by time.
        made_at: UTC, ISO 8601.
        command: What made it.
        seed: Of its training.
        training_seconds: Wall time of it; None where nothing was trained.
        validation: NDCG@10 by branch on the cases it was chosen on.
        data: Counts of what was learnt from: ``items``, ``users``, ``interactions``, ``newest_ms``.
        parent: The version that served before; None for the first.
        sha256: Of its manifest, by which rankers know it.
        notes: JSON values of the command that made it, such as the decision of a refresh.
    """

    id: str
    made_at: str
    command: str = ""
    seed: int | None = None
    training_seconds: float | None = None
    validation: Mapping[str, float] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    sha256: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)


def serving_folder(artifacts: Path) -> Path | None:
    """The folder of the model that serves, with no link left in its path: read all of a model from there.

    Reading through `artifacts/flm` file by file could begin with one version and end with the next.
    """
    place = artifacts / SERVING
    if not place.exists():
        _mend(artifacts)
    return place.resolve() if place.is_dir() else None


def is_version(folder: Path) -> bool:
    """Whether a folder is a version's own, by its place and name."""
    return folder.parent.name == VERSIONS and _ID.fullmatch(folder.name) is not None


def version_of(folder: Path) -> Version:
    """What is known of a model; of one that was never published, what its manifest says.

    Raises:
        NotBuiltError: There is no model in the folder.
        StaleArtifactError: What describes it cannot be read.
    """
    manifest, facts = folder / MANIFEST, folder / FACTS
    if not manifest.is_file():
        raise NotBuiltError(f"no flm artefact in '{folder.name}'; run: kinema pretrain")
    try:
        if facts.is_file():
            return Version(**json.loads(facts.read_text(encoding="utf-8")))
        return _unpublished(folder, json.loads(manifest.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError) as error:
        raise StaleArtifactError(f"version '{folder.name}' cannot be read: {error}; run: kinema pretrain") from error


def _unpublished(folder: Path, manifest: Mapping[str, Any]) -> Version:
    """Of a model from before there were versions, or that somebody has put there."""
    made, digest = datetime.fromisoformat(manifest["created_at"]), sha256_file(folder / MANIFEST)
    model = folder / "facts.json"
    facts = json.loads(model.read_text(encoding="utf-8")) if model.is_file() else {}
    report = facts.get("report", {})
    return Version(
        id_of(made, digest),
        made.isoformat(),
        seed=manifest["seed"],
        training_seconds=report.get("seconds"),
        validation=report.get("validation", {}),
        data={"items": len(facts["item_ids"])} if facts else {},
        sha256=digest,
    )


def kept_versions(artifacts: Path) -> tuple[Version, ...]:
    """All versions that are on disk, oldest first; one that serves without having been published is among them."""
    found = {path.name: version_of(path) for path in version_folders(artifacts)}
    serving = serving_folder(artifacts)
    if serving is not None:
        one = version_of(serving)
        found.setdefault(one.id, one)
    return tuple(found[name] for name in sorted(found))


def find_version(artifacts: Path, wanted: str) -> Version:
    """A version by its id, or by a beginning or an end of it that no other has.

    Raises:
        DataError: There is none, or more than one.
    """
    known = kept_versions(artifacts)
    exact = [one for one in known if one.id == wanted]
    found = exact or [one for one in known if wanted and (one.id.startswith(wanted) or one.id.endswith(wanted))]
    if len(found) == 1:
        return found[0]
    names = ", ".join(one.id for one in (found or known))
    if found:
        raise DataError(f"version '{wanted}' must mean one version, means {len(found)}: {names}; give more of its id")
    raise DataError(f"unknown version '{wanted}'; kept: {names or 'none'}; see: kinema model list")


def folder_of(artifacts: Path, version: Version) -> Path:
    """Where a version lies."""
    kept = artifacts / VERSIONS / version.id
    return kept if kept.is_dir() else artifacts / SERVING


def ranker_folder(artifacts: Path, name: str, *, flm: str, model: Path) -> Path:
    """Where the ranker lies that has learnt with a model: the project's own, else the one kept with that version.

    Args:
        artifacts: Of the project.
        name: One of `RANKERS`.
        flm: sha256 of the model's manifest.
        model: Folder of the model.
    """
    kept = model / BESIDE / name
    return kept if learnt_with(artifacts / name) != flm and learnt_with(kept) == flm else artifacts / name


def version_folders(artifacts: Path) -> list[Path]:
    """Those of the versions that were published, oldest first."""
    folder = artifacts / VERSIONS
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _ID.fullmatch(path.name) and (path / MANIFEST).is_file())


def _mend(artifacts: Path) -> None:
    """Put back what a process that died between the two steps of `_serve` has put aside."""
    old, place = artifacts / f".{SERVING}.old", artifacts / SERVING
    if old.exists():
        with suppress(OSError), only_one(artifacts / VERSIONS / LOCK, wait=True):
            if not place.exists():
                old.rename(place)


def learnt_with(ranker: Path) -> str | None:
    """sha256 of the manifest of the model a ranker has learnt with."""
    try:
        told = json.loads((ranker / MANIFEST).read_text(encoding="utf-8"))
        return str(told["parents"]["flm"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def stamp_of(moment: datetime) -> str:
    """The part of an id that says when, to the millisecond."""
    utc = moment.astimezone(UTC)
    return f"{utc.strftime(STAMP)}{utc.microsecond // 1000:03d}"


def id_of(moment: datetime, digest: str) -> str:
    """Id of a version.

    Args:
        moment: When it was made.
        digest: sha256 of its manifest.

    Example:
        >>> id_of(datetime(2026, 11, 23, 4, 15, tzinfo=UTC), "3f9a21bc0d")
        '20261123T041500000-3f9a21bc'
    """
    return f"{stamp_of(moment)}-{digest[:_DIGITS]}"
