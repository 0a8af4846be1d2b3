"""One batch of a task: its loss, made harder where that is wished, and the gradients.

Shape suffixes: B examples of one batch.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinema.tasks.task import Learner
from kinema.training.descent import Descent
from kinema.training.precision import autocast
from kinema.training.robust import learning_loss, pushed


def device_of(network: nn.Module) -> torch.device:
    """Where the parameters are; the CPU where there is none."""
    return next((one.device for one in network.parameters()), torch.device("cpu"))


def add_gradients(
    learner: Learner,
    rows_B: NDArray[np.int64],
    descent: Descent,
    *,
    seed: int,
    share: float = 1.0,
    precision: str = "float32",
    consistency: float = 0.0,
    adversarial_steps: int = 0,
    adversarial_radius: float = 0.1,
    adversarial_weight: float = 1.0,
) -> float:
    """Add the gradients of one batch to those that are there.

    Args:
        learner: Its network is in training mode.
        rows_B: Numbers of the examples.
        descent: Of its network.
        seed: Of this batch's randomness.
        share: What the batch counts in its update.
        precision: Of the loss's computation.
        consistency: Weight of R-Drop.
        adversarial_steps: Of the attack on the tables, 0 for none.
        adversarial_radius: See `pushed`.
        adversarial_weight: Of the loss under attack.

    Returns:
        The loss without attack. Where it is no number, nothing has been added.
    """
    device = device_of(learner.network)

    def loss() -> Tensor:
        with autocast(precision, device):
            return learning_loss(learner, rows_B, seed, consistency=consistency)

    clean = loss()
    value = clean.item()
    if not math.isfinite(value):
        return value
    if not adversarial_steps:
        descent.backward(clean * share)
        return value
    tables = [one for one in learner.embeddings() if one.requires_grad]
    earlier = [one.grad for one in tables]
    for one in tables:
        one.grad = None
    descent.backward(clean * share)
    uphill = [one.grad for one in tables]
    with pushed(tables, uphill, radius=adversarial_radius, steps=adversarial_steps, loss=loss):
        descent.backward(loss() * (share * adversarial_weight))
    for one, before in zip(tables, earlier, strict=True):
        if before is not None:
            one.grad = before if one.grad is None else one.grad + before
    return value
