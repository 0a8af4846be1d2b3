"""What can be learnt from items alone, without anybody's events.

Two things: which vectors of two modalities belong to one item, and what a hidden modality is from those that are shown.
Taste is not among them: `align` needs behaviour and `next` needs histories.

Shape suffixes: R picked items, M modalities, D width, W whitened width.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from kinema.flm.draws import Draws
from kinema.flm.fusion import ItemContent
from kinema.flm.network import FLMNetwork
from kinema.losses.reconstruction import cosine_reconstruction
from kinema.tasks.content_terms import ContentTerms

_ITEMS: Final = 256
_HIDDEN: Final = 0.5


class CatalogueTask:
    """Computes the content terms over items.

    Args:
        content: Whitened features of the catalogue.
        rows: int64, items to learn from, each with a modality.
        terms: Which of modalities and reconstruction are on.
    """

    def __init__(self, content: ItemContent, rows: Tensor, terms: Sequence[str]) -> None:
        self._content = content
        self._rows = rows
        self._reconstruct = "reconstruction" in terms
        nobody, nothing = torch.zeros(content.num_items, dtype=torch.bool), torch.zeros(0)
        self._terms = ContentTerms(
            [one for one in terms if one == "modalities"], content, rows, nobody, nothing, nothing
        )

    def loss(self, network: FLMNetwork, draws: Draws) -> Tensor:
        """Scalar, over items drawn at random."""
        total = self._terms.loss(network, draws)
        return total + self._reconstruction(network, draws) if self._reconstruct else total

    def _reconstruction(self, network: FLMNetwork, draws: Draws) -> Tensor:
        """Every modality of an item from those that are shown.

        Half of an item's modalities are hidden, never all. A modality that is shown is told from itself too, so what
        only one modality knows is not lost, and a catalogue with a single modality has something to learn.
        """
        picked_R = self._rows[draws.some(len(self._rows), _ITEMS)]
        parts_RMD = network.tower.parts(picked_R, self._content)
        present_RM = self._content.present_VM[picked_R] > 0
        shown_RM = present_RM & draws.kept(tuple(present_RM.shape), _HIDDEN)
        shown_RM = torch.where(shown_RM.any(dim=1, keepdim=True), shown_RM, present_RM)
        shown_RD = (parts_RMD * shown_RM.unsqueeze(-1)).sum(dim=1)
        losses = [
            cosine_reconstruction(decoder(shown_RD[present_RM[:, m]]), vectors[picked_R[present_RM[:, m]]])
            for m, (decoder, vectors) in enumerate(zip(network.decoders, self._content.vectors, strict=True))
        ]
        return torch.stack(losses).mean()
