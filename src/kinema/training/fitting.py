"""How a task learns: epochs over its examples in random order, looks at validation, the best state is kept.

FLM's pre-training has a loop of its own (`kinema.training.loop`), whose steps are cut into pieces; a task's are not.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from kinema.errors import DataError
from kinema.flm.draws import Draws
from kinema.progress import Progress, silent
from kinema.seeds import derive_seed, generator
from kinema.tasks.task import Learner

LOWER_IS_BETTER: Final = frozenset({"loss", "log_loss", "mse", "rmse", "mae", "calibration_error"})


@dataclass(frozen=True)
class FitOptions:
    """How a task is trained.

    Attributes:
        metric: Name of the validation number that decides; smaller is better for `LOWER_IS_BETTER`.
        batch_size: Examples per step.
        learning_rate: Step size.
        weight_decay: L2, decoupled (AdamW).
        max_epochs: Passes over the examples at most.
        patience: Looks at validation without gain before training ends.
    """

    metric: str
    batch_size: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    max_epochs: int = 20
    patience: int = 2


@dataclass(frozen=True)
class FitReport:
    """What training came to.

    Attributes:
        metrics: Of the best state, on validation.
        best_epoch: Epochs done when it was reached.
        epochs: Done in all.
        seconds: Spent.
        curve: One entry per epoch: ``epoch``, ``loss`` and the validation numbers.
    """

    metrics: Mapping[str, float]
    best_epoch: int
    epochs: int
    seconds: float
    curve: tuple[Mapping[str, Any], ...]


def fit(learner: Learner, options: FitOptions, *, seed: int = 0, progress: Progress = silent) -> FitReport:
    """Train a task; its network ends in the best state found.

    Args:
        learner: Changed in place.
        options: How.
        seed: Of order and dropout.
        progress: Told steps.

    Returns:
        The report.

    Raises:
        DataError: The loss is not a number, or validation has no such metric.
    """
    started, network = time.perf_counter(), learner.network
    optimizer = torch.optim.AdamW(
        [one for one in network.parameters() if one.requires_grad],
        lr=options.learning_rate,
        weight_decay=options.weight_decay,
    )
    sign = -1.0 if options.metric in LOWER_IS_BETTER else 1.0
    curve: list[dict[str, Any]] = []
    best: dict[str, Any] = {}
    best_state: dict[str, torch.Tensor] = {}
    waited = 0
    for epoch in range(options.max_epochs):
        loss = _epoch(learner, optimizer, options, epoch=epoch, seed=seed, progress=progress)
        network.eval()
        with torch.inference_mode():
            found = dict(learner.validate())
        if options.metric not in found:
            raise DataError(f"validation must give '{options.metric}', gives {', '.join(sorted(found))}; choose one")
        curve.append({"epoch": epoch + 1, "loss": loss, **found})
        if not best or sign * found[options.metric] > sign * best[options.metric]:
            best, waited = curve[-1], 0
            best_state = {name: one.detach().clone() for name, one in network.state_dict().items()}
        else:
            waited += 1
            if waited >= options.patience:
                break
    network.load_state_dict(best_state)
    metrics = {name: value for name, value in best.items() if name not in {"epoch", "loss"}}
    return FitReport(metrics, best["epoch"], len(curve), time.perf_counter() - started, tuple(curve))


def _epoch(
    learner: Learner,
    optimizer: torch.optim.Optimizer,
    options: FitOptions,
    *,
    epoch: int,
    seed: int,
    progress: Progress,
) -> float:
    """One pass; returns the mean loss."""
    learner.network.train()
    order = generator(seed, f"order {epoch}").permutation(learner.num_examples)
    parts = np.array_split(order, -(-len(order) // options.batch_size))
    total = 0.0
    for step, rows_B in enumerate(parts):
        optimizer.zero_grad(set_to_none=True)
        loss = learner.loss(rows_B, Draws(derive_seed(seed, f"draws {epoch} {step}")))
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
        optimizer.step()
        total += loss.item() * len(rows_B)
        if not np.isfinite(total):
            raise DataError(f"the loss must be finite, is {loss.item()} in epoch {epoch + 1}, step {step + 1}")
        progress(epoch * len(parts) + step + 1, options.max_epochs * len(parts), f"loss {loss.item():.4f}")
    return total / len(order)
