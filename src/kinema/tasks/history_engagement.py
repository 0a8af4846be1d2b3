"""An engagement model of a project's log: kept with all it must be asked with, and asked about candidates of one user.

Shape suffixes: K candidates, D width of what heads read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray

from kinema.tasks.engagement import EngagementModel
from kinema.tasks.history_artifact import HistoryKind, read_history_model, write_history_model
from kinema.tasks.history_click import ClickWorld
from kinema.tasks.history_facts import HistoryFacts
from kinema.tasks.target_attention import HistoryClickNetwork

KIND: Final = HistoryKind("engagement-history", 1, "kinema finetune engagement")


@dataclass(frozen=True, eq=False)
class HistoryEngagement:
    """Heads of engagement over histories.

    Attributes:
        model: Whose input is a click network.
        facts: What it must be asked with.
        calibrations: Binary head -> what turns its answers into frequencies, as `kinema.ranking.calibrators` writes it.
        report: What was measured.
    """

    model: EngagementModel
    facts: HistoryFacts
    calibrations: Mapping[str, str] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)

    def predict(
        self,
        world: ClickWorld,
        *,
        user: int,
        items_K: NDArray[np.integer],
        now_ms: int,
        duration_ms_K: NDArray[np.floating],
    ) -> dict[str, NDArray[np.float32]]:
        """What each head says of some items, if they were shown to a user now.

        Args:
            world: Of today.
            user: User number.
            items_K: Item numbers.
            now_ms: The moment, UTC.
            duration_ms_K: Length of each item's clip, ms, 0 where unknown.

        Returns:
            See `EngagementModel.predict`; ``finish`` and ``watch`` are of what would be opened.
        """
        batch = self.facts.batch(world, user=user, items_K=items_K, now_ms=now_ms)
        with torch.inference_mode():
            features_KD = click_network(self.model).features(batch)
            return self.model.tell(features_KD, duration_ms_N=duration_ms_K)

    def save(self, folder: Path, *, seed: int) -> None:
        """Write the artefact, as a whole or not at all."""
        write_history_model(
            folder,
            self.facts,
            kind=KIND,
            config=self.model.as_dict(),
            network=self.model.network,
            told={"calibrations": dict(self.calibrations), "report": dict(self.report)},
            seed=seed,
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the artefact.

        Raises:
            NotBuiltError: There is none.
            StaleArtifactError: It is of another kind or version, or damaged.
        """
        kept = read_history_model(folder, KIND)
        model = EngagementModel.from_dict(kept.config, kept.tensors, kept.facts.fresh(), name=folder.name)
        return cls(model, kept.facts, kept.told["calibrations"], kept.told["report"])


def click_network(model: EngagementModel) -> HistoryClickNetwork:
    """What an engagement model of a log reads histories with."""
    network = model.network.inputs.network
    assert isinstance(network, HistoryClickNetwork)
    return network
