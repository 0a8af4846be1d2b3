"""Training that holds when inputs move a little: tables pushed uphill (FGM, PGD), and two passes that must agree (R-Drop).

Shape suffixes: V rows of a table, R touched rows, D width, B examples of one step.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinema.errors import ConfigError
from kinema.flm.draws import Draws
from kinema.losses.agreement import disagreement
from kinema.seeds import derive_seed
from kinema.tasks.predicting import PredictingLearner
from kinema.tasks.task import Learner

_TINY: Final = 1e-30


class _Touched:
    """Rows of one table that had a gradient, and the ball they may move in."""

    def __init__(self, table: nn.Parameter, gradient: Tensor | None, radius: float) -> None:
        self.table = table
        self.rows_R, values_RD = _touched_rows(table, gradient)
        self.centre_RD = table.detach()[self.rows_R]
        self.limit = radius * float(_lengths(self.centre_RD).square().mean().sqrt()) if len(self.rows_R) else 0.0
        self.values_RD = values_RD

    def climb(self, size: float) -> None:
        """One step of ``size`` times the limit along each row's gradient, then back into the ball."""
        step_R = size * self.limit / _lengths(self.values_RD).clamp_min(_TINY)
        moved_RD = self.table.detach()[self.rows_R] + _scaled(self.values_RD, step_R)
        away_RD = moved_RD - self.centre_RD
        share_R = (self.limit / _lengths(away_RD).clamp_min(_TINY)).clamp_max(1.0)
        self.place(self.centre_RD + _scaled(away_RD, share_R))

    def look(self, gradient: Tensor | None) -> None:
        """The gradient at the new place, of the same rows."""
        if gradient is None:
            self.values_RD = torch.zeros_like(self.centre_RD)
        else:
            self.values_RD = (gradient.to_dense() if gradient.is_sparse else gradient)[self.rows_R]

    def place(self, values_RD: Tensor) -> None:
        """Put rows somewhere."""
        with torch.no_grad():
            self.table.index_copy_(0, self.rows_R, values_RD)


@contextmanager
def pushed(
    tables: Sequence[nn.Parameter],
    gradients: Sequence[Tensor | None],
    *,
    radius: float,
    steps: int = 1,
    loss: Callable[[], Tensor] | None = None,
) -> Iterator[None]:
    """Inside, tables stand where a loss is larger; afterwards they are back, to the bit.

    Every row that the loss touches moves on its own, within a ball. Its radius is a share of the usual length of such
    rows: against a fixed radius a network defends itself by longer vectors, which makes nothing robust. One step is FGM,
    several are PGD without a random start.

    Args:
        tables: Parameters [V, ...].
        gradients: Of the loss where nothing is moved, in the same order; None leaves a table alone.
        radius: Share of the root mean square length of the touched rows, > 0.
        steps: One goes straight to the border; of several each goes 2.5 / steps of the radius.
        loss: Gives the loss at the tables' present place; needed for more than one step.

    Raises:
        ConfigError: Several steps without a loss.

    Source: Miyato, Dai, Goodfellow, Adversarial Training Methods for Semi-Supervised Text Classification, ICLR 2017
    (FGM); Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018 (PGD and its step);
    He et al., Adversarial Personalized Ranking, SIGIR 2018 (a ball for each row). The relative radius is ours.
    """
    if steps > 1 and loss is None:
        raise ConfigError(f"an attack of {steps} steps must be given the loss, has none; pass loss=")
    touched = [_Touched(table, one, radius) for table, one in zip(tables, gradients, strict=True)]
    try:
        for step in range(steps):
            if step and loss is not None:
                found = torch.autograd.grad(loss(), list(tables), allow_unused=True)
                for one, gradient in zip(touched, found, strict=True):
                    one.look(gradient)
            for one in touched:
                one.climb(1.0 if steps == 1 else 2.5 / steps)
        yield
    finally:
        for one in touched:
            one.place(one.centre_RD)


def learning_loss(learner: Learner, rows_B: NDArray[np.int64], seed: int, *, consistency: float) -> Tensor:
    """The loss of one batch; with R-Drop the mean of two passes and what they disagree in.

    torch's own generator is seeded too: layers inside encoders draw from it.

    Args:
        learner: Must be a `PredictingLearner` for R-Drop.
        rows_B: Numbers of the examples.
        seed: Of this batch's randomness.
        consistency: Weight of the disagreement; 0 is one pass.

    Source: Wu et al., R-Drop: Regularized Dropout for Neural Networks, NeurIPS 2021; their sum of two losses is a mean
    here, so that the step size keeps its meaning.
    """
    torch.manual_seed(seed)
    if not consistency:
        return learner.loss(rows_B, Draws(seed))
    assert isinstance(learner, PredictingLearner)
    first = learner.predictions(rows_B, Draws(seed))
    other = derive_seed(seed, "second pass")
    torch.manual_seed(other)
    second = learner.predictions(rows_B, Draws(other))
    mean = 0.5 * (learner.loss_of(first, rows_B) + learner.loss_of(second, rows_B))
    return mean + consistency * disagreement(first, second, learner.meaning)


def check_robust(learner: Learner, *, adversarial: str, consistency: float) -> None:
    """Refuse what a learner has not the means for.

    Raises:
        ConfigError: No tables to move, or no predictions to compare.
    """
    name = type(learner).__name__
    if adversarial != "none" and not any(one.requires_grad for one in learner.embeddings()):
        raise ConfigError(f"adversarial must be 'none' for {name}, is '{adversarial}': it has no tables that learn")
    if consistency and not isinstance(learner, PredictingLearner):
        raise ConfigError(
            f"consistency must be 0 for {name}, is {consistency:g}: it has no predictions and loss_of; "
            "give it these (kinema.tasks.predicting)"
        )


def _touched_rows(table: nn.Parameter, gradient: Tensor | None) -> tuple[Tensor, Tensor]:
    """Rows and their gradients."""
    if gradient is None:
        return torch.zeros(0, dtype=torch.int64, device=table.device), table.detach()[:0]
    if gradient.is_sparse:
        gradient = gradient.coalesce()
        return gradient.indices()[0], gradient.values()
    rows_R = _lengths(gradient).nonzero().squeeze(1)
    return rows_R, gradient[rows_R]


def _lengths(values_RD: Tensor) -> Tensor:
    """Of each row; a table may have one number per row."""
    return values_RD.flatten(1).norm(dim=1) if values_RD.dim() > 1 else values_RD.abs()


def _scaled(values_RD: Tensor, factors_R: Tensor) -> Tensor:
    return values_RD * factors_R.view(-1, *[1] * (values_RD.dim() - 1))
