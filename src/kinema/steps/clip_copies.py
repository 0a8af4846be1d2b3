"""Tokens of changed copies of clips: made once, beside those of the clips, and kept for the next run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinema.encoders.clip_modality import ClipModality
from kinema.encoders.clip_vectors import ClipRun, ClipSettings
from kinema.encoders.content_keys import inside
from kinema.encoders.modality import ClipEncoder
from kinema.errors import DataError, StaleArtifactError
from kinema.progress import Progress, silent
from kinema.seeds import derive_seed
from kinema.settings import Settings
from kinema.steps.extracting import CLIP_MODALITIES, EncoderOptions, encoder_place
from kinema.store.claims import Claims
from kinema.store.features import ModalityTokens
from kinema.tasks.clip_recipe import ClipRecipe
from kinema.training.clip_changes import ChangedEncoder, ChangedReader


@dataclass(frozen=True)
class ClipFiles:
    """Where clips lie, and how they may be read once more.

    Attributes:
        root: Folder that their names start from.
        cache: Folder of their tokens; those of copies are kept there, too.
        settings: What one clip may cost, batch size and device.
        project_folder: Where encoders that are folders lie; None without a project.
        workers: Decoding processes; 0 decodes in this process.
        encoders: Modality -> one that is loaded already; others are loaded by the names of the recipe.
    """

    root: Path
    cache: Path
    settings: Settings
    project_folder: Path | None = None
    workers: int = 1
    encoders: Mapping[str, ClipEncoder] | None = None


def encode_copies(
    files: ClipFiles,
    recipe: ClipRecipe,
    tokens: Mapping[str, ModalityTokens],
    names_N: Sequence[str],
    rows: NDArray[np.int64],
    *,
    ways: Sequence[str],
    number: int,
    seed: int = 0,
    progress: Progress = silent,
) -> list[dict[str, ModalityTokens]]:
    """Changed copies of some clips.

    Args:
        files: Where clips lie.
        recipe: How they were read.
        tokens: Modality -> tokens of all clips as they are; copies are made of these modalities.
        names_N: Path of each clip below the root.
        rows: Clips that are copied.
        ways: Of `kinema.training.clip_changes.CHANGES`.
        number: Copies of each.
        seed: Of the changes; that of a run is not taken, so that runs with other seeds share the copies.
        progress: Told clips.

    Returns:
        Copy -> modality -> tokens, row = number of the clip; of clips that were not copied, or cannot be read, there are none.

    Raises:
        StaleArtifactError: The clips as they are were read by another encoder than the recipe's.
    """
    settings, limits = files.settings, files.settings.limits
    wholes = {name: _encoder(name, files, recipe) for name in tokens}
    how: dict[str, Any] = {"pooling": None, "max_seconds": recipe.max_seconds, "sampling": recipe.sampling}
    for name, encoder in wholes.items():
        if ClipModality(files.cache, name, encoder, **how).encoder_fingerprint != tokens[name].encoder:
            raise StaleArtifactError(
                f"copies must be read as the clips were, {name} of the clips come from another encoder or other media settings "
                f"than '{recipe.encoders[name]}'; run: kinema extract"
            )
    caches = [
        {
            name: ClipModality(files.cache, name, _changed(one, recipe, ways, seed, place), **how)
            for name, one in wholes.items()
        }
        for place in range(number)
    ]
    reading = ClipSettings(
        max_seconds=recipe.max_seconds,
        max_pixels=limits.max_clip_pixels,
        timeout_s=limits.decode_seconds * number,
        memory_mb=limits.clip_memory_mb,
        workers=files.workers,
        batch_clips=max(1, settings.encoders.batch_size // recipe.num_frames),
        encode_threads=settings.runtime.threads or 1,
        sampling=recipe.sampling,
    )
    every = {f"{name}_{place}": one for place, caches_of in enumerate(caches) for name, one in caches_of.items()}
    with Claims(files.cache) as claims:
        ClipRun(every, settings=reading, claims=claims).run(_paths(files, tokens, names_N, rows), progress=progress)
    copied = set(rows.tolist())
    return [
        {
            name: ModalityTokens(
                name,
                tuple(key if row in copied else "" for row, key in enumerate(tokens[name].keys_V)),
                one.tokens,
                one.encoder_fingerprint,
            )
            for name, one in caches_of.items()
        }
        for caches_of in caches
    ]


def _changed(encoder: ClipEncoder, recipe: ClipRecipe, ways: Sequence[str], seed: int, place: int) -> ChangedEncoder:
    """The encoder of one copy."""
    own = derive_seed(seed, f"clip copies/{place}") % (1 << 32)
    return ChangedEncoder(encoder, ChangedReader.of(encoder.reader, ways, seed=own, num_frames=recipe.num_frames))


def _encoder(name: str, files: ClipFiles, recipe: ClipRecipe) -> ClipEncoder:
    if files.encoders is not None and name in files.encoders:
        return files.encoders[name]
    options = EncoderOptions(recipe.num_frames, files.settings.encoders.batch_size, files.settings.runtime.device)
    place = recipe.encoders[name]
    if files.project_folder is not None:
        place = encoder_place(place, files.project_folder)
    return CLIP_MODALITIES[name](place, options)


def _paths(
    files: ClipFiles, tokens: Mapping[str, ModalityTokens], names_N: Sequence[str], rows: NDArray[np.int64]
) -> dict[str, tuple[str, Path]]:
    """Content key -> name and file, of clips that are still there; the others go without copies."""
    keys_V = next(iter(tokens.values())).keys_V
    found = {}
    for row in rows.tolist():
        try:
            found[keys_V[row]] = (names_N[row], inside(files.root, names_N[row]))
        except DataError:
            continue
    return found
