"""What an extraction has before it: the content keys of a catalogue, the files behind them, and what a person is told of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from kinema.encoders.clip_modality import ClipModality
from kinema.encoders.clip_vectors import ClipOutcome
from kinema.encoders.content_keys import ContentKeys, inside
from kinema.encoders.text import item_text
from kinema.encoders.text_transcripts import text_key
from kinema.errors import DataError
from kinema.media.sampling import Mode
from kinema.schema import Reject


@dataclass
class Plan:
    """Content keys of the items, by row; empty where there is nothing to encode or the file cannot be used."""

    texts: list[str]
    clips: list[str] = field(default_factory=list)
    files: dict[str, tuple[str, Path]] = field(default_factory=dict)
    broken: dict[int, str] = field(default_factory=dict)


def plan_items(items: pl.DataFrame, media_root: Path | None, folder: Path, *, num_threads: int) -> Plan:
    """Find every item's content keys and the files behind them."""
    plan = Plan(texts=[text_key(item_text(row)) for row in items.iter_rows(named=True)])
    paths = column(items, "media_path")
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


def rejects_of(items: pl.DataFrame, plan: Plan, outcome: ClipOutcome) -> tuple[Reject, ...]:
    """One reject per item whose clip cannot be used, or not by every modality, in the items' order."""
    broken = dict(plan.broken)
    for row, key in enumerate(plan.clips):
        if key in outcome.reasons:
            broken[row] = "; ".join(dict.fromkeys(outcome.reasons[key].values()))
    paths, ids = column(items, "media_path"), column(items, "id")
    return tuple(
        Reject(kind="clip", file=str(paths[row]), row=None, reason=broken[row], raw=f"item {ids[row]}")
        for row in sorted(broken)
    )


def notices_of(plan: Plan, modalities: Iterable[ClipModality], *, sampling: Mode) -> tuple[str, ...]:
    """Clips that are used although a part of them is gone, or not looked at."""
    keys = sorted(plan.files)
    partial: set[str] = set()
    alone: set[str] = set()
    for one in modalities:
        quality = one.vectors.index.quality(keys)
        fewer = [key for key, value in zip(keys, quality.tolist(), strict=True) if 0 < value < 1]
        moments = one.tokens.lengths(fewer) if sampling == "key" else [0] * len(fewer)
        for key, count in zip(fewer, moments, strict=True):
            (alone if count == 1 else partial).add(plan.files[key][0])
    notices = []
    if partial - alone:
        some = partial - alone
        notices.append(f"truncated or damaged clips, used as far as they decode: {len(some)}, such as '{min(some)}'")
    if alone:
        notices.append(
            f"clips seen by a single key frame, for they have no other: {len(alone)}, such as '{min(alone)}'; "
            'sampling = "even" in [media] of kinema.toml sees more of them'
        )
    return tuple(notices)


def column(items: pl.DataFrame, name: str) -> list[Any]:
    """A column as a list, Nones where it is absent."""
    return items[name].to_list() if name in items.columns else [None] * items.height
