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


class DenseAdam:
    """AdamW on whole parameters.

    torch's own brings its compiler along when it is made: more than a second and 100 MB, before the first step; and a
    step of it spends longer on book-keeping than on numbers where parameters are small.

    Args:
        parameters: Changed in place.
        decays: Weight decay of each.

    Source: Loshchilov and Hutter 2019; equals `torch.optim.AdamW`.
    """

    def __init__(self, parameters: Sequence[Tensor], decays: Sequence[float]) -> None:
        self._parameters = [one.detach() for one in parameters]
        self._decays = list(decays)
        self.first = [torch.zeros_like(one) for one in self._parameters]
        self.second = [torch.zeros_like(one) for one in self._parameters]
        self.steps = torch.zeros(len(self._parameters), dtype=torch.int64)

    def update(self, gradients: Sequence[Tensor | None], *, learning_rate: float) -> None:
        """Move the parameters that have a gradient; moments and step counts of the others stand still."""
        used = [place for place, one in enumerate(gradients) if one is not None]
        if not used:
            return
        self.steps[used] += 1
        steps = [float(one) for one in self.steps[used]]
        found = [one for one in gradients if one is not None]
        parameters, first, second = (
            [kept[place] for place in used] for kept in (self._parameters, self.first, self.second)
        )
        torch._foreach_mul_(parameters, [1 - learning_rate * self._decays[place] for place in used])
        torch._foreach_lerp_(first, found, 1 - _BETAS[0])
        torch._foreach_mul_(second, _BETAS[1])
        torch._foreach_addcmul_(second, found, found, 1 - _BETAS[1])
        spread = torch._foreach_sqrt(second)  # noqa: SLF001  # torch documents these under such names
        torch._foreach_div_(spread, [math.sqrt(1 - _BETAS[1] ** step) for step in steps])
        torch._foreach_add_(spread, _EPSILON)
        torch._foreach_addcdiv_(parameters, first, spread, [-learning_rate / (1 - _BETAS[0] ** step) for step in steps])


class Optimizer:
    """AdamW on the dense parameters, with decay on weight matrices only, and `RowAdam` on ID vectors and log-odds.

    Args:
        network: What is trained.
        weight_decay: On matrices inside linear layers.
    """

    def __init__(self, network: FLMNetwork, *, dense: Sequence[Tensor], weight_decay: float) -> None:
        matrices = {id(layer.weight) for layer in network.modules() if isinstance(layer, nn.Linear)}
        self._dense = DenseAdam(dense, [weight_decay if id(one) in matrices else 0.0 for one in dense])
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
        with torch.no_grad():
            self._dense.update(dense, learning_rate=learning_rate)
            for name, gradient in tables.items():
                if gradient is not None:
                    self._tables[name].update(rows_R, gradient, learning_rate=learning_rate, step=step)

    def state(self) -> dict[str, Tensor]:
        """Everything a checkpoint must keep."""
        kept = {"dense/steps": self._dense.steps}
        for index, (first, second) in enumerate(zip(self._dense.first, self._dense.second, strict=True)):
            kept |= {f"dense/first/{index}": first, f"dense/second/{index}": second}
        for name, table in self._tables.items():
            kept |= {f"{name}/first": table.first, f"{name}/second": table.second}
        return kept

    def load_state(self, kept: Mapping[str, Tensor]) -> None:
        """What `state` gave."""
        for name, value in self.state().items():
            value.copy_(kept[name])


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
