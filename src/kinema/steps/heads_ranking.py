"""Heads of a task's model blended to one value by weights that a scenario sets: a second opinion on FLM's candidates.

Shape suffixes: K candidates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError
from kinema.ranking.rescoring import Rescoring
from kinema.store.growing_trails import GrowingTrails
from kinema.tasks.engagement import blend

Told = Callable[[int, NDArray[np.int64], int], Mapping[str, NDArray[np.float32]]]
"""User number, item numbers and the moment, UTC ms -> head -> float32 [K]."""


@dataclass(frozen=True, eq=False)
class HeadsRanking:
    """A model with several heads and what they are worth; see `kinema.steps.opinions.SecondOpinion`.

    Attributes:
        name: For the trace.
        told: Asks the model; heads that are blended are in [0, 1].
        trails: What users did, as far as it knows.
        weight: How far the value counts against FLM.
        head_weights: Head -> what it is worth.
        scenario_weights: Scenario -> the same, where it has its own.
    """

    name: str
    told: Told
    trails: GrowingTrails
    weight: float
    head_weights: Mapping[str, float]
    scenario_weights: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(
        cls,
        name: str,
        told: Told,
        trails: GrowingTrails,
        heads: tuple[str, ...],
        *,
        weight: float,
        head_weights: Mapping[str, float],
        scenario_weights: Mapping[str, Mapping[str, float]],
    ) -> "HeadsRanking":
        """Check the weights against the heads.

        Args:
            name: Of the model.
            told: Asks it.
            trails: What users did, as far as it knows.
            heads: That it has.
            weight: How far the value counts.
            head_weights: Head -> weight; empty for clicks alone, or all heads alike where there is no such head.
            scenario_weights: Scenario -> weights of its own.

        Raises:
            ConfigError: A weight is for a head that the model does not have, or all are 0.
        """
        usual = dict(head_weights) or usual_weights(heads)
        check_head_weights(usual, heads, where="[recommend.head_weights]", name=name)
        for scenario, one in scenario_weights.items():
            check_head_weights(one, heads, where=f"[recommend.scenario_weights.{scenario}]", name=name)
        return cls(
            name, told, trails, weight, usual, {str(scenario): dict(one) for scenario, one in scenario_weights.items()}
        )

    def heads(self, user: int, items_K: NDArray[np.int64], now_ms: int) -> Mapping[str, NDArray[np.float32]]:
        """Head -> what it says of each item, float32 [K]."""
        return self.told(user, items_K, now_ms)

    def value(self, heads: Mapping[str, NDArray[np.float32]], scenario: str) -> NDArray[np.float32]:
        """The weighted sum, as a share of the way from the least to the most it could be."""
        return valued(heads, self.scenario_weights.get(scenario, self.head_weights))

    def for_user(self, user: int, scenario: str = "home") -> Rescoring:
        """What it thinks of candidates for one user."""

        def opinion(items_K: NDArray[np.int64], now_ms: int) -> NDArray[np.float32]:
            return self.value(self.heads(user, items_K, now_ms), scenario)

        return Rescoring(self.name, opinion, self.weight)


def valued(heads: Mapping[str, NDArray[np.float32]], weights: Mapping[str, float]) -> NDArray[np.float32]:
    """A blend as a share in [0, 1] of the way from its least to its most, so that it can stand where a probability does.

    Args:
        heads: Head -> float32 [K] in [0, 1].
        weights: Head -> weight, any sign, not all 0.

    Example:
        >>> valued({"click": np.float32([0.5]), "skip": np.float32([0.5])}, {"click": 3.0, "skip": -1.0}).tolist()
        [0.5]
    """
    least, most = sum(min(one, 0.0) for one in weights.values()), sum(max(one, 0.0) for one in weights.values())
    return np.asarray(np.clip((blend(heads, weights) - least) / (most - least), 0, 1), dtype=np.float32)


def usual_weights(heads: tuple[str, ...]) -> dict[str, float]:
    """Clicks alone; all heads alike where there is no such head."""
    return {"click": 1.0} if "click" in heads else dict.fromkeys(heads, 1.0)


def check_head_weights(weights: Mapping[str, float], heads: tuple[str, ...], *, where: str, name: str) -> None:
    """Refuse weights that cannot be blended by.

    Raises:
        ConfigError: One is for no head, or all are 0.
    """
    for head in weights:
        if head not in heads:
            raise ConfigError(f"{where} must weigh heads of the {name} model, has '{head}'; known: {', '.join(heads)}")
    if not any(weights.values()):
        raise ConfigError(f"{where} must have a weight other than 0, has none; known heads: {', '.join(heads)}")
