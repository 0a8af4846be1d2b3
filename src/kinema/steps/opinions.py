"""Second opinions on FLM's candidates: which one the settings want, and what all of them can be asked.

Shape suffixes: K candidates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import MANIFEST, sha256_file
from kinema.ranking.calibrators import calibrator_from_json
from kinema.ranking.rescoring import Rescoring
from kinema.ranking.slice_calibration import slice_calibration_from_json
from kinema.recommend.model import Scorer
from kinema.settings import RecommendSettings
from kinema.steps.click_ranking import ClickRanking
from kinema.steps.dataset import Dataset
from kinema.steps.heads_ranking import HeadsRanking
from kinema.steps.log_world import TRAIL_KINDS, durations_ms, log_world, profile_columns
from kinema.steps.versions import SERVING, ranker_folder
from kinema.store.growing_trails import GrowingTrails
from kinema.store.protocols import Store
from kinema.store.trails import Trails
from kinema.tasks.history_click import ClickWorld
from kinema.tasks.history_click_model import HistoryClickModel
from kinema.tasks.history_engagement import HistoryEngagement
from kinema.tasks.history_facts import HistoryFacts
from kinema.tasks.several_model import SeveralModel


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

    @property
    def trails(self) -> GrowingTrails:
        """What users did, as far as the model knows; events that are added count in its next answer."""


@dataclass(frozen=True, eq=False)
class OpinionParts:
    """What a second opinion is bound to.

    Attributes:
        store: The log.
        dataset: One reading of the project.
        scorer: FLM, whose item vectors it has learnt with.
        artifacts: Of the project.
        settings: Which, and how it counts.
        model: Folder that ``scorer`` was loaded from; None for the one that serves now.
    """

    store: Store
    dataset: Dataset
    scorer: Scorer
    artifacts: Path
    settings: RecommendSettings
    model: Path | None = None

    @cached_property
    def flm(self) -> str:
        """By which models of tasks know FLM."""
        return sha256_file((self.model or self.artifacts / SERVING) / MANIFEST)

    def folder(self, name: str) -> Path:
        """Where the model of a task lies that has learnt with this FLM; the project's own where none has."""
        model = self.model or (self.artifacts / SERVING).resolve()
        return ranker_folder(self.artifacts, name, flm=self.flm, model=model)

    def world(self, facts: HistoryFacts, *, name: str) -> ClickWorld:
        """What a model that reads histories is asked with today.

        Raises:
            StaleArtifactError: FLM or the profiles are others than it has learnt with.
        """
        dataset = self.dataset
        facts.check(flm=self.flm, profile_columns=profile_columns(dataset), name=name)
        events = self.store.events(kinds=TRAIL_KINDS, columns=["user", "item", "timestamp_ms", "kind"])
        popularity_V = facts.popularity(len(dataset.item_ids))
        world = log_world(dataset, events, vectors_VD=self.scorer.item_vectors_VD, popularity_V=popularity_V)
        assert isinstance(world.trails, Trails)
        return replace(world, trails=GrowingTrails(world.trails))

    @property
    def weights(self) -> dict[str, Any]:
        """What the settings say heads are worth."""
        chosen = self.settings
        scenarios = {str(name): one for name, one in chosen.scenario_weights.items()}
        return {"weight": chosen.ranker_weight, "head_weights": chosen.head_weights, "scenario_weights": scenarios}


def load_opinion(parts: OpinionParts) -> SecondOpinion:
    """Read the model that the settings name, and bind it.

    Raises:
        NotBuiltError: There is none.
        StaleArtifactError: FLM or the profiles are others than it has learnt with.
        ConfigError: A weight is for a head that the model does not have.
    """
    return _LOADERS[parts.settings.ranker](parts)


def _growing(world: ClickWorld) -> GrowingTrails:
    assert isinstance(world.trails, GrowingTrails)
    return world.trails


def _click(parts: OpinionParts) -> SecondOpinion:
    name = "click"
    model = HistoryClickModel.load(parts.folder(name))
    world = parts.world(model.facts, name=name)
    return ClickRanking(
        model, world, slice_calibration_from_json(model.calibration), parts.settings.ranker_weight, _growing(world)
    )


def _engagement(parts: OpinionParts) -> SecondOpinion:
    name = "engagement"
    model = HistoryEngagement.load(parts.folder(name))
    world = parts.world(model.facts, name=name)
    durations_ms_V = durations_ms(parts.dataset)
    calibrators = {head: calibrator_from_json(one) for head, one in model.calibrations.items()}

    def told(user: int, items_K: NDArray[np.int64], now_ms: int) -> dict[str, NDArray[np.float32]]:
        raw = model.predict(world, user=user, items_K=items_K, now_ms=now_ms, duration_ms_K=durations_ms_V[items_K])
        return raw | {head: one.apply(raw[head]).probs_N.astype(np.float32) for head, one in calibrators.items()}

    return HeadsRanking.of(name, told, _growing(world), model.model.config.heads, **parts.weights)


def _several(parts: OpinionParts) -> SecondOpinion:
    name = "several"
    model = SeveralModel.load(parts.folder(name))
    world = parts.world(model.facts, name=name)

    def told(user: int, items_K: NDArray[np.int64], now_ms: int) -> dict[str, NDArray[np.float32]]:
        return model.predict(world, user=user, items_K=items_K, now_ms=now_ms)

    return HeadsRanking.of(name, told, _growing(world), tuple(model.config.tasks), **parts.weights)


_LOADERS: Final[dict[str, Callable[[OpinionParts], SecondOpinion]]] = {
    "click": _click,
    "engagement": _engagement,
    "several": _several,
}
