"""`kinema search`: words, a picture or a clip become vectors, and the project's catalogue is searched for them.

The index is kept as long as the store, the vectors and the model stay as they are; encoders as long as the process lives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.encoders.text_transcripts import transcript_texts
from kinema.errors import DataError, MissingExtraError, NotBuiltError
from kinema.notices import Notice
from kinema.recommend.scenario import Condition
from kinema.recommend.search import (
    PICTURES,
    WEIGHTS,
    Question,
    SearchResult,
    check_numbers,
    check_text,
    nothing_asked,
    search,
)
from kinema.recommend.search_reasons import TRANSCRIPT, SearchIndex
from kinema.retrieval.content_search import SearchSpace
from kinema.retrieval.text_match import words_of
from kinema.settings import SearchSettings, Settings
from kinema.sources.values import moment
from kinema.steps.bridges import Bridges, TextQueries, Ways
from kinema.steps.extracting import encoder_place
from kinema.steps.matching import match_moments, match_words
from kinema.steps.query_media import clip_vectors, picture_vectors
from kinema.steps.rereading import second_reading
from kinema.steps.slates import SlateMaker
from kinema.store.features import ModalityFeatures

_LONG_WORD: Final = 5
_READ: Final = ("text", TRANSCRIPT)
"""Modalities that the text encoder makes."""
_NO_TEXT: Final = Notice(
    "words_alone", "no text vectors: words are compared, not their meaning; run: kinema extract", {"why": ""}
)


def search_project(
    slates: SlateMaker,
    text: str = "",
    *,
    folder: Path,
    settings: Settings,
    image: str | Path | None = None,
    clip: str | Path | None = None,
    user: str = "",
    user_weight: float | None = None,
    num_items: int = 10,
    categories: Sequence[str] = (),
    languages: Sequence[str] = (),
    min_duration_ms: int | None = None,
    max_duration_ms: int | None = None,
    published_since: int | str | None = None,
    hide_seen: bool = False,
) -> SearchResult:
    """Search a project.

    Args:
        slates: One reading of the project, with its recommender.
        text: Words to look for; may be empty with an image or a clip, and narrows them down otherwise.
        folder: The project's.
        settings: The project's.
        image: A picture file; finds clips that look like it.
        clip: A video file; finds clips that look, move and sound like it. It needs no place in the catalogue.
        user: User id whose taste counts a little; empty for nobody.
        user_weight: How much, in [0, 1]; None takes the settings'.
        num_items: How many, 1..1000.
        categories: Only items with one of these.
        languages: Only items in one of these; ``en`` stands for ``en-GB`` too.
        min_duration_ms: Only items that last at least so long, milliseconds; not those of unknown length.
        max_duration_ms: Only items that last at most so long; likewise.
        published_since: Only items published since: UTC milliseconds, or a date such as ``2026-01-31``.
        hide_seen: Leave out what the user has interacted with.

    Returns:
        The answer.

    Raises:
        DataError: The question is empty or too long, a file cannot be read, or a category or a language is unknown.
        NotBuiltError: The catalogue is empty, or has no vectors to compare a picture or a clip with, or the settings want a
            re-ranker that was not made yet.
        StaleArtifactError: The catalogue's vectors come from other encoders than `kinema.toml` names.
    """
    dataset, recommender = slates.dataset, slates.recommender
    if not dataset.items.height:
        raise NotBuiltError("the catalogue is empty; run: kinema ingest")
    tidy = check_text(text)
    if not tidy and image is None and clip is None:
        raise nothing_asked()
    likened = " and ".join(name for name, path in (("the picture", image), ("the clip", clip)) if path is not None)
    taste = settings.search.user_weight if user_weight is None else user_weight
    check_numbers(tidy, likened, num_items=num_items, user_weight=taste)
    since_ms = _moment(published_since)
    # Files first: what cannot be read is said before the index is built.
    vectors: dict[str, NDArray[np.float32]] = {}
    moments_TD: NDArray[np.float32] | None = None
    for path, read in ((image, picture_vectors), (clip, clip_vectors)):
        if path is not None:
            found, moments_TD = read(Path(path), dataset.features, settings=settings, folder=folder)
            vectors |= found
    queries = TextQueries(encoder_place(settings.encoders.text, folder), settings.runtime.device)
    index = search_index(slates, folder / "artifacts" / "features")
    if tidy:
        if settings.search.pictures_weight:
            index = _with_bridges(index, word_bridges(slates, _ways(queries, settings, folder)))
        words, index = _words(tidy, queries, dataset.features, index)
        if settings.search.matcher and "text" in words:
            index, words = match_words(
                index, words, text=tidy, slates=slates, queries=queries, artifacts=folder / "artifacts"
            )
        vectors = words | vectors
    if settings.search.visual and moments_TD is not None:
        index, vectors = match_moments(index, vectors, moments_TD, slates, folder / "artifacts")
    question = Question(
        text=tidy,
        vectors=vectors,
        likened=likened,
        num_items=num_items,
        only=Condition(
            categories=tuple(categories),
            languages=tuple(languages),
            published_since_ms=since_ms,
            min_duration_ms=min_duration_ms,
            max_duration_ms=max_duration_ms,
        ),
        user=user,
        user_weight=taste,
        weights=_weights(settings.search),
        hide_seen=hide_seen,
    )
    second = second_reading(slates, settings.search, folder / "artifacts") if tidy and not likened else None
    return search(recommender.parts, index, question, now_ms=recommender.now_ms(), second=second, **_past(slates, user))


def _weights(settings: SearchSettings) -> dict[str, float]:
    """What each part of a score counts."""
    chosen = {"words": settings.words_weight, "text": settings.text_weight, TRANSCRIPT: settings.transcript_weight}
    learnt = {"match": settings.text_weight, "visual": WEIGHTS["frames"]}
    return {**WEIGHTS, **chosen, **learnt, PICTURES: settings.pictures_weight}


def _past(slates: SlateMaker, user: str) -> dict[str, Any]:
    """History and profile of a user; nothing for one the store does not know."""
    if not user or slates.people.number(user) is None:
        return {}
    return {"history": slates.people.history(user), "profile_P": slates.people.profile(user)}


def _ways(queries: TextQueries, settings: Settings, folder: Path) -> Ways:
    """What leads from words to vectors and pictures in a project."""
    return Ways(
        queries,
        encoder_place(settings.encoders.frames, folder),
        folder / "artifacts",
        settings.runtime.device,
        num_frames=settings.media.num_frames,
        max_seconds=settings.limits.max_clip_seconds,
        sampling=settings.media.sampling,
        is_pooled="frames" in settings.encoders.pooling,
    )


@lru_cache(maxsize=2)
def word_bridges(slates: SlateMaker, ways: Ways) -> Bridges:
    """The ways from words to pictures; kept as the index is. Who searches with a picture alone waits for no encoder of words.

    Args:
        slates: One reading of a project.
        ways: What leads there.
    """
    return ways.bridges(slates)


def _with_bridges(index: SearchIndex, bridges: Bridges) -> SearchIndex:
    """The index with the ways from words to pictures."""
    found = replace(index, bridges=bridges.found)
    if not bridges.notice:
        return found
    lacking = Notice("pictures_left_out", bridges.notice, {"why": bridges.notice})
    return replace(found, notices=(*index.notices, lacking))


@lru_cache(maxsize=2)
def search_index(slates: SlateMaker, features: Path) -> SearchIndex:
    """Index one reading of a project.

    Args:
        slates: The reading; the index is kept as long as it is asked for.
        features: Folder of the vectors and of what is said.

    Returns:
        Words and vectors.
    """
    dataset = slates.dataset
    items = dataset.items
    spaces = {
        name: SearchSpace.plain(one.vectors_VD * one.present_V[:, None])
        if name in _READ
        else SearchSpace.standardised(one.vectors_VD, one.present_V)
        for name, one in dataset.features.items()
        if one.present_V.any()
    }
    labels = [
        " ".join(filter(None, [*(categories or ()), *(tags or ())]))
        for categories, tags in zip(items["categories"].to_list(), items["tags"].to_list(), strict=True)
    ]
    texts = {
        "title": items["title"].fill_null("").to_list(),
        "tags": labels,
        "description": items["description"].fill_null("").to_list(),
    }
    if TRANSCRIPT in dataset.features:
        texts[TRANSCRIPT] = transcript_texts(features, dataset.item_ids)
    return SearchIndex.of(
        texts,
        dataset.item_ids,
        spaces=spaces,
        notices=() if "text" in spaces else (_NO_TEXT,),
    )


def _words(
    text: str, queries: TextQueries, features: Mapping[str, ModalityFeatures], index: SearchIndex
) -> tuple[dict[str, NDArray[np.float32]], SearchIndex]:
    """The vector of a query, and the index without what cannot be used, with a notice of why."""
    trouble = ""
    asked = [name for name in _READ if name in index.spaces]
    if not asked:
        return {}, index
    try:
        if all(queries.fingerprint == features[name].encoder for name in asked):
            return dict.fromkeys(asked, queries.encode(_readings(text, index)).mean(axis=0)), index
        trouble = "text vectors come from another encoder than kinema.toml names; run: kinema extract"
    except MissingExtraError as error:
        trouble = str(error)
    bridges = tuple(one for one in index.bridges if one.name == "look")
    notice = Notice("words_alone", f"words are compared, not their meaning: {trouble}", {"why": trouble})
    return {}, replace(index, bridges=bridges, notices=(*index.notices, notice))


def _readings(text: str, index: SearchIndex) -> list[str]:
    """A query as typed and, where long words look mistyped, as it was read: either may be what is meant."""
    read = {word: other for word, other in index.words.find(text).misspelt.items() if len(word) >= _LONG_WORD}
    return [text, " ".join(read.get(word, word) for word in words_of(text))] if read else [text]


def _moment(since: int | str | None) -> int | None:
    """UTC milliseconds of a date.

    Raises:
        DataError: It is none.
    """
    if since is None or isinstance(since, int):
        return since
    found = moment(pl.Series([since])).values[0]
    if found is None:
        raise DataError(f"published_since must be a date such as 2026-01-31 or UTC milliseconds, is '{since}'")
    return int(found)
