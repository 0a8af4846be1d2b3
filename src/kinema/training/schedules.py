"""How the step size goes over a run: up over the first updates, then as the schedule says.

FLM's pre-training has its own (`kinema.training.optimizer.scheduled`), which follows the clock as well.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final


def constant(done: float, last: float) -> float:  # noqa: ARG001  # one shape for all schedules
    """1 throughout."""
    return 1.0


def linear(done: float, last: float) -> float:
    """A straight line from 1 to ``last``."""
    return 1.0 - (1.0 - last) * done


def cosine(done: float, last: float) -> float:
    """Half a cosine from 1 to ``last``.

    Source: Loshchilov, Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, ICLR 2017, without restarts.
    """
    return last + (1.0 - last) * 0.5 * (1.0 + math.cos(math.pi * done))


SCHEDULES: Final[Mapping[str, Callable[[float, float], float]]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
}


def rate_share(schedule: str, *, update: int, total: int, warmup_share: float, last: float) -> float:
    """Share of the largest step size that one update takes.

    Args:
        schedule: One of `SCHEDULES`.
        update: Updates done before, from 0.
        total: Updates of the whole run, where nothing stops it early.
        warmup_share: Share of them in which it grows in equal steps; the last of them takes all of it.
        last: What the last update takes, but for a constant schedule.

    Example:
        >>> [round(rate_share("linear", update=u, total=6, warmup_share=0.34, last=0.1), 2) for u in range(6)]
        [0.5, 1.0, 1.0, 0.7, 0.4, 0.1]
    """
    warmup = round(warmup_share * total)
    if update < warmup:
        return (update + 1) / warmup
    return SCHEDULES[schedule](min((update - warmup) / max(total - warmup - 1, 1), 1.0), last)
