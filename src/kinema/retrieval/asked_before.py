"""The best of the catalogue for questions that come again: who asks for another page has watched nothing in between.

Of a question the best are kept before anything is ruled out, so that what a request rules out can change from one to the next.

Shape suffixes: V items, N kept ones, K results.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kinema.retrieval.top import Candidates, as_candidates, best_places, top

_MOST: Final = 3072
"""Questions that are kept, with some kilobytes each; those go first that were not asked for the longest time."""
_DEPTH: Final = 384
"""Best items of each: those that are asked for, and as many as one has watched of them."""

ScoresOfAll = Callable[[], NDArray[np.float32]]


class _Kept(NamedTuple):
    """The best of the catalogue for one question, best first; ``is_all``, nothing else can be found by it."""

    items_N: NDArray[np.int32]
    scores_N: NDArray[np.float32]
    is_all: bool


class AskedBefore:
    """Best items by question, of vectors that do not change.

    Args:
        source: The retriever that asks.

    Example:
        >>> kept, scores = AskedBefore("flm"), np.float32([0.1, 0.9, 0.5])
        >>> everything = np.ones(3, dtype=bool)
        >>> kept.best(b"a", lambda: scores, 2, everything).items_K.tolist()
        [1, 2]
        >>> kept.best(b"a", lambda: 1 / 0, 2, np.array([True, False, True])).items_K.tolist()
        [2, 0]
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def best(
        self,
        question: bytes,
        scores: ScoresOfAll,
        num: int,
        allowed_V: NDArray[np.bool_],
        *,
        present_V: NDArray[np.bool_] | None = None,
    ) -> Candidates:
        """What `as_candidates` gives of the scores.

        Args:
            question: What the scores depend on.
            scores: Finds them, float32 [V].
            num: How many are wanted.
            allowed_V: bool, of this request.
            present_V: bool, the items that can ever be found; None for all.
        """
        found = self.recalled(question, num, allowed_V)
        if found is not None:
            return found
        scores_V = scores()
        best_N = top(scores_V, _DEPTH, present_V)
        self._keep(question, _Kept(best_N.astype(np.int32), scores_V[best_N], is_all=len(best_N) < _DEPTH))
        usable_V = allowed_V if present_V is None else allowed_V & present_V
        return as_candidates(scores_V, num, usable_V, source=self._source)

    def recalled(self, question: bytes, num: int, allowed_V: NDArray[np.bool_]) -> Candidates | None:
        """The best of what was kept; None where nothing was, or not enough of it is allowed."""
        with self._lock:
            kept = self._kept.get(question)
            if kept is None:
                return None
            self._kept.move_to_end(question)
        places_K = np.flatnonzero(allowed_V[kept.items_N])[:num]
        if len(places_K) < num and not kept.is_all:
            return None
        return Candidates(self._source, kept.items_N[places_K].astype(np.int64), kept.scores_N[places_K])

    def keep(self, question: bytes, items_K: NDArray[np.int64], scores_K: NDArray[np.float32]) -> None:
        """Keep the best of what was found for a question.

        Args:
            question: What it was found by.
            items_K: In any order; no other item is as good, though the catalogue may have more.
            scores_K: Of each.
        """
        places_N = best_places(scores_K, _DEPTH, None, items_K)
        self._keep(question, _Kept(items_K[places_N].astype(np.int32), scores_K[places_N], is_all=False))

    def _keep(self, question: bytes, kept: _Kept) -> None:
        with self._lock:
            self._kept[question] = kept
            self._kept.move_to_end(question)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
