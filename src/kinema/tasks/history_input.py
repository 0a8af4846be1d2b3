"""A log's exposures as the input of any head: what the click network sees of a row, without its own answer.

Shape suffixes: N exposures, B rows of a step, D width.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from kinema.flm.draws import Draws
from kinema.store.exposures import Exposures
from kinema.tasks.history_click import ChangeTrails, ClickWorld, fresh_network
from kinema.tasks.target_attention import HistoryClickConfig


class HistoryInput(nn.Module):
    """Target attention over what a user did before, crossed with everything else; a `kinema.tasks.row_inputs.RowInput`.

    Args:
        world: What exposures are judged by.
        exposures: Rows.
        config: Of the network.
        train: Rows that are learnt from.
        seed: Of its start.

    Attributes:
        width: D.
    """

    def __init__(
        self,
        world: ClickWorld,
        exposures: Exposures,
        *,
        train: NDArray[np.int64],
        config: HistoryClickConfig,
        seed: int,
        change: ChangeTrails | None = None,
    ) -> None:
        super().__init__()
        self._world, self._exposures, self._change = world, exposures, change
        self._ends_N = world.trails.ends_before(exposures.users_N, exposures.times_ms_N)
        self.network = fresh_network(world, exposures.items_N[train], config=config, seed=seed)
        # The click's own head and its term for the place in the slate have no part in this.
        self.network.out.requires_grad_(requires_grad=False)
        self.network.positions.requires_grad_(requires_grad=False)
        self.width = self.network.feature_width

    def forward(self, rows_B: Tensor) -> Tensor:
        """float32 [B, D]."""
        return self._features(rows_B, None)

    def drawn(self, rows_B: Tensor, draws: Draws) -> Tensor:
        """The same in training: some items do without their own vector, so that those nobody has met can; histories may change."""
        return self._features(rows_B, draws)

    def _features(self, rows_B: Tensor, draws: Draws | None) -> Tensor:
        change = None
        if self._change is not None and draws is not None:
            change = partial(self._change, random=draws.generator())
        rows = np.asarray(rows_B)
        batch = self._world.batch(
            self._exposures.users_N[rows],
            self._exposures.items_N[rows],
            self._exposures.times_ms_N[rows],
            ends_B=self._ends_N[rows],
            positions_B=None,
            max_length=self.network.config.max_length,
            num_ids=self.network.num_ids,
            change=change,
        )
        return self.network.features(batch, draws)
