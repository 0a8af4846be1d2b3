"""What a model that reads histories must be asked with: the same item vectors, kinds of events and profile columns as in training.

Shape suffixes: K candidates, V catalogue, D width of given item vectors.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kinema.errors import StaleArtifactError
from kinema.tasks.history_click import ClickWorld
from kinema.tasks.history_click_ensemble import HistoryClickEnsemble
from kinema.tasks.target_attention import HistoryBatch, HistoryClickConfig, HistoryClickNetwork


class HistoryReading(nn.Module):
    """The click network without its own answer, as part of another network.

    Args:
        network: Its head and its term for the place in the slate stop learning, they have no part in this.

    Attributes:
        width: Of what it gives.
    """

    def __init__(self, network: HistoryClickNetwork) -> None:
        super().__init__()
        self.network = network
        self.network.out.requires_grad_(requires_grad=False)
        self.network.positions.requires_grad_(requires_grad=False)
        self.width = network.feature_width


@dataclass(frozen=True, eq=False)
class HistoryFacts:
    """What belongs to the network of such a model beside its numbers.

    Attributes:
        config: Of the network.
        kinds: Kinds of events it reads.
        num_ids: Items that have a vector of their own.
        item_width: D.
        profile_columns: Names, in order.
        popularity_V: float32, how often each item was shown or met in training.
        flm: Fingerprint of the model that the item vectors came from.
    """

    config: HistoryClickConfig
    kinds: tuple[str, ...]
    num_ids: int
    item_width: int
    profile_columns: tuple[str, ...]
    popularity_V: NDArray[np.float32]
    flm: str

    @classmethod
    def of(
        cls,
        world: ClickWorld,
        network: HistoryClickNetwork | HistoryClickEnsemble,
        *,
        profile_columns: tuple[str, ...],
        flm: str,
    ) -> Self:
        """Of a network that has learnt in a world, or several of one shape."""
        return cls(
            network.config,
            world.trails.kinds,
            network.num_ids,
            world.vectors_VD.shape[1],
            profile_columns,
            world.popularity_V,
            flm,
        )

    def fresh(self) -> HistoryReading:
        """A network of this shape, to be filled."""
        return HistoryReading(
            HistoryClickNetwork(
                self.config,
                num_ids=self.num_ids,
                item_width=self.item_width,
                num_kinds=len(self.kinds),
                profile_width=len(self.profile_columns),
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON values of all but the popularity."""
        return {
            "config": self.config.as_dict(),
            "kinds": list(self.kinds),
            "num_ids": self.num_ids,
            "item_width": self.item_width,
            "profile_columns": list(self.profile_columns),
            "flm": self.flm,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], popularity_V: NDArray[np.float32]) -> Self:
        """What `as_dict` gave, with the popularity."""
        return cls(
            HistoryClickConfig.from_dict(dict(values["config"])),
            tuple(values["kinds"]),
            values["num_ids"],
            values["item_width"],
            tuple(values["profile_columns"]),
            popularity_V,
            values["flm"],
        )

    def check(self, *, flm: str, profile_columns: tuple[str, ...], name: str) -> None:
        """Refuse to be asked with other vectors than were learnt from.

        Args:
            flm: Fingerprint of the model whose item vectors are at hand.
            profile_columns: Of the profiles at hand.
            name: Of the task, for the message and its remedy.

        Raises:
            StaleArtifactError: The item vectors come from another model, or profiles have other columns.
        """
        if flm != self.flm:
            raise StaleArtifactError(
                f"the {name} model must be asked with item vectors of the model it was trained on ({self.flm}), got those "
                f"of {flm}; run: kinema finetune {name}"
            )
        if profile_columns != self.profile_columns:
            raise StaleArtifactError(
                f"profiles must have the {len(self.profile_columns)} columns the {name} model was trained on, have "
                f"{len(profile_columns)} others; run: kinema finetune {name}"
            )

    def popularity(self, num_items: int) -> NDArray[np.float32]:
        """float32 [V], 0 for items that came after training."""
        return np.pad(self.popularity_V, (0, max(0, num_items - len(self.popularity_V))))[:num_items]

    def batch(self, world: ClickWorld, *, user: int, items_K: NDArray[np.integer], now_ms: int) -> HistoryBatch:
        """Candidates of one user at one moment, see `ClickWorld.candidates`."""
        how = {"max_length": self.config.max_length, "num_ids": self.num_ids}
        return world.candidates(items_K, user=user, now_ms=now_ms, **how)
