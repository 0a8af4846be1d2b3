"""Losses of several tasks become one scalar to call ``backward`` on.

Shape suffixes: T tasks, P numbers of the shared parameters.
"""

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from kinema.errors import ConfigError
from kinema.flm.draws import Draws


class FixedWeights(nn.Module):
    """``sum_t w_t L_t``.

    Args:
        weights_T: One per task, >= 0, not all 0.

    Raises:
        ConfigError: They are not.

    Example:
        >>> FixedWeights((1.0, 0.5))(torch.tensor([2.0, 4.0]))
        tensor(4.)
    """

    weights_T: Tensor

    def __init__(self, weights_T: Sequence[float]) -> None:
        super().__init__()
        check_weights(weights_T)
        self.register_buffer("weights_T", torch.tensor(weights_T, dtype=torch.float32), persistent=False)

    def forward(
        self,
        losses_T: Tensor,
        *,
        shared: Sequence[nn.Parameter] = (),  # noqa: ARG002  # one interface for all weightings
        draws: Draws | None = None,  # noqa: ARG002  # the same
    ) -> Tensor:
        """Scalar; a task without labelled rows has loss 0 and no gradient."""
        return (self.weights_T * losses_T).sum()


class UncertaintyWeights(nn.Module):
    """``sum_t w_t L_t / s_t^2 + log s_t``: a task that is hard to tell counts less, and how hard is learnt.

    Kendall et al. halve the first term of a regression; that only moves ``s_t`` and is left out. Without the second
    term every weight would go to 0.

    Args:
        weights_T: One per task, >= 0, not all 0; a task of weight 0 stays out.

    Raises:
        ConfigError: They are not.

    Source: Kendall, Gal and Cipolla, Multi-task learning using uncertainty to weigh losses, CVPR 2018.

    Example:
        >>> UncertaintyWeights((1.0, 1.0))(torch.tensor([2.0, 4.0]))
        tensor(6., grad_fn=<SumBackward0>)
    """

    weights_T: Tensor

    def __init__(self, weights_T: Sequence[float]) -> None:
        super().__init__()
        check_weights(weights_T)
        self.register_buffer("weights_T", torch.tensor(weights_T, dtype=torch.float32), persistent=False)
        self.log_variances_T = nn.Parameter(torch.zeros(len(weights_T)))

    def forward(
        self,
        losses_T: Tensor,
        *,
        shared: Sequence[nn.Parameter] = (),  # noqa: ARG002  # one interface for all weightings
        draws: Draws | None = None,  # noqa: ARG002  # the same
    ) -> Tensor:
        """Scalar; a task without labelled rows in the step (loss exactly 0) leaves its variance alone."""
        counts_T = ((losses_T != 0) & (self.weights_T > 0)).to(losses_T.dtype)
        weighed_T = self.weights_T * losses_T * torch.exp(-self.log_variances_T)
        return (counts_T * (weighed_T + self.log_variances_T / 2)).sum()


class GradientSurgery(nn.Module):
    """``sum_t w_t L_t``, but where two tasks pull shared parameters against each other, the part that conflicts is cut.

    Of each task's gradient the component along another task's is taken away where their product is negative; other
    tasks come in random order. Parameters of one task get their plain gradient. Costs one backward pass through the
    shared parameters per task, and one more for the scalar that is returned; T times their size in memory.

    The scalar has the value of the weighted sum and the projected gradient, so that any training loop that calls
    ``backward`` once, scales or accumulates, works unchanged.

    Args:
        weights_T: One per task, >= 0, not all 0.

    Raises:
        ConfigError: They are not.

    Source: Yu et al., Gradient surgery for multi-task learning (PCGrad), NeurIPS 2020.
    """

    weights_T: Tensor

    def __init__(self, weights_T: Sequence[float]) -> None:
        super().__init__()
        check_weights(weights_T)
        self.register_buffer("weights_T", torch.tensor(weights_T, dtype=torch.float32), persistent=False)

    def forward(self, losses_T: Tensor, *, shared: Sequence[nn.Parameter] = (), draws: Draws | None = None) -> Tensor:
        """The scalar.

        Args:
            losses_T: One per task.
            shared: Parameters that several tasks use; those that do not learn are passed over.
            draws: Of the order in which others are taken; None takes them as they are numbered.
        """
        weighed_T = self.weights_T * losses_T
        total = weighed_T.sum()
        learning = [one for one in shared if one.requires_grad]
        if not learning or not torch.is_grad_enabled() or len(losses_T) < 2:
            return total
        gradients_TP = torch.stack([_flat_gradient(one, learning) for one in weighed_T])
        change_P = project_conflicts(gradients_TP, draws).sum(dim=0) - gradients_TP.sum(dim=0)
        changes = torch.split(change_P, [one.numel() for one in learning])
        pull = torch.stack(
            [(change.view_as(one) * one).sum() for change, one in zip(changes, learning, strict=True)]
        ).sum()
        # The value stays the weighted sum; only the gradient changes.
        return total + pull - pull.detach()


def project_conflicts(gradients_TP: Tensor, draws: Draws | None = None) -> Tensor:
    """Gradients without what conflicts (see `GradientSurgery`).

    Args:
        gradients_TP: One row per task.
        draws: Of the order; None for the order of rows.

    Returns:
        float32 [T, P].

    Example:
        >>> project_conflicts(torch.tensor([[1.0, 0.0], [-1.0, 1.0]]))
        tensor([[0.5000, 0.5000],
                [0.0000, 1.0000]])
    """
    squares_T = gradients_TP.square().sum(dim=1).clamp(min=torch.finfo(gradients_TP.dtype).tiny)
    rows = []
    num_tasks = len(gradients_TP)
    for task in range(num_tasks):
        kept_P = gradients_TP[task].clone()
        others = torch.arange(num_tasks) if draws is None else draws.order(num_tasks)
        for other in others.tolist():
            product = kept_P @ gradients_TP[other]
            if other != task and product < 0:
                kept_P -= product / squares_T[other] * gradients_TP[other]
        rows.append(kept_P)
    return torch.stack(rows)


def _flat_gradient(loss: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    if not loss.requires_grad:
        return torch.cat([torch.zeros_like(one).flatten() for one in parameters])
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return torch.cat(
        [
            (torch.zeros_like(one) if grad is None else grad).flatten()
            for one, grad in zip(parameters, found, strict=True)
        ]
    )


def check_weights(weights_T: Sequence[float]) -> None:
    """Refuse weights that cannot be.

    Raises:
        ConfigError: One is below 0, or none is above.
    """
    if not len(weights_T) or min(weights_T) < 0 or max(weights_T) <= 0:
        raise ConfigError(
            f"weights of tasks must be >= 0 and one of them above, are {', '.join(f'{one:g}' for one in weights_T) or 'none'}"
        )


Weighting = FixedWeights | UncertaintyWeights | GradientSurgery

WEIGHTINGS: Final[dict[str, Callable[[Sequence[float]], Weighting]]] = {
    "fixed": FixedWeights,
    "uncertainty": UncertaintyWeights,
    "conflicts": GradientSurgery,
}
"""Name -> maker, called with a weight per task."""
