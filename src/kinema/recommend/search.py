"""Items that answer a question in words, by a picture or by a clip, and a little by the taste of who asks.

    score = (1 - w) * sum of weight * part / sqrt(sum of weight^2)  +  w * taste

Every part is a number of standard deviations over the items that may appear, except ``words``: the share of the query that an
item has, times six, so that finding every word in the title counts like the nearest meaning of thousands. Of a long query no
item has every word; there, three words or a third of it count as much, or what the best item has, where that is more.

Shape suffixes: V items, D width, K items of the answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.notices import Code, Notice, in_words
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.checks import check_count, one_row
from kinema.recommend.coldstart import Footing, footing_of, read_user, user_vector
from kinema.recommend.fallback import length_notices
from kinema.recommend.parts import Parts
from kinema.recommend.rereading import reread
from kinema.recommend.scenario import Condition
from kinema.recommend.search_filters import narrow, num_with_copies, one_of_copies, with_copies
from kinema.recommend.search_reasons import TRANSCRIPT, SearchIndex, Signal, reasons
from kinema.recommend.trace import Trace
from kinema.reranking.second_reading import SecondReading
from kinema.retrieval.content_search import deviations
from kinema.retrieval.text_match import WordMatch, words_of
from kinema.retrieval.top import top
from kinema.schema import TraceStep
from kinema.store.histories import Histories

MAX_TEXT: Final = 1000
TASTE: Final = 0.2
"""Weight of the user's taste unless another is asked for: it orders what answers the question equally well."""

PICTURES: Final = "pictures"
"""Stands in `WEIGHTS` for all ways from words to pictures: their own weights are multiplied by it."""

WEIGHTS: Final[Mapping[str, float]] = {"words": 1.0, "text": 1.0, TRANSCRIPT: 0.7, "frames": 1.0, PICTURES: 1.0}
DESCRIBES: Final = ("text", "match")
"""Signals that say what an item is about; an item that has one needs less help from its pictures."""
_OTHER_WEIGHT: Final = 0.5
_FULL_MATCH: Final = 6.0
_FAIR_WORDS: Final = 3
_FAIR_SHARE: Final = 0.35
_MOST_TASTE: Final = 3.0


@dataclass(frozen=True)
class Question:
    """What is searched for.

    Attributes:
        text: Words; may be empty where there are vectors.
        vectors: Modality -> a vector of the encoder that made the items' vectors: ``text`` and ``transcript`` of the words,
            the others of a picture or a clip; ``match`` and ``visual`` are what was learnt in place of ``text`` and ``frames``.
        likened: What these others are of, in words: ``the picture`` or ``the clip``.
        num_items: How many, 1..1000.
        only: Items that are meant: by category, language, length and date.
        user: User id; empty for nobody.
        user_weight: w of the module's formula, in [0, 1].
        weights: What each part counts, >= 0; see `WEIGHTS`.
        hide_seen: Leave out what the user has interacted with.
    """

    text: str = ""
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    likened: str = ""
    num_items: int = 10
    only: Condition = field(default_factory=Condition)
    user: str = ""
    user_weight: float = TASTE
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)
    hide_seen: bool = False


@dataclass(frozen=True)
class SearchItem:
    """One item of an answer.

    Attributes:
        id: Item id.
        title: Item title.
        position: Place, from 0.
        score: The sum of ``parts``.
        parts: What each signal adds to the score; ``taste`` is the user's.
        why: In plain words.
        evidence: The words found, the cosine in each modality, ``named`` where it is called so, and the ids of copies that are left out; where the answer
            was read again, ``reread`` and the place before, ``first_position``.
    """

    id: str
    title: str
    position: int
    score: float
    parts: Mapping[str, float]
    why: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchResult:
    """An answer.

    Attributes:
        text: The words asked for.
        items: Best first; an item whose title or id is the text stands before all others.
        weights: What each signal counts.
        user: Who asked; empty for nobody.
        user_weight: What taste counts against all signals together; 0 where nothing is known of it.
        bridges: How words were compared with pictures; empty where they were not.
        reranked: By what the first places were read again; empty where they were not.
        trace: One step per stage.
        notice: What was missing, misspelt or not found; empty where there is nothing to say.
        notices: The same, one by one.
    """

    text: str
    items: tuple[SearchItem, ...]
    weights: Mapping[str, float]
    user: str = ""
    user_weight: float = 0.0
    bridges: tuple[str, ...] = ()
    reranked: str = ""
    trace: tuple[TraceStep, ...] = ()
    notice: str = ""
    notices: tuple[Notice, ...] = ()


def check_text(text: str) -> str:
    """The text of a query in one line.

    Raises:
        DataError: It is too long.
    """
    tidy = " ".join(text.split())
    if len(tidy) > MAX_TEXT:
        raise DataError(f"search text must have at most {MAX_TEXT:,} characters, has {len(tidy):,}; shorten it")
    return tidy


def search(
    parts: Parts,
    index: SearchIndex,
    question: Question,
    *,
    now_ms: int,
    history: Histories | None = None,
    profile_P: NDArray[np.float32] | None = None,
    second: SecondReading | None = None,
) -> SearchResult:
    """Answer a question.

    Args:
        parts: Catalogue and model.
        index: Of the same catalogue.
        question: What is searched for.
        now_ms: Items published later are not there yet.
        history: The user's interactions, one row; None for nobody and for unknown users.
        profile_P: The user's profile row; None where there is none.
        second: Reads the first places again where there are words; None leaves them.

    Returns:
        At most ``question.num_items`` items. The same question on the same parts has the same answer; ties go to the lower
        item number.

    Raises:
        DataError: There is nothing to search with, or a number, a category or a language is not what it must be.
    """
    text = check_text(question.text)
    _check(question, text)
    trace = Trace()
    past = one_row(history, len(parts.catalogue))
    seen: NDArray[np.integer] = past.items if question.hide_seen else np.empty(0, dtype=np.int64)
    allowed_V, removed = narrow(parts.catalogue, question.only, seen=seen, now_ms=now_ms, trace=trace)
    match = index.words.find(text) if text else None
    signals = _signals(index, question, text, match, allowed_V)
    named_V = _named(index, text, len(allowed_V))
    found_V = allowed_V & np.any([named_V, *(one.reached_V for one in signals)], axis=0)
    num_allowed, num_found = int(allowed_V.sum()), int(found_V.sum())
    reached = {one.name: int((one.reached_V & allowed_V).sum()) for one in signals}
    trace.step("match", num_allowed, num_found, removed={"nothing to compare": num_allowed - num_found}, by=reached)
    taste_V, taste_notices = _taste(
        parts, question, past, profile_P, allowed_V, now_ms=now_ms, known=history is not None
    )
    weight = question.user_weight if taste_V is not None else 0.0
    added = _contributions(signals, taste_V, weight)
    score_V = np.sum([np.zeros(len(allowed_V)), *added.values()], axis=0)
    deep = question.num_items if second is None else max(question.num_items, second.top)
    order_K = _order(score_V, named_V, found_V, deep + num_with_copies(parts))
    trace.step("rank", num_found, len(order_K), removed={"below the answer": num_found - len(order_K)}, taste=weight)
    single_K, removed["copies"] = one_of_copies(parts, order_K, seen=seen, trace=trace)
    single_K, read_again = reread(second, text, single_K, score_V, named_V=named_V, trace=trace)
    items_K = single_K[: question.num_items]
    told = reasons(
        index, signals, items_K, match=match, likened=question.likened, added=added, named_V=named_V, user=question.user
    )
    told = with_copies(parts, items_K, allowed_V, told)
    items = _items(parts.catalogue, items_K, score_V, added, told, read_again=read_again)
    trace.step("explain", len(single_K), len(items), removed={"below the answer": len(single_K) - len(items)})
    short = length_notices(found=len(items), wanted=question.num_items, removed=removed) if items else []
    notices = (*_word_notices(index, match, text, signals, found=bool(items)), *taste_notices, *short)
    return SearchResult(
        text=text,
        items=items,
        weights={one.name: one.weight for one in signals},
        user=question.user,
        user_weight=weight,
        bridges=tuple(one.how for one in signals if one.how),
        reranked=second.told if second is not None and read_again else "",
        trace=trace.steps,
        notice=in_words(notices),
        notices=notices,
    )


def _items(
    catalogue: Catalogue,
    items_K: NDArray[np.int64],
    score_V: NDArray[np.float64],
    added: Mapping[str, NDArray[np.float64]],
    told: list[tuple[str, dict[str, Any]]],
    *,
    read_again: Mapping[int, Mapping[str, Any]],
) -> tuple[SearchItem, ...]:
    """The places of the answer, in the order given."""
    return tuple(
        SearchItem(
            id=catalogue.ids[item],
            title=catalogue.titles[item],
            position=position,
            score=float(score_V[item]),
            parts={name: float(values_V[item]) for name, values_V in added.items()},
            why=why,
            evidence={**evidence, **read_again.get(item, {})},
        )
        for position, (item, (why, evidence)) in enumerate(zip(items_K.tolist(), told, strict=True))
    )


def nothing_asked() -> DataError:
    """The error for a search with nothing to go by."""
    return DataError("a search needs words, a picture or a clip; the text is empty and there is neither of the others")


def _check(question: Question, text: str) -> None:
    if not text and not question.vectors:
        raise nothing_asked()
    check_numbers(text, question.likened, num_items=question.num_items, user_weight=question.user_weight)


def check_numbers(text: str, likened: str, *, num_items: int, user_weight: float) -> None:
    """Refuse numbers that no search can have; see `Question`.

    Raises:
        DataError: One is out of range.
    """
    where = f"the search for '{text[:40]}'" if text else f"the search by {likened or 'nothing'}"
    check_count("num_items", num_items, where=where)
    if not 0 <= user_weight <= 1:
        raise DataError(f"user_weight must be in [0, 1], got {user_weight} in {where}")


def _signals(
    index: SearchIndex, question: Question, text: str, match: WordMatch | None, allowed_V: NDArray[np.bool_]
) -> list[Signal]:
    """What speaks for the items; a signal that reaches none of them is left out."""
    found: list[Signal] = []
    if match is not None:
        shares_V = match.shares_V.astype(np.float64)
        fair = max(_FAIR_SHARE, min(1.0, _FAIR_WORDS / max(len(words_of(text)), 1)))
        values_V = shares_V * (_FULL_MATCH / max(fair, shares_V.max(initial=0.0)))
        found.append(Signal("words", values_V, shares_V > 0, question.weights["words"]))
    described_V = np.zeros(len(allowed_V), dtype=np.bool_)
    cosines = {name: index.spaces[name].closeness(vector_D) for name, vector_D in question.vectors.items()}
    for name, values_V in _by_modality(cosines, allowed_V).items():
        present_V = index.spaces[name].present_V
        weight = question.weights.get(name, _OTHER_WEIGHT)
        found.append(Signal(name, values_V, present_V, weight, cosines[name]))
        if name in DESCRIBES:
            described_V = present_V
    pictures = question.weights[PICTURES]
    for bridge in index.bridges if text else ():
        cosines_V = bridge.space.closeness(bridge.ask(text))
        alone_V = np.where(described_V, 1.0, bridge.weight_alone / bridge.weight)
        values_V = deviations(cosines_V, allowed_V) * alone_V
        found.append(
            Signal(bridge.name, values_V, bridge.space.present_V, bridge.weight * pictures, cosines_V, bridge.how)
        )
    return [one for one in found if (one.reached_V & allowed_V).any()]


def _by_modality(
    cosines: Mapping[str, NDArray[np.float32]], allowed_V: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """Standard deviations in each modality. Texts and transcripts lie in one space and share mean and spread.

    Apart, a catalogue of meaningless titles would turn their noise into deviations as large as those of what is said.
    """
    values = {name: deviations(cosines_V, allowed_V) for name, cosines_V in cosines.items()}
    if {"text", TRANSCRIPT} <= cosines.keys():
        both = deviations(np.concatenate([cosines["text"], cosines[TRANSCRIPT]]), np.tile(allowed_V, 2))
        values["text"], values[TRANSCRIPT] = np.split(both, 2)
    return values


def _taste(
    parts: Parts,
    question: Question,
    past: Histories,
    profile_P: NDArray[np.float32] | None,
    allowed_V: NDArray[np.bool_],
    *,
    now_ms: int,
    known: bool,
) -> tuple[NDArray[np.float64] | None, list[Notice]]:
    """Standard deviations by which the model prefers each item for the user; None with the reason where it cannot tell."""
    if not question.user:
        return None, []
    profile = profile_P if profile_P is not None and np.isfinite(profile_P).all() else None
    footing = footing_of(past, profile)
    if footing is Footing.NOTHING:
        who = f"nothing is known about user '{question.user}'" if known else f"user '{question.user}' is unknown"
        code: Code = "taste_of_new" if known else "taste_of_unknown"
        return None, [Notice(code, f"{who}: taste plays no part", {"user": question.user})]
    if parts.scorer is None or parts.item_vectors_VD is None:
        return None, [Notice("taste_without_model", "no model yet: taste plays no part; run: kinema pretrain")]
    if footing is Footing.HISTORY:
        profiles = None if profile is None else profile[None]
        logits_V = parts.scorer.score(past, profiles, moments_C=np.array([now_ms]))[0]
    else:
        vector_D = user_vector(read_user(parts.scorer, past, profile, now_ms))
        logits_V = np.zeros(len(allowed_V), np.float32) if vector_D is None else parts.item_vectors_VD @ vector_D
    return np.clip(deviations(logits_V, allowed_V), -_MOST_TASTE, _MOST_TASTE), []


def _contributions(
    signals: list[Signal], taste_V: NDArray[np.float64] | None, weight: float
) -> dict[str, NDArray[np.float64]]:
    """What each signal adds to the score of every item; see the module's formula."""
    length = float(np.sqrt(sum(one.weight**2 for one in signals))) or 1.0
    added = {one.name: (1 - weight) * one.weight / length * one.values_V for one in signals}
    return added if taste_V is None else {**added, "taste": weight * taste_V}


def _named(index: SearchIndex, text: str, num_items: int) -> NDArray[np.bool_]:
    """Items whose title or id is the text."""
    named_V = np.zeros(num_items, dtype=np.bool_)
    named_V[list(index.named(text))] = True
    return named_V


def _order(
    score_V: NDArray[np.float64], named_V: NDArray[np.bool_], found_V: NDArray[np.bool_], num_items: int
) -> NDArray[np.int64]:
    """The best found items, those that are called so first."""
    first_K = top(score_V, num_items, found_V & named_V)
    rest_K = top(score_V, num_items - len(first_K), found_V & ~named_V)
    return np.concatenate([first_K, rest_K])


def _word_notices(
    index: SearchIndex, match: WordMatch | None, text: str, signals: list[Signal], *, found: bool
) -> list[Notice]:
    """What to say about the words of a query."""
    if match is None:
        return []
    by_meaning = any(one.name != "words" for one in signals)
    notices = list(index.notices)
    if not found:
        return [*notices, Notice("nothing_matches", f"nothing matches '{text}'", {"text": text})]
    if not any(one.name == "words" for one in signals):
        notices.append(_instead(has_words=bool(match.variants), by_meaning=by_meaning))
    elif match.unknown and not index.named(text):
        words = list(match.unknown[:5])
        notices.append(Notice("words_unknown", f"no item has {', '.join(map(repr, words))}", {"words": words}))
    read = (
        Notice("word_misspelt", f"'{word}' was read as '{other}'", {"word": word, "other": other})
        for word, other in match.misspelt.items()
    )
    return [*notices, *read]


def _instead(*, has_words: bool, by_meaning: bool) -> Notice:
    """What to say where no word was found."""
    what = "no item has any of these words" if has_words else "no item can be found by signs alone"
    if by_meaning:
        return Notice("meaning_of_any" if has_words else "meaning_of_signs", f"{what}: nearest by meaning")
    return Notice("no_item_has_any" if has_words else "no_item_by_signs", what)
