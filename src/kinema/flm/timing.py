"""Relative time: attention that knows how long ago each interaction was.

A state either knows when the newest interaction it has read happened (``history``), or when the one it is to predict
happens (``query``). The second knows more than a list of items tells: how long a user has been away says much about what
comes next, and within one sitting it says that the sitting goes on. So the two, and no time at all, are reported apart.

Shape suffixes: B rows, L history length, M = L + 1 positions (the profile stands in front), H heads, A blocks.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

TimeKind = Literal["none", "history", "query"]
TIME_KINDS: Final[tuple[TimeKind, ...]] = ("none", "history", "query")

_BUCKETS: Final = 33
"""Gaps of 0, 1, 2-3, 4-7, ... seconds, up to a hundred years."""
_MS_PER_SECOND: Final = 1000


@dataclass(frozen=True)
class Moments:
    """When things happened, in milliseconds.

    Attributes:
        read_BL: int64, when each interaction of the history happened.
        asked_BM: int64, from which moment each position looks back.
    """

    read_BL: Tensor
    asked_BM: Tensor

    def part(self, rows: Tensor, length: int) -> "Moments":
        """Some rows, cut to so many positions."""
        return Moments(self.read_BL[rows, : length - 1], self.asked_BM[rows, :length])


def moments(kind: TimeKind, read_BL: Tensor, next_BM: Tensor) -> Moments | None:
    """What a kind lets a position know.

    Args:
        kind: One of `TIME_KINDS`.
        read_BL: int64 ms, of the history.
        next_BM: int64 ms, of the interaction that each position is to predict; the last may be the moment of a question.

    Returns:
        The moments; None for ``none``.
    """
    if kind == "none":
        return None
    return Moments(read_BL, next_BM if kind == "query" else torch.cat([next_BM[:, :1], read_BL], dim=1))


def buckets_of_one(kind: TimeKind, read_L: NDArray[np.int64], asked_ms: int | None) -> NDArray[np.int64] | None:
    """The sizes of gaps, as `TimeBias` counts them, between the positions of one history.

    Args:
        kind: One of `TIME_KINDS`.
        read_L: When each interaction happened, ms, oldest first.
        asked_ms: The moment of the question; None stands for that of the newest interaction.

    Returns:
        int64 [M, M], of which a position reads those up to its own; None for ``none``.

    Example:
        >>> buckets_of_one("query", np.array([0, 1000]), 5000).tolist()
        [[33, 0, 0], [33, 1, 0], [33, 3, 3]]
    """
    if kind == "none":
        return None
    newest = read_L[-1:] if asked_ms is None else np.array([asked_ms], dtype=np.int64)
    next_M = np.concatenate([read_L, newest if len(newest) else np.zeros(1, dtype=np.int64)])
    asked_M = next_M if kind == "query" else np.concatenate([next_M[:1], read_L])
    gaps_ML = np.maximum(asked_M[:, None] - read_L, 0) // _MS_PER_SECOND
    buckets_MM = np.full((len(asked_M), len(asked_M)), _BUCKETS, dtype=np.int64)
    buckets_MM[:, 1:] = np.minimum(np.frexp(gaps_ML.astype(np.float64))[1], _BUCKETS - 1)
    return buckets_MM


class TimeBias(nn.Module):
    """A learned number per block, head and size of gap, added to the attention logits.

    Gaps are put into buckets by powers of two, so a minute and an hour differ as an hour and two days do. Nobody knows
    when a profile was filled in; attention to it has a number of its own.

    Args:
        num_blocks: A.
        num_heads: H.

    Source: relative attention bias of HSTU (Zhai et al. 2024).
    """

    def __init__(self, *, num_blocks: int, num_heads: int) -> None:
        super().__init__()
        self.table_GAH = nn.Parameter(torch.zeros(_BUCKETS + 1, num_blocks, num_heads))

    def forward(self, times: Moments) -> Tensor:
        """float32 [A, B, H, M, M], -inf where a position would look ahead."""
        gaps_BML = (times.asked_BM.unsqueeze(2) - times.read_BL.unsqueeze(1)).clamp_min(0) // _MS_PER_SECOND
        # The exponent of a float is the whole part of its logarithm; 0 has exponent 0.
        buckets_BML = torch.frexp(gaps_BML.to(torch.float64)).exponent.clamp_max(_BUCKETS - 1).long()
        profile_BM1 = buckets_BML.new_full((*times.asked_BM.shape, 1), _BUCKETS)
        buckets_BMM = torch.cat([profile_BM1, buckets_BML], dim=2)
        ahead_MM = torch.ones(buckets_BMM.shape[1:], dtype=torch.bool, device=buckets_BMM.device).triu(1)
        bias_BMMAH = self.table_GAH[buckets_BMM].masked_fill(ahead_MM[..., None, None], -torch.inf)
        return bias_BMMAH.permute(3, 0, 4, 1, 2)
