"""Artefacts: folders with a manifest, in which the stages meet.

A stage writes into a temporary folder beside the final one and renames it at the end, so a reader sees a whole
artefact or none. Nothing is pickled.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kinema.errors import NotBuiltError, StaleArtifactError

MANIFEST: Final = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What an artefact is and what it was made from.

    Attributes:
        kind: ``flm``, ``features``, ``evaluation``, ...
        format_version: Raised when the layout of the folder changes.
        config: What defines the artefact.
        seed: The run's seed.
        parents: Name -> fingerprint of what it was built from.
        files: Relative path -> sha256.
        created_at: UTC, ISO 8601.
    """

    kind: str
    format_version: int
    config: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    parents: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    created_at: str = ""


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """Short stable hash of a JSON-like value; equal values have equal fingerprints whatever their key order.

    Example:
        >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
        True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def write_artifact(
    folder: Path,
    *,
    kind: str,
    format_version: int,
    config: Mapping[str, Any],
    seed: int | None = None,
    parents: Mapping[str, str] | None = None,
) -> Iterator[Path]:
    """Write an artefact as a whole or not at all.

    Args:
        folder: Final place; an artefact already there is replaced on success and kept on failure.
        kind: See `Manifest`.
        format_version: See `Manifest`.
        config: See `Manifest`.
        seed: See `Manifest`.
        parents: See `Manifest`.

    Yields:
        A temporary folder to write the files into.
    """
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        files = {p.relative_to(draft).as_posix(): sha256_file(p) for p in sorted(draft.rglob("*")) if p.is_file()}
        manifest = Manifest(
            kind=kind,
            format_version=format_version,
            config=dict(config),
            seed=seed,
            parents=dict(parents or {}),
            files=files,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        (draft / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2, default=str) + "\n", encoding="utf-8")
        old = folder.with_name(f".{folder.name}.old")
        _remove(old)
        if folder.exists():
            folder.rename(old)
        draft.rename(folder)
        _remove(old)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _remove(folder: Path) -> None:
    """Remove an artefact; of one that is a link, the link."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def read_manifest(folder: Path, *, kind: str, format_version: int, remedy: str, verify: bool = False) -> Manifest:
    """Read and check the manifest of an artefact.

    Args:
        folder: The artefact.
        kind: The kind it must be.
        format_version: The version it must have.
        remedy: The command that builds it, such as ``kinema pretrain``.
        verify: Also compare the sha256 of every file.

    Returns:
        The manifest.

    Raises:
        NotBuiltError: There is no such artefact.
        StaleArtifactError: Another kind or version, or a file is missing or damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise NotBuiltError(f"no {kind} artefact in '{folder.name}'; run: {remedy}")
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise StaleArtifactError(f"manifest of '{folder.name}' cannot be read: {error}; run: {remedy}") from error
    if (manifest.kind, manifest.format_version) != (kind, format_version):
        raise StaleArtifactError(
            f"'{folder.name}' must be {kind} version {format_version}, is {manifest.kind} version {manifest.format_version}; run: {remedy}"
        )
    for name, digest in manifest.files.items():
        file = folder / name
        if not file.is_file() or (verify and sha256_file(file) != digest):
            raise StaleArtifactError(f"file '{name}' of artefact '{folder.name}' is missing or damaged; run: {remedy}")
    return manifest
