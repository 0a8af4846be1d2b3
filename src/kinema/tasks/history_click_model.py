"""A click model that has been learnt: kept as an artefact, and asked for the probability that a user clicks an item now.

Shape suffixes: K candidates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray

from kinema.tasks.click_slices import click_slices
from kinema.tasks.history_artifact import HistoryKind, read_history_model, write_history_model
from kinema.tasks.history_click import ClickWorld, HistoryClick
from kinema.tasks.history_click_ensemble import HistoryClickEnsemble
from kinema.tasks.history_facts import HistoryFacts
from kinema.tasks.target_attention import HistoryClickNetwork

KIND: Final = HistoryKind("click-history", 3, "kinema finetune click")


@dataclass(frozen=True, eq=False)
class HistoryClickModel:
    """Probability of an outcome.

    Attributes:
        network: In evaluation mode.
        label: Kind of outcome.
        facts: What it must be asked with.
        calibration: What turns its answers into frequencies slice by slice, as `kinema.ranking.slice_calibration` writes it; empty for
            nothing.
        report: What was measured.
    """

    network: HistoryClickNetwork | HistoryClickEnsemble
    label: str
    facts: HistoryFacts
    calibration: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        task: HistoryClick,
        *,
        label: str,
        profile_columns: tuple[str, ...],
        flm: str,
        report: Mapping[str, Any],
        calibration: str = "",
    ) -> Self:
        """What a task has learnt."""
        facts = HistoryFacts.of(task.world, task.network, profile_columns=profile_columns, flm=flm)
        return cls(task.network.eval(), label, facts, calibration, report)

    def probabilities(
        self, world: ClickWorld, *, user: int, items_K: NDArray[np.integer], now_ms: int
    ) -> NDArray[np.float32]:
        """How probable the outcome is for each of some items, if it were shown now; not calibrated yet.

        Args:
            world: Of today: item vectors, popularity from the facts, trails and profiles.
            user: User number; one behind the known ones has done nothing yet.
            items_K: Item numbers.
            now_ms: The moment, UTC.

        Returns:
            float32 [K].
        """
        batch = self.facts.batch(world, user=user, items_K=items_K, now_ms=now_ms)
        with torch.inference_mode():
            return np.asarray(torch.sigmoid(self.network(batch)).numpy(), dtype=np.float32)

    def slices(
        self, world: ClickWorld, *, user: int, items_K: NDArray[np.integer], now_ms: int
    ) -> dict[str, NDArray[np.str_]]:
        """Slicing -> slice of each of those items, for the calibration: item, activity of the user, place."""
        users_K, times_K = np.full(len(items_K), user), np.full(len(items_K), now_ms, dtype=np.int64)
        return click_slices(
            world,
            users_N=users_K,
            items_N=items_K,
            ends_N=world.trails.ends_before(users_K, times_K),
            positions_N=None,
        )

    def save(self, folder: Path, *, seed: int) -> None:
        """Write the artefact, as a whole or not at all."""
        members = len(self.network.members) if isinstance(self.network, HistoryClickEnsemble) else 1
        write_history_model(
            folder,
            self.facts,
            kind=KIND,
            config=self.facts.config.as_dict(),
            network=self.network,
            told={
                "label": self.label,
                "calibration": self.calibration,
                "num_members": members,
                "report": dict(self.report),
            },
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
        members = [kept.facts.fresh().network for _ in range(kept.told["num_members"])]
        network = members[0] if len(members) == 1 else HistoryClickEnsemble(members)
        network.load_state_dict(kept.tensors)
        return cls(network.eval(), kept.told["label"], kept.facts, kept.told["calibration"], kept.told["report"])
