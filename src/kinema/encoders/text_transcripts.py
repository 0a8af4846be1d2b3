"""What is said in the clips of a catalogue, as a modality of its own: one text and one vector per item that has it.

The texts lie beside the vectors in one Parquet file, with what they were read from, so that unchanged files are not read
again. A catalogue in which nobody wrote down what is said has no such file.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import polars as pl

from kinema.drafts import own_draft
from kinema.encoders.text import TextEncoder
from kinema.encoders.text_vectors import encode_texts, text_folder
from kinema.progress import Progress
from kinema.store.claims import Claims
from kinema.store.vectors import VectorShards

TRANSCRIPT: Final = "transcript"
FILE_NAME: Final = "transcripts.parquet"
COLUMNS: Final = {
    "id": pl.String,
    "state": pl.String,
    "key": pl.String,
    "text": pl.String,
    "language": pl.String,
    "source": pl.String,
    "unread": pl.String,
}
"""Item; fingerprint of what was read; content key and text, empty where nothing could be used; language as the file's name or
the track says; where it is from; files that could not be used with the reasons, as JSON."""
_FLUSH: Final = 32
"""A transcript is up to sixteen windows long."""


def text_key(text: str) -> str:
    """Content key of a text; empty for an empty one.

    Example:
        >>> text_key(""), text_key("hello")[:8]
        ('', '2cf24dba')
    """
    return sha256(text.encode()).hexdigest() if text else ""


def read_table(folder: Path, columns: Sequence[str] = tuple(COLUMNS)) -> pl.DataFrame:
    """What was said when the catalogue was last extracted, some of `COLUMNS`; no rows where there is no file.

    Args:
        folder: Of the features.
        columns: Wanted ones; the others are not read from disk.

    Returns:
        One row per item. A damaged file counts as none: the next extraction writes it again.
    """
    try:
        return pl.read_parquet(folder / FILE_NAME, columns=list(columns))
    except (OSError, pl.exceptions.PolarsError):
        return pl.DataFrame(schema={name: COLUMNS[name] for name in columns})


def write_table(folder: Path, table: pl.DataFrame) -> None:
    """Replace the file as a whole; nothing is written where nothing would be in it, now and before."""
    if table.height or (folder / FILE_NAME).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        draft = own_draft(folder / FILE_NAME)
        table.write_parquet(draft)
        draft.replace(folder / FILE_NAME)


def transcript_keys(folder: Path, ids: Sequence[str]) -> list[str]:
    """Content key of what is said in each item; empty where nothing is."""
    keys = dict(read_table(folder, ["id", "key"]).iter_rows())
    return [keys.get(one, "") for one in ids]


def transcript_texts(folder: Path, ids: Sequence[str]) -> list[str]:
    """What is said in each item, in the order given; empty where nothing is."""
    texts = dict(read_table(folder, ["id", "text"]).iter_rows())
    return [texts.get(one, "") for one in ids]


def encode_transcripts(
    table: pl.DataFrame, encoder: TextEncoder, folder: Path, *, ids: Collection[str], claims: Claims, progress: Progress
) -> tuple[int, int, int, str]:
    """Make the vectors that are lacking, long transcripts in windows, and keep the texts.

    Args:
        table: `COLUMNS`.
        encoder: The one of titles and descriptions, so that one query is compared with both.
        folder: Of the features.
        ids: Items that are told of; the table may know more.
        claims: Of this process.
        progress: Told after each batch.

    Returns:
        Of the items told of: those whose vectors this process has made, those that have one, those of which nothing could be
        read, and a line for people: how many items have a transcript, in which languages, and which are hardly read.
    """
    shards = VectorShards(text_folder(folder, TRANSCRIPT, encoder))
    known = dict(table.filter(pl.col("key") != "").select("key", "text").iter_rows())
    made = encode_texts(known, encoder, shards, claims=claims, progress=progress, flush=_FLUSH, note="transcripts")
    write_table(folder, table)
    here = table.filter(pl.col("id").is_in(list(ids)))
    said = here.filter(pl.col("key") != "")
    keys = said["key"].to_list()
    told = [f"{len(keys):,} of {len(ids):,} items have a transcript ({_languages(said['language'].to_list())})"]
    hardly = [one for one, quality in zip(said["language"], shards.index.quality(keys), strict=True) if quality < 1]
    if hardly:
        told.append(
            f"text encoder '{encoder.name}' hardly reads {len(hardly):,} of them ({_languages(hardly)}): most of their letters "
            "are unknown to it, and their vectors say little; an encoder for many languages is intfloat/multilingual-e5-small"
        )
    failed = here.filter((pl.col("key") == "") & (pl.col("unread") != "[]")).height
    return sum(key in made for key in keys), len(keys), failed, "; ".join(told) if keys else ""


def _languages(languages: Sequence[str]) -> str:
    """Such as: en 12, de 3, language unknown 1."""
    counts: Mapping[str, int] = Counter(languages)
    order = sorted(counts, key=lambda one: (one == "", -counts[one], one))
    return ", ".join(f"{one or 'language unknown'} {counts[one]:,}" for one in order)
