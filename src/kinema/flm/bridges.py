"""From one modality to another through what FLM's content loss has aligned: words find pictures nobody has described.

The loss pulls an item's modalities together on heads of their own (`kinema.tasks.content_terms`), so a text that was never an
item's can be carried to where pictures of such items lie.

Shape suffixes: V items, N vectors from outside, D model width, E encoder width, W whitened width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kinema.flm.model import FLM
from kinema.flm.network import FLMNetwork
from kinema.flm.whitening import Whitening, unit_rows
from kinema.store.features import ModalityFeatures


@dataclass(frozen=True)
class ModalityBridge:
    """A fitted way from one modality to the items of another.

    Attributes:
        rows_VD: float32 unit rows, the items' vectors of the target modality on its head; zero rows where absent.
        whitening: Of the source modality.
        carry_WD: float32, projection and head of the source in one. The gate of a modality is left out: it changes lengths only,
            and a modality that recommendations are better without may still be searched.
    """

    rows_VD: NDArray[np.float32]
    whitening: Whitening
    carry_WD: NDArray[np.float32]

    @classmethod
    def of(cls, model: FLM, features: Mapping[str, ModalityFeatures], *, source: str, target: str) -> Self | None:
        """Build the bridge.

        Args:
            model: Trained with the ``modalities`` term of the content loss.
            features: Of the current catalogue, from the encoders of the training.
            source: Modality of the queries.
            target: Modality of the items.

        Returns:
            The bridge; None where the model has not learnt one of the two, or not to align them.
        """
        trained = model.config.weight_content > 0 and "modalities" in model.config.content_terms
        if not trained or not {source, target} <= model.whitenings.keys() & features.keys():
            return None
        names = list(model.whitenings)
        own_VW = model.whitenings[target].apply(features[target].vectors_VD) * features[target].present_V[:, None]
        return cls(
            rows_VD=unit_rows(own_VW @ _map(model.network, names.index(target))),
            whitening=model.whitenings[source],
            carry_WD=_map(model.network, names.index(source)),
        )

    def carry(self, vectors_NE: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors of the source modality's encoder -> float32 [N, D], unit rows comparable with ``rows_VD``."""
        return unit_rows(self.whitening.apply(vectors_NE) @ self.carry_WD)


def _map(network: FLMNetwork, modality: int) -> NDArray[np.float32]:
    """float32 [W, D], projection and head of a modality in one."""
    projection, head = network.tower.projections[modality], network.modality_heads[modality]
    assert isinstance(projection, nn.Linear)
    assert isinstance(head, nn.Linear)
    return np.ascontiguousarray((head.weight @ projection.weight).detach().numpy().T)
