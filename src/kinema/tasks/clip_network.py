"""The network of clip classes: temporal attention and time scales of each modality, joined by a small head.

Shape suffixes: B clips, T moments, W projected width of a token, D width, C classes.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from kinema.flm.draws import Draws
from kinema.flm.pooling import Moments, TemporalPooling
from kinema.tasks.clip_moments import ClipInput, scales_width


class ModalityReader(nn.Module):
    """One modality of a clip, read twice: a question that is asked of all moments, and the clip at several time scales.

    Args:
        width: W.
        d_model: D.
        dropout: On tokens and scales, in [0, 1).
    """

    def __init__(self, *, width: int, d_model: int, dropout: float) -> None:
        super().__init__()
        self.token = nn.Linear(width, d_model)
        self.attend = TemporalPooling(width=d_model, d_model=d_model)
        self.scales = nn.Linear(scales_width(width), d_model)
        self.dropout = dropout

    def forward(self, given: ClipInput, draws: Draws | None) -> Tensor:
        """float32 [B, 2 D + 1], the last says whether the clip has this modality; zero where it has not."""
        moments, scales_BS = given.moments, given.scales_NS
        tokens_BTW = moments.tokens_VTW
        if draws is not None:
            tokens_BTW = draws.dropout(tokens_BTW, self.dropout)
            scales_BS = draws.dropout(scales_BS, self.dropout)
        hidden = Moments(functional.gelu(self.token(tokens_BTW)), moments.valid_VT, moments.places_VT)
        present_B1 = given.present[:, None].to(scales_BS.dtype)
        both = [functional.gelu(self.attend(hidden)), functional.gelu(self.scales(scales_BS)), present_B1]
        return torch.cat(both, dim=1) * present_B1


class ClipNetwork(nn.Module):
    """All modalities and the head.

    Args:
        widths: Modality -> W.
        d_model: D.
        num_classes: C.
        dropout: In [0, 1).
    """

    def __init__(self, widths: Mapping[str, int], *, d_model: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        sizes: dict[str, Any] = {"d_model": d_model, "dropout": dropout}
        self.readers = nn.ModuleDict({name: ModalityReader(width=width, **sizes) for name, width in widths.items()})
        self.hidden = nn.Linear(len(widths) * (2 * d_model + 1), d_model)
        self.out = nn.Linear(d_model, num_classes)
        self.dropout = dropout

    def forward(self, inputs: Mapping[str, ClipInput], draws: Draws | None = None) -> Tensor:
        """Logits [B, C]."""
        read_BF = torch.cat([reader(inputs[name], draws) for name, reader in self.readers.items()], dim=1)
        if draws is not None:
            read_BF = draws.dropout(read_BF, self.dropout)
        hidden_BD = functional.gelu(self.hidden(read_BF))
        if draws is not None:
            hidden_BD = draws.dropout(hidden_BD, self.dropout)
        logits_BC: Tensor = self.out(hidden_BD)
        return logits_BC
