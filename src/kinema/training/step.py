"""One training step, cut into pieces that are computed side by side.

Threads inside one small matrix product wait for each other more than they work. Here each piece of the batch has a
thread of its own from the first product to the last gradient, and every product runs on one thread; the gradients are
added up in the order of the pieces, so the numbers do not depend on how many cores there are or which was faster.

Shape suffixes: R touched rows, D width, V catalogue.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from kinema.flm.batch import Negatives, SequenceBatch
from kinema.flm.draws import Draws
from kinema.flm.network import FLMNetwork
from kinema.seeds import derive_seed
from kinema.tasks.pretraining import PretrainingTask, Touched, Windows
from kinema.threads import keep_freed_memory


@dataclass(frozen=True)
class StepGradients:
    """What a step found.

    Attributes:
        losses: Parts of the loss, unweighted.
        rows_R: int64, touched items.
        ids_RD: Gradient of their ID vectors; None for a model without.
        bias_R: Gradient of their log-odds; None for a model without IDs.
        dense: Gradients of the dense parameters, in their order; None for one the step did not use.
    """

    losses: Mapping[str, float]
    rows_R: Tensor
    ids_RD: Tensor | None
    bias_R: Tensor | None
    dense: Sequence[Tensor | None]


class Stepper:
    """Computes gradients of batches; get one from `side_by_side`.

    Args:
        network: Being trained.
        task: Computes the losses.
        pool: Where the pieces run; None runs them one after the other, with the same result.
    """

    def __init__(self, network: FLMNetwork, task: PretrainingTask, pool: ThreadPoolExecutor | None) -> None:
        self._network = network
        self._task = task
        self._pool = pool
        self.dense = dense_parameters(network)

    def gradients(
        self,
        batch: SequenceBatch,
        negatives: Negatives | None,
        *,
        num_pieces: int,
        auxiliary: bool,
        share: float,
        seed: int,
    ) -> StepGradients:
        """Loss and gradient of one batch.

        Args:
            batch: Windows.
            negatives: Shared by the batch; None for the full softmax.
            num_pieces: Pieces the batch is cut into; part of the result, so not a matter of the machine.
            auxiliary: Whether the auxiliary losses are computed at this step.
            share: What is left of them.
            seed: Of all draws of the step.
        """
        tower = self._network.tower
        rows_R, places_K, windows = self._task.rows(batch, negatives)
        ids_RD, bias_R = tower.behaviour(rows_R).detach().requires_grad_(), tower.bias(rows_R).detach()
        draws = Draws(derive_seed(seed, "tower"))
        items_RD, content_RD = tower(rows_R, self._task.content, ids_RD=ids_RD, draws=draws)
        cut = Touched(
            rows_R,
            _leaf(items_RD),
            _leaf(content_RD),
            _leaf(bias_R),
            places_K,
            None if negatives is None else negatives.log_rate_K,
        )
        weights = self._task.weights(share=share)
        pieces = windows.pieces(num_pieces)
        counts = [one.num_targets for one in pieces]
        jobs = [
            partial(
                self._piece,
                cut,
                piece,
                weights=weights,
                part=count / sum(counts),
                seed=derive_seed(seed, f"piece/{place}"),
                auxiliary=auxiliary,
            )
            for place, (piece, count) in enumerate(zip(pieces, counts, strict=True))
        ]
        pool = self._pool
        found = [job() for job in jobs] if pool is None else [one.result() for one in [*map(pool.submit, jobs)]]
        losses, upstream, dense = _added(found)
        pairs = zip((items_RD, content_RD), upstream[:2], strict=True)
        used = [(out, gradient) for out, gradient in pairs if out.requires_grad and gradient is not None]
        outputs, gradients = [out for out, _ in used], [gradient for _, gradient in used]
        extra = self._task.item_loss(self._network, Draws(derive_seed(seed, "items"))) if auxiliary else None
        if extra is not None:
            losses["content"] = losses.get("content", 0.0) + float(extra.detach())
            outputs.append(extra)
            gradients.append(torch.tensor(weights["content"]))
        through = torch.autograd.grad(outputs, [ids_RD, *self.dense], gradients, allow_unused=True)
        dense = [_sum(one, other) for one, other in zip(dense, through[1:], strict=True)]
        known = tower.num_ids > 0
        return StepGradients(losses, rows_R, through[0] if known else None, upstream[2] if known else None, dense)

    def _piece(
        self,
        touched: Touched,
        windows: Windows,
        *,
        weights: Mapping[str, float],
        part: float,
        seed: int,
        auxiliary: bool,
    ) -> tuple[dict[str, float], Sequence[Tensor | None]]:
        """Losses of a piece, and gradients of the touched vectors and the dense parameters."""
        losses = self._task.window_losses(self._network, touched, windows, Draws(seed), auxiliary=auxiliary)
        total = part * torch.stack([weights[name] * one for name, one in losses.items()]).sum()
        wanted = [touched.items_RD, touched.content_RD, touched.bias_R, *self.dense]
        gradients = torch.autograd.grad(total, wanted, allow_unused=True)
        return {name: part * float(one.detach()) for name, one in losses.items()}, gradients


@contextmanager
def side_by_side(network: FLMNetwork, task: PretrainingTask, *, num_pieces: int) -> Iterator[Stepper]:
    """A stepper whose pieces share the cores; inside, every operation of torch runs on one thread."""
    keep_freed_memory()
    before = torch.get_num_threads()
    workers = min(num_pieces, before)
    torch.set_num_threads(1)
    try:
        if workers < 2:
            yield Stepper(network, task, None)
        else:
            with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                yield Stepper(network, task, pool)
    finally:
        torch.set_num_threads(before)


def dense_parameters(network: FLMNetwork) -> list[Tensor]:
    """Everything but the vectors and log-odds that belong to single items."""
    per_item = {id(network.tower.ids_VD), id(network.tower.bias_V)}
    return [one for one in network.parameters() if id(one) not in per_item]


def _added(
    found: Sequence[tuple[dict[str, float], Sequence[Tensor | None]]],
) -> tuple[dict[str, float], list[Tensor | None], list[Tensor | None]]:
    """Losses, gradients of the three touched arrays and of the dense parameters, summed in the order of the pieces."""
    losses: dict[str, float] = {}
    for parts, _ in found:
        for name, value in parts.items():
            losses[name] = losses.get(name, 0.0) + value
    total = list(found[0][1])
    for _, gradients in found[1:]:
        total = [_sum(one, other) for one, other in zip(total, gradients, strict=True)]
    return losses, total[:3], total[3:]


def _leaf(x: Tensor) -> Tensor:
    """The same numbers, cut off from where they came from."""
    return x.detach().requires_grad_()


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other
