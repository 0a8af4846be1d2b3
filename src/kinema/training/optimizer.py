"""AdamW as Transformers on this scale want it, and how the step size and the auxiliary losses go over a run."""

import math

import torch
from torch import nn
from torch.optim import AdamW

_LAST_RATE = 0.01


def build_optimizer(network: nn.Module, *, learning_rate: float, weight_decay: float) -> AdamW:
    """AdamW with decay on weight matrices only; ID vectors, positions, norms and biases are left alone.

    Args:
        network: What is trained.
        learning_rate: Peak.
        weight_decay: On matrices inside linear layers.
    """
    matrices = {id(layer.weight) for layer in network.modules() if isinstance(layer, nn.Linear)}
    decayed = [one for one in network.parameters() if id(one) in matrices]
    free = [one for one in network.parameters() if id(one) not in matrices]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Set the step size of every group."""
    for group in optimizer.param_groups:
        group["lr"] = value


def scheduled(*, step: int, done: float, peak: float, warmup_steps: int) -> float:
    """Step size: linear growth over the first steps, then linear decay to a hundredth at the end of the run.

    A high peak that decays reaches in 12 epochs what a constant low one reaches in 40 (LOG.md).

    Args:
        step: Steps done since the start.
        done: Share of the run that is done, in [0, 1].
        peak: Largest step size.
        warmup_steps: Steps of growth.

    Example:
        >>> [round(scheduled(step=s, done=s / 10, peak=1.0, warmup_steps=2), 2) for s in (0, 1, 5, 10)]
        [0.5, 0.9, 0.5, 0.01]
    """
    return peak * min((step + 1) / warmup_steps, 1.0) * max(1.0 - done, _LAST_RATE)


def fading(*, done: float, floor: float) -> float:
    """What is left of the auxiliary losses: a cosine from 1 to ``floor``.

    Example:
        >>> fading(done=0.0, floor=0.25), fading(done=1.0, floor=0.25)
        (1.0, 0.25)
    """
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
