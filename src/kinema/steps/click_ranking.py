"""The click model as a second opinion on FLM's candidates, bound to one reading of a project."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinema.ranking.rescoring import Rescoring
from kinema.ranking.slice_calibration import SliceCalibration
from kinema.store.growing_trails import GrowingTrails
from kinema.tasks.history_click import ClickWorld
from kinema.tasks.history_click_model import HistoryClickModel


@dataclass(frozen=True, eq=False)
class ClickRanking:
    """A click model and what it is asked about.

    Attributes:
        model: As `kinema finetune click` left it.
        world: Of one reading of the project.
        calibration: Makes frequencies of its answers.
        weight: How far it counts.
        trails: Of the world.
    """

    model: HistoryClickModel
    world: ClickWorld
    calibration: SliceCalibration
    weight: float
    trails: GrowingTrails

    def heads(self, user: int, items_K: NDArray[np.int64], now_ms: int) -> dict[str, NDArray[np.float32]]:
        """Its one probability, calibrated slice by slice, by the name of its label."""
        asked: dict[str, Any] = {"user": user, "items_K": items_K, "now_ms": now_ms}
        slices = self.model.slices(self.world, **asked)
        probs_K = self.calibration.apply(self.model.probabilities(self.world, **asked), slices)
        return {self.model.label: probs_K.astype(np.float32)}

    def value(self, heads: Mapping[str, NDArray[np.float32]], scenario: str) -> NDArray[np.float32]:
        """That probability, in every scenario."""
        del scenario
        return heads[self.model.label]

    def for_user(self, user: int, scenario: str = "home") -> Rescoring:
        """What it thinks of candidates for one user."""
        return Rescoring(self.model.label, self._opinion(user, scenario), self.weight)

    def _opinion(self, user: int, scenario: str) -> Callable[[NDArray[np.int64], int], NDArray[np.float32]]:
        def opinion(items_K: NDArray[np.int64], now_ms: int) -> NDArray[np.float32]:
            return self.value(self.heads(user, items_K, now_ms), scenario)

        return opinion
