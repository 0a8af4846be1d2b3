"""Everybody gets the same list: what is watched most, ever or of late.

Shape suffixes: C cases, V items.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError
from kinema.store.histories import Histories
from kinema.store.splits import Cases


@dataclass(frozen=True)
class PopularityRanker:
    """One score per item, whoever asks.

    Attributes:
        name: How reports call it.
        scores_V: float32, higher is better.
    """

    name: str
    scores_V: NDArray[np.float32]

    def score(self, cases: Cases) -> NDArray[np.float32]:
        """See `kinema.evaluation.protocol.Ranker`."""
        return np.broadcast_to(self.scores_V, (len(cases), len(self.scores_V)))


def fit_popularity(train: Histories, *, name: str = "popularity") -> PopularityRanker:
    """Count interactions.

    Args:
        train: U rows.
        name: See `PopularityRanker`.

    Returns:
        The ranker.

    Example:
        >>> fit_popularity(Histories.from_lists([[0, 1], [1]], num_items=3)).scores_V
        array([1., 2., 0.], dtype=float32)
    """
    return PopularityRanker(name, train.item_counts().astype(np.float32))


def fit_recent_popularity(
    train: Histories, *, half_life_ms: float, name: str = "recent popularity"
) -> PopularityRanker:
    """Count interactions, an old one less: ``sum_n 2 ** (-(now - t_n) / half_life)``, now = the newest interaction.

    All weights shrink by one factor as time goes on, so the order of the items does not depend on when it is asked.

    Args:
        train: U rows.
        half_life_ms: Age at which an interaction counts half, milliseconds, > 0.
        name: See `PopularityRanker`.

    Returns:
        The ranker.

    Raises:
        ConfigError: half_life_ms is not positive.

    Example:
        >>> fit_recent_popularity(Histories.from_lists([[0, 0, 1]], num_items=2), half_life_ms=1.0).scores_V
        array([0.75, 1.  ], dtype=float32)
    """
    if half_life_ms <= 0:
        raise ConfigError(f"half_life_ms must be > 0, is {half_life_ms}")
    ages_N = train.timestamps_ms.max(initial=0) - train.timestamps_ms
    weights_N = np.exp2(-ages_N / half_life_ms)
    scores_V = np.bincount(train.items, weights=weights_N, minlength=train.num_items)
    return PopularityRanker(name, scores_V.astype(np.float32))
