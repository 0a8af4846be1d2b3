"""Teaching what items are like, and how much each modality says of it.

Shape suffixes: R items, M modalities, D width, V catalogue, N questions.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from kinema.flm.config import FLMConfig
from kinema.flm.draws import Draws
from kinema.flm.fusion import ItemContent
from kinema.flm.likeness import Likeness, Weight
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
_LEARNT: Final = (0.5, 1.0, 2.0, 4.0)
_ROUNDS: Final = 3
_CHANGES: Final = (((0.0, 0.25, 0.5, 2.0, 4.0), True), ((0.0, 0.5, 2.0), False))
"""Factors of what a modality says, raw and learnt, then of what is learnt of it alone."""
CLEARLY: Final = 2.0
"""Standard errors of a paired difference. The best of several tries is mostly the luckiest: a gain of one was none on another
world, and one closed a modality by chance of which cold items live."""
_CLEARLY_OF_MANY: Final = 3.0


def teach_likeness(
    whitenings: Mapping[str, Whitening],
    content: ItemContent,
    behaviour_VD: torch.Tensor,
    taught_V: NDArray[np.bool_],
    *,
    config: FLMConfig,
    seed: int,
) -> Likeness | None:
    """Content towards behaviour, on items that have both; each modality by itself.

    Taught together, the maps of four modalities of which one decides learn a few hundred items by heart.

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
            directions_RMD, wanted_RD = likeness(picked_R, content, draws), behaviour_VD[picked_R]
            losses = [info_nce(one_RD, wanted_RD, temperature=_TEMPERATURE) for one_RD in directions_RMD.unbind(dim=1)]
            loss = torch.stack(losses).sum()
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


def is_clear(gain_N: NDArray[np.float64], *, errors: float = CLEARLY) -> bool:
    """Whether a paired difference is above zero by so many standard errors.

    Example:
        >>> is_clear(np.array([1.0, 1.0, 0.0, 1.0])), is_clear(np.array([1.0, -1.0, 0.0, 1.0])), is_clear(np.zeros(0))
        (True, False, False)
    """
    return bool(len(gain_N) and gain_N.mean() > errors * gain_N.std() / np.sqrt(len(gain_N)))


def weigh_modalities(
    told: Callable[[Mapping[str, Weight]], NDArray[np.float64]], start: Mapping[str, Weight], *, tries: int
) -> dict[str, Weight]:
    """Search for how much each modality says of what items are like.

    First what is learnt of all of them counts for more or less; then, where there are several, each modality counts for more or less
    than the others, raw and learnt, and what is learnt of it by itself, as long as that is clearly better.

    Args:
        told: Weights -> how well items are found by them, one number per question.
        start: Modality -> weights of raw content alone.
        tries: Most questions of the second part.

    Returns:
        Modality -> weights; ``start`` where nothing is clearly better.
    """
    weights, best_N = dict(start), told(start)
    if not len(best_N):
        return weights
    everywhere = [{name: replace(one, learnt=share * one.raw) for name, one in start.items()} for share in _LEARNT]
    found = [told(one) for one in everywhere]
    first = max(range(len(found)), key=lambda place: found[place].mean())
    if is_clear(found[first] - best_N):
        weights, best_N = everywhere[first], found[first]
    for _ in range(_ROUNDS if len(start) > 1 else 0):
        before = weights
        for name, factors, with_raw in [(name, *one) for name in start for one in _CHANGES]:
            one = weights[name]
            for factor in factors:
                tried = weights | {name: Weight(one.raw * factor if with_raw else one.raw, one.learnt * factor)}
                if tries <= 0 or tried == weights or not any(each.raw or each.learnt for each in tried.values()):
                    continue
                tries -= 1
                found_N = told(tried)
                if is_clear(found_N - best_N, errors=_CLEARLY_OF_MANY):
                    weights, best_N = tried, found_N
        if weights == before:
            break
    return weights
