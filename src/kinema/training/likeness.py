"""Teaching what items are like, and whether that is of use to items nobody has watched.

Shape suffixes: V catalogue, D width, C cases, J neighbours.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from kinema.flm.config import FLMConfig
from kinema.flm.draws import Draws
from kinema.flm.fusion import ItemContent
from kinema.flm.likeness import Likeness
from kinema.flm.whitening import Whitening
from kinema.losses.contrastive import info_nce
from kinema.seeds import derive_seed
from kinema.training.repeatable import repeatable

_STEPS: Final = 400
_ITEMS: Final = 256
_RATE: Final = 3e-2
_DECAY: Final = 0.01
_TEMPERATURE: Final = 0.3
_FEWEST: Final = 32


def teach_likeness(
    whitenings: Mapping[str, Whitening],
    content: ItemContent,
    behaviour_VD: torch.Tensor,
    taught_V: NDArray[np.bool_],
    *,
    config: FLMConfig,
    seed: int,
) -> Likeness | None:
    """Content towards behaviour, on items that have both.

    Args:
        whitenings: Of the run.
        content: Of the catalogue.
        behaviour_VD: Unit rows, what the log says of each item.
        taught_V: bool, items to learn from.
        config: Of the run.
        seed: Of every draw.

    Returns:
        The map; None where there are too few items to learn from.
    """
    rows_R = torch.from_numpy(np.flatnonzero(taught_V & content.described.numpy()))
    if len(rows_R) < _FEWEST:
        return None
    with torch.random.fork_rng(devices=[]), repeatable():
        torch.manual_seed(derive_seed(seed, "likeness"))
        likeness = Likeness.reading(whitenings, d_model=config.d_model)
        parameters = list(likeness.parameters())
        optimizer = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=_DECAY)
        for step in range(_STEPS):
            draws = Draws(derive_seed(seed, f"likeness/{step}"))
            picked_R = rows_R[draws.some(len(rows_R), _ITEMS)]
            loss = info_nce(likeness(picked_R, content, draws), behaviour_VD[picked_R], temperature=_TEMPERATURE)
            for group in optimizer.param_groups:
                group["lr"] = _RATE * (1 - step / _STEPS)
            for one, gradient in zip(parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
                one.grad = gradient
            optimizer.step()
    return likeness.eval()


@torch.no_grad()
def behaviour_of(ids_VD: torch.Tensor) -> torch.Tensor:
    """Directions of ID vectors."""
    return functional.normalize(ids_VD, dim=-1)
