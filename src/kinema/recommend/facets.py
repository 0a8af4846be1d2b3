"""What rules ask of items, found once per catalogue and kept: who has a tag, which language, whose attribute says what.

A request of 100,000 items has some milliseconds; going through their tags in Python takes longer than that. So each
question is answered once, as a mask, and a catalogue that has changed brings facets of its own.

Shape suffixes: V items.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Made = TypeVar("Made")
Scalar = str | int | float | bool
Words = Literal["categories", "tags", "languages"]
NO_END: Final = int(np.iinfo(np.int64).max)
UNREADABLE: Final = int(np.iinfo(np.int64).min)
_MOST_KEPT: Final = 512


@dataclass(frozen=True, eq=False)
class Facets:
    """The sides of items that rules can name, row = item number.

    Attributes:
        num_items: V.
        categories: Of each item, from general to special.
        tags: Of each item; empty as a whole where none is known of any.
        languages: Of each item, empty text where unknown; empty as a whole likewise.
        durations_ms_V: int64, 0 where unknown; None where none is known.
        attributes: Of each item, JSON text or a mapping; empty as a whole likewise.
    """

    num_items: int
    categories: Sequence[Sequence[str]] = ()
    tags: Sequence[Sequence[str]] = ()
    languages: Sequence[str] = ()
    durations_ms_V: NDArray[np.int64] | None = None
    attributes: Sequence[str | Mapping[str, Any]] = ()
    _kept: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def having(self, words: Words, wanted: tuple[str, ...]) -> NDArray[np.bool_]:
        """Items with at least one of these words, in any case; a language stands for its regions too.

        Example:
            >>> facets = Facets(3, languages=("en-GB", "de", ""))
            >>> facets.having("languages", ("EN",)).tolist()
            [True, False, False]
        """
        return self.keep((words, wanted), lambda: self._having(words, wanted))

    def known(self, words: Words) -> list[str]:
        """Every such word of the catalogue, in lower case."""
        return list(self._places[words])

    def lasting(self, least_ms: int | None, most_ms: int | None) -> NDArray[np.bool_]:
        """Items whose length is known and within the two, both inclusive."""
        durations_V = np.zeros(self.num_items, dtype=np.int64) if self.durations_ms_V is None else self.durations_ms_V

        def within() -> NDArray[np.bool_]:
            most = NO_END if most_ms is None else most_ms
            return np.asarray((durations_V > 0) & (durations_V >= (least_ms or 0)) & (durations_V <= most))

        return self.keep(("lasting", least_ms, most_ms), within)

    def equal(self, name: str, wanted: tuple[Scalar, ...]) -> NDArray[np.bool_]:
        """Items whose attribute is one of these values, or a list with one of them. ``true`` is not 1.

        Example:
            >>> facets = Facets(3, attributes=('{"at": ["de", "fr"]}', {"at": "fr"}, "{}"))
            >>> facets.equal("at", ("de",)).tolist()
            [True, False, False]
        """

        def mask() -> NDArray[np.bool_]:
            known = {_typed(one) for one in wanted}
            found = (any(_typed(one) in known for one in _listed(value)) for value in self.values(name))
            return np.fromiter(found, dtype=np.bool_, count=self.num_items)

        return self.keep(("equal", name, repr(wanted)), mask)

    def ends_ms(self, name: str) -> NDArray[np.int64]:
        """int64 [V], the moment an attribute names, as UTC milliseconds or as an ISO date; `NO_END` where an item lacks it.

        One that cannot be read is `UNREADABLE`, which lies before every moment: what may not be shown any more must not be
        shown for a slip of the pen.
        """

        def moments() -> NDArray[np.int64]:
            return np.fromiter((_moment(value) for value in self.values(name)), dtype=np.int64, count=self.num_items)

        return self.keep(("ends", name), moments)

    def groups(self, name: str) -> NDArray[np.int64]:
        """int64 [V], one number per value of an attribute; -1 where an item lacks it."""

        def numbers() -> NDArray[np.int64]:
            known: dict[str, int] = {}
            found = (-1 if value is None else known.setdefault(repr(value), len(known)) for value in self.values(name))
            return np.fromiter(found, dtype=np.int64, count=self.num_items)

        return self.keep(("groups", name), numbers)

    def values(self, name: str) -> list[Any]:
        """An attribute of each item; None where it lacks it."""

        def read() -> list[Any]:
            sign = json.dumps(name)
            found: list[Any] = []
            for one in self.attributes or [{}] * self.num_items:
                if isinstance(one, str):
                    found.append(json.loads(one).get(name) if sign in one else None)
                else:
                    found.append(one.get(name))
            return found

        return self.keep(("values", name), read)

    @cached_property
    def _places(self) -> dict[Words, dict[str, NDArray[np.int64]]]:
        lists: dict[Words, Sequence[Sequence[str]]] = {
            "categories": self.categories,
            "tags": self.tags,
            "languages": [(one,) if one else () for one in self.languages],
        }
        found: dict[Words, dict[str, NDArray[np.int64]]] = {}
        for words, rows in lists.items():
            numbers: dict[str, list[int]] = {}
            for item, names in enumerate(rows):
                for name in names:
                    numbers.setdefault(name.casefold(), []).append(item)
            found[words] = {name: np.array(items, dtype=np.int64) for name, items in numbers.items()}
        return found

    def _having(self, words: Words, wanted: tuple[str, ...]) -> NDArray[np.bool_]:
        mask_V = np.zeros(self.num_items, dtype=np.bool_)
        for one in wanted:
            name = one.casefold()
            for known, items in self._places[words].items() if words == "languages" else ():
                if known.startswith(f"{name}-"):
                    mask_V[items] = True
            mask_V[self._places[words].get(name, np.empty(0, dtype=np.int64))] = True
        return mask_V

    def keep(self, key: Any, make: Callable[[], Made]) -> Made:
        """What is found once and asked for often."""
        found: Made | None = self._kept.get(key)
        if found is None:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            found = self._kept[key] = make()
        return found


def _typed(value: Any) -> tuple[bool, Any]:
    return isinstance(value, bool), value


def _listed(value: Any) -> Sequence[Any]:
    found = value if isinstance(value, list | tuple) else (value,)
    return [one for one in found if isinstance(one, Scalar)]


def _moment(value: Any) -> int:
    if value is None:
        return NO_END
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1 << 62:
        return int(value)
    try:
        read = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return UNREADABLE
    return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000)
