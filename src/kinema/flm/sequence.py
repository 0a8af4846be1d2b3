"""From a history of item vectors to a user state at every moment: a causal Transformer with the profile in front.

Position 0 holds the profile (or a learned "unknown"), so a user without history is answered from the profile and a user
without profile from the history, by the same network.

Shape suffixes: B rows, L history length, D width, H heads.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Pre-norm causal self-attention and a GELU feed-forward layer.

    Args:
        d_model: D.
        num_heads: H.
        dropout: On both residual branches.

    Source: SASRec (Kang & McAuley 2018) with the pre-norm order of GPT-2. No dropout on attention weights: it keeps the
    fused attention kernel usable.
    """

    def __init__(self, *, d_model: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(d_model)
        self.queries_keys_values = nn.Linear(d_model, 3 * d_model)
        self.attention_out = nn.Linear(d_model, d_model)
        self.feed_norm = nn.LayerNorm(d_model)
        self.feed_in = nn.Linear(d_model, 4 * d_model)
        self.feed_out = nn.Linear(4 * d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """float32 [B, L, D] -> the same shape; position l sees positions 0..l."""
        x_BLD = x_BLD + self.dropout(self._attend(self.attention_norm(x_BLD)))
        fed_BLD = self.feed_out(functional.gelu(self.feed_in(self.feed_norm(x_BLD))))
        out_BLD: Tensor = x_BLD + self.dropout(fed_BLD)
        return out_BLD

    def _attend(self, x_BLD: Tensor) -> Tensor:
        rows, length, width = x_BLD.shape
        split = self.queries_keys_values(x_BLD).view(rows, length, 3, self.num_heads, width // self.num_heads)
        queries, keys, values = split.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        mixed_BLD: Tensor = self.attention_out(mixed.transpose(1, 2).reshape(rows, length, width))
        return mixed_BLD


class HistoryEncoder(nn.Module):
    """The sequential branch.

    Rows are padded on the right; since attention is causal, padding can only reach positions that nobody reads, and no
    mask is needed.

    Args:
        d_model: D.
        num_blocks: Blocks.
        num_heads: H.
        max_length: Longest history; longer ones must be cut to their newest part by the caller.
        dropout: On the input and in the blocks.
        profile_width: P, columns of the user profile; 0 for none.
        profile_dropout: Share of rows whose profile is hidden in training.
    """

    def __init__(
        self,
        *,
        d_model: int,
        num_blocks: int,
        num_heads: int,
        max_length: int,
        dropout: float,
        profile_width: int = 0,
        profile_dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.profile_dropout = profile_dropout
        self.positions_LD = nn.Parameter(torch.randn(max_length + 1, d_model) * 0.1)
        self.unknown_D = nn.Parameter(torch.randn(d_model) * 0.1)
        self.profile = nn.Linear(profile_width, d_model) if profile_width else None
        self.input_scale = d_model**0.5
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(d_model=d_model, num_heads=num_heads, dropout=dropout) for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(d_model)

    def first_token(self, profiles_BP: Tensor | None, num_rows: int) -> Tensor:
        """float32 [B, D]: the projected profile, or the learned unknown where a row is all zero or hidden."""
        unknown_BD = self.unknown_D.expand(num_rows, -1)
        if self.profile is None or profiles_BP is None:
            return unknown_BD
        known_B = (profiles_BP != 0).any(dim=1)
        if self.training:
            known_B = known_B & (torch.rand(num_rows) >= self.profile_dropout)
        return torch.where(known_B.unsqueeze(-1), self.profile(profiles_BP), unknown_BD)

    def forward(self, items_BLD: Tensor, profiles_BP: Tensor | None) -> Tensor:
        """User states.

        Args:
            items_BLD: Item vectors, oldest first, anything behind the end of a row; L may be 0.
            profiles_BP: Profiles, zero rows where unknown; None for none.

        Returns:
            float32 [B, L + 1, D], unit rows; position l has read the profile and the first l items.
        """
        first_BD = self.first_token(profiles_BP, items_BLD.shape[0])
        x_BLD = torch.cat([first_BD.unsqueeze(1), items_BLD * self.input_scale], dim=1)
        x_BLD = self.dropout(x_BLD + self.positions_LD[: x_BLD.shape[1]])
        for block in self.blocks:
            x_BLD = block(x_BLD)
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
    length = items_BLD.shape[1]
    ages_LL = torch.arange(length).unsqueeze(1) - torch.arange(length)
    weights_LL = torch.where(ages_LL >= 0, decay ** ages_LL.clamp_min(0).float(), 0.0)
    return functional.normalize(weights_LL.to(items_BLD.dtype) @ items_BLD, dim=-1)
