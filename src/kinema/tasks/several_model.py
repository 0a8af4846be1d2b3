"""A model of several tasks that has been learnt: kept as an artefact, asked about candidates of one user.

Shape suffixes: K candidates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray

from kinema.tasks.history_artifact import HistoryKind, read_history_model, write_history_model
from kinema.tasks.history_click import ClickWorld
from kinema.tasks.history_facts import HistoryFacts
from kinema.tasks.several import SeveralConfig, SeveralNetwork, fresh_several
from kinema.tasks.several_examples import Offsets

KIND: Final = HistoryKind("several", 1, "kinema finetune several")


@dataclass(frozen=True, eq=False)
class SeveralModel:
    """One trunk, a head per task.

    Attributes:
        config: What defines it.
        network: In evaluation mode.
        facts: What it must be asked with.
        offsets: Task of a value -> what lies under it.
        scales: Task of a value -> its lowest and highest label.
        report: What was measured.
    """

    config: SeveralConfig
    network: SeveralNetwork
    facts: HistoryFacts
    offsets: Mapping[str, Offsets]
    scales: Mapping[str, tuple[float, float]]
    report: Mapping[str, Any] = field(default_factory=dict)

    def predict(
        self, world: ClickWorld, *, user: int, items_K: NDArray[np.integer], now_ms: int
    ) -> dict[str, NDArray[np.float32]]:
        """What each head says of some items for a user now.

        Args:
            world: Of today.
            user: User number.
            items_K: Item numbers.
            now_ms: The moment, UTC.

        Returns:
            Task -> float32 [K] in [0, 1]: a probability; a value as a share of its scale, which is beside it under
            ``<task>_value``; of a choice the probability that it falls on this one of the items asked about.
        """
        users_K = np.full(len(items_K), user)
        found: dict[str, NDArray[np.float32]] = {}
        with torch.inference_mode():
            batch = self.facts.batch(world, user=user, items_K=items_K, now_ms=now_ms)
            x_KD = self.network.reading.network.features(batch)
            for name, meaning in self.config.tasks.items():
                if meaning == "value":
                    offsets, (low, high) = self.offsets[name], self.scales[name]
                    told_K = self.network.told(name, x_KD, torch.from_numpy(offsets.of(users_K, items_K))).numpy()
                    value_K = np.clip(offsets.mean + offsets.deviation * told_K, low, high)
                    found[name] = ((value_K - low) / (high - low)).astype(np.float32)
                    found[f"{name}_value"] = value_K.astype(np.float32)
                    continue
                told = self.network.told(name, x_KD)
                found[name] = (torch.softmax(told, dim=0) if meaning == "choice" else told.sigmoid()).numpy()
        return found

    def save(self, folder: Path, *, seed: int) -> None:
        """Write the artefact, as a whole or not at all."""
        values = {name: [one.mean, one.deviation, *self.scales[name]] for name, one in self.offsets.items()}
        arrays: dict[str, NDArray[Any]] = {}
        for name, one in self.offsets.items():
            arrays |= {f"offsets/{name}/users": one.users_U, f"offsets/{name}/items": one.items_V}
        write_history_model(
            folder,
            self.facts,
            kind=KIND,
            config=self.config.as_dict(),
            network=self.network,
            told={"values": values, "report": dict(self.report)},
            seed=seed,
            arrays=arrays,
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the artefact.

        Raises:
            NotBuiltError: There is none.
            StaleArtifactError: It is of another kind or version, or damaged.
        """
        kept = read_history_model(folder, KIND)
        values, numbers = kept.told["values"], kept.tensors
        config = SeveralConfig.from_dict(kept.config)
        offsets = {
            name: Offsets(mean, deviation, *(numbers.pop(f"offsets/{name}/{of}").numpy() for of in ("users", "items")))
            for name, (mean, deviation, _, _) in values.items()
        }
        network = fresh_several(kept.facts.fresh(), config, seed=0)
        network.load_state_dict(numbers)
        scales = {name: (low, high) for name, (_, _, low, high) in values.items()}
        return cls(config, network.eval(), kept.facts, offsets, scales, kept.told["report"])
