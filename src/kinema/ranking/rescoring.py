"""A second opinion on candidates: a task's probability moves the model's scores.

Shape suffixes: K candidates.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Opinion = Callable[[NDArray[np.int64], int], NDArray[np.float32]]
"""Item numbers and the moment, UTC ms -> probabilities."""
_LEAST: float = 1e-6


@dataclass(frozen=True)
class Rescoring:
    """Who is asked, and how far it counts.

    Attributes:
        name: For the trace.
        opinion: Probabilities of some items for the user who asks.
        weight: Share in [0, 1]: 0 leaves the scores alone, 1 orders by the opinion.
    """

    name: str
    opinion: Opinion
    weight: float

    def blend(self, scores_K: NDArray[np.float64], items_K: NDArray[np.int64], now_ms: int) -> NDArray[np.float64]:
        """Scores with the opinion in them, on the scale they had.

        The two have units of their own; log-odds are brought to the mean and the deviation of the scores first.

        Args:
            scores_K: Finite, higher is better.
            items_K: Item numbers.
            now_ms: The moment, UTC.

        Returns:
            float64 [K].

        Example:
            >>> likely = Rescoring("click", lambda items, now: np.float32([0.1, 0.9]), weight=1.0)
            >>> likely.blend(np.array([3.0, 1.0]), np.array([7, 8]), 0).tolist()
            [1.0, 3.0]
        """
        if len(scores_K) < 2 or not self.weight:
            return scores_K
        probs_K = np.clip(self.opinion(items_K, now_ms).astype(np.float64), _LEAST, 1 - _LEAST)
        odds_K = np.log(probs_K) - np.log1p(-probs_K)
        deviation = odds_K.std()
        if deviation < _LEAST:
            return scores_K
        level_K = (odds_K - odds_K.mean()) / deviation * scores_K.std() + scores_K.mean()
        return np.asarray((1 - self.weight) * scores_K + self.weight * level_K, dtype=np.float64)
