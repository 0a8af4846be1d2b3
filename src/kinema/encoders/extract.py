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
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import polars as pl

from kinema.artifacts import MANIFEST, Manifest, read_manifest
from kinema.encoders.clip_modality import ClipModality
from kinema.encoders.clip_readers import CLIP_MEMORY_MB, DECODE_SECONDS, BegunReading
from kinema.encoders.clip_vectors import ClipOutcome, ClipRun, ClipSettings
from kinema.encoders.clip_worker import check_sendable
from kinema.encoders.content_keys import ContentKeys, inside
from kinema.encoders.languages import reading_notice
from kinema.encoders.modality import ClipEncoder
from kinema.encoders.pooling import Pooling
from kinema.encoders.text import TextEncoder, item_text
from kinema.errors import ConfigError, DataError
from kinema.extras import require
from kinema.progress import Progress, silent
from kinema.schema import Reject
from kinema.store.claims import Claims, SharedWork
from kinema.store.features import ModalityFeatures, ModalityTokens
from kinema.store.tokens import TokenShards
from kinema.store.vectors import VectorShards

KIND: Final = "features"
FORMAT_VERSION: Final = 2
REMEDY: Final = "kinema extract"
TEXT: Final = "text"
_TEXT_FLUSH: Final = 256


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


@dataclass
class _Plan:
    """Content keys of the items, by row; empty where there is nothing to encode or the file cannot be used."""

    texts: list[str]
    clips: list[str] = field(default_factory=list)
    files: dict[str, tuple[str, Path]] = field(default_factory=dict)
    broken: dict[int, str] = field(default_factory=dict)


def extract(
    *,
    items: pl.DataFrame,
    media_root: Path | None,
    folder: Path,
    text: TextEncoder | None = None,
    clips: Mapping[str, ClipEncoder] | None = None,
    poolings: Mapping[str, Pooling] | None = None,
    workers: int = 1,
    batch_clips: int = 4,
    encode_threads: int | None = None,
    max_seconds: float = 600.0,
    max_pixels: int = 2**25,
    clip_timeout_s: float = DECODE_SECONDS,
    clip_memory_mb: int = CLIP_MEMORY_MB,
    pictures: Path | None = None,
    begun: BegunReading | None = None,
    progress: Progress = silent,
) -> ExtractReport:
    """Make the vectors that a catalogue lacks.

    Args:
        items: The store's items: ``num``, ``media_path`` and what `item_text` reads.
        media_root: Folder the media paths start from; None leaves media out.
        folder: Where vectors, tokens, content keys and manifest lie.
        text: Text encoder; None leaves the modality out, also of `load_features`.
        clips: Modality -> encoder of clips; any name that may be part of a folder's.
        poolings: Modality -> another way to its vectors than its encoder's own; tokens that are there are used.
        workers: Decoding processes, >= 0; 0 decodes in this process, without protection from crashes and hangs.
        batch_clips: Clips that are encoded together, >= 1.
        encode_threads: Encoders that run at once, >= 1; None takes one per core beside decoding processes, else one.
        max_seconds: Only so much of each clip's beginning is looked at, seconds.
        max_pixels: Largest frame that is decoded, width x height.
        clip_timeout_s: A clip that takes longer is given up, seconds.
        clip_memory_mb: A clip whose decoding takes more memory is given up.
        pictures: Folder for a poster and a preview strip of each clip that is decoded, named by its content key; None for none.
        begun: A clip of these that is being read already; None for none.
        progress: Told after each group of clips and each batch of texts.

    Returns:
        The report. A clip that cannot be used is rejected with its reason, and the others go on.

    Raises:
        ConfigError: A number is out of range, or a modality cannot be used.
        MissingExtraError: PyAV, OpenCV or safetensors is not installed.
    """
    start = time.perf_counter()
    clips, poolings = dict(clips or {}), dict(poolings or {})
    settings = ClipSettings(
        max_seconds=max_seconds,
        max_pixels=max_pixels,
        timeout_s=clip_timeout_s,
        memory_mb=clip_memory_mb,
        workers=workers,
        batch_clips=batch_clips,
        encode_threads=encode_threads or ((os.cpu_count() or 1) if workers else 1),
        pictures=pictures,
        begun=begun,
    )
    _check(settings, clips, poolings)
    plan = _plan(items, media_root if clips else None, folder, num_threads=max(1, workers))
    modalities = {
        name: ClipModality(folder, name, encoder, pooling=poolings.get(name), max_seconds=max_seconds)
        for name, encoder in clips.items()
    }
    counts = {}
    unread = ""
    with Claims(folder) as claims:
        if text is not None:
            counts[TEXT], unread = _encode_texts(items, plan.texts, text, folder, claims=claims, progress=progress)
        outcome = ClipRun(modalities, settings=settings, claims=claims).run(plan.files, progress=progress)
    _write_manifest(folder, text, modalities)
    counts |= {name: _count(plan, one, made=outcome.made[name]) for name, one in modalities.items()}
    return ExtractReport(
        counts=counts,
        rejects=_rejects(items, plan, outcome),
        seconds=time.perf_counter() - start,
        notices=(*filter(None, (unread,)), *_notices(plan, modalities)),
    )


def _check(settings: ClipSettings, clips: Mapping[str, ClipEncoder], poolings: Mapping[str, Pooling]) -> None:
    """Refuse what cannot work before any of it is done."""
    numbers = (settings.batch_clips, settings.workers, settings.timeout_s, settings.memory_mb, settings.encode_threads)
    if min(settings.batch_clips, settings.encode_threads) < 1 or settings.workers < 0 or min(numbers[2:4]) <= 0:
        raise ConfigError(
            "extraction needs batch_clips and encode_threads >= 1, workers >= 0, clip_timeout_s and clip_memory_mb > 0, "
            f"got {numbers[0]}, {numbers[4]}, {numbers[1]}, {numbers[2]} and {numbers[3]}"
        )
    for name in (*clips, *poolings):
        if not name.isidentifier() or name == TEXT or name not in clips:
            raise ConfigError(
                f"a modality of clips must have an encoder and a name of letters, digits and _ other than 'text', got '{name}'"
            )
    for module in ("av", "cv2") if clips else ():
        require(module)
    if settings.workers:
        for name, encoder in clips.items():
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
        keys = [_text_key(item_text(row)) for row in ordered.iter_rows(named=True)] if modality == TEXT else clips
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
    return [recorded.recorded(path) if path else "" for path in _column(ordered, "media_path")]


def _plan(items: pl.DataFrame, media_root: Path | None, folder: Path, *, num_threads: int) -> _Plan:
    """Find every item's content keys and the files behind them."""
    plan = _Plan(texts=[_text_key(item_text(row)) for row in items.iter_rows(named=True)])
    paths = _column(items, "media_path")
    found: dict[str, Path] = {}
    for row, name in enumerate(paths):
        if name and media_root is not None and name not in found:
            try:
                found[name] = inside(media_root, name)
            except DataError as error:
                plan.broken[row] = str(error)
    keys = ContentKeys(folder).update(found, num_threads=num_threads)
    plan.clips = [keys.get(name, "") if name else "" for name in paths]
    for row, (name, key) in enumerate(zip(paths, plan.clips, strict=True)):
        if key:
            plan.files.setdefault(key, (str(name), found[str(name)]))
        elif name in found:
            plan.broken[row] = (
                f"cannot read '{name}': the file vanished or is not readable; the item keeps its text features"
            )
    return plan


def _encode_texts(
    items: pl.DataFrame, keys: list[str], encoder: TextEncoder, folder: Path, *, claims: Claims, progress: Progress
) -> tuple[ModalityCounts, str]:
    """Encode the texts that are not in the cache, and write them a few hundred at a time; also what is hardly read."""
    shards = VectorShards(folder / _text_folder(encoder))
    known = {key: item_text(row) for key, row in zip(keys, items.iter_rows(named=True), strict=True) if key}
    texts = {key: text for key, text in known.items() if key not in shards}
    made: set[str] = set()
    work = SharedWork(
        sorted(texts, key=lambda key: len(texts[key])),
        claims=claims,
        is_done=shards.__contains__,
        refresh=shards.refresh,
    )
    while not work.finished:
        some = work.take(_TEXT_FLUSH)
        if some:
            wanted = [texts[key] for key in some]
            shards.append(some, encoder.encode(wanted), encoder.readable(wanted))
            made.update(some)
            work.settle(some)
        elif not work.finished:
            work.wait()
        progress(work.num_done, work.total, "texts")
    computed, there = sum(key in made for key in keys), sum(key in shards for key in keys)
    notice = reading_notice(shards.quality(list(known)), list(known.values()), name=encoder.name)
    return ModalityCounts(computed=computed, cached=there - computed, missing=len(keys) - there), notice


def _count(plan: _Plan, modality: ClipModality, *, made: set[str]) -> ModalityCounts:
    """Sort the items of one modality of clips."""
    quality = modality.vectors.quality(plan.clips)
    there = [row for row, key in enumerate(plan.clips) if quality[row] > 0]
    computed = sum(plan.clips[row] in made for row in there)
    failed = sum(
        row in plan.broken or (bool(key) and key not in modality.vectors)
        for row, key in enumerate(plan.clips)
        if not quality[row] > 0
    )
    return ModalityCounts(
        computed=computed,
        cached=len(there) - computed,
        missing=len(plan.clips) - len(there) - failed,
        failed=failed,
    )


def _rejects(items: pl.DataFrame, plan: _Plan, outcome: ClipOutcome) -> tuple[Reject, ...]:
    """One reject per item whose clip cannot be used, or not by every modality, in the items' order."""
    broken = dict(plan.broken)
    for row, key in enumerate(plan.clips):
        if key in outcome.reasons:
            broken[row] = "; ".join(dict.fromkeys(outcome.reasons[key].values()))
    paths, ids = _column(items, "media_path"), _column(items, "id")
    return tuple(
        Reject(kind="clip", file=str(paths[row]), row=None, reason=broken[row], raw=f"item {ids[row]}")
        for row in sorted(broken)
    )


def _notices(plan: _Plan, modalities: Mapping[str, ClipModality]) -> tuple[str, ...]:
    """Clips that are used although a part of them is gone."""
    keys = sorted(plan.files)
    partial: set[str] = set()
    for one in modalities.values():
        quality = one.vectors.quality(keys)
        partial.update(plan.files[key][0] for key, value in zip(keys, quality, strict=True) if 0 < value < 1)
    if not partial:
        return ()
    return (f"truncated or damaged clips, used as far as they decode: {len(partial)}, such as '{min(partial)}'",)


def _text_folder(encoder: TextEncoder) -> str:
    return f"{TEXT}-{encoder.fingerprint}"


def _write_manifest(folder: Path, text: TextEncoder | None, modalities: Mapping[str, ClipModality]) -> None:
    """Say which vectors are current. The folder only grows, so its files are not listed; shards check themselves."""
    current = {}
    if text is not None:
        current[TEXT] = {"name": text.name, "encoder": text.fingerprint, "vectors": _text_folder(text)}
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
    draft = folder / f".{MANIFEST}.{os.getpid()}.draft"
    draft.write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
    draft.replace(folder / MANIFEST)


def _text_key(text: str) -> str:
    """Content key of a text; empty for an empty one."""
    return sha256(text.encode()).hexdigest() if text else ""


def _column(items: pl.DataFrame, name: str) -> list[Any]:
    """A column as a list, Nones where it is absent."""
    return items[name].to_list() if name in items.columns else [None] * items.height
