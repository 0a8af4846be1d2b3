"""Clips to learn from, made different without a change of what they show: which ways there are, and those that need no pictures.

Pictures are changed where clips are decoded (`kinema.training.clip_changes`), a few times once and for all; moments are left out, cut and
disturbed here, in each step anew. Moments stay in their order, and never all of them go.

Shape suffixes: B clips, T moments, W projected width of a token, S width of all scales.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from kinema.errors import ConfigError
from kinema.flm.draws import Draws
from kinema.flm.pooling import Moments
from kinema.tasks.clip_moments import SEGMENTS, ClipInput

PICTURES: Final = ("crop", "light", "colour", "blur", "noise", "compress", "turn", "flip")
"""Ways to change pictures. ``flip`` mirrors them, and with them what moves to the left."""
MOMENTS: Final = ("drop", "span", "jitter")
"""Ways to change moments: leave some out, keep a stretch, disturb each."""
_DROPPED: Final = 0.25
_SHORTEST: Final = 0.5
_NOISE: Final = 0.2


def check_ways(ways: Sequence[str]) -> None:
    """Refuse names that nothing answers to.

    Raises:
        ConfigError: One is unknown, or named twice.
    """
    for way in ways:
        if way not in (*PICTURES, *MOMENTS):
            raise ConfigError(f"augment must name some of {', '.join((*PICTURES, *MOMENTS))}, names '{way}'")
    if len(set(ways)) < len(ways):
        raise ConfigError(f"augment must name each way once, names {', '.join(ways)}")


def vary_moments(inputs: Mapping[str, ClipInput], ways: Sequence[str], draws: Draws) -> dict[str, ClipInput]:
    """Some clips with other moments.

    Args:
        inputs: Modality -> clips; the same stretch is kept of all modalities.
        ways: Of `MOMENTS`; others are not looked at.
        draws: Of this step.

    Returns:
        Modality -> the clips, in their order, moments oldest first.
    """
    if not set(ways) & set(MOMENTS):
        return dict(inputs)
    random = draws.generator()
    size = len(next(iter(inputs.values())).scales_NS)
    length_B1 = random.uniform(_SHORTEST, 1.0, (size, 1))
    start_B1 = random.uniform(0.0, 1.0, (size, 1)) * (1.0 - length_B1)
    found = {}
    for name, given in inputs.items():
        moments = given.moments
        lengths_B1 = moments.valid_VT.sum(dim=1, keepdim=True).numpy()
        places_BT = (np.arange(moments.valid_VT.shape[1]) + 0.5) / np.maximum(lengths_B1, 1)
        kept_BT = np.ones(places_BT.shape, dtype=bool)
        if "span" in ways:
            kept_BT &= (places_BT >= start_B1) & (places_BT < start_B1 + length_B1)
        if "drop" in ways:
            kept_BT &= random.random(kept_BT.shape) >= _DROPPED
        tokens_BTW = moments.tokens_VTW
        if "jitter" in ways:
            spread_W = tokens_BTW[moments.valid_VT].std(dim=0, correction=0).numpy() if lengths_B1.any() else 0.0
            noise_BTW = random.standard_normal(tuple(tokens_BTW.shape)) * _NOISE * spread_W
            tokens_BTW = tokens_BTW + torch.from_numpy(noise_BTW.astype(np.float32))
        found[name] = keep_moments(tokens_BTW, moments.valid_VT, torch.from_numpy(kept_BT))
    return found


def keep_moments(tokens_BTW: Tensor, valid_BT: Tensor, kept_BT: Tensor) -> ClipInput:
    """Clips with some of their moments, pushed together; one that would lose all keeps all.

    Args:
        tokens_BTW: float32.
        valid_BT: bool, False behind the end.
        kept_BT: bool.
    """
    left_BT = valid_BT & kept_BT
    left_BT = torch.where(left_BT.any(dim=1, keepdim=True), left_BT, valid_BT)
    order_BT = torch.argsort((~left_BT).to(torch.uint8), dim=1, stable=True)
    left_BT = left_BT.gather(1, order_BT)
    tokens_BTW = tokens_BTW.gather(1, order_BT[:, :, None].expand_as(tokens_BTW)) * left_BT[:, :, None]
    return ClipInput(Moments(tokens_BTW, left_BT, torch.zeros(left_BT.shape)), scales_of(tokens_BTW, left_BT))


def scales_of(tokens_BTW: Tensor, valid_BT: Tensor) -> Tensor:
    """float32 [B, S], as `kinema.encoders.pooling.pool_segments` has it of each clip; zeros where a clip has no moment."""
    lengths_B1 = valid_BT.sum(dim=1, keepdim=True)
    places_T = torch.arange(valid_BT.shape[1])
    parts = []
    for count in SEGMENTS:
        for part in range(count):
            start_B1 = part * lengths_B1 // count
            stop_B1 = torch.maximum(start_B1 + 1, -(-(part + 1) * lengths_B1 // count))
            inside_BT1 = (valid_BT & (places_T >= start_B1) & (places_T < stop_B1)).to(tokens_BTW.dtype)[:, :, None]
            number_B1 = inside_BT1.sum(dim=1).clamp(min=1.0)
            mean_BW = (tokens_BTW * inside_BT1).sum(dim=1) / number_B1
            square_BW = ((tokens_BTW - mean_BW[:, None]).square() * inside_BT1).sum(dim=1) / number_B1
            parts += [mean_BW, square_BW.sqrt()]
    return torch.cat(parts, dim=1)
