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
        rows_VD: float32 unit rows, the items' vectors of the target modality on its head, less their mean; zero rows where
            absent.
        whitening: Of the source modality.
        carry_WD: float32, projection and head of the source in one.
        mean_D: Mean of the items' source vectors on their head: two modalities keep to two places of the common space, and
            only differences within each are comparable.
    """

    rows_VD: NDArray[np.float32]
    whitening: Whitening
    carry_WD: NDArray[np.float32]
    mean_D: NDArray[np.float32]

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
        maps = {name: _map(model.network, names.index(name)) for name in (source, target)}
        seen = {name: _on_head(features[name], model.whitenings[name], maps[name]) for name in (source, target)}
        centred = {name: rows - _mean(rows) for name, rows in seen.items()}
        present_V1 = seen[target].any(axis=1, keepdims=True)
        return cls(
            rows_VD=unit_rows(centred[target] * present_V1),
            whitening=model.whitenings[source],
            carry_WD=maps[source],
            mean_D=_mean(seen[source]),
        )

    def carry(self, vectors_NE: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors of the source modality's encoder -> float32 [N, D], unit rows comparable with ``rows_VD``."""
        return unit_rows(unit_rows(self.whitening.apply(vectors_NE) @ self.carry_WD) - self.mean_D)


def _map(network: FLMNetwork, modality: int) -> NDArray[np.float32]:
    """float32 [W, D], projection and head of a modality in one."""
    projection, head = network.tower.projections[modality], network.modality_heads[modality]
    assert isinstance(projection, nn.Linear)
    assert isinstance(head, nn.Linear)
    return np.ascontiguousarray((head.weight @ projection.weight).detach().numpy().T)


def _on_head(one: ModalityFeatures, whitening: Whitening, carry_WD: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [V, D], unit rows, zero where absent."""
    return unit_rows(whitening.apply(one.vectors_VD) @ carry_WD * one.present_V[:, None])


def _mean(rows_VD: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over the rows that are there; zero without any."""
    present = rows_VD[rows_VD.any(axis=1)]
    return present.mean(axis=0) if len(present) else np.zeros(rows_VD.shape[1], dtype=np.float32)
