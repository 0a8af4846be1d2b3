"""Several click networks as one: the mean of their probabilities.

Shape suffixes: B examples, M members.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kinema.errors import ConfigError
from kinema.flm.draws import Draws
from kinema.tasks.target_attention import HistoryBatch, HistoryClickConfig, HistoryClickNetwork


class HistoryClickEnsemble(nn.Module):
    """Logit of the mean probability of its members; stands wherever one network does.

    Args:
        members: Of one shape.

    Attributes:
        config: Of each member.
        num_ids: Items with a vector of their own.

    Raises:
        ConfigError: There is none, or their shapes differ.
    """

    def __init__(self, members: Sequence[HistoryClickNetwork]) -> None:
        super().__init__()
        if len({(one.config, one.num_ids) for one in members}) != 1:
            raise ConfigError(
                f"members of an ensemble must be at least one and of one shape, are {len(members)} of several"
            )
        self.members = nn.ModuleList(members)
        self.config: HistoryClickConfig = members[0].config
        self.num_ids: int = members[0].num_ids

    def forward(self, batch: HistoryBatch, draws: Draws | None = None) -> Tensor:
        """Logits float32 [B]; ``draws`` None for inference."""
        logits_MB = torch.stack([one(batch, draws) for one in self.members])
        return torch.sigmoid(logits_MB.double()).mean(dim=0).logit(eps=1e-7).to(logits_MB.dtype)
