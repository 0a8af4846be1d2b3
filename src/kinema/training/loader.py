"""Histories cut into windows, windows of about equal length put into batches of about equal size.

Padding every history to the longest costs a factor of nine on a short-history log (FLM.md section 7).

Shape suffixes: B windows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinema.flm.batch import SequenceBatch, as_batch, pad_rows
from kinema.seeds import generator
from kinema.store.cuts import shuffled_ties
from kinema.store.histories import Histories


@dataclass(frozen=True)
class EpochPlan:
    """The batches of one epoch; any of them can be had without those before it, so a resumed epoch starts anywhere.

    Attributes:
        histories: Where the items are.
        starts_B: int64, first place of each window in ``histories.items``.
        lengths_B: int64.
        users_B: int64, whose window it is.
        batches: Windows of each batch, in the order of training.
        timed: Batches say when each interaction happened.
    """

    histories: Histories
    starts_B: NDArray[np.int64]
    lengths_B: NDArray[np.int64]
    users_B: NDArray[np.int64]
    batches: tuple[NDArray[np.int64], ...]
    timed: bool = False

    def __len__(self) -> int:
        """Batches in the epoch."""
        return len(self.batches)

    def batch(self, step: int) -> SequenceBatch:
        """The batch of a step, counted from 0."""
        rows = self.batches[step]
        starts_B, lengths_B = self.starts_B[rows], self.lengths_B[rows]
        times_BL = pad_rows(self.histories, starts_B, lengths_B, times=True) if self.timed else None
        return as_batch(pad_rows(self.histories, starts_B, lengths_B), self.users_B[rows], times_BL)


def plan_epoch(
    histories: Histories, *, max_length: int, batch_tokens: int, seed: int, epoch: int, timed: bool = False
) -> EpochPlan:
    """Plan one epoch; every interaction is a target once.

    The plan depends on the histories, the seed and the epoch alone. Events of one moment come in another order in
    each epoch.

    Args:
        histories: Training histories.
        max_length: Longest window. Longer histories are cut at places that change from epoch to epoch.
        batch_tokens: Windows times the longest window of a batch, at most (but at least one window).
        seed: The run's seed.
        epoch: From 0.
        timed: Batches say when each interaction happened.

    Returns:
        The plan, batches in random order.

    Example:
        >>> plan = plan_epoch(
        ...     Histories.from_lists([[0, 1, 2], [3]], 4), max_length=2, batch_tokens=8, seed=0, epoch=0
        ... )
        >>> sum(plan.batch(step).num_targets for step in range(len(plan)))
        4
    """
    random = generator(seed, f"loader/{epoch}")
    histories = shuffled_ties(histories, random)
    starts_B, lengths_B, users_B = windows(histories, max_length=max_length, random=random)
    # Jitter mixes neighbours in length, so that the same windows do not always meet.
    order_B = np.argsort(lengths_B * random.uniform(0.9, 1.1, len(lengths_B)), kind="stable")
    groups = np.split(order_B, _borders(lengths_B[order_B], batch_tokens))
    shuffled = tuple(groups[place] for place in random.permutation(len(groups)))
    return EpochPlan(histories, starts_B, lengths_B, users_B, shuffled, timed)


def windows(
    histories: Histories, *, max_length: int, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cut histories into windows.

    Returns:
        First place in ``histories.items``, length, and user of each window, int64 [B]. A history that fits is one
        window; a longer one is cut every ``max_length`` interactions from a random first cut on.
    """
    users = np.flatnonzero(histories.lengths > 0)
    lengths = histories.lengths[users]
    first_cuts = np.where(lengths > max_length, random.integers(1, max_length + 1, len(users)), lengths)
    num_windows = 1 + -(-(lengths - first_cuts) // max_length)
    owners_B = np.repeat(np.arange(len(users)), num_windows)
    index_B = np.arange(len(owners_B)) - np.repeat(np.cumsum(num_windows) - num_windows, num_windows)
    begins_B = np.where(index_B == 0, 0, first_cuts[owners_B] + (index_B - 1) * max_length)
    ends_B = np.minimum(first_cuts[owners_B] + index_B * max_length, lengths[owners_B])
    return histories.offsets[users[owners_B]] + begins_B, ends_B - begins_B, users[owners_B].astype(np.int64)


def _borders(lengths_B: NDArray[np.int64], batch_tokens: int) -> list[int]:
    """Where the next batch begins, over windows in order of (about) growing length."""
    borders, first, longest = [], 0, 0
    for place, length in enumerate(lengths_B.tolist()):
        longest = max(longest, length)
        if place > first and (place - first + 1) * longest > batch_tokens:
            borders.append(place)
            first, longest = place, length
    return borders
