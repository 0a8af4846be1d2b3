"""From a history of item vectors to a user state at every moment: a causal Transformer with the profile in front.

Position 0 holds the profile (or a learned "unknown"), so a user without history is answered from the profile and a user
without profile from the history, by the same network.

Shape suffixes: B rows, L history length, D width, P profile columns.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from kinema.flm.blocks import BlockKind, make_block
from kinema.flm.draws import Draws
from kinema.flm.timing import Moments, TimeBias


class HistoryEncoder(nn.Module):
    """The sequential branch.

    Rows are padded on the right; since attention is causal, padding can only reach positions that nobody reads, and no
    mask is needed.

    Args:
        d_model: D.
        num_blocks: Blocks.
        block: Their kind.
        num_heads: H.
        filter_share: Of the frequency filter beside attention; 0 for none.
        max_length: Longest history; longer ones must be cut to their newest part by the caller.
        dropout: On the input and in the blocks.
        profile_width: P, columns of the user profile; 0 for none.
        profile_dropout: Share of rows whose profile is hidden in training.
        timed: Attention knows how long ago interactions were.
    """

    def __init__(
        self,
        *,
        d_model: int,
        num_blocks: int,
        block: BlockKind = "plain",
        num_heads: int,
        filter_share: float = 0.0,
        max_length: int,
        dropout: float,
        profile_width: int = 0,
        profile_dropout: float = 0.3,
        timed: bool = False,
    ) -> None:
        super().__init__()
        self.profile_dropout = profile_dropout
        self.positions_LD = nn.Parameter(torch.randn(max_length + 1, d_model) * 0.1)
        self.unknown_D = nn.Parameter(torch.randn(d_model) * 0.1)
        self.profile = nn.Linear(profile_width, d_model) if profile_width else None
        self.input_scale = d_model**0.5
        self.dropout = dropout
        self.blocks = nn.ModuleList(
            make_block(block, d_model=d_model, num_heads=num_heads, dropout=dropout, filter_share=filter_share)
            for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(d_model)
        self.time_bias = TimeBias(num_blocks=num_blocks, num_heads=num_heads) if timed else None

    def first_token(self, profiles_BP: Tensor | None, num_rows: int, draws: Draws | None) -> Tensor:
        """float32 [B, D]: the projected profile, or the learned unknown where a row is all zero or hidden."""
        unknown_BD = self.unknown_D.expand(num_rows, -1)
        if self.profile is None or profiles_BP is None:
            return unknown_BD
        known_B = (profiles_BP != 0).any(dim=1)
        if draws is not None:
            known_B = known_B & draws.kept((num_rows,), self.profile_dropout)
        return torch.where(known_B.unsqueeze(-1), self.profile(profiles_BP), unknown_BD)

    def forward(
        self,
        items_BLD: Tensor,
        profiles_BP: Tensor | None,
        draws: Draws | None = None,
        times: Moments | None = None,
    ) -> Tensor:
        """User states.

        Args:
            items_BLD: Item vectors, oldest first, anything behind the end of a row; L may be 0.
            profiles_BP: Profiles, zero rows where unknown; None for none.
            draws: Of this part of a training step; None for inference.
            times: When the items were met; only read, and then needed, where the encoder is timed.

        Returns:
            float32 [B, L + 1, D], unit rows; position l has read the profile and the first l items.
        """
        first_BD = self.first_token(profiles_BP, items_BLD.shape[0], draws)
        x_BLD = torch.cat([first_BD.unsqueeze(1), items_BLD * self.input_scale], dim=1)
        x_BLD = x_BLD + self.positions_LD[: x_BLD.shape[1]]
        if draws is not None:
            x_BLD = draws.dropout(x_BLD, self.dropout)
        biases = [None] * len(self.blocks) if self.time_bias is None or times is None else self.time_bias(times)
        for block, bias_BHLL in zip(self.blocks, biases, strict=True):
            x_BLD = block(x_BLD, draws, bias_BHLL)
        return functional.normalize(self.norm(x_BLD), dim=-1)


def running_mean(items_BLD: Tensor, *, decay: float) -> Tensor:
    """Direction of the decayed sum of everything up to each position; the order-free state for ``decay=1``.

    Args:
        items_BLD: Item vectors, oldest first.
        decay: Weight an item loses per newer one, in (0, 1].

    Returns:
        float32 [B, L, D], unit rows.

    Example:
        >>> running_mean(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), decay=1.0)[0, 1]
        tensor([0.7071, 0.7071])
    """
    return functional.normalize(_age_weights(items_BLD.shape[1], decay).to(items_BLD.dtype) @ items_BLD, dim=-1)


@lru_cache(maxsize=512)
def _age_weights(length: int, decay: float) -> Tensor:
    """float32 [L, L], row l weighs the items 0..l by their age. Kept: powers of a matrix cost more than its product."""
    with torch.inference_mode(mode=False):  # what is made while serving must be of use in training
        ages_LL = torch.arange(length).unsqueeze(1) - torch.arange(length)
        return torch.where(ages_LL >= 0, decay ** ages_LL.clamp_min(0).float(), 0.0)
