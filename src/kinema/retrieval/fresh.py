"""What was published lately: without a place of their own, new items would wait for the watchers they need to be found.

Shape suffixes: V items.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinema.retrieval.query import Query
from kinema.retrieval.top import as_candidates
from kinema.schema import Candidate


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

    def __call__(self, query: Query, num: int) -> list[Candidate]:
        """The ``num`` allowed items published last, none of them before the window; the score is minus the age."""
        age_V = ages_ms(self.published_ms_V, query.now_ms)
        inside_V = query.allowed_V & (age_V >= 0) & (age_V <= self.window_ms)
        return as_candidates(-age_V, num, inside_V, source=self.name)
