"""`kinema extract`: the encoders that the settings name, run over the store's catalogue."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kinema.encoders.extract import ExtractReport, extract
from kinema.encoders.motion import load_motion_encoder
from kinema.encoders.text import load_text_encoder
from kinema.encoders.vision import load_frame_encoder
from kinema.errors import ConfigError, MissingExtraError, NotBuiltError
from kinema.progress import Progress, silent
from kinema.settings import Settings
from kinema.steps.rejects import write_rejects
from kinema.store.protocols import Store


def extract_project(
    *,
    folder: Path,
    settings: Settings,
    store: Store,
    media_root: Path | None,
    workers: int,
    progress: Progress = silent,
) -> ExtractReport:
    """`extract_features` of a project as its settings want it; arguments and errors are the same."""
    names = settings.encoders.model_dump(exclude={"batch_size"})
    return extract_features(
        store=store,
        media_root=media_root,
        folder=folder / "artifacts" / "features",
        rejects_folder=folder / "rejects",
        encoders={modality: encoder_place(name, folder) for modality, name in names.items()},
        batch_size=settings.encoders.batch_size,
        device=settings.runtime.device,
        num_frames=settings.media.num_frames,
        max_seconds=settings.media.max_seconds,
        max_pixels=settings.media.max_pixels,
        workers=workers,
        progress=progress,
    )


def extract_features(
    *,
    store: Store,
    media_root: Path | None,
    folder: Path,
    rejects_folder: Path,
    encoders: Mapping[str, str],
    batch_size: int,
    device: str,
    num_frames: int,
    max_seconds: float,
    max_pixels: int,
    workers: int,
    progress: Progress = silent,
) -> ExtractReport:
    """Run the encoders; clips that cannot be decoded are recorded in the store.

    An encoder whose package is missing is left out, with a notice of what that costs; the others go on.

    Args:
        store: The store.
        media_root: Where media paths start; None leaves media out.
        folder: For vectors and their manifest.
        rejects_folder: Where clips that cannot be decoded are listed.
        encoders: ``text``, ``frames``, ``motion`` -> name; an empty name switches the modality off.
        batch_size: Frames or texts encoded at once.
        device: A torch device.
        num_frames: Frames sampled per clip.
        max_seconds: Only so much of each clip's beginning is looked at, seconds.
        max_pixels: Largest frame that is decoded.
        workers: Decoding processes.
        progress: Told clips and texts.

    Returns:
        Counts per modality, rejects, notices.

    Raises:
        NotBuiltError: The catalogue is empty.
        ConfigError: Every modality is off, or a name is unknown.
        MissingExtraError: No encoder at all is installed.
    """
    items = store.items()
    if not items.height:
        raise NotBuiltError("the catalogue is empty; run: kinema ingest")
    loaders: dict[str, Callable[[str], Any]] = {
        "text": lambda name: load_text_encoder(name, batch_size=batch_size, device=device),
        "frames": lambda name: load_frame_encoder(name, device=device),
        "motion": load_motion_encoder,
    }
    loaded, missing = {}, []
    for modality, load in loaders.items():
        if encoders[modality]:
            try:
                loaded[modality] = load(encoders[modality])
            except MissingExtraError as error:
                missing.append(str(error))
    if not loaded:
        if missing:
            raise MissingExtraError("; ".join(missing))
        raise ConfigError("encoders must name at least one of text, frames, motion; all three are empty in kinema.toml")
    report = extract(
        items=items,
        media_root=media_root,
        folder=folder,
        **loaded,
        num_frames=num_frames,
        workers=workers,
        batch_size=batch_size,
        max_seconds=max_seconds,
        max_pixels=max_pixels,
        progress=progress,
    )
    store.set_aside(report.rejects, all_of="clip")
    write_rejects(store, rejects_folder)
    return replace(report, notices=(*missing, *report.notices))


def encoder_place(name: str, project_folder: Path) -> str:
    """Where an encoder's name in a project's settings leads: a folder inside the project, or whatever the loaders make of it.

    Args:
        name: As configured; may be empty.
        project_folder: Folder that relative folders start from.

    Example:
        >>> encoder_place("packaged:minilm", Path("shop"))
        'packaged:minilm'
    """
    return str(project_folder / name) if name and (project_folder / name).is_dir() else name
