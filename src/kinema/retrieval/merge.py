"""Candidates of several sources become one list that remembers where each came from.

Shape suffixes: S sources, K distinct items.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kinema.compiled import compiled
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
    sizes_S = np.array([len(items) for items in lists], dtype=np.int64)
    return Merged(tuple(found), *_ranked(np.sort(joined), joined, sizes_S))


@compiled
def _ranked(
    sorted_N: NDArray[np.int64], joined_N: NDArray[np.int64], sizes_S: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct numbers, and where each stands in each list; -1 where it does not.

    Args:
        sorted_N: The numbers of all lists, ascending.
        joined_N: The same, list after list.
        sizes_S: Of the lists.
    """
    items_K, num = np.empty(len(sorted_N), dtype=np.int64), 0
    for item in sorted_N:
        if not num or items_K[num - 1] != item:
            items_K[num] = item
            num += 1
    ranks_SK = np.full((len(sizes_S), num), -1, dtype=np.int64)
    start = 0
    for row in range(len(sizes_S)):
        for rank in range(sizes_S[row]):
            low, high, item = 0, num, joined_N[start + rank]
            while high - low > 1:
                middle = (low + high) // 2
                if items_K[middle] <= item:
                    low = middle
                else:
                    high = middle
            ranks_SK[row, low] = rank
        start += sizes_S[row]
    return items_K[:num], ranks_SK
