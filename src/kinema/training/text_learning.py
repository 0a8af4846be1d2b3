"""How a text encoder learns: step sizes that are usual, and word lists for augmentation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.sources.whole_tables import read_whole_table
from kinema.training.parameter_choice import Method

RATES: Final[Mapping[Method, float]] = {
    "full": 5e-5,
    "frozen": 1e-3,
    "top": 1e-4,
    "lora": 5e-4,
    "adapter": 5e-4,
    "prefix": 5e-3,
}
"""Step sizes that are usual for each; those of `benchmarks/text_adapting.py`."""
_LIKE: Final = 0.5
_FEWEST_LETTERS: Final = 4


def read_synonyms(path: Path) -> dict[str, tuple[str, ...]]:
    """A table of synonyms.

    Args:
        path: With the columns ``word`` and ``synonyms``; several synonyms have a | between them.

    Returns:
        Word in small letters -> its synonyms.

    Raises:
        DataError: The table cannot be read, a column is missing, or no word has a synonym.
    """
    frame, _ = read_whole_table(path)
    missing = [name for name in ("word", "synonyms") if name not in frame.columns]
    if missing:
        raise DataError(
            f"synonyms must have the columns word and synonyms, '{path}' has no '{missing[0]}'; rename a column"
        )
    found: dict[str, tuple[str, ...]] = {}
    for word, others in frame.select(pl.col("word", "synonyms").cast(pl.String)).iter_rows():
        several = tuple(one.strip() for one in (others or "").split("|") if one.strip())
        if word and several:
            found[word.strip().lower()] = several
    if not found:
        raise DataError(f"synonyms must have at least one word with another, '{path}' has none; fill it")
    return found


def similar_words(
    tokenizer: Any, vectors_VD: NDArray[np.float32], texts: Sequence[str], *, most: int = 3
) -> dict[str, tuple[str, ...]]:
    """Words that an encoder holds for similar, in the place of synonyms where nobody has a table of them.

    Near words are often, not always, words that mean the same: opposites are near as well.

    Args:
        tokenizer: Of the encoder.
        vectors_VD: float32 [tokens, D], what the encoder reads a token as.
        texts: Whose words are looked up, those of four letters or more that are one token.
        most: Similar words per word; their cosine is at least .5.

    Returns:
        Word in small letters -> its similar words, the nearest first; words without any are left out.

    Source: Wang and Yang 2015, "That's So Annoying!!!", replacement by neighbours of word vectors.
    """
    words = sorted({word.strip(".,;:!?\"'()[]").lower() for text in texts for word in text.split()})
    number_of = {
        name.removeprefix("\u0120").removeprefix("\u2581"): number for name, number in tokenizer.get_vocab().items()
    }
    able = {name: number for name, number in number_of.items() if name.isalpha() and len(name) >= _FEWEST_LETTERS}
    asked = [word for word in words if word in able]
    if not asked:
        return {}
    names = sorted(name for name in able if name == name.lower())
    unit_ND = _unit(vectors_VD[[able[name] for name in names]])
    found: dict[str, tuple[str, ...]] = {}
    for word in asked:
        cosines_N = unit_ND @ _unit(vectors_VD[[able[word]]])[0]
        order = np.argsort(-cosines_N, kind="stable")[: most + 1]
        near = tuple(names[one] for one in order if names[one] != word and cosines_N[one] >= _LIKE)
        if near:
            found[word] = near[:most]
    return found


def _unit(x_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(x_ND / np.maximum(np.linalg.norm(x_ND, axis=1, keepdims=True), 1e-12), dtype=np.float32)
