"""The n best of a score array, the same on every run and every machine.

Shape suffixes: V items, K results.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from kinema.compiled import compiled
from kinema.schema import Candidate

_BY_PLACE: Final = np.empty(0, dtype=np.int64)


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
    return best_places(scores_V, max(num, 0), allowed_V, _BY_PLACE)


@compiled
def best_places(
    scores_N: NDArray[np.floating],
    num: int,
    allowed_N: NDArray[np.bool_] | None,
    numbers_N: NDArray[np.int64],
) -> NDArray[np.int64]:
    """`top` of what has item numbers of its own, in no order: of equal scores the lower number wins; empty for 0, 1, 2, ...

    The best so far are a heap with the worst of them in front, so that most items cost one comparison.
    """
    size, most = 0, min(num, len(scores_N))
    values_K, places_K = np.empty(most, dtype=scores_N.dtype), np.empty(most, dtype=np.int64)
    heap = (values_K, places_K, numbers_N)
    if not most:
        return places_K
    for place in range(len(scores_N)):
        value = scores_N[place]
        if (size == most and value < values_K[0]) or not np.isfinite(value):
            continue
        if allowed_N is not None and not allowed_N[place]:
            continue
        if size < most:
            values_K[size], places_K[size] = value, place
            size += 1
            _rise(heap, size - 1)
        elif _is_worse(heap, 0, value, place):
            values_K[0], places_K[0] = value, place
            _sink(heap, most)
    for last in range(size - 1, 0, -1):
        values_K[0], values_K[last] = values_K[last], values_K[0]
        places_K[0], places_K[last] = places_K[last], places_K[0]
        _sink(heap, last)
    return places_K[:size]


_Heap = tuple[NDArray[np.floating], NDArray[np.int64], NDArray[np.int64]]


@compiled
def _is_worse(heap: _Heap, at: int, value: float, place: int) -> bool:
    """Whether an entry of the heap is worse than another."""
    values_K, places_K, numbers_N = heap
    if values_K[at] != value:
        return bool(values_K[at] < value)
    if not len(numbers_N):
        return bool(places_K[at] > place)
    return bool(numbers_N[places_K[at]] > numbers_N[place])


@compiled
def _rise(heap: _Heap, start: int) -> None:
    """Move one entry of a heap forward to where it belongs."""
    values_K, places_K, _ = heap
    value, place, at = values_K[start], places_K[start], start
    while at and not _is_worse(heap, (at - 1) // 2, value, place):
        above = (at - 1) // 2
        values_K[at], places_K[at] = values_K[above], places_K[above]
        at = above
    values_K[at], places_K[at] = value, place


@compiled
def _sink(heap: _Heap, size: int) -> None:
    """Move the first entry of a heap of some size back to where it belongs."""
    values_K, places_K, _ = heap
    value, place, at = values_K[0], places_K[0], 0
    while 2 * at + 1 < size:
        below = 2 * at + 1
        if below + 1 < size and _is_worse(heap, below + 1, values_K[below], places_K[below]):
            below += 1
        if not _is_worse(heap, below, value, place):
            break
        values_K[at], places_K[at] = values_K[below], places_K[below]
        at = below
    values_K[at], places_K[at] = value, place


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
