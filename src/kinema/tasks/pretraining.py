"""Pre-training as a task: L = L_seq + w_g L_collab + w_c L_content.

Shape suffixes: B windows, L window length, N predictions, R rows of the catalogue that the step touches, K negatives,
D width, M modalities, W whitened width, V catalogue, J neighbours, P profile columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from kinema.flm.batch import PADDING, SequenceBatch
from kinema.flm.config import FLMConfig
from kinema.flm.fusion import ItemContent
from kinema.flm.network import FLMNetwork, UserStates
from kinema.losses.contrastive import info_nce, symmetric_info_nce
from kinema.losses.reconstruction import cosine_reconstruction
from kinema.losses.softmax import full_softmax, sampled_softmax

_AUXILIARY_PREDICTIONS = 256
_CONTENT_ITEMS = 256
_BAG_SHARE = 0.5
_ALIGN_TEMPERATURE = 0.1


@dataclass(frozen=True)
class Touched:
    """The rows of the catalogue that a step touches, and their vectors.

    Attributes:
        rows_R: int64 item numbers, ascending.
        items_RD: Item vectors.
        content_RD: Content vectors.
        bias_R: Log-odds of each item whoever asks.
        negatives_K: Places of the shared negatives; None for the full softmax.
    """

    rows_R: Tensor
    items_RD: Tensor
    content_RD: Tensor
    bias_R: Tensor
    negatives_K: Tensor | None


class PretrainingTask:
    """Computes the joint loss of a batch.

    Args:
        config: Weights and switches.
        content: Features of the training catalogue.
        profiles_UP: User profiles; None for none.
        warm_V: bool, items with training interactions.
        neighbours_VJ: int64, content-nearest warm items of each item.
        neighbour_weights_VJ: float32, their weights, rows sum to 1 (0 for items without content).
    """

    def __init__(
        self,
        config: FLMConfig,
        *,
        content: ItemContent,
        profiles_UP: Tensor | None,
        warm_V: Tensor,
        neighbours_VJ: Tensor,
        neighbour_weights_VJ: Tensor,
    ) -> None:
        self.config = config
        self.content = content
        self.profiles_UP = profiles_UP
        self.warm_V = warm_V
        self.neighbours_VJ = neighbours_VJ
        self.neighbour_weights_VJ = neighbour_weights_VJ
        self.described = torch.nonzero(content.described).squeeze(1)

    def losses(self, network: FLMNetwork, batch: SequenceBatch, negatives_K: Tensor | None) -> Mapping[str, Tensor]:
        """The parts of the loss, unweighted.

        Args:
            network: In training mode.
            batch: Windows.
            negatives_K: int64, shared negatives, each at most once; None for the full softmax.

        Returns:
            ``sequential``, and ``collaborative`` and ``content`` where they are switched on.
        """
        touched, places_BL = self._touch(network, batch, negatives_K)
        valid_BL = batch.items_BL != PADDING
        profiles_BP = None if self.profiles_UP is None else self.profiles_UP[batch.users_B]
        states = network.states(touched.items_RD[places_BL[:, :-1]], touched.content_RD[places_BL[:, :-1]], profiles_BP)
        parts = {"sequential": self._next(states.sequential_BLD[valid_BL], places_BL[valid_BL], touched)}
        if self.config.weight_collab:
            parts["collaborative"] = self._collaborative(network, states, places_BL, valid_BL, touched)
        if self.config.weight_content and len(self.described):
            parts["content"] = self._content(network, states, places_BL, valid_BL, touched)
        return parts

    def total(self, parts: Mapping[str, Tensor], *, share: float) -> Tensor:
        """The weighted sum.

        Args:
            parts: From `losses`.
            share: What is left of w_g and w_c at this point of training, from 1 down to ``weight_floor``.
        """
        weights = {
            "sequential": 1.0,
            "collaborative": share * self.config.weight_collab,
            "content": share * self.config.weight_content,
        }
        return torch.stack([weights[name] * part for name, part in parts.items()]).sum()

    def _touch(self, network: FLMNetwork, batch: SequenceBatch, negatives_K: Tensor | None) -> tuple[Touched, Tensor]:
        """Vectors of the rows the step needs, and the batch's items as places among them."""
        items_BL = batch.items_BL.clamp_min(0)
        if negatives_K is None:
            rows_R = torch.arange(self.content.num_items)
            places_BL, negative_places_K = items_BL, None
        else:
            wanted = torch.cat([items_BL.flatten(), negatives_K])
            rows_R, places = torch.unique(wanted, return_inverse=True)
            places_BL, negative_places_K = places[: items_BL.numel()].view_as(items_BL), places[items_BL.numel() :]
        items_RD, content_RD = network.tower(rows_R, self.content)
        return Touched(rows_R, items_RD, content_RD, network.tower.bias(rows_R), negative_places_K), places_BL

    def _next(self, states_ND: Tensor, places_N: Tensor, touched: Touched, *, by_content: bool = False) -> Tensor:
        vectors_RD = touched.content_RD if by_content else touched.items_RD
        bias_R = touched.bias_R
        if touched.negatives_K is None:
            return full_softmax(states_ND, vectors_RD, places_N, temperature=self.config.temperature, bias_V=bias_R)
        return sampled_softmax(
            states_ND,
            vectors_RD[places_N],
            places_N,
            negatives_KD=vectors_RD[touched.negatives_K],
            negative_items_K=touched.negatives_K,
            temperature=self.config.temperature,
            positive_bias_N=bias_R[places_N],
            negative_bias_K=bias_R[touched.negatives_K],
        )

    def _collaborative(
        self, network: FLMNetwork, states: UserStates, places_BL: Tensor, valid_BL: Tensor, touched: Touched
    ) -> Tensor:
        """Item-to-item over decayed transitions, and the order-free user vector.

        Drawing the gap from a geometric distribution makes each draw a sample of the decayed transition counts, so
        no matrix of them has to be built.
        """
        later_BL = valid_BL[:, 1:]
        if not later_BL.any():
            return states.sequential_BLD.sum() * 0
        rows_N, ends_N = _some(later_BL)
        gaps_N = torch.empty(len(rows_N)).geometric_(1 - self.config.memory_query_decay).long() - 1
        starts_N = ends_N - gaps_N
        inside_N = starts_N >= 0
        sources_N = places_BL[rows_N[inside_N], starts_N[inside_N]]
        followers_N = places_BL[rows_N[inside_N], ends_N[inside_N] + 1]
        item_to_item = self._next(network.followers(touched.items_RD[sources_N]), followers_N, touched)
        bag_ND = states.collaborative_BLD[rows_N, ends_N]
        return item_to_item + _BAG_SHARE * self._next(bag_ND, places_BL[rows_N, ends_N + 1], touched)

    def _content(
        self, network: FLMNetwork, states: UserStates, places_BL: Tensor, valid_BL: Tensor, touched: Touched
    ) -> Tensor:
        terms = self.config.content_terms
        total = states.content_BLD.sum() * 0
        later_BL = valid_BL[:, 1:]
        if "next" in terms and later_BL.any():
            rows_N, ends_N = _some(later_BL)
            total = total + self._next(
                states.content_BLD[rows_N, ends_N], places_BL[rows_N, ends_N + 1], touched, by_content=True
            )
        picked_R = self.described[torch.randperm(len(self.described))[:_CONTENT_ITEMS]]
        parts_RMD = network.tower.parts(picked_R, self.content)
        if "align" in terms:
            total = total + self._align(network, picked_R, functional.normalize(parts_RMD.sum(dim=1), dim=-1))
        if "modalities" in terms and parts_RMD.shape[1] > 1:
            total = total + self._modalities(network.modality_heads, picked_R, parts_RMD)
        if "reconstruction" in terms and parts_RMD.shape[1] > 1:
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
        to_own = info_nce(content_RD[warm_R], own_RD, temperature=_ALIGN_TEMPERATURE)
        to_imputed = info_nce(content_RD, functional.normalize(imputed_RD, dim=-1), temperature=_ALIGN_TEMPERATURE)
        return 0.5 * (to_own + to_imputed)

    def _modalities(self, heads: nn.ModuleList, picked_R: Tensor, parts_RMD: Tensor) -> Tensor:
        """Two modalities of one item belong together; on heads of their own, so what they do not share is not lost."""
        present_RM = self.content.present_VM[picked_R] > 0
        seen = [functional.normalize(head(parts_RMD[:, m]), dim=-1) for m, head in enumerate(heads)]
        losses = []
        for left in range(len(seen)):
            for right in range(left + 1, len(seen)):
                both_R = present_RM[:, left] & present_RM[:, right]
                losses.append(
                    symmetric_info_nce(seen[left][both_R], seen[right][both_R], temperature=_ALIGN_TEMPERATURE)
                )
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


def _some(valid_BL: Tensor) -> tuple[Tensor, Tensor]:
    """At most a few hundred of the true places, at random; the auxiliary losses need no more per step."""
    rows_N, columns_N = torch.nonzero(valid_BL, as_tuple=True)
    if len(rows_N) > _AUXILIARY_PREDICTIONS:
        picked = torch.randperm(len(rows_N))[:_AUXILIARY_PREDICTIONS]
        return rows_N[picked], columns_N[picked]
    return rows_N, columns_N
