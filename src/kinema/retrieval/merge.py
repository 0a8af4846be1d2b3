"""Candidates of several sources become one list that remembers where each came from.

Shape suffixes: S sources, K distinct items.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinema.retrieval.top import Candidates
from kinema.schema import Candidate


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

    def sources_of(self, columns: NDArray[np.integer]) -> tuple[tuple[str, ...], ...]:
        """The sources that proposed each of some items."""
        signs_K = (1 << np.arange(len(self.sources))) @ (self.ranks_SK[:, columns] >= 0)
        names = {
            sign: tuple(name for place, name in enumerate(self.sources) if sign >> place & 1)
            for sign in set(signs_K.tolist())
        }
        return tuple(names[sign] for sign in signs_K.tolist())


def merge(found: Mapping[str, Sequence[Candidate]]) -> Merged:
    """Join lists of candidates.

    Args:
        found: Source -> its candidates, best first, each item at most once.

    Returns:
        Every item once.

    Example:
        >>> merged = merge({"flm": [Candidate(4, "flm", 0.9)], "popularity": [Candidate(2, "popularity", 7.0),
        ...     Candidate(4, "popularity", 5.0)]})
        >>> merged.items_K.tolist(), merged.ranks_SK.tolist(), merged.sources_of([1])
        ([2, 4], [[-1, 0], [0, 1]], (('flm', 'popularity'),))
    """
    lists = [
        one.items_K if isinstance(one, Candidates) else np.array([candidate.item for candidate in one], dtype=np.int64)
        for one in found.values()
    ]
    joined = np.concatenate(lists) if lists else np.empty(0, dtype=np.int64)
    sorted_N = np.sort(joined)
    items_K = sorted_N[np.diff(sorted_N, prepend=-1) > 0].astype(np.int64)
    ranks_SK = np.full((len(lists), len(items_K)), -1, dtype=np.int64)
    for row, items in enumerate(lists):
        ranks_SK[row, np.searchsorted(items_K, items)] = np.arange(len(items))
    return Merged(tuple(found), items_K, ranks_SK)
