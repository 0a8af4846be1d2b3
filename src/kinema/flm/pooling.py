"""From the moments of a clip to one vector, learnt: a question that is asked of all moments.

The mean over a clip keeps what lasts; what users like may last for a second. A learnt question looks for it wherever it is. (Fixed
pooling over halves and quarters is `kinema.encoders.pooling`.)

Shape suffixes: R items, T moments, W whitened width, D model width, V catalogue.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

_SHARPNESS: Final = 4.0


@dataclass(frozen=True)
class Moments:
    """Whitened tokens of a catalogue in one modality.

    Attributes:
        tokens_VTW: float16, oldest first; items with fewer moments are filled with zeros behind.
        valid_VT: bool, False behind the end, and everywhere for an item without the modality.
        places_VT: float32 in [0, 1], where in its clip each moment lies.
    """

    tokens_VTW: Tensor
    valid_VT: Tensor
    places_VT: Tensor

    def take(self, rows_R: Tensor) -> "Moments":
        """Some items, tokens as float32."""
        return Moments(self.tokens_VTW[rows_R].float(), self.valid_VT[rows_R], self.places_VT[rows_R])


class TemporalPooling(nn.Module):
    """Temporal attention over the moments of clips of different length.

    One question, and nothing else that sees the moments: with four questions, or with means and maxima beside them, a few hundred
    clips are learnt by heart before the question has found what they share.

    Args:
        width: W of the tokens.
        d_model: D.

    Source: attention pooling with a learned query (Bahdanau et al. 2015; Lee et al. 2019, Set Transformer).
    """

    def __init__(self, *, width: int, d_model: int) -> None:
        super().__init__()
        self.question = nn.Linear(width, 1, bias=False)
        self.out = nn.Linear(width, d_model, bias=False)

    def forward(self, moments: Moments) -> Tensor:
        """float32 [R, D]; zero for an item without moments."""
        pooled_RW = (self.attention(moments).unsqueeze(1) @ moments.tokens_VTW).squeeze(1)
        pooled_RD: Tensor = self.out(pooled_RW)
        return pooled_RD

    def attention(self, moments: Moments) -> Tensor:
        """How much each moment is looked at: float32 [R, T], rows sum to 1, or to 0 without moments."""
        closed_RT = ~moments.valid_VT
        logits_RT = _SHARPNESS * self.question(moments.tokens_VTW).squeeze(-1)
        shares_RT = torch.softmax(logits_RT.masked_fill(closed_RT, torch.finfo(logits_RT.dtype).min), dim=-1)
        return shares_RT.masked_fill(closed_RT, 0.0)
