"""What users did before, made different in training: cropped, masked, shuffled, or with items replaced by their neighbours.

A model that has seen each history in one form only learns its accidents. Validation and serving see histories as they are.

Shape suffixes: B examples, L history length, V catalogue, K neighbours.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError
from kinema.flm.memory import ItemMemory
from kinema.store.histories import Histories
from kinema.tasks.history_click import Trailed
from kinema.training.augmentation import (
    crop_history,
    mask_history,
    neighbour_table,
    reorder_history,
    substitute_history,
)
from kinema.training.task_extras import HistoryChanges

_NUM_NEIGHBOURS: Final = 10


@dataclass(frozen=True, eq=False)
class HistoryAugmenter:
    """Changes histories of a batch; see `kinema.tasks.history_click.ChangeTrails`.

    Attributes:
        changes: How much.
        neighbours_VK: Items that may stand for each other, see `kinema.training.augmentation.neighbour_table`; None where nothing is
            substituted.

    Raises:
        ConfigError: Items are to be substituted and there are no neighbours.

    Source: crop, mask and reorder: CL4SRec (Xie et al. 2022); substitution: CoSeRec (Liu et al. 2021). They contrast two changed views;
        here a changed history keeps its label.
    """

    changes: HistoryChanges
    neighbours_VK: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.changes.substitute and self.neighbours_VK is None:
            raise ConfigError("substitute must be 0 without a table of neighbours; give one, see neighbour_table")

    def __call__(self, trails: Trailed, random: np.random.Generator) -> Trailed:
        """Histories of which some are changed.

        Args:
            trails: A batch; not changed in place.
            random: The draws.
        """
        changes = self.changes
        items_BL, kinds_BL, there_BL = trails.items_BL.copy(), trails.kinds_BL.copy(), trails.there_BL.copy()
        chosen_B = random.random(len(there_BL)) < changes.chance
        for row in np.flatnonzero(chosen_B & there_BL.any(axis=1)).tolist():
            places = np.flatnonzero(there_BL[row])
            if changes.reorder:
                order = places[reorder_history(len(places), random, share=changes.reorder)]
                items_BL[row, places], kinds_BL[row, places] = items_BL[row, order], kinds_BL[row, order]
            if changes.crop:
                kept = places[crop_history(len(places), random, share=1 - changes.crop)]
                there_BL[row] = False
                there_BL[row, kept] = True
                places = kept
            if changes.mask:
                there_BL[row, places[mask_history(len(places), random, share=changes.mask)]] = False
        if changes.substitute and self.neighbours_VK is not None:
            touched_BL = there_BL & chosen_B[:, None]
            items_BL[touched_BL] = substitute_history(
                items_BL[touched_BL].astype(np.int64),
                random,
                neighbours_VK=self.neighbours_VK,
                share=changes.substitute,
            )
        return Trailed(items_BL, kinds_BL, there_BL)


def memory_neighbours(histories: Histories, *, num_neighbours: int = _NUM_NEIGHBOURS) -> NDArray[np.int64]:
    """int64 [V, K], the items that the item-item memory puts closest to each, filled up with -1.

    Args:
        histories: What training may know; nothing that happened after it.
        num_neighbours: K.
    """
    return neighbour_table(ItemMemory.fit(histories).counts, num_neighbours=num_neighbours)
