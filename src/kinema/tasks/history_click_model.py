"""A click model that has been learnt: kept as an artefact, and asked for the probability that a user clicks an item now.

Shape suffixes: K candidates, V catalogue, D width of given item vectors, P profile columns.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from kinema.artifacts import read_manifest, write_artifact
from kinema.errors import StaleArtifactError
from kinema.tasks.click_slices import click_slices
from kinema.tasks.history_click import ClickWorld, HistoryClick
from kinema.tasks.history_click_ensemble import HistoryClickEnsemble
from kinema.tasks.target_attention import HistoryClickConfig, HistoryClickNetwork

KIND: Final = "click-history"
FORMAT_VERSION: Final = 2
_REMEDY: Final = "kinema finetune click"
_NETWORK: Final = "network.safetensors"
_FACTS: Final = "facts.json"


@dataclass(frozen=True, eq=False)
class HistoryClickModel:
    """Probability of an outcome.

    Attributes:
        network: In evaluation mode.
        label: Kind of outcome.
        kinds: Kinds of events it reads.
        num_ids: Items that have a vector of their own.
        item_width: D.
        profile_columns: Names, in order.
        popularity_V: float32, interactions per item in training.
        flm: Fingerprint of the model that the item vectors came from.
        calibration: What turns its answers into frequencies slice by slice, as `kinema.ranking.slice_calibration` writes it; empty for
            nothing.
        report: What was measured.
    """

    network: HistoryClickNetwork | HistoryClickEnsemble
    label: str
    kinds: tuple[str, ...]
    num_ids: int
    item_width: int
    profile_columns: tuple[str, ...]
    popularity_V: NDArray[np.float32]
    flm: str
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
        return cls(
            network=task.network.eval(),
            label=label,
            kinds=task.world.trails.kinds,
            num_ids=task.num_ids,
            item_width=task.world.vectors_VD.shape[1],
            profile_columns=profile_columns,
            popularity_V=task.world.popularity_V,
            flm=flm,
            calibration=calibration,
            report=report,
        )

    def check(self, *, flm: str, profile_columns: tuple[str, ...]) -> None:
        """Refuse to be asked with other vectors than it has learnt from.

        Raises:
            StaleArtifactError: The item vectors come from another model, or profiles have other columns.
        """
        if flm != self.flm:
            raise StaleArtifactError(
                f"the click model must be asked with item vectors of the model it was trained on ({self.flm}), got those of "
                f"{flm}; run: {_REMEDY}"
            )
        if profile_columns != self.profile_columns:
            raise StaleArtifactError(
                f"profiles must have the {len(self.profile_columns)} columns the click model was trained on, have "
                f"{len(profile_columns)} others; run: {_REMEDY}"
            )

    def popularity(self, num_items: int) -> NDArray[np.float32]:
        """float32 [V], 0 for items that came after training."""
        return np.pad(self.popularity_V, (0, max(0, num_items - len(self.popularity_V))))[:num_items]

    def probabilities(
        self, world: ClickWorld, *, user: int, items_K: NDArray[np.integer], now_ms: int
    ) -> NDArray[np.float32]:
        """How probable the outcome is for each of some items, if it were shown now; not calibrated yet.

        Args:
            world: Of today: item vectors, popularity from `popularity`, trails and profiles.
            user: User number; one behind the known ones has done nothing yet.
            items_K: Item numbers.
            now_ms: The moment, UTC.

        Returns:
            float32 [K].
        """
        users_K, times_K = np.full(len(items_K), user), np.full(len(items_K), now_ms, dtype=np.int64)
        ends_K = world.trails.ends_before(users_K, times_K)
        batch = world.batch(
            users_K,
            items_K,
            times_K,
            ends_B=ends_K,
            positions_B=None,
            max_length=self.network.config.max_length,
            num_ids=self.num_ids,
            one_user=True,
        )
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
        facts = {
            "label": self.label,
            "kinds": list(self.kinds),
            "num_ids": self.num_ids,
            "item_width": self.item_width,
            "profile_columns": list(self.profile_columns),
            "calibration": self.calibration,
            "num_members": len(self.network.members) if isinstance(self.network, HistoryClickEnsemble) else 1,
            "report": dict(self.report),
        }
        with write_artifact(
            folder,
            kind=KIND,
            format_version=FORMAT_VERSION,
            config=self.network.config.as_dict(),
            seed=seed,
            parents={"flm": self.flm},
        ) as draft:
            state = {name: one.contiguous().numpy() for name, one in self.network.state_dict().items()}
            save_file(state | {"popularity_V": self.popularity_V}, draft / _NETWORK)
            (draft / _FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the artefact.

        Raises:
            NotBuiltError: There is none.
            StaleArtifactError: It is of another kind or version, or damaged.
        """
        manifest = read_manifest(folder, kind=KIND, format_version=FORMAT_VERSION, remedy=_REMEDY)
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        state = load_file(folder / _NETWORK)
        popularity_V = state.pop("popularity_V")
        members = [
            HistoryClickNetwork(
                HistoryClickConfig.from_dict(dict(manifest.config)),
                num_ids=facts["num_ids"],
                item_width=facts["item_width"],
                num_kinds=len(facts["kinds"]),
                profile_width=len(facts["profile_columns"]),
            )
            for _ in range(facts["num_members"])
        ]
        network = members[0] if len(members) == 1 else HistoryClickEnsemble(members)
        network.load_state_dict({name: torch.from_numpy(one) for name, one in state.items()})
        return cls(
            network=network.eval(),
            label=facts["label"],
            kinds=tuple(facts["kinds"]),
            num_ids=facts["num_ids"],
            item_width=facts["item_width"],
            profile_columns=tuple(facts["profile_columns"]),
            popularity_V=popularity_V,
            flm=manifest.parents["flm"],
            calibration=facts["calibration"],
            report=facts["report"],
        )
