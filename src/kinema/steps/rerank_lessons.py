"""What a re-ranker learns from: a table of judged pairs, or queries the catalogue asks itself; negatives are what the search finds.

Shape suffixes: K candidates, V items.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.encoders.text import item_text, load_text_encoder
from kinema.errors import DataError
from kinema.progress import Progress
from kinema.seeds import generator
from kinema.settings import Settings
from kinema.sources.whole_tables import read_whole_table
from kinema.steps.extracting import encoder_place
from kinema.steps.searching import search_project
from kinema.steps.slates import SlateMaker
from kinema.tasks.cross_encoder import candidate_text
from kinema.tasks.rerank_cases import RerankCase
from kinema.training.rerank_queries import MadeQuery, as_if_asked, make_query

_VALID_SHARE: Final = 0.15
_TEST_SHARE: Final = 0.2
_HELD_ITEMS: Final = 0.15
_MADE: Final = (
    "no pairs were given: queries are pieces of the items' own texts, taken out of the item while it is asked for; how well that "
    "stands for what people type, nobody knows"
)
_DEEP: Final = 1000
"""Places of the search in which judged items are looked for."""
FEWEST: Final = 20
"""Queries that a re-ranker can be learnt and judged from."""


@dataclass(frozen=True)
class Lesson:
    """Queries with candidates.

    Attributes:
        parts: ``train``, with few negatives each; ``valid`` and ``test``, as the search has them.
        held_V: bool, items that no query of ``train`` has as a candidate.
        learnt_from: In words.
        notices: What a person should know.
    """

    parts: Mapping[str, Sequence[RerankCase]]
    held_V: NDArray[np.bool_]
    learnt_from: str
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Asker:
    """The search of a project as it is without a re-ranker.

    Attributes:
        slates: One reading of the project.
        folder: The project's.
        settings: Of the project.
        depth: Candidates per query.
        negatives: Wrong candidates that a query learns from.
        seed: Of the run.
        progress: Told queries.
        whole: Items of the project as they are, whatever the slates have lost.
    """

    slates: SlateMaker
    folder: Path
    settings: Settings
    depth: int
    negatives: int
    seed: int
    progress: Progress
    whole: pl.DataFrame

    @cached_property
    def place_of(self) -> dict[str, int]:
        """Item id -> number."""
        return {name: number for number, name in enumerate(self.slates.dataset.item_ids)}

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Title and description of each item, whole."""
        return self.whole.select("title", "description").to_dicts()

    def ask(self, query: str, *, depth: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Numbers and scores of what the search finds, best first; ``depth`` of them, the asker's own where None."""
        plain = self.settings.search.model_copy(update={"reranker": False})
        found = search_project(
            self.slates,
            query,
            folder=self.folder,
            settings=self.settings.model_copy(update={"search": plain}),
            num_items=depth or self.depth,
        )
        items_K = np.array([self.place_of[one.id] for one in found.items], dtype=np.int64)
        return items_K, np.array([one.score for one in found.items], dtype=np.float64)

    def cases(
        self,
        asked: Sequence[tuple[str, Mapping[int, float]]],
        part: str,
        *,
        allowed_V: NDArray[np.bool_],
        made: Sequence[MadeQuery] = (),
        judged_only: bool = False,
    ) -> list[RerankCase]:
        """Queries of one part with their candidates.

        Args:
            asked: Query, and item number -> grade of what is known; grades above 0 are right.
            part: ``train`` keeps right items and some wrong ones; the others keep what the search has, in its order.
            allowed_V: Items that may be candidates.
            made: Where the queries were taken out of items: how. Candidates that have the same piece are right as well.
            judged_only: Candidates are what is known, in the order of the search, and nothing else.
        """
        random = generator(self.seed, f"rerank/{part}")
        found = []
        for number, (query, known) in enumerate(asked):
            items_K, present_K = self.ask(query, depth=_DEEP if judged_only else None)
            self.progress(number + 1, len(asked), f"search {part}")
            grades = {item: grade for item, grade in known.items() if allowed_V[item]}
            if made:
                same = made[number].taken.casefold()
                grades |= {
                    item: 1.0 for item in items_K.tolist() if allowed_V[item] and same in self.texts[item].casefold()
                }
            left_K = allowed_V[items_K]
            if judged_only:
                left_K = left_K & np.isin(items_K, list(grades))
            items_K, present_K = items_K[left_K], present_K[left_K]
            if part == "train":
                items_K = self._with_negatives(items_K, grades, random)
                present_K = np.zeros(len(items_K))
            right = frozenset(item for item, grade in grades.items() if grade > 0)
            grades_K = np.array([grades.get(item, 0.0) for item in items_K.tolist()], dtype=np.float32)
            if right and len(items_K) > 1:
                texts_K = self._read(items_K, made[number] if made else None, random)
                found.append(RerankCase(query, items_K, texts_K, present_K, grades_K, right))
        return found

    @cached_property
    def texts(self) -> list[str]:
        """What is read of each item in a search."""
        return [candidate_text(row) for row in self.rows]

    def _read(self, items_K: NDArray[np.int64], made: MadeQuery | None, random: np.random.Generator) -> tuple[str, ...]:
        """What is read of candidates: of a query that was taken out of an item, all without such a piece."""
        if made is None:
            return tuple(self.texts[item] for item in items_K.tolist())
        texts = []
        for item in items_K.tolist():
            if item == made.item:
                title, description = made.title, made.description
            else:
                title, description = as_if_asked(self.rows[item], made.kind, random, keep=made.taken)
            texts.append(candidate_text({"title": title, "description": description}))
        return tuple(texts)

    def _with_negatives(
        self, items_K: NDArray[np.int64], grades: Mapping[int, float], random: np.random.Generator
    ) -> NDArray[np.int64]:
        """What is right, and some that is not: first what was judged wrong, then what the search finds besides."""
        judged = [item for item, grade in grades.items() if grade <= 0]
        others = [item for item in items_K.tolist() if item not in grades]
        wrong = [*random.permutation(judged).tolist(), *random.permutation(others).tolist()][: self.negatives]
        return np.array([*(item for item, grade in grades.items() if grade > 0), *wrong], dtype=np.int64)


def lesson_of_pairs(asker: Asker, path: Path) -> Lesson:
    """Queries of a table, by chance in three parts; a part of the items is held out of the training as well.

    Source: leaving out what nobody has judged, Sakai 2007, "Alternatives to Bpref" (condensed lists).

    Args:
        asker: Finds what else could be an answer. Where the table says what is wrong, only what it says counts; else what
            nobody has called right is taken for wrong.
        path: With the columns ``query``, ``item`` and ``label`` or ``grade``; without either, every pair is right.

    Raises:
        DataError: A column is missing, a grade is no number >= 0, or fewer than 20 queries have something right.
    """
    frame, rejects = read_whole_table(path)
    missing = [name for name in ("query", "item") if name not in frame.columns]
    if missing:
        raise DataError(
            f"pairs must have the column '{missing[0]}', '{path}' has {', '.join(frame.columns)}; rename one of them"
        )
    graded = next((name for name in ("grade", "label") if name in frame.columns), None)
    grades = _grades(frame, graded, path)
    known: dict[str, dict[int, float]] = {}
    unknown = 0
    for query, item, grade in zip(frame["query"], frame["item"].cast(pl.String), grades, strict=True):
        tidy = " ".join(str(query or "").split())
        if not tidy or item not in asker.place_of:
            unknown += 1
            continue
        mine, number = known.setdefault(tidy, {}), asker.place_of[item]
        mine[number] = max(grade, mine.get(number, 0.0))
    asked = [(query, items) for query, items in sorted(known.items()) if max(items.values()) > 0]
    if len(asked) < FEWEST:
        raise DataError(
            f"pairs must have at least {FEWEST} queries with a right item of the catalogue, '{path}' has {len(asked)}; "
            "give it more, or leave --pairs out to learn from the catalogue itself"
        )
    num_items = asker.slates.dataset.items.height
    held_V = generator(asker.seed, "rerank/items").random(num_items) < _HELD_ITEMS
    all_V = np.ones(num_items, dtype=bool)
    order = generator(asker.seed, "rerank/queries").permutation(len(asked))
    judged_only = any(grade <= 0 for grade in grades)
    parts = {
        part: asker.cases(
            [asked[one] for one in some],
            part,
            allowed_V=~held_V if part == "train" else all_V,
            judged_only=judged_only,
        )
        for part, some in _split(order).items()
    }
    notices = [f"{unknown} pairs without query or of items that are not in the catalogue are left out"] * (unknown > 0)
    notices += [f"{len(rejects)} lines could not be read and are left out"] * (len(rejects) > 0)
    if judged_only:
        notices.append(
            "the table says what is wrong, so that items it does not judge are left out of learning and measuring"
        )
    if graded is None:
        notices.append("no column label or grade: every pair is taken for right")
    return Lesson(parts, held_V, f"pairs of {path.name}", tuple(notices))


def lesson_of_catalogue(
    asker: Asker, *, num_queries: int, synonyms: Mapping[str, Sequence[str]] | None = None
) -> Lesson:
    """Queries taken out of items' texts; items are in three parts, and those of validation and test are not learnt from.

    Args:
        asker: Of the whole catalogue.
        num_queries: Items that are asked for at most.
        synonyms: See `kinema.training.rerank_queries.make_query`.

    Raises:
        DataError: Fewer than 20 items have words enough.
    """
    items = asker.slates.dataset.items
    random = generator(asker.seed, "rerank/made")
    made: list[MadeQuery] = []
    hidden_V = asker.slates.dataset.hidden_V
    for number in random.permutation(items.height).tolist():
        query = (
            None if hidden_V[number] else make_query(number, items.row(number, named=True), random, synonyms=synonyms)
        )
        if query is not None:
            made.append(query)
        if len(made) == num_queries:
            break
    if len(made) < FEWEST:
        raise DataError(
            f"at least {FEWEST} items must have texts to make queries of, {len(made)} have; run: kinema ingest with titles "
            "and descriptions, or give --pairs"
        )
    holed = replace(asker, slates=_with_holes(asker, made))
    some_of = _split(np.arange(len(made)))
    held_V = np.zeros(items.height, dtype=bool)
    held_V[[made[one].item for part in ("valid", "test") for one in some_of[part]]] = True
    parts = {}
    for part, some in some_of.items():
        allowed_V = ~held_V if part == "train" else np.ones(items.height, dtype=bool)
        asked = [(made[one].query, {made[one].item: 1.0}) for one in some]
        parts[part] = holed.cases(asked, part, allowed_V=allowed_V, made=[made[one] for one in some])
    return Lesson(parts, held_V, "the catalogue itself", (_MADE,))


def _with_holes(asker: Asker, made: Sequence[MadeQuery]) -> SlateMaker:
    """The project as if what became queries had never been in its texts."""
    slates = asker.slates
    dataset = slates.dataset
    rows = [one.item for one in made]
    columns = {name: dataset.items[name].to_list() for name in ("title", "description")}
    for one in made:
        columns["title"][one.item], columns["description"][one.item] = one.title, one.description
    items = dataset.items.with_columns(pl.Series(name, values, pl.String) for name, values in columns.items())
    features = dict(dataset.features)
    if "text" in features:
        encoder = load_text_encoder(
            encoder_place(asker.settings.encoders.text, asker.folder), device=asker.settings.runtime.device
        )
        text = features["text"]
        if encoder.fingerprint == text.encoder:
            vectors_VD, present_V = text.vectors_VD.copy(), text.present_V.copy()
            asker.progress(0, 1, f"{len(rows)} texts without their queries")
            told = [item_text(items.row(row, named=True)) for row in rows]
            vectors_VD[rows], present_V[rows] = encoder.encode(told), [bool(one) for one in told]
            features["text"] = replace(text, vectors_VD=vectors_VD, present_V=present_V)
    return replace(slates, dataset=replace(dataset, items=items, features=features))


def _grades(frame: pl.DataFrame, column: str | None, path: Path) -> list[float]:
    """In [0, 1], the highest is 1."""
    if column is None:
        return [1.0] * frame.height
    values = frame[column].cast(pl.Float64, strict=False)
    bad = values.is_null() | values.is_nan() | (values < 0)
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"{column} of a pair must be a number >= 0, is '{frame[column][row]}' in row {row + 1} of '{path}'; mend it"
        )
    highest = max(float(np.max(values.to_numpy())), 1e-9)
    return [float(one) / highest for one in values]


def _split(order: NDArray[np.int64]) -> dict[str, list[int]]:
    """The places of three parts."""
    first, second = (round(share * len(order)) for share in (_TEST_SHARE, _TEST_SHARE + _VALID_SHARE))
    return {"train": order[second:].tolist(), "valid": order[first:second].tolist(), "test": order[:first].tolist()}
