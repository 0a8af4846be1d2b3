"""AdamW as Transformers on this scale want it, and the shape of the learning rate over a run."""

import math

import torch
from torch import nn
from torch.optim import AdamW


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
    """Set the rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = value


def scheduled(step: int, *, peak: float, warmup_steps: int, share_done: float) -> float:
    """Learning rate of a step: linear growth, then linear fall to a hundredth of the peak at the last epoch.

    Args:
        step: Counted from 0.
        peak: Highest rate.
        warmup_steps: Steps of growth.
        share_done: Share of all epochs that is behind, in [0, 1].

    Example:
        >>> [round(scheduled(step, peak=1.0, warmup_steps=4, share_done=step / 10), 2) for step in (0, 3, 5, 10)]
        [0.25, 0.7, 0.5, 0.01]
    """
    return peak * min(1.0, (step + 1) / warmup_steps) * max(1.0 - share_done, 0.01)


def fading(epoch: int, *, max_epochs: int, floor: float) -> float:
    """What is left of the auxiliary losses in an epoch: a cosine from 1 to ``floor``.

    Example:
        >>> fading(0, max_epochs=10, floor=0.25), fading(9, max_epochs=10, floor=0.25)
        (1.0, 0.25)
    """
    done = min(1.0, epoch / max(max_epochs - 1, 1))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
