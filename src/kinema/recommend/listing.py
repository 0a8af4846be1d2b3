"""The catalogue as a table: searched, filtered, sorted, page by page, fast enough for every key that is pressed.

Shape suffixes: V items, N items that are meant.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.recommend.catalogue import UNKNOWN_DATE, Catalogue
from kinema.recommend.conditions import matching
from kinema.recommend.scenario import Condition

State = Literal["recommendable", "hidden", "scheduled", "cold", "warm", "with_media", "without_media", "placed"]
STATES: Final[tuple[State, ...]] = get_args(State)
Sort = Literal["added", "id", "title", "category", "published", "duration", "events", "popularity"]
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)


@dataclass(frozen=True)
class Wanted:
    """Which items, and in which order.

    Attributes:
        words: Each must be in id, title, categories or tags, in any case.
        only: What must hold of them besides.
        states: All of these hold.
        sort: By what; equal ones as they were added.
        descending: Largest, latest, last first. What an item lacks comes last either way.
        offset: Items that are passed over.
        limit: Items of a page.
    """

    words: tuple[str, ...] = ()
    only: Condition = field(default_factory=Condition)
    states: tuple[State, ...] = ()
    sort: Sort = "added"
    descending: bool = False
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True)
class Standing:
    """What changes while the service runs.

    Attributes:
        counts_V: Interactions that the model has learnt from.
        popularity_V: Interactions, older ones counting less.
        placed_V: bool, somebody has decided something of the item.
        now_ms: UTC milliseconds.
    """

    counts_V: NDArray[np.integer]
    popularity_V: NDArray[np.floating]
    placed_V: NDArray[np.bool_]
    now_ms: int


@dataclass(frozen=True)
class Found:
    """One page.

    Attributes:
        numbers_N: int64, items in order.
        has_media_N: bool.
        total: Items on all pages.
    """

    numbers_N: NDArray[np.int64]
    has_media_N: NDArray[np.bool_]
    total: int


@dataclass(frozen=True, eq=False)
class Listing:
    """The table of one reading.

    Attributes:
        catalogue: V items.
        gone_V: bool, deleted; never listed. May be set while the service runs.
        has_media_V: bool.
    """

    catalogue: Catalogue
    gone_V: NDArray[np.bool_]
    has_media_V: NDArray[np.bool_]

    @classmethod
    def of(cls, catalogue: Catalogue, items: pl.DataFrame, removed: Sequence[int]) -> "Listing":
        """From the items of a store.

        Args:
            catalogue: Made of them.
            items: As `kinema.store.protocols.Store.items` returns them.
            removed: Numbers of those that are deleted, see `kinema.store.service_protocols`.
        """
        gone_V = np.zeros(len(catalogue), dtype=np.bool_)
        gone_V[[number for number in removed if number < len(catalogue)]] = True
        return cls(catalogue, gone_V, (items["media_path"].fill_null("") != "").to_numpy())

    def find(self, wanted: Wanted, standing: Standing) -> Found:
        """The items of one page."""
        mask_V = ~self.gone_V & matching(wanted.only, self.catalogue, standing.now_ms)
        for state in wanted.states:
            mask_V &= self.having(state, standing)
        for word in wanted.words:
            mask_V &= self._texts.str.contains(word.casefold(), literal=True).to_numpy()
        rows_N = np.flatnonzero(mask_V)
        page = slice(wanted.offset, wanted.offset + wanted.limit)
        numbers_N = self._sorted(rows_N, wanted, standing)[page]
        return Found(numbers_N, self.has_media_V[numbers_N], len(rows_N))

    def having(self, state: State, standing: Standing) -> NDArray[np.bool_]:
        """Which items are in a state, bool [V]."""
        catalogue = self.catalogue
        later_V = catalogue.published_ms_V > standing.now_ms
        match state:
            case "recommendable":
                return ~catalogue.hidden_V & ~later_V
            case "hidden":
                return catalogue.hidden_V
            case "scheduled":
                return later_V
            case "cold" | "warm":
                return np.asarray((standing.counts_V == 0) == (state == "cold"))
            case "with_media" | "without_media":
                return np.asarray(self.has_media_V == (state == "with_media"))
            case "placed":
                return standing.placed_V

    def counts(self, standing: Standing) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        """Items by category, by language and by state, the most frequent first; categories and languages as they are written."""
        states: dict[str, int] = {state: int((self.having(state, standing) & ~self.gone_V).sum()) for state in STATES}
        return *self._names, states

    def _sorted(self, rows_N: NDArray[np.int64], wanted: Wanted, standing: Standing) -> NDArray[np.int64]:
        if wanted.sort == "added":
            return rows_N[::-1] if wanted.descending else rows_N
        keys_V, lacking_V = self._keys(wanted.sort, standing)
        keys_N = keys_V[rows_N]
        order_N = np.lexsort((rows_N, -keys_N if wanted.descending else keys_N, lacking_V[rows_N]))
        return rows_N[order_N]

    def _keys(self, sort: Sort, standing: Standing) -> tuple[NDArray[np.number], NDArray[np.bool_]]:
        """What items are sorted by, as numbers, and which have nothing of it."""
        all_there_V = np.zeros(len(self.catalogue), dtype=np.bool_)
        match sort:
            case "published":
                dates_V = self.catalogue.published_ms_V
                return np.where(dates_V == UNKNOWN_DATE, 0, dates_V), dates_V == UNKNOWN_DATE
            case "duration":
                return self._lengths, self._lengths == 0
            case "events":
                return np.asarray(standing.counts_V, dtype=np.int64), all_there_V
            case "popularity":
                return np.asarray(standing.popularity_V, dtype=np.float64), all_there_V
            case _:
                return self._ranks[sort], self._empty[sort]

    @cached_property
    def _lengths(self) -> NDArray[np.int64]:
        durations_V = self.catalogue.facets.durations_ms_V
        return np.zeros(len(self.catalogue), dtype=np.int64) if durations_V is None else durations_V

    @cached_property
    def _names(self) -> tuple[dict[str, int], dict[str, int]]:
        there = np.flatnonzero(~self.gone_V).tolist()
        names = [name for item in there for name in self.catalogue.categories[item]]
        spoken = [self.catalogue.facets.languages[item] for item in there] if self.catalogue.facets.languages else []
        return _counted(names), _counted([one for one in spoken if one])

    @cached_property
    def _words(self) -> dict[str, list[str]]:
        firsts = [names[0] if names else "" for names in self.catalogue.categories]
        return {"id": list(self.catalogue.ids), "title": list(self.catalogue.titles), "category": firsts}

    @cached_property
    def _ranks(self) -> dict[str, NDArray[np.int64]]:
        """Place of each text among all, in any case: texts are compared once, and numbers afterwards."""
        return {
            name: pl.Series([one.casefold() for one in texts], dtype=pl.String)
            .rank("dense")
            .to_numpy()
            .astype(np.int64)
            for name, texts in self._words.items()
        }

    @cached_property
    def _empty(self) -> dict[str, NDArray[np.bool_]]:
        return {name: np.array([not one for one in texts], dtype=np.bool_) for name, texts in self._words.items()}

    @cached_property
    def _texts(self) -> pl.Series:
        """What words are looked for in, of each item."""
        catalogue = self.catalogue
        tags: Sequence[Sequence[str]] = catalogue.facets.tags or ((),) * len(catalogue)
        rows = zip(catalogue.ids, catalogue.titles, catalogue.categories, tags, strict=True)
        texts = [" ".join((one, title, *names, *words)).casefold() for one, title, names, words in rows]
        return pl.Series(texts, dtype=pl.String)


def _counted(names: list[str]) -> dict[str, int]:
    counts = Counter(names)
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
