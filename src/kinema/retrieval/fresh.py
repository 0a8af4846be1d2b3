"""What was published lately: without a place of their own, new items would wait for the watchers they need to be found.

Shape suffixes: V items.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kinema.retrieval.query import Query
from kinema.retrieval.top import Candidates, first_allowed


def ages_ms(published_ms_V: NDArray[np.int64], now_ms: int) -> NDArray[np.float64]:
    """float64 [V], milliseconds since publication; infinite where the date is unknown (the smallest int64)."""
    unknown_V = published_ms_V == np.iinfo(np.int64).min
    return np.where(unknown_V, np.inf, now_ms - published_ms_V.astype(np.float64))


@dataclass(frozen=True)
class FreshRetriever:
    """The newest items, newest first.

    Attributes:
        published_ms_V: int64, UTC milliseconds; the smallest int64 where unknown.
        window_ms: Items older than this are not new any more.
        name: The source its candidates carry.
    """

    published_ms_V: NDArray[np.int64]
    window_ms: int
    name: str = "fresh"

    @cached_property
    def _newest(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Items with a date, newest first, equal ones by number; and minus their dates, ascending."""
        dated = np.flatnonzero(self.published_ms_V != np.iinfo(np.int64).min)
        order = dated[np.argsort(-self.published_ms_V[dated], kind="stable")]
        return order, -self.published_ms_V[order]

    def __call__(self, query: Query, num: int) -> Candidates:
        """The ``num`` allowed items published last, none of them before the window; the score is minus the age."""
        order, negated = self._newest
        first = int(np.searchsorted(negated, -query.now_ms, side="left"))
        last = int(np.searchsorted(negated, self.window_ms - query.now_ms, side="right"))
        items_K = first_allowed(order[first:last], query.allowed_V, num)
        return Candidates(self.name, items_K, self.published_ms_V[items_K] - float(query.now_ms))
