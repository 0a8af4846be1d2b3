"""The first places of an answer, read again by something slower that looks at query and item together.

It orders candidates that the search has found and finds none itself, so that it costs the same however large the catalogue.

Shape suffixes: K candidates.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinema.tasks.rerank_cases import blended, order_of


@dataclass(frozen=True, eq=False)
class SecondReading:
    """Who reads again.

    Attributes:
        told: By what, in words.
        top: How many places are read again, >= 1.
        weight: What it counts against the first order, in [0, 1].
        read: Query and item numbers -> scores.
    """

    told: str
    top: int
    weight: float
    read: Callable[[str, NDArray[np.int64]], NDArray[np.float32]]

    def reorder(
        self, query: str, items_K: NDArray[np.int64], scores_K: NDArray[np.floating], *, num_fixed: int = 0
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The candidates in their new order.

        Args:
            query: The words asked for.
            items_K: Best first.
            scores_K: Of the first order.
            num_fixed: So many stay in front whatever is read.

        Returns:
            All of the items, and the scores of those that were read, in the new order; the others follow as they were.

        Example:
            >>> reading = SecondReading("length", top=3, weight=1.0, read=lambda query, items: items.astype(np.float32))
            >>> reading.reorder("x", np.array([5, 3, 9, 7]), np.array([4.0, 3.0, 2.0, 1.0]))[0].tolist()
            [9, 5, 3, 7]
        """
        part = slice(num_fixed, max(self.top, num_fixed))
        asked_K = items_K[part]
        if not len(asked_K) or not self.weight:
            return items_K, np.empty(0, dtype=np.float32)
        read_K = self.read(query, asked_K)
        order_K = order_of(blended(scores_K[part], read_K, self.weight))
        return np.concatenate([items_K[:num_fixed], asked_K[order_K], items_K[part.stop :]]), read_K[order_K]
