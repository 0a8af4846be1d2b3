"""Adam as Transformers on this scale want it, and how the step size and the auxiliary losses go over a run.

Vectors of items are updated only where a step has touched them: updating a catalogue of a million rows costs more than
everything else in a step that touches two thousand.

Shape suffixes: V catalogue, R touched rows, D width.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from kinema.flm.network import FLMNetwork

_LAST_RATE: Final = 0.01
_BETAS: Final = (0.9, 0.98)
_EPSILON: Final = 1e-8


class RowAdam:
    """Adam over the rows of a table, touched rows only.

    Moments of a row stand still while it is not touched, so a row that comes up rarely is moved as far as its own
    gradients say.

    Args:
        table: [V, ...]; changed in place.

    Source: the sparse Adam of torch.optim.SparseAdam, without its sparse tensors.
    """

    def __init__(self, table: Tensor) -> None:
        self._table = table
        self.first, self.second = torch.zeros_like(table), torch.zeros_like(table)

    def update(self, rows_R: Tensor, gradients: Tensor, *, learning_rate: float, step: int) -> None:
        """Move the touched rows.

        Args:
            rows_R: int64, each at most once.
            gradients: [R, ...].
            learning_rate: Step size.
            step: Steps of the run, this one included, >= 1.
        """
        first = self.first.index_select(0, rows_R).lerp_(gradients, 1 - _BETAS[0])
        second = self.second.index_select(0, rows_R).mul_(_BETAS[1])
        second.addcmul_(gradients, gradients, value=1 - _BETAS[1])
        self.first.index_copy_(0, rows_R, first)
        self.second.index_copy_(0, rows_R, second)
        scale = math.sqrt(1 - _BETAS[1] ** step)
        moved = first.div_(second.sqrt_().div_(scale).add_(_EPSILON)).mul_(learning_rate / (1 - _BETAS[0] ** step))
        self._table.index_add_(0, rows_R, moved, alpha=-1)


class Optimizer:
    """AdamW on the dense parameters, with decay on weight matrices only, and `RowAdam` on ID vectors and log-odds.

    Args:
        network: What is trained.
        weight_decay: On matrices inside linear layers.
    """

    def __init__(self, network: FLMNetwork, *, dense: Sequence[Tensor], weight_decay: float) -> None:
        matrices = {id(layer.weight) for layer in network.modules() if isinstance(layer, nn.Linear)}
        groups = [
            {"params": [one for one in dense if id(one) in matrices], "weight_decay": weight_decay},
            {"params": [one for one in dense if id(one) not in matrices], "weight_decay": 0.0},
        ]
        self._dense = AdamW(groups, lr=1.0, betas=_BETAS, eps=_EPSILON, fused=True)
        self._parameters = list(dense)
        self._tables = {"ids": RowAdam(network.tower.ids_VD.detach()), "bias": RowAdam(network.tower.bias_V.detach())}

    def step(
        self,
        dense: Sequence[Tensor | None],
        rows_R: Tensor,
        tables: Mapping[str, Tensor | None],
        *,
        learning_rate: float,
        step: int,
    ) -> None:
        """One update.

        Args:
            dense: Gradients in the order of the dense parameters; None leaves one alone.
            rows_R: int64, touched items.
            tables: Gradients of ``ids`` and ``bias`` for those rows; None where the model has none.
            learning_rate: Step size.
            step: Steps of the run, this one included.
        """
        for parameter, gradient in zip(self._parameters, dense, strict=True):
            parameter.grad = gradient
        for group in self._dense.param_groups:
            group["lr"] = learning_rate
        self._dense.step()
        with torch.no_grad():
            for name, gradient in tables.items():
                if gradient is not None:
                    self._tables[name].update(rows_R, gradient, learning_rate=learning_rate, step=step)

    def state(self) -> dict[str, Tensor]:
        """Everything a checkpoint must keep."""
        kept = {
            f"dense/{index}/{slot}": value
            for index, slots in self._dense.state_dict()["state"].items()
            for slot, value in slots.items()
        }
        for name, table in self._tables.items():
            kept |= {f"{name}/first": table.first, f"{name}/second": table.second}
        return kept

    def load_state(self, kept: Mapping[str, Tensor]) -> None:
        """What `state` gave."""
        state = self._dense.state_dict()
        for name, value in kept.items():
            kind, *place = name.split("/")
            if kind == "dense":
                state["state"].setdefault(int(place[0]), {})[place[1]] = value
            else:
                getattr(self._tables[kind], place[0]).copy_(value)
        self._dense.load_state_dict(state)


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
