"""What users did before, made different in training: cropped, masked, shuffled, or with items replaced by their neighbours.

A model that has seen each history in one form only learns its accidents. Validation and serving see histories as they are.

Shape suffixes: B examples, L history length, V catalogue, K neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, Self

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

_NUM_NEIGHBOURS: Final = 10


@dataclass(frozen=True)
class HistoryChanges:
    """How much of a history is changed, each a share in [0, 1).

    Attributes:
        crop: Left out at the ends.
        mask: Left out anywhere.
        reorder: Length of a stretch whose events exchange their times.
        substitute: Probability that an event's item is replaced by a neighbour of it.
        chance: Share of the examples whose history is changed at all, in (0, 1]: a model must know whole ones too.

    Raises:
        ConfigError: A share is out of range.
    """

    crop: float = 0.0
    mask: float = 0.0
    reorder: float = 0.0
    substitute: float = 0.0
    chance: float = 0.5

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "chance":
                if not 0 < value <= 1:
                    raise ConfigError(f"chance of a changed history must be in (0, 1], is {value:g}; choose another")
            elif not 0 <= value < 1:
                raise ConfigError(f"{one.name} of a history must be in [0, 1), is {value:g}; choose another")

    @property
    def anything(self) -> bool:
        """Whether something is changed."""
        return max(self.crop, self.mask, self.reorder, self.substitute) > 0

    @classmethod
    def from_mapping(cls, values: Mapping[str, float]) -> Self:
        """From a table of settings.

        Raises:
            ConfigError: A name is unknown, or a value is no share.
        """
        known = [one.name for one in fields(cls)]
        for name, value in values.items():
            if name not in known:
                raise ConfigError(f"'{name}' is no change of a history; known: {', '.join(known)}")
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(f"{name} of a history must be a number, is {value!r}; correct it")
        return cls(**{name: float(value) for name, value in values.items()})

    @classmethod
    def from_text(cls, text: str) -> Self:
        """From a text like ``crop=0.2,mask=0.1``.

        Raises:
            ConfigError: See `from_mapping`.

        Example:
            >>> HistoryChanges.from_text("crop=0.2,mask=0.1").mask
            0.1
        """
        values = {}
        for part in text.split(","):
            name, _, value = part.partition("=")
            try:
                values[name.strip()] = float(value)
            except ValueError as error:
                raise ConfigError(
                    f"changes of histories must be given as in crop=0.2,mask=0.1, got '{part.strip()}'"
                ) from error
        return cls.from_mapping(values)


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
