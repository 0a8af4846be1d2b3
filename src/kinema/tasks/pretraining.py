"""Pre-training as a task: L = L_seq + w_g L_collab + w_c L_content.

A step has three parts: the vectors of the rows it touches, losses of windows given those vectors, and losses of items. The
middle part is most of the work and falls into pieces that can be computed side by side.

Shape suffixes: B windows, L window length, N predictions, R rows of the catalogue that the step touches, K negatives,
D width, V catalogue, P profile columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from kinema.flm.batch import PADDING, Negatives, SequenceBatch
from kinema.flm.config import FLMConfig
from kinema.flm.draws import Draws
from kinema.flm.fusion import ItemContent
from kinema.flm.network import CONTENT_DECAY, FLMNetwork
from kinema.flm.sequence import running_mean
from kinema.flm.timing import Moments, moments
from kinema.losses.softmax import next_item_loss
from kinema.tasks.content_terms import ContentTerms

_AUXILIARY_PREDICTIONS: Final = 256
_BAG_SHARE: Final = 0.5


@dataclass(frozen=True)
class Touched:
    """The rows of the catalogue that a step touches, and their vectors.

    Attributes:
        rows_R: int64 item numbers, each once.
        items_RD: Item vectors.
        content_RD: Content vectors.
        bias_R: Log-odds of each item whoever asks.
        negatives_K: Places of the shared negatives; None for the full softmax.
        log_rate_K: Logarithm of how often each is expected; None for no correction.
    """

    rows_R: Tensor
    items_RD: Tensor
    content_RD: Tensor
    bias_R: Tensor
    negatives_K: Tensor | None
    log_rate_K: Tensor | None = None


@dataclass(frozen=True)
class Windows:
    """Windows of a batch, as places among the touched rows.

    Attributes:
        places_BL: int64, 0 behind the end.
        valid_BL: bool, False behind the end.
        profiles_BP: Profiles; None for none.
        times: When the interactions happened; None where the model does not ask.
    """

    places_BL: Tensor
    valid_BL: Tensor
    profiles_BP: Tensor | None
    times: Moments | None = None

    @property
    def num_targets(self) -> int:
        """Predictions of the sequential branch."""
        return int(self.valid_BL.sum())

    def pieces(self, count: int) -> list["Windows"]:
        """At most ``count`` pieces of about equally many windows, each as long as its longest window."""
        found = []
        for rows in torch.arange(len(self.places_BL)).tensor_split(count):
            if len(rows):
                valid_BL = self.valid_BL[rows]
                length = max(1, int(valid_BL.any(dim=0).sum()))
                profiles_BP = None if self.profiles_BP is None else self.profiles_BP[rows]
                times = None if self.times is None else self.times.part(rows, length)
                found.append(Windows(self.places_BL[rows, :length], valid_BL[:, :length], profiles_BP, times))
        return found


class PretrainingTask:
    """Computes the parts of the joint loss.

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
        described = torch.nonzero(content.described).squeeze(1)
        self.has_collab = bool(config.weight_collab and config.collab_terms)
        self.has_content = bool(config.weight_content) and len(described) > 0
        self._terms = ContentTerms(
            config.content_terms, content, described, warm_V, neighbours_VJ, neighbour_weights_VJ
        )

    def rows(self, batch: SequenceBatch, negatives: Negatives | None) -> tuple[Tensor, Tensor | None, Windows]:
        """The rows a step touches, its negatives and its windows as places among them.

        Args:
            batch: Windows.
            negatives: Shared by all windows; None for the full softmax.
        """
        valid_BL = batch.items_BL != PADDING
        items_BL = batch.items_BL.clamp_min(0)
        profiles_BP = None if self.profiles_UP is None else self.profiles_UP[batch.users_B]
        times = None if batch.times_BL is None else self._moments(batch.times_BL)
        if negatives is None:
            return torch.arange(self.content.num_items), None, Windows(items_BL, valid_BL, profiles_BP, times)
        wanted = torch.cat([items_BL[valid_BL], negatives.items_K])
        rows_R, places = torch.unique(wanted, return_inverse=True)
        num_known = len(wanted) - len(negatives.items_K)
        places_BL = torch.zeros_like(items_BL)
        places_BL[valid_BL] = places[:num_known]
        return rows_R, places[num_known:], Windows(places_BL, valid_BL, profiles_BP, times)

    def _moments(self, times_BL: Tensor) -> Moments | None:
        return moments(self.config.time_bias, times_BL[:, :-1], times_BL)

    def window_losses(
        self, network: FLMNetwork, touched: Touched, windows: Windows, draws: Draws | None, *, auxiliary: bool = True
    ) -> Mapping[str, Tensor]:
        """Losses of some of a step's windows, unweighted means.

        Args:
            network: Its history encoder and small maps are used, its item tower is not.
            touched: Vectors of the step.
            windows: The piece.
            draws: Of the piece; None leaves out randomness, and with it the auxiliary losses, which live by it.
            auxiliary: False leaves out all but the sequential loss.

        Returns:
            ``sequential``, ``collaborative`` and ``content`` where they are switched on.
        """
        places_BL, valid_BL = windows.places_BL, windows.valid_BL
        known_BL = places_BL[:, :-1]
        items_BLD = _gathered(touched.items_RD, known_BL)
        parts = {}
        if self.config.weight_sequence:
            states_BLD = network.encoder(items_BLD, windows.profiles_BP, draws, windows.times)
            here_N = torch.nonzero(valid_BL.flatten()).squeeze(1)
            states_ND = states_BLD.flatten(0, 1).index_select(0, here_N)
            parts["sequential"] = self._next(states_ND, places_BL.flatten().index_select(0, here_N), touched)
        if draws is None or not auxiliary or not (self.has_collab or self.has_content):
            return parts
        rows_N, ends_N = _some(valid_BL[:, 1:], draws)
        if self.has_collab:
            parts["collaborative"] = self._collaborative(
                network, items_BLD, places_BL, chosen=(rows_N, ends_N), touched=touched, draws=draws
            )
        if self.has_content and "next" in self.config.content_terms:
            likings_BLD = running_mean(_gathered(touched.content_RD, known_BL), decay=CONTENT_DECAY)
            parts["content"] = self._next(
                likings_BLD[rows_N, ends_N], places_BL[rows_N, ends_N + 1], touched, by_content=True
            )
        return parts

    def item_loss(self, network: FLMNetwork, draws: Draws) -> Tensor | None:
        """The part of L_content that needs no history; None where it is switched off."""
        wanted = set(self.config.content_terms) - {"next"}
        return self._terms.loss(network, draws) if self.has_content and wanted else None

    def weights(self, *, share: float) -> Mapping[str, float]:
        """Weight of each part at a step that computes them all.

        Args:
            share: What is left of w_g and w_c at this point of training, from 1 down to ``weight_floor``.
        """
        share *= self.config.auxiliary_period
        return {
            "sequential": self.config.weight_sequence,
            "collaborative": share * self.config.weight_collab,
            "content": share * self.config.weight_content,
        }

    def _next(self, states_ND: Tensor, places_N: Tensor, touched: Touched, *, by_content: bool = False) -> Tensor:
        return next_item_loss(
            states_ND,
            touched.content_RD if by_content else touched.items_RD,
            places_N,
            candidates_K=touched.negatives_K,
            temperature=self.config.temperature,
            bias_R=touched.bias_R,
            log_rate_K=touched.log_rate_K,
        )

    def _collaborative(
        self,
        network: FLMNetwork,
        items_BLD: Tensor,
        places_BL: Tensor,
        *,
        chosen: tuple[Tensor, Tensor],
        touched: Touched,
        draws: Draws,
    ) -> Tensor:
        """Item-to-item over decayed transitions, and the order-free user vector.

        Drawing the gap from a geometric distribution makes each draw a sample of the decayed transition counts, so
        no matrix of them has to be built.
        """
        rows_N, ends_N = chosen
        losses = []
        if "items" in self.config.collab_terms:
            starts_N = ends_N - draws.gaps(len(rows_N), 1 - self.config.memory_query_decay)
            inside_N = starts_N >= 0
            sources_N = places_BL[rows_N[inside_N], starts_N[inside_N]]
            followers_N = places_BL[rows_N[inside_N], ends_N[inside_N] + 1]
            expected_ND = network.followers(touched.items_RD.index_select(0, sources_N))
            losses.append(self._next(expected_ND, followers_N, touched))
        if "users" in self.config.collab_terms:
            bag_ND = network.collaborative(items_BLD)[rows_N, ends_N]
            losses.append(_BAG_SHARE * self._next(bag_ND, places_BL[rows_N, ends_N + 1], touched))
        return torch.stack(losses).sum()


def _gathered(vectors_RD: Tensor, places_BL: Tensor) -> Tensor:
    """float32 [B, L, D], rows of a table; several times faster than indexing with a matrix, forward and backward."""
    return vectors_RD.index_select(0, places_BL.flatten()).view(*places_BL.shape, vectors_RD.shape[1])


def _some(valid_BL: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """At most a few hundred of the true places per piece, at random; the auxiliary losses need no more."""
    rows_N, columns_N = torch.nonzero(valid_BL, as_tuple=True)
    picked = draws.some(len(rows_N), _AUXILIARY_PREDICTIONS)
    return rows_N[picked], columns_N[picked]
