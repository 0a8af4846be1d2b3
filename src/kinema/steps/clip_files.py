"""Clips that belong to no project become tokens: files and folders, read and encoded as `kinema extract` does."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import polars as pl

from kinema.encoders.extract import extract, load_tokens
from kinema.encoders.modality import ClipEncoder
from kinema.errors import DataError
from kinema.progress import Progress, silent
from kinema.schema import Reject
from kinema.settings import Settings
from kinema.sources.video_files import open_video_folder
from kinema.steps.extracting import CLIP_MODALITIES, EncoderOptions, encoder_place
from kinema.store.features import ModalityTokens
from kinema.tasks.clip_recipe import ClipRecipe

_TAIL: Final = "; the item keeps its text features"


@dataclass(frozen=True)
class FoundClips:
    """Video files on disk.

    Attributes:
        root: Folder that all of them lie in.
        names: Path of each below the root, with forward slashes; what reports call it.
        rejects: Files that cannot be clips.
    """

    root: Path
    names: tuple[str, ...]
    rejects: tuple[Reject, ...]


def find_clips(places: Sequence[Path]) -> FoundClips:
    """The clips that files and folders stand for; a folder stands for all clips below it.

    A file that is not there or no video is set aside; the others go on.

    Args:
        places: Files and folders, at least one.

    Raises:
        DataError: There is no clip at all, or no place.
    """
    if not places:
        raise DataError("clips must be named, none is; give files or a folder")
    found: dict[Path, None] = {}
    rejects: list[Reject] = []
    for place in places:
        if place.is_dir():
            for block in open_video_folder(place)[0].read(0, 0):
                rejects.extend(one for one in block.rejects if one.kind == "clip")
                found |= dict.fromkeys(place.resolve() / name for name in block.frame["media_path"])
        elif place.is_file():
            found[place.resolve()] = None
        else:
            rejects.append(Reject("clip", str(place), None, f"clip '{place}' must be a file, there is none"))
    if not found:
        why = f": {rejects[0].reason}" if rejects else ""
        raise DataError(f"'{places[0]}' must hold clips, holds none{why}; check the path")
    root = places[0].resolve() if len(places) == 1 and places[0].is_dir() else _common_folder(found)
    return FoundClips(root, tuple(one.relative_to(root).as_posix() for one in found), tuple(rejects))


def _common_folder(paths: Iterable[Path]) -> Path:
    return Path(os.path.commonpath([path.parent for path in paths]))


@dataclass(frozen=True)
class EncodedClips:
    """Clips with their tokens.

    Attributes:
        names: As in `FoundClips`, row = number of the clip.
        tokens: Modality -> tokens.
        rejects: What could not be read, or not by every encoder.
    """

    names: tuple[str, ...]
    tokens: Mapping[str, ModalityTokens]
    rejects: tuple[Reject, ...]


def encode_clips(
    clips: FoundClips,
    recipe: ClipRecipe,
    *,
    folder: Path,
    settings: Settings | None = None,
    project_folder: Path | None = None,
    workers: int = 1,
    encoders: Mapping[str, ClipEncoder] | None = None,
    progress: Progress = silent,
) -> EncodedClips:
    """Decode and encode.

    Args:
        clips: Which.
        recipe: How; its fingerprints are not looked at.
        folder: Where tokens are kept; clips that have theirs are not read again.
        settings: What one clip may cost, batch size and device; None for the defaults.
        project_folder: Where encoders that are folders lie.
        workers: Decoding processes; 0 decodes here.
        encoders: Modality -> one that is loaded already.
        progress: Told clips.

    Returns:
        The tokens. A clip that cannot be read is a reject, and the others go on.

    Raises:
        ConfigError: An encoder is unknown.
        MissingExtraError: A package is not installed.
    """
    settings = settings or Settings()
    options = EncoderOptions(recipe.num_frames, settings.encoders.batch_size, settings.runtime.device)
    given = dict(encoders or {})
    loaded = {
        name: given[name] if name in given else _load(name, place, project_folder, options)
        for name, place in recipe.encoders.items()
    }
    items = pl.DataFrame({"num": range(len(clips.names)), "id": clips.names, "media_path": clips.names})
    report = extract(
        items=items,
        media_root=clips.root,
        folder=folder,
        clips=loaded,
        workers=workers,
        encode_threads=settings.runtime.threads,
        max_seconds=recipe.max_seconds,
        max_pixels=settings.limits.max_clip_pixels,
        clip_timeout_s=settings.limits.decode_seconds,
        clip_memory_mb=settings.limits.clip_memory_mb,
        sampling=recipe.sampling,
        progress=progress,
    )
    rejects = tuple(replace(one, reason=one.reason.replace(_TAIL, "")) for one in report.rejects)
    return EncodedClips(clips.names, load_tokens(folder, items), (*clips.rejects, *rejects))


def _load(modality: str, name: str, project_folder: Path | None, options: EncoderOptions) -> ClipEncoder:
    place = name if project_folder is None else encoder_place(name, project_folder)
    return CLIP_MODALITIES[modality](place, options)
