"""Extraction: the media and texts of a catalogue become vectors, each content once.

Vectors lie in one folder per modality and encoder, keyed by content; what is there is not made again, so a run that
was killed goes on, a second run is quick, and changing one encoder leaves the others' vectors alone.

Shape suffixes: V items, D width.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from kinema.artifacts import MANIFEST, Manifest, read_manifest
from kinema.encoders.clip_vectors import ClipRun, ClipSettings, frames_fingerprint, motion_fingerprint
from kinema.encoders.content_keys import ContentKeys, inside
from kinema.encoders.motion import MotionEncoder
from kinema.encoders.text import TextEncoder, item_text
from kinema.encoders.vision import FrameEncoder
from kinema.errors import ConfigError, DataError
from kinema.progress import Progress, silent
from kinema.schema import Reject
from kinema.store.features import ModalityFeatures
from kinema.store.vectors import VectorShards

KIND: Final = "features"
FORMAT_VERSION: Final = 1
REMEDY: Final = "kinema extract"
_TEXT_FLUSH: Final = 256


@dataclass(frozen=True)
class ModalityCounts:
    """What became of the items in one modality; the four add up to the number of items.

    Attributes:
        computed: Vectors made by this run.
        cached: Vectors that were there.
        missing: Items without anything to encode: no text, no media file, a single picture for motion.
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


@dataclass(frozen=True)
class _Cache:
    """The vectors of one encoder: its name, its fingerprint, and where they lie."""

    name: str
    encoder: str
    shards: VectorShards


@dataclass
class _Plan:
    """Content keys of the items, by row; empty where there is nothing to encode or the file cannot be used."""

    keys: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, tuple[str, Path]] = field(default_factory=dict)
    broken: dict[int, str] = field(default_factory=dict)


def extract(
    *,
    items: pl.DataFrame,
    media_root: Path | None,
    folder: Path,
    text: TextEncoder | None = None,
    frames: FrameEncoder | None = None,
    motion: MotionEncoder | None = None,
    num_frames: int = 8,
    workers: int = 1,
    batch_size: int = 32,
    max_seconds: float = 600.0,
    max_pixels: int = 2**25,
    clip_timeout_s: float = 120.0,
    progress: Progress = silent,
) -> ExtractReport:
    """Make the vectors that a catalogue lacks.

    Args:
        items: The store's items: ``num``, ``media_path`` and what `item_text` reads.
        media_root: Folder the media paths start from; None leaves media out.
        folder: Where vectors, content keys and manifest lie.
        text: Text encoder; None leaves the modality out, also of `load_features`.
        frames: Frame encoder; the same.
        motion: Motion encoder; the same.
        num_frames: Frames sampled per clip, >= 1.
        workers: Decoding processes, >= 0; 0 decodes in this process, without protection from crashes and hangs.
        batch_size: Pictures per forward pass, >= 1.
        max_seconds: Only so much of each clip's beginning is looked at, seconds.
        max_pixels: Largest frame that is decoded, width x height.
        clip_timeout_s: A clip that takes longer is given up, seconds.
        progress: Told after each clip and each batch of texts.

    Returns:
        The report. A clip that cannot be used is rejected with its reason, and the others go on.

    Raises:
        ConfigError: A number is out of range.
        MissingExtraError: PyAV, OpenCV or safetensors is not installed.
    """
    if min(num_frames, batch_size) < 1 or workers < 0 or clip_timeout_s <= 0:
        raise ConfigError(
            "extraction needs num_frames and batch_size >= 1, workers >= 0 and clip_timeout_s > 0, "
            f"got {num_frames}, {batch_size}, {workers} and {clip_timeout_s}"
        )
    start = time.perf_counter()
    settings = ClipSettings(
        num_frames=num_frames,
        max_seconds=max_seconds,
        max_pixels=max_pixels,
        timeout_s=clip_timeout_s,
        workers=workers,
        batch_size=batch_size,
    )
    caches = _open_caches(folder, text=text, frames=frames, motion=motion, settings=settings)
    known = {modality: cache.shards.keys() for modality, cache in caches.items()}
    plan = _plan(items, media_root if frames or motion else None, folder, num_threads=max(1, workers))
    if text is not None:
        _encode_texts(items, plan.keys["text"], text, caches["text"].shards, progress=progress)
    run = ClipRun(
        frames=(frames, caches["frames"].shards) if frames else None,
        motion=(motion, caches["motion"].shards) if motion else None,
        settings=settings,
    )
    reasons = run.run(run.lacking(plan.files), progress=progress)
    plan.broken.update({row: reasons[key] for row, key in enumerate(plan.keys["clips"]) if key in reasons})
    _write_manifest(folder, caches)
    return ExtractReport(
        counts={
            modality: _count(plan, cache.shards, modality=modality, known=known[modality])
            for modality, cache in caches.items()
        },
        rejects=_rejects(items, plan.broken),
        seconds=time.perf_counter() - start,
        notices=_notices(plan, caches),
    )


def load_features(folder: Path, items: pl.DataFrame) -> dict[str, ModalityFeatures]:
    """Read the vectors of a catalogue as the last extraction left them.

    Args:
        folder: The folder given to `extract`.
        items: The store's items; may hold more than were extracted, which are then absent.

    Returns:
        Modality -> features, row = item number.

    Raises:
        NotBuiltError: Nothing was extracted yet.
        StaleArtifactError: The manifest or a shard is damaged.
    """
    manifest = read_manifest(folder, kind=KIND, format_version=FORMAT_VERSION, remedy=REMEDY)
    ordered = items.sort("num")
    recorded = ContentKeys(folder)
    clips = [recorded.recorded(path) if path else "" for path in _column(ordered, "media_path")]
    features = {}
    for modality, current in manifest.config["modalities"].items():
        keys = [_text_key(item_text(row)) for row in ordered.iter_rows(named=True)] if modality == "text" else clips
        vectors_VD, present_V, quality_V = VectorShards(folder / current["folder"]).get(keys)
        features[modality] = ModalityFeatures(
            name=modality,
            vectors_VD=vectors_VD,
            present_V=present_V & (quality_V > 0),
            quality_V=quality_V,
            encoder=current["encoder"],
        )
    return features


def _open_caches(
    folder: Path,
    *,
    text: TextEncoder | None,
    frames: FrameEncoder | None,
    motion: MotionEncoder | None,
    settings: ClipSettings,
) -> dict[str, _Cache]:
    """The caches of the encoders in use, by modality."""
    used: list[tuple[str, str, str]] = []
    if text is not None:
        used.append(("text", text.name, text.fingerprint))
    if frames is not None:
        used.append(("frames", frames.name, frames_fingerprint(frames, settings)))
    if motion is not None:
        used.append(("motion", motion.name, motion_fingerprint(motion, settings)))
    return {
        modality: _Cache(name, encoder, VectorShards(folder / f"{modality}-{encoder}"))
        for modality, name, encoder in used
    }


def _plan(items: pl.DataFrame, media_root: Path | None, folder: Path, *, num_threads: int) -> _Plan:
    """Find every item's content keys and the files behind them."""
    plan = _Plan(keys={"text": [_text_key(item_text(row)) for row in items.iter_rows(named=True)]})
    paths = _column(items, "media_path")
    found: dict[str, Path] = {}
    for row, name in enumerate(paths):
        if name and media_root is not None and name not in found:
            try:
                found[name] = inside(media_root, name)
            except DataError as error:
                plan.broken[row] = str(error)
    keys = ContentKeys(folder).update(found, num_threads=num_threads)
    plan.keys["clips"] = [keys.get(name, "") if name else "" for name in paths]
    for row, (name, key) in enumerate(zip(paths, plan.keys["clips"], strict=True)):
        if key:
            plan.files.setdefault(key, (str(name), found[str(name)]))
        elif name in found:
            plan.broken[row] = (
                f"cannot read '{name}': the file vanished or is not readable; the item keeps its text features"
            )
    return plan


def _encode_texts(
    items: pl.DataFrame, keys: list[str], encoder: TextEncoder, shards: VectorShards, *, progress: Progress
) -> None:
    """Encode the texts that are not in the cache, and write them a few hundred at a time."""
    texts = {
        key: item_text(row)
        for key, row in zip(keys, items.iter_rows(named=True), strict=True)
        if key and key not in shards
    }
    lacking = sorted(texts, key=lambda key: len(texts[key]))
    for start in range(0, len(lacking), _TEXT_FLUSH):
        some = lacking[start : start + _TEXT_FLUSH]
        shards.append(some, encoder.encode([texts[key] for key in some]), np.ones(len(some)))
        progress(start + len(some), len(lacking), "texts")


def _count(plan: _Plan, shards: VectorShards, *, modality: str, known: set[str]) -> ModalityCounts:
    """Sort the items of one modality."""
    keys = plan.keys["text" if modality == "text" else "clips"]
    broken = {} if modality == "text" else plan.broken
    quality = shards.quality(keys)
    there = [row for row, key in enumerate(keys) if key in shards and quality[row] > 0]
    cached = sum(keys[row] in known for row in there)
    failed = sum(row in broken and not (key in shards and quality[row] > 0) for row, key in enumerate(keys))
    return ModalityCounts(
        computed=len(there) - cached, cached=cached, missing=len(keys) - len(there) - failed, failed=failed
    )


def _rejects(items: pl.DataFrame, broken: Mapping[int, str]) -> tuple[Reject, ...]:
    """One reject per item whose clip cannot be used, in the items' order."""
    paths, ids = _column(items, "media_path"), _column(items, "id")
    return tuple(
        Reject(kind="clip", file=str(paths[row]), row=None, reason=broken[row], raw=f"item {ids[row]}")
        for row in sorted(broken)
    )


def _notices(plan: _Plan, caches: Mapping[str, _Cache]) -> tuple[str, ...]:
    """Clips that are used although a part of them is gone."""
    cache = caches.get("frames") or caches.get("motion")
    if cache is None:
        return ()
    keys = sorted(plan.files)
    quality = cache.shards.quality(keys)
    partial = [plan.files[key][0] for key, value in zip(keys, quality, strict=True) if 0 < value < 1]
    if not partial:
        return ()
    return (f"truncated or damaged clips, used as far as they decode: {len(partial)}, such as '{min(partial)}'",)


def _write_manifest(folder: Path, caches: Mapping[str, _Cache]) -> None:
    """Say which vectors are current. The folder only grows, so its files are not listed; shards check themselves."""
    modalities = {
        modality: {"folder": cache.shards.folder.name, "encoder": cache.encoder, "name": cache.name}
        for modality, cache in caches.items()
    }
    manifest = Manifest(
        kind=KIND,
        format_version=FORMAT_VERSION,
        config={"modalities": modalities},
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{MANIFEST}.draft"
    draft.write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
    draft.replace(folder / MANIFEST)


def _text_key(text: str) -> str:
    """Content key of a text; empty for an empty one."""
    return sha256(text.encode()).hexdigest() if text else ""


def _column(items: pl.DataFrame, name: str) -> list[Any]:
    """A column as a list, Nones where it is absent."""
    return items[name].to_list() if name in items.columns else [None] * items.height
