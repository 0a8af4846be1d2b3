"""What `kinema finetune match` and `kinema finetune visual` have learnt, taken up by a search.

Learnt places stand in for what they were learnt in place of: ``match`` for the text encoder's cosine, ``visual`` for that of the mean
frame. Nothing of training is imported here.

Shape suffixes: V items, T frames of a query, D width of a vector, E width of a space.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import MANIFEST
from kinema.encoders.text import TextEncoder, load_text_encoder
from kinema.errors import NotBuiltError
from kinema.recommend.search_reasons import SearchIndex
from kinema.retrieval.content_search import SearchSpace
from kinema.retrieval.moment_search import MomentSpace
from kinema.steps.bridges import TextQueries
from kinema.steps.slates import SlateMaker
from kinema.tasks.match_model import REMEDY, MatchModel
from kinema.tasks.visual_model import REMEDY as VISUAL_REMEDY
from kinema.tasks.visual_model import VisualModel, moments_of

TEXTS: Final = "match/texts"
VISUAL: Final = "visual"
_Vectors = dict[str, NDArray[np.float32]]


def match_words(
    index: SearchIndex,
    words: Mapping[str, NDArray[np.float32]],
    *,
    text: str,
    slates: SlateMaker,
    queries: TextQueries,
    artifacts: Path,
) -> tuple[SearchIndex, _Vectors]:
    """Words compared as was learnt.

    Args:
        index: Of the catalogue.
        words: The query's vectors, with ``text``.
        text: The query.
        slates: One reading of the project.
        queries: Its text encoder.
        artifacts: Folder of the project's artefacts.

    Returns:
        The index and the vectors with ``match`` in place of ``text``.

    Raises:
        NotBuiltError: Nothing was learnt yet.
        StaleArtifactError: It was learnt from vectors of other encoders.
    """
    folder = artifacts / TEXTS
    stamp = _stamp(folder, "matcher", REMEDY)
    model, space = _texts(folder, stamp), _text_space(slates, folder, stamp)
    plain_D = words["text"]
    if model.changes:
        plain_D = _changed_encoder(folder, stamp, queries).encode_query_text([text])[0]
    spaces = {name: one for name, one in index.spaces.items() if name != "text"} | {"match": space}
    vectors = {name: one for name, one in words.items() if name != "text"}
    return replace(index, spaces=spaces), vectors | {"match": model.words(plain_D[None])[0]}


def match_moments(
    index: SearchIndex,
    vectors: Mapping[str, NDArray[np.float32]],
    moments_TD: NDArray[np.float32],
    slates: SlateMaker,
    artifacts: Path,
) -> tuple[SearchIndex, _Vectors]:
    """A picture or a clip compared moment by moment, as was learnt.

    Args:
        index: Of the catalogue.
        vectors: The query's, with ``frames``.
        moments_TD: Vectors of its frames.
        slates: One reading of the project.
        artifacts: Folder of the project's artefacts.

    Returns:
        The index and the vectors with ``visual`` in place of ``frames``.

    Raises:
        NotBuiltError: Nothing was learnt yet, or clips have no frames.
        StaleArtifactError: It was learnt from vectors of another encoder.
    """
    folder = artifacts / VISUAL
    space = _moment_space(slates, folder, _stamp(folder, "visual", VISUAL_REMEDY))
    spaces = {name: one for name, one in index.spaces.items() if name != "frames"} | {"visual": space}
    others = {name: one for name, one in vectors.items() if name != "frames"}
    return replace(index, spaces=spaces), others | {"visual": moments_TD}


def _stamp(folder: Path, key: str, remedy: str) -> int:
    """Changes with every training.

    Raises:
        NotBuiltError: There was none.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise NotBuiltError(
            f"[search] {key} must have something learnt to compare by, there is nothing yet; run: {remedy}"
        )
    return path.stat().st_mtime_ns


@lru_cache(maxsize=2)
def _texts(folder: Path, stamp: int) -> MatchModel:
    del stamp
    return MatchModel.load(folder)


@lru_cache(maxsize=2)
def _text_space(slates: SlateMaker, folder: Path, stamp: int) -> SearchSpace:
    return SearchSpace.plain(_texts(folder, stamp).items(slates.dataset.features))


@lru_cache(maxsize=2)
def _moment_space(slates: SlateMaker, folder: Path, stamp: int) -> MomentSpace:
    del stamp
    model, features = VisualModel.load(folder), slates.dataset.features
    model.check(features)
    vectors_MD, offsets = moments_of(features)
    return MomentSpace(model.carrier.carry(vectors_MD), offsets, model.carrier.carry, len(model.carrier.mean_D))


@lru_cache(maxsize=1)
def _changed_encoder(folder: Path, stamp: int, queries: TextQueries) -> TextEncoder:
    """The project's text encoder as it has learnt to read queries."""
    encoder = load_text_encoder(queries.place, device=queries.device)
    encoder.change(_texts(folder, stamp).changes)
    return encoder


def query_rows(model: MatchModel, queries: TextQueries, texts: list[str]) -> NDArray[np.float32]:
    """float32 [N, E], the places of several queries."""
    encoder = load_text_encoder(queries.place, device=queries.device)
    if model.changes:
        encoder.change(model.changes)
    return model.words(encoder.encode_query_text(texts))
