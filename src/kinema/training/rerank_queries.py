"""Queries that a catalogue asks itself: a piece is taken out of an item's texts, and the item is to be found by it.

What was taken out is gone from the item as long as it is asked for, so that a query cannot be answered by finding itself again.

Source: the inverse cloze task of Lee et al. 2019, "Latent Retrieval for Weakly Supervised Open Domain Question Answering".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from kinema.training.augmentation import drop_words, replace_synonyms

_SENTENCE: Final = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])\s+")
_ENDS: Final = ".!?\u3002\uff01\uff1f "
_TITLE_SHARE: Final = 0.25
_WHOLE_SHARE: Final = 0.5
_SYNONYM_SHARE: Final = 0.5
_MOST_WORDS: Final = 20
_FEWEST: Final = 3
_KEYWORDS: Final = (2, 5)
_SHORT_WORD: Final = 3


Kind = Literal["title", "sentence", "words"]


@dataclass(frozen=True)
class MadeQuery:
    """A query and the item it was taken from.

    Attributes:
        item: Its number.
        kind: What was taken: ``title``, a ``sentence`` of the description, or some ``words`` of a title, which keeps them.
        query: What is asked.
        taken: The piece as it stood in the item.
        title: The item's title while it is asked for.
        description: Its description while it is asked for.
    """

    item: int
    kind: Kind
    query: str
    taken: str
    title: str
    description: str


def make_query(
    item: int,
    row: Mapping[str, Any],
    random: np.random.Generator,
    *,
    synonyms: Mapping[str, Sequence[str]] | None = None,
) -> MadeQuery | None:
    """Take a query out of an item's texts.

    Of a description of several sentences one is taken, or, one time in four, the title; of one sentence the title. An item
    that has a title alone is asked for by some of its words, and keeps them. Half of the queries are what was taken as it
    stands, the others two to five of its longer words.

    Args:
        item: Its number.
        row: With ``title`` and ``description``.
        random: The draws.
        synonyms: Word -> words that may stand for it; half of the words that have some are replaced.

    Returns:
        The query; None where there are too few words to take any.

    Example:
        >>> made = make_query(3, {"title": "Otters", "description": "They live in rivers."}, np.random.default_rng(1))
        >>> made.query, made.title, made.description
        ('Otters', '', 'They live in rivers.')
    """
    title, sentences = _pieces(row)
    able = [one for one in sentences if len(one.split()) >= _FEWEST]
    by_title = random.random() < _TITLE_SHARE
    kind: Kind
    if len(sentences) > 1 and able and not (by_title and title):
        kind, taken = "sentence", able[int(random.integers(len(able)))]
        sentences.remove(taken)
    elif title and sentences:
        kind, taken, title = "title", title, ""
    elif len(title.split()) >= _FEWEST:
        kind, taken = "words", drop_words(title, random, share=0.5)
    else:
        return None
    query = _asked(taken, random)
    if synonyms:
        query = replace_synonyms(query, random, synonyms=synonyms, share=_SYNONYM_SHARE)
    return MadeQuery(item, kind, query, taken, title, " ".join(sentences))


def as_if_asked(row: Mapping[str, Any], kind: Kind, random: np.random.Generator, *, keep: str = "") -> tuple[str, str]:
    """Another item with a piece of the same kind taken out.

    Otherwise what is missing would tell which item was asked for, and that, not reading, would be learnt.

    Args:
        row: Of the other item.
        kind: What was taken from the one that is asked for.
        random: The draws.
        keep: A sentence that is not taken out, since it answers the query.

    Returns:
        Title and description.

    Example:
        >>> as_if_asked({"title": "Kites", "description": "They fly. In wind."}, "title", np.random.default_rng(0))
        ('', 'They fly. In wind.')
    """
    title, sentences = _pieces(row)
    if kind == "title" and sentences:
        title = ""
    elif kind == "sentence" and len(sentences) > 1:
        able = [place for place, one in enumerate(sentences) if one != keep]
        if able:
            sentences.pop(able[int(random.integers(len(able)))])
    return title, " ".join(sentences)


def _pieces(row: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Title, and the sentences of the description."""
    title, description = (" ".join(str(row.get(name) or "").split()) for name in ("title", "description"))
    return title, [one for one in _SENTENCE.split(description) if one]


def _asked(taken: str, random: np.random.Generator) -> str:
    """A piece of text as somebody would type it."""
    words = taken.rstrip(_ENDS).split()
    low, high = _KEYWORDS
    long = [place for place, word in enumerate(words) if len(word) > _SHORT_WORD]
    if random.random() < _WHOLE_SHARE or len(long) <= low:
        return " ".join(words[:_MOST_WORDS])
    count = min(len(long), int(random.integers(low, high + 1)))
    kept = np.sort(random.choice(long, count, replace=False))
    return " ".join(words[place].strip(".,;:!?\"'()").lower() for place in kept.tolist())
