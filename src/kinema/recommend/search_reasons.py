"""What a search looks at, and how its answers are put into words.

Shape suffixes: V items, K items of the answer.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from kinema.notices import Notice
from kinema.recommend.evidence import CLEAR_COSINE
from kinema.recommend.explain import likeness
from kinema.retrieval.content_search import Bridge, Space
from kinema.retrieval.text_match import WordIndex, WordMatch, words_of

_CLEAR: Final = 1.5
"""Standard deviations from which nearness is told as a reason."""

_TELLING: Final = 0.5
"""Rarity, as a share of the query's rarest word, from which a word found is told: "the" says nothing."""

_WORD: Final = re.compile(r"\S+")
TRANSCRIPT: Final = "transcript"
"""The field of a catalogue's texts, and the modality, that is what is said in a clip."""

_MEANT: Final[Mapping[str, str]] = {
    "text": "among the nearest in meaning",
    TRANSCRIPT: "what is said in the clip is among the nearest in meaning",
    "match": "among the nearest to what was learnt of such words",
}
_QUOTED: Final = 60
"""Characters of a quotation."""


@dataclass(frozen=True)
class SearchIndex:
    """Everything of a catalogue that queries are compared with.

    Attributes:
        texts: Field of `kinema.retrieval.text_match.FIELDS` -> one text per item.
        names: A title's words in one line, or an id -> the items of that name.
        words: Index of the texts.
        spaces: Modality -> vectors.
        bridges: Ways from words to pictures.
        notices: What is missing, for questions in words.
    """

    texts: Mapping[str, Sequence[str]]
    names: Mapping[str, tuple[int, ...]]
    words: WordIndex
    spaces: Mapping[str, Space]
    bridges: tuple[Bridge, ...] = ()
    notices: tuple[Notice, ...] = ()

    @classmethod
    def of(
        cls,
        texts: Mapping[str, Sequence[str]],
        ids: Sequence[str],
        *,
        spaces: Mapping[str, Space] | None = None,
        bridges: Sequence[Bridge] = (),
        notices: Sequence[Notice] = (),
    ) -> Self:
        """Index a catalogue.

        Example:
            >>> index = SearchIndex.of({"title": ["Otters swim", "Kites"]}, ["v1", "v2"])
            >>> index.named("otters, SWIM!"), index.named("v2"), index.named("otters")
            ((0,), (1,), ())
        """
        names: dict[str, tuple[int, ...]] = {}
        for number, title in enumerate(texts.get("title", ())):
            name = " ".join(words_of(title))
            if name:
                names[name] = (*names.get(name, ()), number)
        names |= {one: (number,) for number, one in enumerate(ids)}
        return cls(texts, names, WordIndex.of(texts), dict(spaces or {}), tuple(bridges), tuple(notices))

    def named(self, text: str) -> tuple[int, ...]:
        """Items whose id this is, or else whose title has exactly these words."""
        return self.names.get(text) or self.names.get(" ".join(words_of(text)), ())


@dataclass(frozen=True)
class Signal:
    """One way in which items answer a question.

    Attributes:
        name: The part of the score it becomes.
        values_V: float64, standard deviations, 0 where it says nothing.
        reached_V: Items it can say something about.
        weight: What it counts.
        cosines_V: What the values come from, not-a-number where there is none; None for words.
        how: For a bridge, how words and pictures were compared.
    """

    name: str
    values_V: NDArray[np.float64]
    reached_V: NDArray[np.bool_]
    weight: float
    cosines_V: NDArray[np.float32] | None = None
    how: str = ""


def reasons(
    index: SearchIndex,
    signals: Sequence[Signal],
    items_K: NDArray[np.int64],
    *,
    match: WordMatch | None,
    likened: str,
    added: Mapping[str, NDArray[np.float64]],
    named_V: NDArray[np.bool_],
    user: str,
) -> list[tuple[str, dict[str, Any]]]:
    """Why each item is in the answer, the strongest reason first, and what that rests on."""
    return [
        _reason(index, signals, item, match=match, likened=likened, added=added, named=bool(named_V[item]), user=user)
        for item in items_K.tolist()
    ]


def _reason(
    index: SearchIndex,
    signals: Sequence[Signal],
    item: int,
    *,
    match: WordMatch | None,
    likened: str,
    added: Mapping[str, NDArray[np.float64]],
    named: bool,
    user: str,
) -> tuple[str, dict[str, Any]]:
    said: list[tuple[float, str]] = []
    evidence: dict[str, Any] = {}
    for one in signals:
        strength = float(added[one.name][item])
        cosine = float("nan") if one.cosines_V is None else float(one.cosines_V[item])
        if np.isfinite(cosine):
            evidence.setdefault("cosine", {})[one.name] = round(cosine, 4)
        if one.name == "words":
            evidence["words"] = _found(index, item, match)
            if evidence["words"]:
                spoken = index.texts.get(TRANSCRIPT)
                said.append((strength, _as_words(evidence["words"], "" if spoken is None else spoken[item])))
        elif one.values_V[item] >= _CLEAR or cosine >= CLEAR_COSINE:
            said.append((strength, _nearness(one, likened)))
    if "taste" in added and float(added["taste"][item]) > 0 and said and _is_liked(added["taste"], item):
        said.append((float(added["taste"][item]), f"fits the taste of '{user}'"))
    told = [text for _, text in sorted(said, key=lambda one: -one[0])]
    if named:
        told.insert(0, "is called so")
        evidence["named"] = True
    return "; ".join(told) or "nearest of what is left", evidence


def _is_liked(taste_V: NDArray[np.float64], item: int) -> bool:
    """Whether taste stands out: among the highest sixth."""
    return bool(taste_V[item] >= np.quantile(taste_V, 5 / 6))


def _nearness(signal: Signal, likened: str) -> str:
    if signal.how:
        return f"looks like the words, {signal.how}"
    return _MEANT.get(signal.name) or likeness(signal.name, likened)


def _found(index: SearchIndex, item: int, match: WordMatch | None) -> dict[str, dict[str, str]]:
    """Word of the query -> the item's word, how it is related, and the first field that has it."""
    found: dict[str, dict[str, str]] = {}
    if match is None:
        return found
    fields = {name: set(words_of(texts[item])) for name, texts in index.texts.items()}
    enough = _TELLING * max(match.rarities.values(), default=0.0)
    for word, variants in match.variants.items():
        for field, held in fields.items() if match.rarities[word] >= enough else ():
            hit = next((one for one in variants if one in held), None)
            if hit is not None and word not in found:
                found[word] = {"word": hit, "spelling": variants[hit], "field": field}
    return found


def _as_words(found: Mapping[str, Mapping[str, str]], spoken: str = "") -> str:
    """Such as: has 'otters' in its title, 'swim' in its description; said in the clip: '... the river is cold ...'."""
    by_field: dict[str, list[str]] = {}
    for one in found.values():
        word = one["word"]
        by_field.setdefault(one["field"], []).append(word if one["field"] == TRANSCRIPT else f"'{word}'")
    heard = by_field.pop(TRANSCRIPT, [])
    has = [f"{' and '.join(words[:4])} in its {field}" for field, words in by_field.items()]
    told = ["has " + ", ".join(has)] if has else []
    return "; ".join([*told, f"said in the clip: '{quotation(spoken, heard)}'"] if heard else told)


def quotation(text: str, words: Sequence[str]) -> str:
    """The place of a text where most of some words stand together.

    Args:
        text: One line.
        words: In the form of `kinema.retrieval.text_match.words_of`.

    Returns:
        About `_QUOTED` characters between blanks, with dots where something was left out; the words alone where the text
        has none of them as it is written.

    Example:
        >>> quotation("It is late. Nobody knew how cold the river was that winter, and nobody asked.", ["river", "winter"])
        '... knew how cold the river was that winter, and nobody ...'
    """
    spans = [match.span() for match in _WORD.finditer(text)]
    hits = [place for place, span in enumerate(spans) if set(words_of(text[slice(*span)])) & set(words)]
    if not hits:
        return " ".join(words)
    nearby = [[other for other in hits if 0 <= spans[other][1] - spans[first][0] <= _QUOTED] for first in hits]
    best = max(nearby, key=lambda some: len({text[slice(*spans[one])].casefold() for one in some}))
    first = last = best[0]
    last = max(best[-1], last)
    while spans[last][1] - spans[first][0] < _QUOTED and (first > 0 or last < len(spans) - 1):
        first, last = max(first - 1, 0), min(last + 1, len(spans) - 1)
    quoted = text[spans[first][0] : spans[last][1]]
    return ("... " if first else "") + quoted + (" ..." if last < len(spans) - 1 else "")
