"""One loop for every way to adapt an encoder: batches of items, a loss, checkpoints, exact resume.

Shape suffixes: N items of a batch, M items that are learnt from.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import AdamW

from kinema.errors import ConfigError
from kinema.progress import Progress, silent
from kinema.seeds import derive_seed, generator
from kinema.training.adaptation.progress_file import Place, load_place, save_place
from kinema.training.optimizer import scheduled
from kinema.training.repeatable import repeatable

NEW_HEAD_FACTOR: Final = 10.0
"""How much faster a layer learns that starts from random numbers, beside one that only has to change a little."""
_POOL_BATCHES: Final = 16
_WARMUP_SHARE: Final = 0.06
_WEIGHT_DECAY: Final = 0.01
_LARGEST_NORM: Final = 1.0


class Lesson(Protocol):
    """What the loop needs of a network that learns."""

    @property
    def network(self) -> nn.Module:
        """Holds everything that runs in training mode."""

    @property
    def groups(self) -> Sequence[tuple[Sequence[nn.Parameter], float]]:
        """Parameters that are trained, with a factor on the step size."""

    @property
    def lengths_M(self) -> NDArray[np.int64]:  # noqa: N802  # a shape suffix
        """Rough length of each item, so that batches waste little on padding."""

    def losses(self, rows_N: NDArray[np.int64]) -> dict[str, Tensor]:
        """Scalar parts of the loss on some items; all random numbers come from torch's global generator."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast is learnt.

    Attributes:
        epochs: Passes over the items, >= 1.
        batch_size: Items per step, >= 2.
        learning_rate: Peak step size, > 0.
        max_seconds: Training stops after this time; None for no limit.
        seed: Every random draw follows from it.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    max_seconds: float | None
    seed: int

    def __post_init__(self) -> None:
        """Refuse numbers with which nothing would be learnt."""
        seconds = math.inf if self.max_seconds is None else self.max_seconds
        if self.epochs < 1 or self.batch_size < 2 or not self.learning_rate > 0 or seconds <= 0:
            raise ConfigError(
                "adaptation needs epochs >= 1, batch size >= 2, learning rate > 0 and seconds > 0, got "
                f"{self.epochs}, {self.batch_size}, {self.learning_rate} and {self.max_seconds}"
            )


def fit(
    lesson: Lesson,
    *,
    schedule: Schedule,
    run: str,
    folder: Path | None = None,
    checkpoint_seconds: float = 5.0,
    progress: Progress = silent,
) -> Place:
    """Train until the epochs are done or the time is up.

    There is no looking at validation on the way: whether the result is kept is decided once, on items that were held
    out, and choosing the best of many looks by the same items would make that decision worthless.

    Args:
        lesson: Its network holds the result afterwards and is in evaluation mode.
        schedule: See there.
        run: Fingerprint of everything the result follows from; a checkpoint of another run is not used.
        folder: Of the checkpoints; None keeps none.
        checkpoint_seconds: Time between two checkpoints.
        progress: Told after each step.

    Returns:
        Where training ended: epochs, steps, seconds, and the mean losses of each epoch in ``curve``.

    Raises:
        ConfigError: The loss is not finite.
    """
    trained = [one for parameters, _ in lesson.groups for one in parameters]
    optimizer = _optimizer(lesson.groups)
    found = None if folder is None else load_place(folder, run=run, trained=trained, optimizer=optimizer)
    place = found or Place()
    num_steps = len(plan_batches(lesson.lengths_M, schedule, epoch=0))

    def save() -> None:
        if folder is not None:
            save_place(folder, run=run, place=place, trained=trained, optimizer=optimizer)

    clock = saved = time.monotonic()
    before = place.elapsed_seconds
    with torch.random.fork_rng(devices=[]), repeatable():
        while not place.done:
            batches = plan_batches(lesson.lengths_M, schedule, epoch=place.epoch)
            while place.step < len(batches) and not place.done:
                loss = _step(lesson, optimizer, schedule, place, batches)
                place.elapsed_seconds = before + time.monotonic() - clock
                place.done = schedule.max_seconds is not None and place.elapsed_seconds > schedule.max_seconds
                if time.monotonic() - saved >= checkpoint_seconds:
                    save()
                    saved = time.monotonic()
                progress(place.total_steps, schedule.epochs * num_steps, f"loss {loss:.3f}")
            _end_epoch(place, schedule)
    save()
    lesson.network.eval()
    return place


def plan_batches(lengths_M: NDArray[np.int64], schedule: Schedule, *, epoch: int) -> list[NDArray[np.int64]]:
    """Rows of each step: shuffled, items of similar length together, the same for the same seed and epoch.

    A last batch of one item is left out, since nothing can be told apart in it.

    Example:
        >>> schedule = Schedule(epochs=1, batch_size=2, learning_rate=1.0, max_seconds=None, seed=0)
        >>> sorted(np.concatenate(plan_batches(np.arange(4), schedule, epoch=0)).tolist())
        [0, 1, 2, 3]
    """
    random = generator(schedule.seed, f"adaptation/{epoch}")
    order_M = random.permutation(len(lengths_M))
    size = schedule.batch_size
    batches = []
    for start in range(0, len(order_M), _POOL_BATCHES * size):
        pool = order_M[start : start + _POOL_BATCHES * size]
        pool = pool[np.argsort(lengths_M[pool], kind="stable")]
        batches += [pool[at : at + size] for at in range(0, len(pool), size)]
    batches = [one for one in batches if len(one) > 1]
    return [batches[place] for place in random.permutation(len(batches))]


def train_mode(network: nn.Module) -> None:
    """Training mode, but batch norms keep their statistics: those of a small batch of one catalogue are no better."""
    network.train()
    for one in network.modules():
        if isinstance(one, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001  # torch names the family nowhere else
            one.eval()


def _optimizer(groups: Sequence[tuple[Sequence[nn.Parameter], float]]) -> AdamW:
    parts = []
    for parameters, factor in groups:
        for is_matrix in (True, False):
            some = [one for one in parameters if (one.ndim > 1) is is_matrix]
            if some:
                parts.append({"params": some, "weight_decay": _WEIGHT_DECAY * is_matrix, "factor": factor})
    return AdamW(parts, lr=0.0, betas=(0.9, 0.98), fused=True)


def _step(
    lesson: Lesson,
    optimizer: AdamW,
    schedule: Schedule,
    place: Place,
    batches: Sequence[NDArray[np.int64]],
) -> float:
    """One step; its randomness follows from seed, epoch and step, so that any step can be the first of a resume."""
    torch.manual_seed(derive_seed(schedule.seed, f"adaptation/{place.epoch}/{place.step}"))
    done = (place.epoch + place.step / len(batches)) / schedule.epochs
    if schedule.max_seconds is not None:
        done = min(1.0, max(done, place.elapsed_seconds / schedule.max_seconds))
    warmup = max(1, math.ceil(_WARMUP_SHARE * schedule.epochs * len(batches)))
    rate = scheduled(step=place.total_steps, done=done, peak=schedule.learning_rate, warmup_steps=warmup)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    train_mode(lesson.network)
    parts = lesson.losses(batches[place.step])
    total = torch.stack(list(parts.values())).sum()
    if not torch.isfinite(total):
        raise ConfigError(
            f"the loss must stay finite, is {float(total.detach())} at step {place.total_steps}; lower --learning-rate"
        )
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(total)
    trained = [one for parameters, _ in lesson.groups for one in parameters]
    nn.utils.clip_grad_norm_(trained, _LARGEST_NORM)
    optimizer.step()
    for name, part in parts.items():
        place.loss_sums[name] = place.loss_sums.get(name, 0.0) + float(part.detach())
    place.step += 1
    place.total_steps += 1
    return float(total.detach())


def _end_epoch(place: Place, schedule: Schedule) -> None:
    """Close the books of an epoch."""
    losses = {name: round(value / max(place.step, 1), 5) for name, value in place.loss_sums.items()}
    place.epoch += 1
    place.step = 0
    place.loss_sums = {}
    place.done = place.done or place.epoch >= schedule.epochs
    place.curve.append({"epoch": place.epoch, "losses": losses})
