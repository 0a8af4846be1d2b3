"""The n best of a score array, the same on every run and every machine.

Shape suffixes: V items, K results.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from kinema.schema import Candidate


def top(scores_V: NDArray[np.floating], num: int, allowed_V: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Numbers of the ``num`` best items.

    `argpartition` alone keeps an arbitrary choice among items that tie for the last place, so two machines could answer
    differently; here the lower number wins. Items whose score is not finite (a model that cannot score them, a damaged
    vector) are never returned.

    Args:
        scores_V: Higher is better.
        num: How many are wanted, >= 0.
        allowed_V: Items that may be returned; None allows all.

    Returns:
        int64 [K], K <= num, best first, ties by item number.

    Example:
        >>> top(np.array([0.1, 0.7, 0.7, np.nan, 0.9]), 2)
        array([4, 1])
    """
    usable_V = np.isfinite(scores_V) if allowed_V is None else np.isfinite(scores_V) & allowed_V
    items_M = np.flatnonzero(usable_V)
    values_M = scores_V[items_M]
    if num < len(items_M):
        if num <= 0:
            return np.empty(0, dtype=np.int64)
        last = np.partition(values_M, len(values_M) - num)[len(values_M) - num]
        above_M = values_M > last
        ties = np.flatnonzero(values_M == last)[: num - int(above_M.sum())]
        above_M[ties] = True
        items_M, values_M = items_M[above_M], values_M[above_M]
    return items_M[np.argsort(-values_M, kind="stable")].astype(np.int64)


def first_allowed(order_N: NDArray[np.integer], allowed_V: NDArray[np.bool_], num: int) -> NDArray[np.int64]:
    """The first ``num`` allowed items of a list that is in order already, looked at no further than needed.

    Example:
        >>> first_allowed(np.array([3, 1, 2]), np.array([True, True, True, False]), 1)
        array([1])
    """
    step = 4 * max(num, 1) + 256
    found = [np.empty(0, dtype=np.int64)]
    size = 0
    for start in range(0, len(order_N), step):
        if size >= num:
            break
        part = order_N[start : start + step]
        found.append(part[allowed_V[part]].astype(np.int64))
        size += len(found[-1])
    return np.concatenate(found)[: max(num, 0)]


@dataclass(frozen=True, eq=False)
class Candidates(Sequence[Candidate]):
    """What one source proposes, best first.

    Kept as arrays: of a thousand candidates ten are shown, and an object for each would cost more than finding them.

    Attributes:
        source: The retriever that found them.
        items_K: int64.
        scores_K: That source's numbers.
    """

    source: str
    items_K: NDArray[np.int64]
    scores_K: NDArray[np.floating]

    def __len__(self) -> int:
        """K."""
        return len(self.items_K)

    @overload
    def __getitem__(self, place: int) -> Candidate: ...
    @overload
    def __getitem__(self, place: slice) -> "Candidates": ...
    def __getitem__(self, place: int | slice) -> "Candidate | Candidates":
        """One candidate, or some."""
        if isinstance(place, slice):
            return Candidates(self.source, self.items_K[place], self.scores_K[place])
        return Candidate(int(self.items_K[place]), self.source, float(self.scores_K[place]))

    def __iter__(self) -> Iterator[Candidate]:
        """One after the other."""
        return (self[place] for place in range(len(self)))


def as_candidates(scores_V: NDArray[np.floating], num: int, allowed_V: NDArray[np.bool_], *, source: str) -> Candidates:
    """The ``num`` best allowed items as candidates of one source, best first."""
    items_K = top(scores_V, num, allowed_V)
    return Candidates(source, items_K, scores_V[items_K])


def best_of(
    items_N: NDArray[np.integer], scores_N: NDArray[np.floating], num: int, allowed_V: NDArray[np.bool_], *, source: str
) -> Candidates:
    """The ``num`` best allowed of some items, ascending by number, as candidates of one source, best first."""
    places_K = top(scores_N, num, allowed_V[items_N])
    return Candidates(source, items_N[places_K].astype(np.int64), scores_N[places_K])


def nothing(source: str) -> Candidates:
    """The answer of a source that has nothing to say."""
    return Candidates(source, np.empty(0, dtype=np.int64), np.empty(0))
