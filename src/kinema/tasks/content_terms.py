"""L_content beyond the next item: what ties an item's modalities to its behaviour and to each other.

These terms look at items, not at histories, so items that nobody has watched take part.

Shape suffixes: R picked items, M modalities, D width, W whitened width, J neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from kinema.flm.draws import Draws
from kinema.flm.fusion import ItemContent
from kinema.flm.network import FLMNetwork
from kinema.losses.contrastive import info_nce, symmetric_info_nce
from kinema.losses.reconstruction import cosine_reconstruction

_ITEMS: Final = 256
_TEMPERATURE: Final = 0.1


@dataclass(frozen=True)
class ContentTerms:
    """The terms over a catalogue.

    Attributes:
        terms: Which of align, modalities, reconstruction are on.
        content: Features of the training catalogue.
        described: int64, items with any modality.
        warm_V: bool, items with training interactions.
        neighbours_VJ: int64, content-nearest warm items of each item.
        neighbour_weights_VJ: float32, their weights, rows sum to 1 (0 for items without content).
    """

    terms: Sequence[str]
    content: ItemContent
    described: Tensor
    warm_V: Tensor
    neighbours_VJ: Tensor
    neighbour_weights_VJ: Tensor

    def loss(self, network: FLMNetwork, draws: Draws) -> Tensor:
        """Scalar, over items drawn at random."""
        picked_R = self.described[draws.some(len(self.described), _ITEMS)]
        parts_RMD = network.tower.parts(picked_R, self.content)
        total = parts_RMD.sum() * 0
        if "align" in self.terms:
            total = total + self._align(network, picked_R, functional.normalize(parts_RMD.sum(dim=1), dim=-1))
        if "modalities" in self.terms and parts_RMD.shape[1] > 1:
            total = total + self._modalities(network.modality_heads, picked_R, parts_RMD)
        if "reconstruction" in self.terms and parts_RMD.shape[1] > 1:
            total = total + self._reconstruction(network.decoders, picked_R, parts_RMD)
        return total

    def _align(self, network: FLMNetwork, picked_R: Tensor, content_RD: Tensor) -> Tensor:
        """Content towards behaviour: towards the item's own, and towards that of its content neighbours."""
        warm_R = self.warm_V[picked_R]
        with torch.no_grad():
            own_RD = functional.normalize(network.tower.behaviour(picked_R[warm_R]), dim=-1)
            neighbours_RJ = self.neighbours_VJ[picked_R]
            vectors_RJD = network.tower.behaviour(neighbours_RJ.flatten()).view(*neighbours_RJ.shape, -1)
            imputed_RD = (self.neighbour_weights_VJ[picked_R].unsqueeze(-1) * vectors_RJD).sum(dim=1)
        to_own = info_nce(content_RD[warm_R], own_RD, temperature=_TEMPERATURE)
        to_imputed = info_nce(content_RD, functional.normalize(imputed_RD, dim=-1), temperature=_TEMPERATURE)
        return 0.5 * (to_own + to_imputed)

    def _modalities(self, heads: nn.ModuleList, picked_R: Tensor, parts_RMD: Tensor) -> Tensor:
        """Two modalities of one item belong together; on heads of their own, so what they do not share is not lost."""
        present_RM = self.content.present_VM[picked_R] > 0
        seen = [functional.normalize(head(parts_RMD[:, m]), dim=-1) for m, head in enumerate(heads)]
        losses = []
        for left in range(len(seen)):
            for right in range(left + 1, len(seen)):
                both_R = present_RM[:, left] & present_RM[:, right]
                losses.append(symmetric_info_nce(seen[left][both_R], seen[right][both_R], temperature=_TEMPERATURE))
        return torch.stack(losses).mean()

    def _reconstruction(self, decoders: nn.ModuleList, picked_R: Tensor, parts_RMD: Tensor) -> Tensor:
        """Each modality from the sum of the others."""
        present_RM = self.content.present_VM[picked_R] > 0
        others_RMD = parts_RMD.sum(dim=1, keepdim=True) - parts_RMD
        losses = []
        for m, decoder in enumerate(decoders):
            usable_R = present_RM[:, m] & (present_RM.sum(dim=1) > 1)
            actual_RW = self.content.vectors[m][picked_R[usable_R]]
            losses.append(cosine_reconstruction(decoder(others_RMD[usable_R, m]), actual_RW))
        return torch.stack(losses).mean()
