"""Clips for `kinema finetune clips` and `kinema predict clips`: those of a project as it was extracted, or any files."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from kinema.encoders.modality import ClipEncoder
from kinema.errors import ConfigError, NotBuiltError
from kinema.progress import Progress, silent
from kinema.settings import Settings
from kinema.sources.clip_labels import ClipLabels, labels_from_items, labels_from_names, labels_from_table
from kinema.steps.clip_copies import ClipFiles
from kinema.steps.clip_files import encode_clips, find_clips
from kinema.steps.dataset import read_tokens
from kinema.steps.finetuning_clips import ClipLibrary
from kinema.store.protocols import Store
from kinema.tasks.clip_recipe import INPUTS, ClipRecipe

EXTRACTED = "artifacts/features"
"""Where tokens of a project lie, below its folder."""


def recipe_of(settings: Settings, inputs: str = "both") -> ClipRecipe:
    """How a project reads clips.

    Raises:
        ConfigError: An encoder that is asked for is switched off.
    """
    encoders = {name: str(getattr(settings.encoders, name)) for name in INPUTS[inputs]}
    for name, encoder in encoders.items():
        if not encoder:
            raise ConfigError(
                f"{name} in [encoders] of kinema.toml must name an encoder for --inputs {inputs}, is empty"
            )
    return ClipRecipe(
        encoders, settings.media.num_frames, settings.limits.max_clip_seconds, sampling=settings.media.sampling
    )


def project_library(store: Store, settings: Settings, folder: Path, *, inputs: str = "both") -> ClipLibrary:
    """The clips of a project.

    Args:
        store: Of the project.
        settings: Of the project.
        folder: Of the project.
        inputs: What will be read of them.

    Raises:
        NotBuiltError: Nothing was extracted.
        ConfigError: An encoder that is asked for is switched off.
    """
    recipe = recipe_of(settings, inputs)
    items = store.items()
    tokens = read_tokens(folder / EXTRACTED, items)
    if not tokens:
        raise NotBuiltError("clips are known by their frames and motion, and none has any yet; run: kinema extract")
    ordered = items.sort("num")
    return ClipLibrary(
        ids_N=tuple(ordered["id"]),
        names_N=tuple(name or "" for name in ordered["media_path"]),
        tokens=tokens,
        recipe=recipe,
        rejects=tuple(one for one in store.rejects() if one.kind == "clip"),
        files=_project_files(store, settings, folder),
    )


def _project_files(store: Store, settings: Settings, folder: Path) -> ClipFiles | None:
    """Where the clips of a project lie, if videos were ever ingested."""
    root = settings.media.root or store.meta("media_root")
    if not root:
        return None
    workers = settings.runtime.workers or os.cpu_count() or 1
    return ClipFiles((folder / root).resolve(), folder / EXTRACTED, settings, folder, workers)


def file_library(
    places: Sequence[Path],
    recipe: ClipRecipe,
    *,
    cache: Path,
    settings: Settings | None = None,
    project_folder: Path | None = None,
    workers: int = 1,
    encoders: Mapping[str, ClipEncoder] | None = None,
    progress: Progress = silent,
) -> ClipLibrary:
    """Clips of files and folders; see `kinema.steps.clip_files` for arguments and errors."""
    clips = find_clips(places)
    found = encode_clips(
        clips,
        recipe,
        folder=cache,
        settings=settings,
        project_folder=project_folder,
        workers=workers,
        encoders=encoders,
        progress=progress,
    )
    prints = {name: one.encoder for name, one in found.tokens.items()}
    files = ClipFiles(clips.root, cache, settings or Settings(), project_folder, workers, encoders)
    return ClipLibrary(
        found.names, found.names, found.tokens, replace(recipe, fingerprints=prints), found.rejects, files
    )


def new_library(place: Path, *, beside: Path, inputs: str, progress: Progress = silent) -> ClipLibrary:
    """The clips of a folder, read as a new project would; tokens are kept in ``<beside>-features``.

    Args:
        place: Of the clips.
        beside: Folder of the model.
        inputs: What will be read of them.
        progress: Told clips.
    """
    settings = Settings()
    cache = beside.with_name(f"{beside.name}-features")
    recipe = recipe_of(settings, inputs)
    return file_library([place], recipe, cache=cache, settings=settings, workers=os.cpu_count() or 1, progress=progress)


def find_labels(
    library: ClipLibrary,
    items: pl.DataFrame | None,
    *,
    table: Path | None = None,
    column: str | None = None,
    key: str | None = None,
    pattern: str = "auto",
) -> ClipLabels:
    """Labels as they were asked for: of a table, of a column of the catalogue, or of names.

    Args:
        library: The clips.
        items: The catalogue; None for files.
        table: With a label per clip.
        column: Of the table or of the catalogue.
        key: Column of the table that names the clip.
        pattern: See `kinema.sources.clip_labels.labels_from_names`.

    Raises:
        ConfigError: What is asked for does not go together, or there is no such column.
        DataError: The table names none of the clips.
    """
    if table is not None:
        if column is None:
            raise ConfigError("--labels must come with --column, the column of the label; give its name")
        return labels_from_table(table, column=column, ids=library.ids_N, names=library.names_N, key=key)
    if column is not None:
        if items is None:
            raise ConfigError("--column must come with --labels FILE where --clips are files; give the table")
        return labels_from_items(items.sort("num"), column=column, names=library.names_N)
    return labels_from_names(library.names_N, pattern)


@dataclass(frozen=True)
class AskedClips:
    """Which clips are learnt from, and where their labels stand.

    Attributes:
        clips: Folder of clips that belong to no project; None for a project's.
        to: Folder of the model; needed with ``clips``, whose tokens are kept beside it.
        table: See `find_labels`.
        column: See `find_labels`.
        key: See `find_labels`.
        pattern: See `find_labels`.
    """

    clips: Path | None = None
    to: Path | None = None
    table: Path | None = None
    column: str | None = None
    key: str | None = None
    pattern: str = "auto"


def labelled_clips(
    asked: AskedClips,
    *,
    inputs: str,
    store: Store | None = None,
    settings: Settings | None = None,
    folder: Path | None = None,
    progress: Progress = silent,
) -> tuple[ClipLibrary, ClipLabels]:
    """Clips as they were asked for, with their labels.

    Args:
        asked: Which.
        inputs: What will be read of them.
        store: Of the project; needed where its clips are meant.
        settings: Of the project; as before.
        folder: Of the project; as before.
        progress: Told clips.

    Raises:
        ConfigError: What is asked for does not go together; see `find_labels`.
        DataError: See `find_labels`.
        NotBuiltError: Nothing was extracted.
    """
    if asked.clips is None:
        assert store is not None
        assert settings is not None
        assert folder is not None
        library, items = project_library(store, settings, folder, inputs=inputs), store.items()
    elif asked.to is None:
        raise ConfigError("--clips must come with --to, the folder of the model; give one")
    else:
        library, items = new_library(asked.clips, beside=asked.to, inputs=inputs, progress=progress), None
    labels = find_labels(library, items, table=asked.table, column=asked.column, key=asked.key, pattern=asked.pattern)
    return library, labels
