"""Whether a text encoder can read a text at all, said openly instead of giving every Chinese title the same vector.

A tokenizer never refuses: what it does not know becomes an unknown token, single letters or bytes. Vectors of such texts
look like any other and say next to nothing.
"""

import unicodedata
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_MOSTLY: Final = 0.5
_LONGEST: Final = 2_000
_SYLLABIC: Final = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL")
"""Scripts whose letters are words or syllables: one letter per token is how they are read."""


def unread_share(tokenizer: Any, text: str) -> float:
    """Share of a text's letters that the tokenizer has no word piece for.

    A letter is unread if it lies in an unknown token, is split into bytes, or stands alone in a token though its word is
    longer: spelled. A script whose letters are syllables or words is not spelled.

    Args:
        tokenizer: Of transformers; one without offsets counts as reading everything.
        text: Its first 2,000 characters are looked at.

    Returns:
        In [0, 1]; 0 for a text without letters.
    """
    text = text[:_LONGEST]
    letters = [place for place, letter in enumerate(text) if letter.isalpha()]
    if not letters or not getattr(tokenizer, "is_fast", False):
        return 0.0
    coded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    read = np.zeros(len(text), dtype=np.int64)
    for token, (start, stop) in zip(coded["input_ids"], coded["offset_mapping"], strict=True):
        known = token != tokenizer.unk_token_id or tokenizer.unk_token_id == tokenizer.eos_token_id
        if known and not (stop - start == 1 and _spelled(text, start)):
            read[start:stop] += 1
    return float(np.mean(read[letters] != 1))


def _spelled(text: str, place: int) -> bool:
    """Whether a letter that is a token of its own belongs to a longer word of letters."""
    around = text[max(0, place - 1) : place] + text[place + 1 : place + 2]
    return any(one.isalpha() for one in around) and not unicodedata.name(text[place], "").startswith(_SYLLABIC)


def readable(tokenizer: Any, texts: Sequence[str]) -> NDArray[np.float32]:
    """How far texts can be trusted to have been read.

    Args:
        tokenizer: Of transformers.
        texts: N texts.

    Returns:
        float32 [N] in [0, 1]: 1 where at most half of the letters is unread, which names and slang explain; else the share
        that is read, 0 for nothing.
    """
    unread = np.array([unread_share(tokenizer, text) for text in texts], dtype=np.float32)
    return np.where(unread > _MOSTLY, 1.0 - unread, 1.0).astype(np.float32)


def reading_notice(readable_N: NDArray[np.float32], texts: Sequence[str], *, name: str) -> str:
    """What a person should know about texts that are hardly read.

    Args:
        readable_N: From `readable`.
        texts: The same texts.
        name: Of the text encoder.

    Returns:
        One line; empty where all is well.

    Example:
        >>> reading_notice(np.array([1.0, 0.2]), ["a cat", "кот"], name="packaged:minilm")
        "text encoder 'packaged:minilm' hardly reads 1 of 2 texts, such as 'кот': most of their letters are unknown to it..."
    """
    places = np.flatnonzero(readable_N < 1.0)
    if not len(places):
        return ""
    example = texts[int(places[0])][:40]
    return (
        f"text encoder '{name}' hardly reads {len(places):,} of {len(texts):,} texts, such as '{example}': most of their "
        "letters are unknown to it, and their vectors say little; an encoder for many languages is "
        "intfloat/multilingual-e5-small"
    )
