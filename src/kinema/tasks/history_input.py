"""A log's exposures as the input of any head: what the click network sees of a row, without its own answer.

Shape suffixes: N exposures, B rows of a step, D width.
"""

import numpy as np
import torch
from torch import Tensor, nn

from kinema.store.exposures import Exposures
from kinema.tasks.history_click import ClickWorld
from kinema.tasks.target_attention import HistoryClickConfig, HistoryClickNetwork


class HistoryInput(nn.Module):
    """Target attention over what a user did before, crossed with everything else; a `kinema.tasks.row_inputs.RowInput`.

    Args:
        world: What exposures are judged by.
        exposures: Rows.
        config: Of the network.
        num_ids: Items from the first that get a vector of their own.
        seed: Of its start.

    Attributes:
        width: D.
    """

    def __init__(
        self, world: ClickWorld, exposures: Exposures, *, config: HistoryClickConfig, num_ids: int, seed: int
    ) -> None:
        super().__init__()
        self._world, self._exposures, self._num_ids = world, exposures, num_ids
        self._ends_N = world.trails.ends_before(exposures.users_N, exposures.times_ms_N)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = HistoryClickNetwork(
                config,
                num_ids=num_ids,
                item_width=world.vectors_VD.shape[1],
                num_kinds=len(world.trails.kinds),
                profile_width=0 if world.profiles_UP is None else world.profiles_UP.shape[1],
            )
        # The click's own head and its term for the place in the slate have no part in this.
        self.network.out.requires_grad_(requires_grad=False)
        self.network.positions.requires_grad_(requires_grad=False)
        self.width = self.network.feature_width

    def forward(self, rows_B: Tensor) -> Tensor:
        """float32 [B, D]."""
        rows = np.asarray(rows_B)
        batch = self._world.batch(
            self._exposures.users_N[rows],
            self._exposures.items_N[rows],
            self._exposures.times_ms_N[rows],
            ends_B=self._ends_N[rows],
            positions_B=None,
            max_length=self.network.config.max_length,
            num_ids=self._num_ids,
        )
        return self.network.features(batch)
