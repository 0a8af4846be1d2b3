"""What several tasks share below their heads: nothing, one bottom, or experts that each task mixes for itself.

All have one interface: ``x_BD -> one float32 [B, W] per task``. Parameters that more than one task uses are named by
`shared_parameters`, for those who settle conflicts between the tasks' gradients.

Shape suffixes: B rows, D width in, W width out, E experts of a group, S experts a gate chooses from, T tasks.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from kinema.errors import ConfigError
from kinema.flm.draws import Draws


class Experts(nn.Module):
    """Several small networks of one shape on one input, as products of batches: a loop over them costs more than they do.

    Args:
        num_experts: E, >= 1.
        width_in: D.
        widths: Of the layers, each followed by ReLU; the last is W.
        dropout: After each layer.
    """

    def __init__(self, num_experts: int, width_in: int, widths: tuple[int, ...], *, dropout: float = 0.0) -> None:
        super().__init__()
        if num_experts < 1 or not widths or min(width_in, *widths) < 1 or not 0 <= dropout < 1:
            raise ConfigError(
                "experts need num_experts >= 1, widths >= 1, at least one of them, and dropout in [0, 1), got "
                f"{num_experts}, {widths} on {width_in}, and {dropout:g}"
            )
        self._dropout = dropout
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for before, after in pairwise((width_in, *widths)):
            reach = 1 / math.sqrt(before)
            self.weights.append(nn.Parameter(torch.empty(num_experts, before, after).uniform_(-reach, reach)))
            self.biases.append(nn.Parameter(torch.empty(num_experts, 1, after).uniform_(-reach, reach)))

    def forward(self, x_BD: Tensor, draws: Draws | None = None) -> Tensor:
        """float32 [E, B, W]."""
        x_EBD = x_BD.unsqueeze(0).expand(len(self.weights[0]), -1, -1)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x_EBD = functional.relu(torch.baddbmm(bias, x_EBD, weight), inplace=True)
            if draws is not None:
                x_EBD = draws.dropout(x_EBD, self._dropout)
        return x_EBD


class Separate(nn.Module):
    """A network per task: nothing is shared. What the others are compared with.

    Args:
        num_tasks: How many.
        width_in: D.
        widths: Of each task's layers.
        dropout: After each layer.
    """

    def __init__(self, num_tasks: int, width_in: int, widths: tuple[int, ...], *, dropout: float = 0.0) -> None:
        super().__init__()
        self.towers = Experts(num_tasks, width_in, widths, dropout=dropout)

    def forward(self, x_BD: Tensor, draws: Draws | None = None) -> tuple[Tensor, ...]:
        """One float32 [B, W] per task."""
        towers: Tensor = self.towers(x_BD, draws)
        return torch.unbind(towers)

    def shared_parameters(self) -> list[nn.Parameter]:
        """None."""
        return []


class SharedBottom(nn.Module):
    """One network for all tasks; only the heads differ.

    Args:
        num_tasks: How many.
        width_in: D.
        widths: Of the layers.
        dropout: After each layer.

    Source: Caruana, Multitask learning, Machine Learning 1997.
    """

    def __init__(self, num_tasks: int, width_in: int, widths: tuple[int, ...], *, dropout: float = 0.0) -> None:
        super().__init__()
        self._num_tasks = num_tasks
        self.bottom = Experts(1, width_in, widths, dropout=dropout)

    def forward(self, x_BD: Tensor, draws: Draws | None = None) -> tuple[Tensor, ...]:
        """The same float32 [B, W] for each task."""
        return (self.bottom(x_BD, draws)[0],) * self._num_tasks

    def shared_parameters(self) -> list[nn.Parameter]:
        """All."""
        return list(self.parameters())


class MMoE(nn.Module):
    """Experts that all tasks share, mixed by a gate per task: a task that disagrees with others weighs other experts.

    Args:
        num_tasks: How many.
        width_in: D.
        widths: Of an expert's layers.
        num_experts: E.
        dropout: After each layer.

    Source: Ma et al., Modeling task relationships in multi-task learning with multi-gate mixture-of-experts, KDD 2018.
    """

    def __init__(
        self, num_tasks: int, width_in: int, widths: tuple[int, ...], *, num_experts: int = 4, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.experts = Experts(num_experts, width_in, widths, dropout=dropout)
        self.gates = nn.ModuleList(nn.Linear(width_in, num_experts, bias=False) for _ in range(num_tasks))

    def forward(self, x_BD: Tensor, draws: Draws | None = None) -> tuple[Tensor, ...]:
        """One float32 [B, W] per task."""
        experts_EBW = self.experts(x_BD, draws)
        if torch.is_grad_enabled():  # apart, so that what one task learns does not reach the gate of another
            return tuple(mix(experts_EBW, gate(x_BD)) for gate in self.gates.children())
        # In one product: each gate alone is too narrow to be quick.
        logits = functional.linear(x_BD, torch.cat(list(self.gates.parameters())))
        logits_TEB = logits.T.reshape(len(self.gates), len(experts_EBW), len(x_BD))
        mixed_TBW = (experts_EBW * torch.softmax(logits_TEB, dim=1).unsqueeze(3)).sum(dim=1)
        return tuple(mixed_TBW)

    def shared_parameters(self) -> list[nn.Parameter]:
        """The experts."""
        return list(self.experts.parameters())


class PLE(nn.Module):
    """Levels of experts, some shared and some of one task: what hurts the others has a place of its own.

    At each level a task's gate mixes the task's own experts with the shared ones; the shared way, which the last level
    does not need, mixes all of them.

    Args:
        num_tasks: How many.
        width_in: D.
        widths: Of an expert's layers, the same at each level.
        num_experts: Shared ones per level.
        num_own: Experts of each task per level.
        num_levels: >= 1; one level is CGC.
        dropout: After each layer.

    Raises:
        ConfigError: A number is out of range.

    Source: Tang et al., Progressive layered extraction (PLE), RecSys 2020.
    """

    def __init__(
        self,
        num_tasks: int,
        width_in: int,
        widths: tuple[int, ...],
        *,
        num_experts: int = 2,
        num_own: int = 2,
        num_levels: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if num_levels < 1:
            raise ConfigError(f"num_levels of PLE must be >= 1, is {num_levels}; 1 is CGC")
        self._num_tasks = num_tasks
        self.shared, self.own = nn.ModuleList(), nn.ModuleList()
        self.gates, self.shared_gates = nn.ModuleList(), nn.ModuleList()
        for level in range(num_levels):
            width = width_in if level == 0 else widths[-1]
            self.shared.append(Experts(num_experts, width, widths, dropout=dropout))
            self.own.append(nn.ModuleList(Experts(num_own, width, widths, dropout=dropout) for _ in range(num_tasks)))
            self.gates.append(
                nn.ModuleList(nn.Linear(width, num_own + num_experts, bias=False) for _ in range(num_tasks))
            )
            if level + 1 < num_levels:
                self.shared_gates.append(nn.Linear(width, num_tasks * num_own + num_experts, bias=False))

    def forward(self, x_BD: Tensor, draws: Draws | None = None) -> tuple[Tensor, ...]:
        """One float32 [B, W] per task."""
        tasks, shared_BD = [x_BD] * self._num_tasks, x_BD
        for level, (shared, own, gates) in enumerate(zip(self.shared, self.own, self.gates, strict=True)):
            shared_EBW = shared(shared_BD, draws)
            own_EBW = [experts(one, draws) for experts, one in zip(own.children(), tasks, strict=True)]
            if level < len(self.shared_gates):
                logits_BS = self.shared_gates[level](shared_BD)
                shared_BD = mix(torch.cat([*own_EBW, shared_EBW]), logits_BS)
            tasks = [
                mix(torch.cat([mine_EBW, shared_EBW]), gate(one))
                for mine_EBW, gate, one in zip(own_EBW, gates.children(), tasks, strict=True)
            ]
        return tuple(tasks)

    def shared_parameters(self) -> list[nn.Parameter]:
        """The shared experts and gates; and a task's own experts below the last level, which the shared way mixes too."""
        below = [one for own in list(self.own)[:-1] for one in own.parameters()]
        return [*self.shared.parameters(), *self.shared_gates.parameters(), *below]


def mix(experts_SBW: Tensor, logits_BS: Tensor) -> Tensor:
    """Experts weighed by a gate's softmax, per row.

    Returns:
        float32 [B, W].

    Example:
        >>> mix(torch.tensor([[[2.0]], [[4.0]]]), torch.zeros(1, 2))
        tensor([[3.]])
    """
    # Several times faster than the product of small matrices that einsum makes of it, and a softmax down long columns than along
    # short rows.
    return (experts_SBW * torch.softmax(logits_BS.T, dim=0).unsqueeze(2)).sum(dim=0)


Sharing = Separate | SharedBottom | MMoE | PLE

SHARINGS: Final[dict[str, Callable[..., Sharing]]] = {
    "separate": Separate,
    "shared_bottom": SharedBottom,
    "mmoe": MMoE,
    "ple": PLE,
}
"""Name -> maker, called with the number of tasks, the width in, the widths and the dropout."""
