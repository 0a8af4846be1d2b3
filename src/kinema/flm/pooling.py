"""From the moments of a clip to one vector, learnt: a few questions asked of all moments, and the clip at several time scales.

The mean over a clip keeps what lasts; what users like may last for a second. Learnt questions look for it wherever it is. Halves and
quarters keep the order of events.

Shape suffixes: R items, T moments, W whitened width, D model width, Q questions, I inner width, S segments of all scales, V catalogue.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

SCALES: Final = (1, 2, 4)
"""Whole clip, halves, quarters."""
_NUM_SEGMENTS: Final = sum(SCALES)
_NUM_QUESTIONS: Final = 4
_INNER: Final = 32
_WAVES: Final = 4
_SHARPNESS: Final = 8.0
_START: Final = 0.3


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
    """Learned temporal attention and multi-scale pooling over the moments of clips of different length.

    Questions and moments are compared by cosine, so attention is sharp from the start; the pyramid starts at zero.

    Args:
        width: W of the tokens.
        d_model: D.

    Source: attention pooling with learned queries (Lee et al. 2019, Set Transformer); segments as in temporal pyramid pooling.
    """

    def __init__(self, *, width: int, d_model: int) -> None:
        super().__init__()
        self.values = nn.Linear(width, _INNER, bias=False)
        self.places = nn.Linear(2 * _WAVES, _INNER, bias=False)
        nn.init.zeros_(self.places.weight)
        self.keys = nn.Linear(width, _INNER, bias=False)
        self.questions_QI = nn.Parameter(torch.randn(_NUM_QUESTIONS, _INNER))
        self.gains_QI = nn.Parameter(torch.full((_NUM_QUESTIONS, _INNER), _START))
        self.gains_SI = nn.Parameter(torch.zeros(2 * _NUM_SEGMENTS, _INNER))
        self.out = nn.Linear(_INNER, d_model, bias=False)

    def forward(self, moments: Moments) -> Tensor:
        """float32 [R, D]; zero for an item without moments."""
        inner_RTI = self.values(moments.tokens_VTW)
        answers_RQI = self.attention(moments) @ inner_RTI
        pooled_RI = (answers_RQI * self.gains_QI).sum(dim=1) + (pyramid(inner_RTI, moments) * self.gains_SI).sum(dim=1)
        pooled_RD: Tensor = self.out(pooled_RI)
        return pooled_RD

    def attention(self, moments: Moments) -> Tensor:
        """How much each question looks at each moment: float32 [R, Q, T], rows sum to 1, or to 0 without moments."""
        keys_RTI = self.keys(moments.tokens_VTW) + self.places(_waves(moments.places_VT))
        questions_QI = nn.functional.normalize(self.questions_QI, dim=-1)
        logits_RQT = _SHARPNESS * questions_QI @ nn.functional.normalize(keys_RTI, dim=-1).transpose(1, 2)
        closed_R1T = ~moments.valid_VT.unsqueeze(1)
        shares_RQT = torch.softmax(logits_RQT.masked_fill(closed_R1T, torch.finfo(logits_RQT.dtype).min), dim=-1)
        return shares_RQT.masked_fill(closed_R1T, 0.0)


def pyramid(inner_RTI: Tensor, moments: Moments) -> Tensor:
    """Mean and maximum over the whole clip, its halves and its quarters, by the time of each moment.

    Args:
        inner_RTI: float32, zero where there is no moment.
        moments: Their places.

    Returns:
        float32 [R, 2 S, I]: means, then maxima; zero for a part of a clip without any moment.
    """
    finest = SCALES[-1]
    quarter_RT = (moments.places_VT * finest).floor().clamp_max(finest - 1)
    inside_R4T = moments.valid_VT.unsqueeze(1) & (quarter_RT.unsqueeze(1) == torch.arange(finest).unsqueeze(1))
    counts_R4 = inside_R4T.sum(dim=2)
    sums_R4I = inside_R4T.to(inner_RTI.dtype) @ inner_RTI
    largest_R4I = torch.stack(
        [inner_RTI.masked_fill(~inside_RT.unsqueeze(-1), -torch.inf).amax(dim=1) for inside_RT in inside_R4T.unbind(1)],
        dim=1,
    )
    means, maxima = [], []
    for scale in SCALES:
        shape = (len(inner_RTI), scale, finest // scale, -1)
        num_RS1 = counts_R4.view(shape).sum(dim=2)
        means.append(sums_R4I.view(shape).sum(dim=2) / num_RS1.clamp_min(1))
        maxima.append(torch.where(num_RS1 > 0, largest_R4I.view(shape).amax(dim=2), 0.0))
    return torch.cat([*means, *maxima], dim=1)


def _waves(places_RT: Tensor) -> Tensor:
    """Sines and cosines of a place at a few frequencies, float32 [R, T, 8]."""
    angles_RTW = places_RT.unsqueeze(-1) * torch.pi * 2.0 ** torch.arange(_WAVES)
    return torch.cat([angles_RTW.sin(), angles_RTW.cos()], dim=-1)
