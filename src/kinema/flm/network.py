"""The trainable whole: item tower, history encoder, and the small maps that the auxiliary losses need.

Shape suffixes: B rows, L history length, D width, V catalogue, R rows of it, W whitened width, P profile columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from kinema.flm.config import FLMConfig
from kinema.flm.fusion import ItemTower
from kinema.flm.sequence import HistoryEncoder, running_mean
from kinema.flm.timing import Moments
from kinema.flm.whitening import Whitening

CONTENT_DECAY = 0.9


@dataclass(frozen=True)
class UserStates:
    """One user seen from the three sides, at every moment of the history.

    Attributes:
        sequential_BLD: After profile and the first l items, l = 0..L; unit rows.
        collaborative_BLD: Order-free state of the first l items, l = 1..L, for item vectors; unit rows.
        content_BLD: What the first l items are like, l = 1..L, for content vectors; unit rows.
    """

    sequential_BLD: Tensor
    collaborative_BLD: Tensor
    content_BLD: Tensor


class FLMNetwork(nn.Module):
    """FLM's parameters.

    Args:
        config: Sizes.
        num_items: Items of the training catalogue.
        modality_widths: Modality -> whitened width.
        profile_width: P; 0 for none.
    """

    def __init__(
        self, config: FLMConfig, *, num_items: int, modality_widths: Mapping[str, int], profile_width: int
    ) -> None:
        super().__init__()
        d_model = config.d_model
        self.tower = ItemTower(
            num_items=num_items if config.use_ids else 0,
            d_model=d_model,
            modality_widths=modality_widths,
            content_init=config.content_init,
            id_dropout=config.id_dropout,
            modality_dropout=config.modality_dropout,
        )
        self.encoder = HistoryEncoder(
            d_model=d_model,
            num_blocks=config.num_blocks,
            block=config.block,
            filter_share=config.filter_share,
            num_heads=config.num_heads,
            max_length=config.max_length,
            dropout=config.dropout,
            profile_width=profile_width,
            profile_dropout=config.profile_dropout,
            timed=config.time_bias != "none",
        )
        self.follow = _identity(d_model)
        self.gather = _identity(d_model)
        self.modality_heads = nn.ModuleList(_identity(d_model) for _ in modality_widths)
        self.decoders = nn.ModuleList(nn.Linear(d_model, width) for width in modality_widths.values())

    @classmethod
    def reading(
        cls, whitenings: Mapping[str, Whitening], config: FLMConfig, *, num_items: int, profile_width: int
    ) -> Self:
        """A network for what these maps give."""
        widths = {name: one.width for name, one in whitenings.items()}
        return cls(config, num_items=num_items, modality_widths=widths, profile_width=profile_width)

    def states(
        self, items_BLD: Tensor, content_BLD: Tensor, profiles_BP: Tensor | None, times: Moments | None = None
    ) -> UserStates:
        """User states from the three sides, for inference.

        Args:
            items_BLD: Item vectors of the histories, oldest first.
            content_BLD: Content vectors of the same items, zero where an item has none.
            profiles_BP: Profiles; None for none.
            times: When the items were met; needed where the model is timed.
        """
        return UserStates(
            self.encoder(items_BLD, profiles_BP, times=times),
            self.collaborative(items_BLD),
            running_mean(content_BLD, decay=CONTENT_DECAY),
        )

    def collaborative(self, items_BLD: Tensor) -> Tensor:
        """Order-free user states float32 [B, L, D], unit rows."""
        return functional.normalize(self.gather(running_mean(items_BLD, decay=1.0)), dim=-1)

    def followers(self, items_RD: Tensor) -> Tensor:
        """Where the followers of an item are expected: float32 [R, D], unit rows."""
        return functional.normalize(self.follow(items_RD), dim=-1)


def _identity(width: int) -> nn.Linear:
    layer = nn.Linear(width, width, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(width))
    return layer
