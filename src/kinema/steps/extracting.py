"""`kinema extract`: the encoders that the settings name, run over the store's catalogue."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import polars as pl

from kinema.encoders.clip_readers import BegunReading
from kinema.encoders.extract import TEXT, ExtractReport, extract
from kinema.encoders.frames import load_frames
from kinema.encoders.modality import ClipEncoder
from kinema.encoders.pooling import Pooling, SegmentPooling
from kinema.encoders.sound import load_sound_encoder
from kinema.encoders.text import load_text_encoder
from kinema.encoders.text_transcripts import TRANSCRIPT
from kinema.errors import ConfigError, MissingExtraError, NotBuiltError
from kinema.extras import require
from kinema.media.sampling import Mode
from kinema.media_settings import EncoderSettings, LimitSettings
from kinema.progress import Progress, silent
from kinema.settings import Settings
from kinema.steps.fingerprints import made_along
from kinema.steps.pictures import pictures_folder
from kinema.steps.rejects import write_rejects
from kinema.steps.transcribing import Transcripts, find_transcripts
from kinema.store.protocols import Store


@dataclass(frozen=True)
class EncoderOptions:
    """How encoders are loaded.

    Attributes:
        num_frames: Frames sampled per clip.
        batch_size: Frames or texts encoded at once.
        device: A torch device.
    """

    num_frames: int = 8
    batch_size: int = 32
    device: str = "cpu"


def _frames(name: str, options: EncoderOptions) -> ClipEncoder:
    return load_frames(name, num_frames=options.num_frames, batch_size=options.batch_size, device=options.device)


def _motion(name: str, options: EncoderOptions) -> ClipEncoder:
    from kinema.encoders.video_transformer import load_motion  # noqa: PLC0415  # torch only where it is used

    return load_motion(name, device=options.device)


def _sound(name: str, options: EncoderOptions) -> ClipEncoder:
    return load_sound_encoder(name, device=options.device)


CLIP_MODALITIES: Final[Mapping[str, Callable[[str, EncoderOptions], ClipEncoder]]] = {
    "frames": _frames,
    "motion": _motion,
    "sound": _sound,
}
"""Modality of clips -> what loads its encoder. Another modality is a file in `kinema.encoders`, a line here and one in
`EncoderSettings`."""


def poolings_of(settings: EncoderSettings) -> dict[str, Pooling]:
    """Modality -> the pooling that the settings name in place of its encoder's own.

    Example:
        >>> poolings_of(EncoderSettings(pooling={"frames": {"segments": (1, 2), "statistics": ("max",)}}))
        {'frames': SegmentPooling(segments=(1, 2), statistics=('max',))}
    """
    return {name: SegmentPooling(one.segments, one.statistics) for name, one in settings.pooling.items()}


def extract_project(
    *,
    folder: Path,
    settings: Settings,
    store: Store,
    media_root: Path | None,
    workers: int,
    extra: Mapping[str, ClipEncoder] | None = None,
    only: Collection[str] | None = None,
    begun: BegunReading | None = None,
    progress: Progress = silent,
) -> ExtractReport:
    """`extract_features` of a project as its settings want it; arguments and errors are the same."""
    names = {name: getattr(settings.encoders, name) for name in (TEXT, *CLIP_MODALITIES)}
    device = settings.runtime.device
    return extract_features(
        store=store,
        media_root=media_root,
        folder=folder / "artifacts" / "features",
        rejects_folder=folder / "rejects",
        encoders={modality: encoder_place(name, folder) for modality, name in names.items()},
        options=EncoderOptions(settings.media.num_frames, settings.encoders.batch_size, device),
        limits=settings.limits,
        workers=workers,
        encode_threads=settings.runtime.threads if device == "cpu" else 1,
        extra=extra,
        poolings=poolings_of(settings.encoders),
        transcripts=settings.encoders.transcript_languages if settings.encoders.transcripts == "auto" else None,
        pictures=pictures_folder(folder, settings),
        sampling=settings.media.sampling,
        along=made_along(settings),
        only=only,
        begun=begun,
        progress=progress,
    )


def extract_features(
    *,
    store: Store,
    media_root: Path | None,
    folder: Path,
    rejects_folder: Path,
    encoders: Mapping[str, str],
    options: EncoderOptions,
    limits: LimitSettings,
    workers: int,
    encode_threads: int | None = None,
    extra: Mapping[str, ClipEncoder] | None = None,
    poolings: Mapping[str, Pooling] | None = None,
    transcripts: Sequence[str] | None = None,
    pictures: Path | None = None,
    sampling: Mode = "even",
    along: Mapping[str, ClipEncoder] | None = None,
    only: Collection[str] | None = None,
    begun: BegunReading | None = None,
    progress: Progress = silent,
) -> ExtractReport:
    """Run the encoders; clips that cannot be decoded are recorded in the store.

    An encoder whose package is missing is left out, with a notice of what that costs; the others go on.

    Args:
        store: The store.
        media_root: Where media paths start; None leaves media out.
        folder: For vectors and their manifest.
        rejects_folder: Where clips that cannot be decoded are listed.
        encoders: ``text`` and the names in `CLIP_MODALITIES` -> name of the encoder; an empty name switches one off.
        options: How encoders are loaded.
        limits: What one clip may cost.
        workers: Decoding processes.
        encode_threads: Encoders that run at once; None takes one per core.
        extra: Modality -> encoder, beside those.
        poolings: Modality -> another way to its vectors than its encoder's own; of what has no encoder here it is left out.
        transcripts: Languages preferred in what is said, the best first; the text encoder reads it. None leaves it out.
        pictures: Folder for posters and preview strips; None for none.
        sampling: Which frames of clips are taken.
        along: What else is made of clips that are decoded, as the fingerprints that copies are found by; no modality.
        only: Media paths of the items that are looked at; the others are left as they are. None looks at all.
        begun: A clip of these that is being read already; None for none.
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
    text, clips, missing = _load(encoders, options)
    if text is None and not clips and not extra:
        if missing:
            raise MissingExtraError("; ".join(missing))
        names = ", ".join((TEXT, *CLIP_MODALITIES))
        raise ConfigError(f"encoders must name at least one of {names}; all of them are empty in kinema.toml")
    said = Transcripts.none()
    if text is not None and transcripts is not None:
        said = find_transcripts(
            items,
            media_root=media_root,
            folder=folder,
            languages=transcripts,
            limits=limits,
            workers=workers,
            only=only,
            progress=progress,
        )
    report = extract(
        items=items if only is None else items.filter(pl.col("media_path").is_in(list(only))),
        media_root=media_root,
        folder=folder,
        text=text,
        transcripts=said.table,
        clips={**clips, **(extra or {})},
        poolings={name: one for name, one in (poolings or {}).items() if name in {**clips, **(extra or {})}},
        workers=workers,
        batch_clips=max(1, options.batch_size // options.num_frames),
        encode_threads=encode_threads,
        max_seconds=limits.max_clip_seconds,
        max_pixels=limits.max_clip_pixels,
        clip_timeout_s=limits.decode_seconds,
        clip_memory_mb=limits.clip_memory_mb,
        pictures=pictures,
        sampling=sampling,
        along=along,
        partial=only is not None,
        begun=begun,
        progress=progress,
    )
    others = [] if only is None else [one for one in store.rejects() if one.kind == "clip" and one.file not in only]
    store.set_aside((*others, *report.rejects), all_of="clip")
    store.set_aside(said.rejects, all_of=TRANSCRIPT)
    write_rejects(store, rejects_folder)
    notices = (*missing, *report.notices, *said.notices)
    return replace(report, rejects=(*said.rejects, *report.rejects), notices=notices)


def _load(encoders: Mapping[str, str], options: EncoderOptions) -> tuple[Any, dict[str, ClipEncoder], list[str]]:
    """The text encoder, those of clips, and what is left out because something is not installed."""
    loaders: dict[str, Callable[[str, EncoderOptions], Any]] = {
        TEXT: lambda name, how: load_text_encoder(name, batch_size=how.batch_size, device=how.device),
        **CLIP_MODALITIES,
    }
    loaded, missing = {}, []
    for modality, load in loaders.items():
        if encoders.get(modality):
            try:
                for module in () if modality == TEXT else ("av", "cv2"):
                    require(module)
                loaded[modality] = load(encoders[modality], options)
            except MissingExtraError as error:
                missing.append(str(error))
    return loaded.pop(TEXT, None), loaded, list(dict.fromkeys(missing))


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
