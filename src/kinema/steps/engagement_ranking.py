"""The engagement model as a second opinion on FLM's candidates: its heads, blended to one value by a scenario's weights.

Shape suffixes: K candidates, V catalogue.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import MANIFEST, sha256_file
from kinema.errors import ConfigError
from kinema.ranking.calibrators import Calibrator, calibrator_from_json
from kinema.ranking.rescoring import Rescoring
from kinema.recommend.model import Scorer
from kinema.steps.dataset import Dataset
from kinema.steps.finetuning_engagement import FOLDER
from kinema.steps.finetuning_log import TRAIL_KINDS, click_world
from kinema.store.protocols import Store
from kinema.store.trails import pack_trails
from kinema.tasks.engagement import blend
from kinema.tasks.history_click import ClickWorld
from kinema.tasks.history_engagement import HistoryEngagement


@dataclass(frozen=True, eq=False)
class EngagementRanking:
    """An engagement model and what it is asked about.

    Attributes:
        model: As `kinema finetune engagement` left it.
        world: Of one reading of the project.
        durations_ms_V: float64, length of each clip, 0 where unknown.
        calibrators: Binary head -> makes frequencies of its answers.
        weight: How far the value counts.
        head_weights: Head -> what it is worth.
        scenario_weights: Scenario -> the same, where it has its own.
    """

    model: HistoryEngagement
    world: ClickWorld
    durations_ms_V: NDArray[np.float64]
    calibrators: Mapping[str, Calibrator]
    weight: float
    head_weights: Mapping[str, float]
    scenario_weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        store: Store,
        dataset: Dataset,
        *,
        scorer: Scorer,
        artifacts: Path,
        weight: float,
        head_weights: Mapping[str, float] | None = None,
        scenario_weights: Mapping[str, Mapping[str, float]] | None = None,
    ) -> "EngagementRanking":
        """Read the model and bind it.

        Args:
            store: Of the project.
            dataset: One reading of it.
            scorer: FLM bound to it.
            artifacts: Of the project.
            weight: How far the value counts.
            head_weights: Head -> weight; empty for clicks alone, or for all heads alike where there is no such head.
            scenario_weights: Scenario -> weights of its own.

        Raises:
            NotBuiltError: There is no model.
            StaleArtifactError: FLM or the profiles are others than it has learnt with.
            ConfigError: A weight is for a head that the model does not have, or none is above 0 or below it.
        """
        model = HistoryEngagement.load(artifacts / FOLDER)
        columns = () if dataset.profiles is None else tuple(dataset.profiles.columns)
        model.facts.check(flm=sha256_file(artifacts / "flm" / MANIFEST), profile_columns=columns, name=FOLDER)
        heads = model.model.config.heads
        usual = dict(head_weights or {}) or usual_weights(heads)
        own = {scenario: dict(one) for scenario, one in (scenario_weights or {}).items()}
        check_head_weights(usual, heads, where="[recommend.engagement_weights]")
        for scenario, one in own.items():
            check_head_weights(one, heads, where=f"[recommend.scenario_weights.{scenario}]")
        events = store.events(kinds=TRAIL_KINDS, columns=["user", "item", "timestamp_ms", "kind"])
        world = click_world(
            dataset,
            vectors_VD=scorer.item_vectors_VD,
            popularity_V=model.facts.popularity(len(dataset.item_ids)),
            trails=pack_trails(events, kinds=TRAIL_KINDS, num_users=dataset.histories.num_users),
        )
        durations_V = dataset.items["duration_ms"].fill_null(0).to_numpy().astype(np.float64)
        calibrators = {head: calibrator_from_json(one) for head, one in model.calibrations.items()}
        return cls(model, world, durations_V, calibrators, weight, usual, own)

    def heads(self, user: int, items_K: NDArray[np.int64], now_ms: int) -> dict[str, NDArray[np.float32]]:
        """Probabilities; of ``watch`` the quantile among clips of similar length, and ``watch_ms``."""
        told = self.model.predict(
            self.world, user=user, items_K=items_K, now_ms=now_ms, duration_ms_K=self.durations_ms_V[items_K]
        )
        return told | {
            head: np.asarray(one.apply(told[head]).probs_N, dtype=np.float32) for head, one in self.calibrators.items()
        }

    def value(self, heads: Mapping[str, NDArray[np.float32]], scenario: str) -> NDArray[np.float32]:
        """The weighted sum, as a share of the way from the least to the most it could be."""
        return valued(heads, self.scenario_weights.get(scenario, self.head_weights))

    def for_user(self, user: int, scenario: str = "home") -> Rescoring:
        """What it thinks of candidates for one user."""
        return Rescoring(FOLDER, self._opinion(user, scenario), self.weight)

    def _opinion(self, user: int, scenario: str) -> Callable[[NDArray[np.int64], int], NDArray[np.float32]]:
        def opinion(items_K: NDArray[np.int64], now_ms: int) -> NDArray[np.float32]:
            return self.value(self.heads(user, items_K, now_ms), scenario)

        return opinion


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


def check_head_weights(weights: Mapping[str, float], heads: tuple[str, ...], *, where: str) -> None:
    """Refuse weights that cannot be blended by.

    Raises:
        ConfigError: One is for no head, or all are 0.
    """
    for head in weights:
        if head not in heads:
            raise ConfigError(
                f"{where} must weigh heads of the engagement model, has '{head}'; known: {', '.join(heads)}"
            )
    if not any(weights.values()):
        raise ConfigError(f"{where} must have a weight other than 0, has none; known heads: {', '.join(heads)}")
