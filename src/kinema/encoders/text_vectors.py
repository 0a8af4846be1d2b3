"""Texts into a cache of vectors: each text once, shared between processes, written a few hundred at a time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kinema.encoders.text import TextEncoder
from kinema.progress import Progress
from kinema.store.claims import Claims, SharedWork
from kinema.store.vectors import VectorShards

_FLUSH: Final = 256


def encode_texts(
    known: Mapping[str, str],
    encoder: TextEncoder,
    shards: VectorShards,
    *,
    claims: Claims,
    progress: Progress,
    flush: int = _FLUSH,
    note: str = "texts",
) -> set[str]:
    """Encode the texts that a cache lacks; returns when all are there, whoever made them.

    The quality of a vector is how far its text is in letters that the encoder knows.

    Args:
        known: Content key -> text.
        encoder: Of texts.
        shards: The cache.
        claims: Of this process, on the folder of the cache.
        progress: Told after each batch.
        flush: Texts that are encoded and written at once, >= 1.
        note: What progress calls them.

    Returns:
        The keys whose vectors this process has made.
    """
    texts = {key: text for key, text in known.items() if key not in shards.index}
    made: set[str] = set()
    work = SharedWork(
        sorted(texts, key=lambda key: len(texts[key])),
        claims=claims,
        is_done=shards.index.__contains__,
        refresh=shards.index.refresh,
    )
    while not work.finished:
        some = work.take(flush)
        if some:
            wanted = [texts[key] for key in some]
            shards.append(some, encoder.encode(wanted), encoder.readable(wanted))
            made.update(some)
            work.settle(some)
        elif not work.finished:
            work.wait()
        progress(work.num_done, work.total, note)
    return made


def text_folder(folder: Path, modality: str, encoder: TextEncoder) -> Path:
    """Where a modality's vectors by this encoder lie."""
    return folder / f"{modality}-{encoder.fingerprint}"
