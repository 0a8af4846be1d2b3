"""Transformer blocks. Both are causal and pre-norm, and map float32 [B, L, D] to the same shape.

Shape suffixes: B rows, L history length, D width, H heads.
"""

from functools import lru_cache
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from kinema.flm.draws import Draws

BlockKind = Literal["plain", "ligr"]
BLOCKS: Final[tuple[BlockKind, ...]] = ("plain", "ligr")

_GATE_START: Final = 1.0
SMOOTHING: Final = 0.6
"""Weight that a position loses per newer one in what is slow."""


class FrequencyFilter(nn.Module):
    """What is slow in a history, and in each channel a learned share of what is quick.

    Args:
        d_model: D.

    Source: the frequency rescaler of BSARec (Shin et al., AAAI 2024). Its low-pass cuts a Fourier transform of the whole
        history, so that each position reads later ones; ours is an exponential mean over the positions up to each.
    """

    def __init__(self, *, d_model: int) -> None:
        super().__init__()
        self.scale_D = nn.Parameter(torch.randn(d_model))

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Position l reads positions 0..l."""
        slow_BLD = torch.from_numpy(_smoothing(x_BLD.shape[1])).to(x_BLD) @ x_BLD
        out_BLD: Tensor = torch.lerp(slow_BLD, x_BLD, self.scale_D.square())
        return out_BLD


@lru_cache(maxsize=64)
def _smoothing(length: int) -> NDArray[np.float32]:
    """float32 [L, L], lower triangle, rows of sum 1: weights of an exponential mean.

    Example:
        >>> _smoothing(2).round(3).tolist()
        [[1.0, 0.0], [0.375, 0.625]]
    """
    ages_LL = np.arange(length)[:, None] - np.arange(length)
    weights_LL = np.where(ages_LL >= 0, SMOOTHING ** np.maximum(ages_LL, 0), 0.0)
    return np.asarray(weights_LL / weights_LL.sum(axis=1, keepdims=True), dtype=np.float32)


class Attention(nn.Module):
    """Causal self-attention, mixed with a frequency filter.

    No dropout on attention weights: it keeps the fused attention kernel usable.

    Args:
        d_model: D.
        num_heads: H.
        filter_share: Of the filter in the sum, in [0, 1); 0 for none.

    Attributes:
        prefix: Puts learned keys and values in front of all positions, and makes the mask that goes with them
            (`kinema.training.inserts.HistoryPrefix`); None in a model as it is pre-trained.
    """

    def __init__(self, *, d_model: int, num_heads: int, filter_share: float) -> None:
        super().__init__()
        self.prefix: nn.Module | None = None
        self.num_heads = num_heads
        self.filter_share = filter_share
        self.filter = FrequencyFilter(d_model=d_model) if filter_share else None
        self.queries_keys_values = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x_BLD: Tensor, bias_BHLL: Tensor | None = None) -> Tensor:
        """Position l sees positions 0..l.

        Args:
            x_BLD: Positions.
            bias_BHLL: Added to the attention logits, -inf ahead of a position; None for a causal mask alone.
        """
        rows, length, width = x_BLD.shape
        split = self.queries_keys_values(x_BLD).view(rows, length, 3, self.num_heads, width // self.num_heads)
        queries, keys, values = split.permute(2, 0, 3, 1, 4).unbind(0)
        if self.prefix is not None:
            keys, values, bias_BHLL = self.prefix(keys, values, bias_BHLL)
        mixed = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=bias_BHLL, is_causal=bias_BHLL is None
        )
        mixed_BLD: Tensor = self.out(mixed.transpose(1, 2).reshape(rows, length, width))
        if self.filter is None:
            return mixed_BLD
        return torch.lerp(mixed_BLD, self.filter(x_BLD), self.filter_share)


class PlainBlock(nn.Module):
    """Self-attention and a GELU feed-forward layer.

    Args:
        d_model: D.
        num_heads: H.
        dropout: On both residual branches.
        filter_share: See `Attention`.

    Source: SASRec (Kang & McAuley 2018) with the pre-norm order of GPT-2.
    """

    def __init__(self, *, d_model: int, num_heads: int, dropout: float, filter_share: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.attention_norm = nn.LayerNorm(d_model)
        self.attention = Attention(d_model=d_model, num_heads=num_heads, filter_share=filter_share)
        self.feed_norm = nn.LayerNorm(d_model)
        self.feed_in = nn.Linear(d_model, 4 * d_model)
        self.feed_out = nn.Linear(4 * d_model, d_model)

    def forward(self, x_BLD: Tensor, draws: Draws | None, bias_BHLL: Tensor | None = None) -> Tensor:
        """``draws`` None for inference; see `Attention` for ``bias_BHLL``."""
        x_BLD = x_BLD + _dropped(self.attention(self.attention_norm(x_BLD), bias_BHLL), self.dropout, draws)
        fed_BLD = self.feed_out(functional.gelu(self.feed_in(self.feed_norm(x_BLD))))
        return x_BLD + _dropped(fed_BLD, self.dropout, draws)


class LigrBlock(nn.Module):
    """Self-attention and SwiGLU, each residual branch behind a learned sigmoid gate.

    The gates start nearly open, so that at the start the block is a plain one.

    Args:
        d_model: D.
        num_heads: H.
        dropout: On both residual branches.
        filter_share: See `Attention`.

    Source: LiGR layers of Kiselev et al. 2025 (eSASRec), after LinkedIn's LiGR (2025).
    """

    def __init__(self, *, d_model: int, num_heads: int, dropout: float, filter_share: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.attention_norm = nn.LayerNorm(d_model)
        self.attention = Attention(d_model=d_model, num_heads=num_heads, filter_share=filter_share)
        self.attention_gate = _open_gate(d_model)
        self.feed_norm = nn.LayerNorm(d_model)
        # Two thirds of the plain block's width: with its third matrix SwiGLU then costs the same.
        inner = 8 * d_model // 3
        self.feed_in = nn.Linear(d_model, 2 * inner)
        self.feed_out = nn.Linear(inner, d_model)
        self.feed_gate = _open_gate(d_model)

    def forward(self, x_BLD: Tensor, draws: Draws | None, bias_BHLL: Tensor | None = None) -> Tensor:
        """``draws`` None for inference; see `Attention` for ``bias_BHLL``."""
        mixed_BLD = _dropped(self.attention(self.attention_norm(x_BLD), bias_BHLL), self.dropout, draws)
        x_BLD = x_BLD + torch.sigmoid(self.attention_gate(x_BLD)) * mixed_BLD
        gate_BLF, value_BLF = self.feed_in(self.feed_norm(x_BLD)).chunk(2, dim=-1)
        fed_BLD = _dropped(self.feed_out(functional.silu(gate_BLF) * value_BLF), self.dropout, draws)
        out_BLD: Tensor = x_BLD + torch.sigmoid(self.feed_gate(x_BLD)) * fed_BLD
        return out_BLD


def make_block(kind: BlockKind, *, d_model: int, num_heads: int, dropout: float, filter_share: float) -> nn.Module:
    """A block of a kind."""
    made = LigrBlock if kind == "ligr" else PlainBlock
    return made(d_model=d_model, num_heads=num_heads, dropout=dropout, filter_share=filter_share)


def _open_gate(width: int) -> nn.Linear:
    layer = nn.Linear(width, width)
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.constant_(layer.bias, _GATE_START)
    return layer


def _dropped(x: Tensor, share: float, draws: Draws | None) -> Tensor:
    return x if draws is None else draws.dropout(x, share)
