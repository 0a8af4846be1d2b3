"""Extraction: the media and texts of a catalogue become tokens and vectors, each content once.

They lie in one folder per modality and encoder, keyed by content; what is there is not made again, so a run that was
killed goes on, a second run is quick, changing one encoder leaves the others' vectors alone, and two runs at the same
time share the work.

Shape suffixes: V items, D width.
"""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, get_args

import polars as pl

from kinema.artifacts import MANIFEST, Manifest, read_manifest
from kinema.drafts import own_draft
from kinema.encoders.clip_modality import ClipModality
from kinema.encoders.clip_readers import CLIP_MEMORY_MB, DECODE_SECONDS, BegunReading
from kinema.encoders.clip_vectors import ClipRun, ClipSettings
from kinema.encoders.clip_worker import check_sendable
from kinema.encoders.content_keys import ContentKeys
from kinema.encoders.extract_plan import Plan, column, notices_of, plan_items, rejects_of
from kinema.encoders.languages import reading_notice
from kinema.encoders.modality import ClipEncoder
from kinema.encoders.pooling import Pooling
from kinema.encoders.text import TextEncoder, item_text
from kinema.encoders.text_transcripts import TRANSCRIPT, encode_transcripts, text_key, transcript_keys
from kinema.encoders.text_vectors import encode_texts, text_folder
from kinema.errors import ConfigError, NotBuiltError, StaleArtifactError
from kinema.extras import is_installed, require
from kinema.media.sampling import Mode
from kinema.progress import Progress, silent
from kinema.schema import Reject
from kinema.store.claims import Claims
from kinema.store.features import ModalityFeatures, ModalityTokens
from kinema.store.tokens import TokenShards
from kinema.store.vectors import VectorShards

KIND: Final = "features"
FORMAT_VERSION: Final = 2
REMEDY: Final = "kinema extract"
TEXT: Final = "text"


@dataclass(frozen=True)
class ModalityCounts:
    """What became of the items in one modality; the four add up to the number of items.

    Attributes:
        computed: Vectors made by this run.
        cached: Vectors that were there, or that another process made meanwhile.
        missing: Items without anything to encode: no text, no media file, a single picture for motion, no sound track.
        failed: Items whose file cannot be used; each has a reject.
    """

    computed: int = 0
    cached: int = 0
    missing: int = 0
    failed: int = 0


@dataclass(frozen=True)
class ExtractReport:
    """What an extraction did.

    Attributes:
        counts: Modality -> counts.
        rejects: One per item whose clip cannot be used, of kind ``clip``.
        seconds: Wall-clock time.
        notices: What a person should know: clips that are truncated or damaged.
    """

    counts: dict[str, ModalityCounts]
    rejects: tuple[Reject, ...]
    seconds: float
    notices: tuple[str, ...] = ()


def extract(
    *,
    items: pl.DataFrame,
    media_root: Path | None,
    folder: Path,
    text: TextEncoder | None = None,
    transcripts: pl.DataFrame | None = None,
    clips: Mapping[str, ClipEncoder] | None = None,
    poolings: Mapping[str, Pooling] | None = None,
    along: Mapping[str, ClipEncoder] | None = None,
    workers: int = 1,
    batch_clips: int = 4,
    encode_threads: int | None = None,
    max_seconds: float = 600.0,
    max_pixels: int = 2**25,
    clip_timeout_s: float = DECODE_SECONDS,
    clip_memory_mb: int = CLIP_MEMORY_MB,
    pictures: Path | None = None,
    sampling: Mode = "even",
    partial: bool = False,
    begun: BegunReading | None = None,
    progress: Progress = silent,
) -> ExtractReport:
    """Make the vectors that a catalogue lacks.

    Args:
        items: The store's items: ``num``, ``media_path`` and what `item_text` reads.
        media_root: Folder the media paths start from; None leaves media out.
        folder: Where vectors, tokens, content keys and manifest lie.
        text: Text encoder; None leaves the modality out, also of `load_features`.
        transcripts: What is said (`kinema.encoders.text_transcripts.COLUMNS`), one row per item where somebody wrote it down,
            also of items that are not among these; encoded by ``text``. None or no row leaves the modality out.
        clips: Modality -> encoder of clips; any name that may be part of a folder's.
        poolings: Modality -> another way to its vectors than its encoder's own; tokens that are there are used.
        along: Name -> an encoder whose tokens are kept beside, for clips that are decoded for the others without a further pass
            over the file. They are no modality: `load_features` and `load_tokens` leave them out.
        workers: Decoding processes, >= 0; 0 decodes in this process, without protection from crashes and hangs.
        batch_clips: Clips that are encoded together, >= 1.
        encode_threads: Encoders that run at once, >= 1; None takes one per core beside decoding processes, else one.
        max_seconds: Only so much of each clip's beginning is looked at, seconds.
        max_pixels: Largest frame that is decoded, width x height.
        clip_timeout_s: A clip that takes longer is given up, seconds.
        clip_memory_mb: A clip whose decoding takes more memory is given up.
        pictures: Folder for a poster and a preview strip of each clip, named by its content key; a clip that has its vectors
            already is decoded for them. None, or no Pillow, for none.
        sampling: Which frames are taken, see `kinema.media.sampling.sample_frames`.
        partial: These are some items of a catalogue: what other modalities it has stays current.
        begun: A clip of these that is being read already; None for none.
        progress: Told after each group of clips and each batch of texts.

    Returns:
        The report. A clip that cannot be used is rejected with its reason, and the others go on.

    Raises:
        ConfigError: A number is out of range, or a modality cannot be used.
        MissingExtraError: PyAV, OpenCV or safetensors is not installed.
    """
    start = time.perf_counter()
    clips, poolings, along = dict(clips or {}), dict(poolings or {}), dict(along or {})
    settings = ClipSettings(
        max_seconds=max_seconds,
        max_pixels=max_pixels,
        timeout_s=clip_timeout_s,
        memory_mb=clip_memory_mb,
        workers=workers,
        batch_clips=batch_clips,
        encode_threads=encode_threads or ((os.cpu_count() or 1) if workers else 1),
        pictures=pictures if is_installed("PIL") else None,
        sampling=sampling,
        begun=begun,
    )
    _check(settings, clips, poolings, along)
    plan = plan_items(items, media_root if clips else None, folder, num_threads=max(1, workers))
    modalities, beside = (
        {
            name: ClipModality(
                folder, name, encoder, pooling=poolings.get(name), max_seconds=max_seconds, sampling=sampling
            )
            for name, encoder in some.items()
        }
        for some in (clips, along)
    )
    counts = {}
    unread = said = ""
    is_said = transcripts is not None and bool((transcripts["key"] != "").any())
    with Claims(folder) as claims:
        if text is not None:
            counts[TEXT], unread = _encode_texts(items, plan.texts, text, folder, claims=claims, progress=progress)
        if text is not None and transcripts is not None and transcripts.height:
            computed, num_said, failed, said = encode_transcripts(
                transcripts, text, folder, ids=items["id"].to_list(), claims=claims, progress=progress
            )
            none = items.height - num_said - failed
            counts[TRANSCRIPT] = ModalityCounts(computed, num_said - computed, missing=none, failed=failed)
        outcome = ClipRun(modalities, settings=settings, claims=claims, along=beside).run(plan.files, progress=progress)
    texts = {TEXT: text, TRANSCRIPT: text if is_said else None}
    dropped = _write_manifest(folder, texts, modalities, partial=partial)
    counts |= {name: _count(plan, one, made=outcome.made[name]) for name, one in modalities.items()}
    return ExtractReport(
        counts=counts,
        rejects=rejects_of(items, plan, outcome),
        seconds=time.perf_counter() - start,
        notices=(*filter(None, (unread, said, dropped)), *notices_of(plan, modalities.values(), sampling=sampling)),
    )


def _check(
    settings: ClipSettings,
    clips: Mapping[str, ClipEncoder],
    poolings: Mapping[str, Pooling],
    along: Mapping[str, ClipEncoder],
) -> None:
    """Refuse what cannot work before any of it is done."""
    numbers = (settings.batch_clips, settings.workers, settings.timeout_s, settings.memory_mb, settings.encode_threads)
    if min(settings.batch_clips, settings.encode_threads) < 1 or settings.workers < 0 or min(numbers[2:4]) <= 0:
        raise ConfigError(
            "extraction needs batch_clips and encode_threads >= 1, workers >= 0, clip_timeout_s and clip_memory_mb > 0, "
            f"got {numbers[0]}, {numbers[4]}, {numbers[1]}, {numbers[2]} and {numbers[3]}"
        )
    if settings.sampling not in get_args(Mode):
        raise ConfigError(f"sampling must be one of {', '.join(get_args(Mode))}, got '{settings.sampling}'")
    for name in (*clips, *poolings, *along):
        if not name.isidentifier() or name in {TEXT, TRANSCRIPT} or (name in clips) == (name in along):
            raise ConfigError(
                f"a modality of clips must have an encoder and a name of letters, digits and _ other than 'text' and 'transcript', got '{name}'"
            )
    for module in ("av", "cv2") if clips else ():
        require(module)
    if settings.workers:
        for name, encoder in (*clips.items(), *along.items()):
            check_sendable(name, encoder.reader)


def load_features(folder: Path, items: pl.DataFrame, *, with_tokens: bool = False) -> dict[str, ModalityFeatures]:
    """Read the vectors of a catalogue as the last extraction left them.

    Args:
        folder: The folder given to `extract`.
        items: The store's items; may hold more than were extracted, which are then absent.
        with_tokens: Have the tokens beside the vectors; see `load_tokens`.

    Returns:
        Modality -> features, row = item number.

    Raises:
        NotBuiltError: Nothing was extracted yet.
        StaleArtifactError: The manifest or a shard is damaged.
    """
    current = _current(folder)
    ordered = items.sort("num")
    clips = _recorded_keys(folder, ordered)
    features = {}
    for modality, one in current.items():
        keys = clips
        if modality == TEXT:
            keys = [text_key(item_text(row)) for row in ordered.iter_rows(named=True)]
        elif modality == TRANSCRIPT:
            keys = transcript_keys(folder, column(ordered, "id"))
        vectors_VD, present_V, quality_V = VectorShards(folder / one["vectors"]).get(keys)
        features[modality] = ModalityFeatures(
            name=modality,
            vectors_VD=vectors_VD,
            present_V=present_V & (quality_V > 0),
            quality_V=quality_V,
            encoder=one["encoder"],
            tokens=_tokens(folder, modality, one, clips) if with_tokens and "tokens" in one else None,
        )
    return features


def load_tokens(folder: Path, items: pl.DataFrame) -> dict[str, ModalityTokens]:
    """Open the tokens of a catalogue's clips as the last extraction left them; they are read when asked for.

    Args:
        folder: The folder given to `extract`.
        items: The store's items; may hold more than were extracted, which are then absent.

    Returns:
        Modality -> tokens, row = item number. Text has none.

    Raises:
        NotBuiltError: Nothing was extracted yet.
        StaleArtifactError: The manifest is damaged.
    """
    keys_V = _recorded_keys(folder, items.sort("num"))
    return {
        modality: _tokens(folder, modality, one, keys_V)
        for modality, one in _current(folder).items()
        if "tokens" in one
    }


def _tokens(folder: Path, modality: str, one: Mapping[str, str], keys_V: list[str]) -> ModalityTokens:
    return ModalityTokens(modality, tuple(keys_V), TokenShards(folder / one["tokens"]), one["token_encoder"])


def _current(folder: Path) -> dict[str, dict[str, str]]:
    """Modality -> folders and fingerprints, as the manifest says."""
    manifest = read_manifest(folder, kind=KIND, format_version=FORMAT_VERSION, remedy=REMEDY)
    return dict(manifest.config["modalities"])


def _recorded_keys(folder: Path, ordered: pl.DataFrame) -> list[str]:
    """Content key of each item's clip when it was last extracted; empty where it has none."""
    recorded = ContentKeys(folder)
    return [recorded.recorded(path) if path else "" for path in column(ordered, "media_path")]


def _encode_texts(
    items: pl.DataFrame, keys: list[str], encoder: TextEncoder, folder: Path, *, claims: Claims, progress: Progress
) -> tuple[ModalityCounts, str]:
    """Encode the texts that are not in the cache, and write them a few hundred at a time; also what is hardly read."""
    shards = VectorShards(text_folder(folder, TEXT, encoder))
    known = {key: item_text(row) for key, row in zip(keys, items.iter_rows(named=True), strict=True) if key}
    made = encode_texts(known, encoder, shards, claims=claims, progress=progress)
    computed, there = sum(key in made for key in keys), sum(key in shards.index for key in keys)
    notice = reading_notice(shards.index.quality(list(known)), list(known.values()), name=encoder.name)
    return ModalityCounts(computed=computed, cached=there - computed, missing=len(keys) - there), notice


def _count(plan: Plan, modality: ClipModality, *, made: set[str]) -> ModalityCounts:
    """Sort the items of one modality of clips."""
    quality = modality.vectors.index.quality(plan.clips)
    there = [row for row, key in enumerate(plan.clips) if quality[row] > 0]
    computed = sum(plan.clips[row] in made for row in there)
    failed = sum(
        row in plan.broken or (bool(key) and key not in modality.vectors.index)
        for row, key in enumerate(plan.clips)
        if not quality[row] > 0
    )
    return ModalityCounts(
        computed=computed,
        cached=len(there) - computed,
        missing=len(plan.clips) - len(there) - failed,
        failed=failed,
    )


def _write_manifest(
    folder: Path, texts: Mapping[str, TextEncoder | None], modalities: Mapping[str, ClipModality], *, partial: bool
) -> str:
    """Say which vectors are current, and return what is to be said of those that no longer are.

    The folder only grows, so its files are not listed; shards check themselves.
    """
    before: dict[str, dict[str, str]] = {}
    with suppress(NotBuiltError, StaleArtifactError):
        before = _current(folder)
    current = before.copy() if partial else {}
    for modality, encoder in texts.items():
        if encoder is not None:
            place = text_folder(folder, modality, encoder).name
            current[modality] = {"name": encoder.name, "encoder": encoder.fingerprint, "vectors": place}
    for modality, one in modalities.items():
        current[modality] = {
            "name": one.encoder.name,
            "encoder": one.fingerprint,
            "vectors": one.vectors.folder.relative_to(folder).as_posix(),
            "token_encoder": one.encoder_fingerprint,
            "tokens": one.tokens.folder.relative_to(folder).as_posix(),
        }
    manifest = Manifest(
        kind=KIND,
        format_version=FORMAT_VERSION,
        config={"modalities": current},
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    draft = own_draft(folder / MANIFEST)
    draft.write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
    draft.replace(folder / MANIFEST)
    left = ", ".join(sorted(before.keys() - current.keys() - {TRANSCRIPT}))
    return left and (
        f"without an encoder in this run, and left out of what follows: {left}; the vectors are kept, and an extraction with it "
        "finds them again"
    )
