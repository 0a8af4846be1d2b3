"""Which step size to train with: a short sweep from far too small to far too large.

Shape suffixes: S steps of the sweep.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from kinema.errors import ConfigError, DataError
from kinema.progress import Progress, silent
from kinema.seeds import derive_seed, generator
from kinema.tasks.task import Learner
from kinema.training.averaging import load_changing
from kinema.training.descent import Descent
from kinema.training.fit_checkpoint import snapshot
from kinema.training.fit_options import FitOptions
from kinema.training.fit_step import add_gradients, device_of
from kinema.training.precision import check_precision, gradient_scaler
from kinema.training.repeatable import repeatable
from kinema.training.robust import learning_loss

_FEWEST: Final = 5


@dataclass(frozen=True)
class RateCurve:
    """What a sweep saw.

    Attributes:
        suggestion: Step size to train with.
        rates_S: float64, the step sizes tried, growing.
        losses_S: float64, the loss before each step, as it was.
        smoothed_S: float64, what is left once easy and hard batches are told from better and worse weights: the mean
            loss of the untouched network, plus a running mean of how far each batch's loss is from what it was there.
    """

    suggestion: float
    rates_S: NDArray[np.float64]
    losses_S: NDArray[np.float64]
    smoothed_S: NDArray[np.float64]


def find_rate(
    learner: Learner,
    options: FitOptions,
    *,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 100,
    smoothing: float = 0.8,
    seed: int = 0,
    progress: Progress = silent,
) -> RateCurve:
    """Train for a few steps with a step size that grows tenfold again and again; the network is put back afterwards.

    Suggested is where the smoothed loss falls most steeply, before it is lowest: there steps are as long as they can
    be without being about to break down.

    Args:
        learner: Its network ends as it was.
        options: Batch size, optimizer, decay, clipping and precision are followed; the rest is not.
        low: Step size of the first step.
        high: Of the last; the sweep ends before, where the smoothed loss is four times that of the untouched network or no number.
        steps: Of the sweep.
        smoothing: Share of the running mean that stays at each step, in [0, 1).
        seed: Of order and dropout.
        progress: Told steps.

    Raises:
        ConfigError: The range is empty, or there are too few steps.
        DataError: The loss does not fall at any step size.

    Source: Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017, section 3.3; the choice of the
    steepest place is that of the fastai library, the comparison with the untouched network is ours.
    """
    if not 0 < low < high or steps < _FEWEST or not 0 <= smoothing < 1:
        raise ConfigError(
            f"a sweep must go from low > 0 to high > low in at least {_FEWEST} steps with smoothing in [0, 1), "
            f"is {low:g} to {high:g} in {steps} with {smoothing:g}; correct it"
        )
    check_precision(options.precision, device_of(learner.network))
    rates_S = np.geomspace(low, high, steps)
    with _put_back(learner), repeatable(), torch.random.fork_rng():
        losses, smoothed = _sweep(learner, options, rates_S, smoothing=smoothing, seed=seed, progress=progress)
    smoothed_S = np.array(smoothed)
    return RateCurve(_steepest(rates_S, smoothed_S), rates_S[: len(losses)], np.array(losses), smoothed_S)


def _sweep(
    learner: Learner,
    options: FitOptions,
    rates_S: NDArray[np.float64],
    *,
    smoothing: float,
    seed: int,
    progress: Progress,
) -> tuple[list[float], list[float]]:
    """Losses as they were, and smoothed; fewer than rates where the loss breaks down."""
    descent = Descent(
        learner.network,
        optimizer=options.optimizer,
        learning_rate=1.0,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
        l2=options.l2,
        rate_factors=options.rate_factors,
        clip_norm=options.clip_norm,
        scaler=gradient_scaler(options.precision, device_of(learner.network)),
    )
    batches = list(islice(_batches(learner.num_examples, options.batch_size, seed), len(rates_S)))
    seeds = [derive_seed(seed, f"rate {step}") for step in range(len(rates_S))]
    with torch.no_grad():
        untouched = [learning_loss(learner, *one, consistency=0.0).item() for one in zip(batches, seeds, strict=True)]
    usual, running = float(np.mean(untouched)), 0.0
    losses: list[float] = []
    smoothed: list[float] = []
    for step, rate in enumerate(rates_S.tolist()):
        loss = add_gradients(learner, batches[step], descent, seed=seeds[step], precision=options.precision)
        if not math.isfinite(loss) or not math.isfinite(usual):
            break
        running = smoothing * running + (1 - smoothing) * (loss - untouched[step])
        losses.append(loss)
        smoothed.append(usual + running / (1 - smoothing ** (step + 1)))
        if smoothed[-1] > 4 * usual > 0:
            break
        descent.step(rate)
        progress(step + 1, len(rates_S), f"rate {rate:.1e} loss {loss:.4f}")
    return losses, smoothed


def _steepest(rates_S: NDArray[np.float64], smoothed_S: NDArray[np.float64]) -> float:
    """The step size where the loss falls most steeply over its logarithm, up to where it is lowest."""
    lowest = int(smoothed_S.argmin()) if len(smoothed_S) else 0
    if lowest < 2:
        first = f"{smoothed_S[0]:.4g}" if len(smoothed_S) else "no number"
        raise DataError(
            f"the loss must fall somewhere in the sweep, is {first} at the start and never less after; "
            "start from a smaller rate, or look at the task"
        )
    slopes = np.gradient(smoothed_S[: lowest + 1], np.log(rates_S[: lowest + 1]))
    return float(rates_S[int(slopes.argmin())])


def _batches(num_examples: int, batch_size: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Batches without end, each pass in an order of its own."""
    epoch = 0
    while True:
        order = generator(seed, f"rate order {epoch}").permutation(num_examples)
        yield from np.array_split(order, -(-num_examples // batch_size))
        epoch += 1


@contextmanager
def _put_back(learner: Learner) -> Iterator[None]:
    """Inside, the network is in training mode; afterwards it is as it was, without gradients."""
    network = learner.network
    state, training = snapshot(network), network.training
    network.train()
    try:
        yield
    finally:
        load_changing(network, state)
        network.train(training)
        for one in network.parameters():
            one.grad = None
