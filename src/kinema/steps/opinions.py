"""Second opinions on FLM's candidates: which one the settings want, and what all of them can be asked.

Shape suffixes: K candidates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.ranking.rescoring import Rescoring
from kinema.recommend.model import Scorer
from kinema.settings import RecommendSettings
from kinema.steps.click_ranking import ClickRanking
from kinema.steps.dataset import Dataset
from kinema.steps.engagement_ranking import EngagementRanking
from kinema.store.protocols import Store


class SecondOpinion(Protocol):
    """A task's model bound to one reading of a project."""

    @property
    def weight(self) -> float:
        """How far it counts against FLM's scores, in [0, 1]."""

    def heads(self, user: int, items_K: NDArray[np.int64], now_ms: int) -> Mapping[str, NDArray[np.float32]]:
        """Head -> what it says of each item, float32 [K], if it were shown to the user now."""

    def value(self, heads: Mapping[str, NDArray[np.float32]], scenario: str) -> NDArray[np.float32]:
        """What the heads come to in a scenario, float32 [K] in [0, 1]."""

    def for_user(self, user: int, scenario: str) -> Rescoring:
        """The value as the pipeline asks for it."""


@dataclass(frozen=True, eq=False)
class OpinionParts:
    """What a second opinion is bound to.

    Attributes:
        store: The log.
        dataset: One reading of the project.
        scorer: FLM, whose item vectors it has learnt with.
        artifacts: Of the project.
        settings: Which, and how it counts.
    """

    store: Store
    dataset: Dataset
    scorer: Scorer
    artifacts: Path
    settings: RecommendSettings


def load_opinion(parts: OpinionParts) -> SecondOpinion:
    """Read the model that the settings name, and bind it.

    Raises:
        NotBuiltError: There is none.
        StaleArtifactError: FLM or the profiles are others than it has learnt with.
        ConfigError: A weight is for a head that the model does not have.
    """
    return _LOADERS[parts.settings.ranker](parts)


def _click(parts: OpinionParts) -> SecondOpinion:
    return ClickRanking.load(
        parts.store,
        parts.dataset,
        scorer=parts.scorer,
        artifacts=parts.artifacts,
        weight=parts.settings.ranker_weight,
    )


def _engagement(parts: OpinionParts) -> SecondOpinion:
    return EngagementRanking.load(
        parts.store,
        parts.dataset,
        scorer=parts.scorer,
        artifacts=parts.artifacts,
        weight=parts.settings.ranker_weight,
        head_weights=parts.settings.engagement_weights,
        scenario_weights={str(name): one for name, one in parts.settings.scenario_weights.items()},
    )


_LOADERS: Final[dict[str, Callable[[OpinionParts], SecondOpinion]]] = {"click": _click, "engagement": _engagement}
