"""Candidates of several sources become one list that remembers where each came from.

Shape suffixes: S sources, K distinct items.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kinema.retrieval.top import Candidates
from kinema.schema import Candidate


@dataclass(frozen=True, eq=False)
class Proposed:
    """Who proposed each of some items, told only of those that are asked about.

    Attributes:
        names: Of the sources.
        signs_K: int64, of each item the sum of ``2 ** place`` of its sources.
    """

    names: tuple[str, ...]
    signs_K: NDArray[np.int64]

    @classmethod
    def by(cls, num: int, *names: str) -> Self:
        """So many items, all by the same sources."""
        return cls(names, np.full(num, (1 << len(names)) - 1, dtype=np.int64))

    def take(self, places: NDArray[np.integer]) -> "Proposed":
        """The given places, in that order."""
        return Proposed(self.names, self.signs_K[places])

    def and_by(self, name: str, num: int) -> "Proposed":
        """These, and behind them so many proposed by a source of their own."""
        signs = np.full(num, 1 << len(self.names), dtype=np.int64)
        return Proposed((*self.names, name), np.concatenate([self.signs_K, signs]))

    def of_each(self) -> list[tuple[str, ...]]:
        """The names of each item's sources.

        Example:
            >>> Proposed(("flm", "fresh"), np.array([3, 1])).of_each()
            [('flm', 'fresh'), ('flm',)]
        """
        return [
            tuple(name for place, name in enumerate(self.names) if sign >> place & 1) for sign in self.signs_K.tolist()
        ]


@dataclass(frozen=True)
class Merged:
    """Distinct candidates, by item number.

    Attributes:
        sources: S names, in the order given.
        items_K: int64, ascending.
        ranks_SK: int64, place of the item in each source's list, from 0; -1 where the source did not propose it.
    """

    sources: tuple[str, ...]
    items_K: NDArray[np.int64]
    ranks_SK: NDArray[np.int64]

    @cached_property
    def proposed(self) -> Proposed:
        """By whom."""
        # Products of floats are quick, and exact for all powers of two that there are sources for.
        powers_S = np.ldexp(1.0, np.arange(len(self.sources)))
        return Proposed(self.sources, (powers_S @ (self.ranks_SK >= 0).astype(np.float64)).astype(np.int64))

    def alone(self) -> dict[str, int]:
        """Source -> how many of the items no other source proposed.

        Example:
            >>> merge({"flm": [Candidate(4, "flm", 0.9)], "fresh": [Candidate(2, "fresh", 7.0)]}).alone()
            {'flm': 1, 'fresh': 1}
        """
        counts = np.bincount(self.proposed.signs_K, minlength=1 << len(self.sources))
        return {name: int(counts[1 << place]) for place, name in enumerate(self.sources)}


def merge(found: Mapping[str, Sequence[Candidate]]) -> Merged:
    """Join lists of candidates.

    Args:
        found: Source -> its candidates, best first, each item at most once.

    Returns:
        Every item once.

    Example:
        >>> merged = merge({"flm": [Candidate(4, "flm", 0.9)], "popularity": [Candidate(2, "popularity", 7.0),
        ...     Candidate(4, "popularity", 5.0)]})
        >>> merged.items_K.tolist(), merged.ranks_SK.tolist(), merged.proposed.of_each()
        ([2, 4], [[-1, 0], [0, 1]], [('popularity',), ('flm', 'popularity')])
    """
    lists = [
        one.items_K if isinstance(one, Candidates) else np.array([candidate.item for candidate in one], dtype=np.int64)
        for one in found.values()
    ]
    joined = np.concatenate(lists) if lists else np.empty(0, dtype=np.int64)
    items_K = _distinct(np.sort(joined)).astype(np.int64)
    ranks_SK = np.full((len(lists), len(items_K)), -1, dtype=np.int64)
    columns_N, start = np.searchsorted(items_K, joined), 0
    for row, items in enumerate(lists):
        ranks_SK[row, columns_N[start : start + len(items)]] = np.arange(len(items))
        start += len(items)
    return Merged(tuple(found), items_K, ranks_SK)


def _distinct(sorted_N: NDArray[np.integer]) -> NDArray[np.integer]:
    """Each number once."""
    is_first_N = np.ones(len(sorted_N), dtype=np.bool_)
    np.not_equal(sorted_N[1:], sorted_N[:-1], out=is_first_N[1:])
    return sorted_N[is_first_N]
