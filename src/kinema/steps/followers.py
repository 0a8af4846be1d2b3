"""Which items follow which, as `kinema finetune match --what items` has learnt: what `kinema similar` may compare by.

Shape suffixes: V items, E width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from kinema.store.features import ModalityFeatures
from kinema.tasks.match_model import MatchModel

FOLDER: Final = "match/items"


@dataclass(frozen=True, eq=False)
class Followers:
    """Places of all items, as what is asked about and as what may follow.

    Attributes:
        asked_VE: float32, unit rows, zero rows where an item has no content.
        rows_VE: The same of what may follow.
    """

    asked_VE: NDArray[np.float32]
    rows_VE: NDArray[np.float32]

    @classmethod
    def load(cls, artifacts: Path, features: Mapping[str, ModalityFeatures]) -> Self:
        """Read the model and place a catalogue's items.

        Raises:
            NotBuiltError: There is no such model.
            StaleArtifactError: It has learnt from vectors of other encoders.
        """
        return cls.of(MatchModel.load(artifacts / FOLDER), features)

    @classmethod
    def of(cls, model: MatchModel, features: Mapping[str, ModalityFeatures]) -> Self:
        """From a model."""
        rows_VE = model.items(features)
        return cls(model.ask.rows(features), rows_VE)

    def near(self, item: int) -> NDArray[np.float32] | None:
        """float32 [V], cosine of every item with what follows an item; None where the item has no content."""
        asked_E = self.asked_VE[item]
        return np.asarray(self.rows_VE @ asked_E) if asked_E.any() else None
