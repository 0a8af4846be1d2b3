"""The catalogue as the request path needs it: names, dates and flags by item number.

Shape suffixes: V items.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.recommend.facets import Facets
from kinema.schema import Item

UNKNOWN_DATE = int(np.iinfo(np.int64).min)


@dataclass(frozen=True)
class Catalogue:
    """Every item, row = item number.

    Attributes:
        ids: As the owner of the data spells them.
        titles: Empty where there is none; the id is shown instead.
        categories: From general to special.
        published_ms_V: int64, UTC milliseconds; the smallest int64 where unknown (always published).
        hidden_V: bool, never recommended.
        facets: What the rules of a scenario can name.
    """

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    published_ms_V: NDArray[np.int64]
    hidden_V: NDArray[np.bool_]
    facets: Facets = field(compare=False)

    @classmethod
    def from_frame(cls, items: pl.DataFrame) -> Self:
        """The catalogue of a store.

        Args:
            items: As `Store.items` returns them: ``num`` and the columns of `Item`; all but ``id`` may be missing.

        Raises:
            DataError: Item numbers are not 0, 1, 2, ... in order: every vector would belong to another item.
        """
        size = items.height
        if "num" in items.columns and items["num"].to_list() != list(range(size)):
            raise DataError(
                "items must be ordered by num 0, 1, 2, ..., got other numbers; read them with Store.items()"
            )
        none = pl.Series([None] * size)
        titles, categories, published, hidden = (
            items[name] if name in items.columns else none for name in ("title", "categories", "published_at", "hidden")
        )
        named = tuple(tuple(names or ()) for names in categories.to_list())
        return cls(
            ids=tuple(items["id"].to_list()),
            titles=tuple(title or "" for title in titles.to_list()),
            categories=named,
            published_ms_V=published.cast(pl.Int64).fill_null(UNKNOWN_DATE).to_numpy().astype(np.int64),
            hidden_V=hidden.cast(pl.Boolean).fill_null(value=False).to_numpy().astype(np.bool_),
            facets=_facets(items, named),
        )

    @classmethod
    def of(cls, items: Sequence[Item]) -> Self:
        """The catalogue of items at hand, numbered as they come.

        Example:
            >>> catalogue = Catalogue.of([Item("v1", title="Otters"), Item("v2")])
            >>> catalogue.number("v2"), catalogue.name(0), catalogue.name(1)
            (1, 'Otters', 'v2')
        """
        categories = tuple(tuple(item.categories) for item in items)
        dates = [UNKNOWN_DATE if item.published_at is None else item.published_at for item in items]
        return cls(
            ids=tuple(item.id for item in items),
            titles=tuple(item.title for item in items),
            categories=categories,
            published_ms_V=np.array(dates, dtype=np.int64),
            hidden_V=np.array([item.hidden for item in items], dtype=np.bool_),
            facets=Facets(
                len(items),
                categories,
                tags=tuple(item.tags for item in items),
                languages=tuple(item.language for item in items),
                durations_ms_V=np.array([item.duration_ms or 0 for item in items], dtype=np.int64),
                attributes=tuple(item.attributes for item in items),
            ),
        )

    def __len__(self) -> int:
        """V."""
        return len(self.ids)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Item id -> item number."""
        return {item_id: number for number, item_id in enumerate(self.ids)}

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """int64 [V], number of each item's first category; -1 for items without one."""
        known: dict[str, int] = {}
        groups = [known.setdefault(names[0], len(known)) if names else -1 for names in self.categories]
        return np.array(groups, dtype=np.int64)

    def name(self, item: int) -> str:
        """What people call an item: its title, or its id where it has none."""
        return self.titles[item] or self.ids[item]

    def number(self, item_id: str) -> int:
        """The number of an item.

        Raises:
            DataError: No item has this id. The message names the closest ids, or the items with the closest titles,
                since people often have only the title at hand.
        """
        found = self.numbers.get(item_id)
        if found is not None:
            return found
        if not self.ids:
            raise DataError(f"unknown item '{item_id}': the catalogue is empty; run: kinema ingest")
        close = get_close_matches(item_id, self.ids, n=3, cutoff=0.6)
        if not close:
            titles = set(get_close_matches(item_id, self.titles, n=3, cutoff=0.6))
            close = [one for one, title in zip(self.ids, self.titles, strict=True) if title in titles and title][:3]
        suggestion = f", did you mean {', '.join(map(self._label, close))}?" if close else ";"
        raise DataError(f"unknown item '{item_id}'{suggestion} the catalogue has {len(self)} items")

    def _label(self, item_id: str) -> str:
        title = self.titles[self.numbers[item_id]]
        return f"'{item_id}' ({title})" if title else f"'{item_id}'"


def _facets(items: pl.DataFrame, categories: tuple[tuple[str, ...], ...]) -> Facets:
    """Of a store's frame, whose attributes are JSON text; columns may be missing."""
    tags, languages, attributes = (
        items[name].to_list() if name in items.columns else [] for name in ("tags", "language", "attributes")
    )
    durations_V = np.zeros(items.height, dtype=np.int64)
    if "duration_ms" in items.columns:
        durations_V = items["duration_ms"].cast(pl.Int64).fill_null(0).to_numpy().astype(np.int64)
    return Facets(
        items.height,
        categories,
        tags=tuple(tuple(names or ()) for names in tags),
        languages=tuple(name or "" for name in languages),
        durations_ms_V=durations_V,
        attributes=tuple(one or "{}" for one in attributes),
    )
