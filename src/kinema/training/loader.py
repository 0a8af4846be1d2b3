"""Histories cut into windows, windows of about equal length put into batches of about equal size.

Padding every history to the longest costs a factor of nine on a short-history log (FLM.md section 7).

Shape suffixes: B windows.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kinema.flm.batch import SequenceBatch, as_batch, pad_rows
from kinema.seeds import generator
from kinema.store.histories import Histories


def epoch_batches(
    histories: Histories, *, max_length: int, batch_tokens: int, seed: int, epoch: int, skip: int = 0
) -> Iterator[SequenceBatch]:
    """The batches of one epoch; every interaction is a target about once.

    The order depends on the seed and the epoch alone, so an interrupted epoch goes on where it stopped.

    Args:
        histories: Training histories.
        max_length: Longest window. Longer histories are cut at places that change from epoch to epoch.
        batch_tokens: Windows times the longest window of a batch, at most (but at least one window).
        seed: The run's seed.
        epoch: From 0.
        skip: Batches to leave out at the start.

    Yields:
        Batches in random order.
    """
    random = generator(seed, f"loader/{epoch}")
    starts_B, lengths_B, users_B = windows(histories, max_length=max_length, random=random)
    # Jitter mixes neighbours in length, so that the same windows do not always meet.
    order_B = np.argsort(lengths_B * random.uniform(0.9, 1.1, len(lengths_B)), kind="stable")
    groups = _groups(lengths_B[order_B], batch_tokens)
    for group in random.permutation(len(groups) - 1)[skip:]:
        rows = order_B[groups[group] : groups[group + 1]]
        yield as_batch(pad_rows(histories, starts_B[rows], lengths_B[rows]), users_B[rows])


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
    num_windows = 1 + np.maximum(-(-(lengths - first_cuts) // max_length), 0)
    users_B = np.repeat(np.arange(len(users)), num_windows)
    index_B = np.arange(len(users_B)) - np.repeat(np.cumsum(num_windows) - num_windows, num_windows)
    begins_B = np.where(index_B == 0, 0, first_cuts[users_B] + (index_B - 1) * max_length)
    ends_B = np.minimum(first_cuts[users_B] + index_B * max_length, lengths[users_B])
    return histories.offsets[users[users_B]] + begins_B, ends_B - begins_B, users[users_B].astype(np.int64)


def _groups(lengths_B: NDArray[np.int64], batch_tokens: int) -> list[int]:
    """Borders of batches over windows in order of (about) growing length."""
    borders, longest = [0], 0
    for place, length in enumerate(lengths_B.tolist()):
        longest = max(longest, length)
        if place > borders[-1] and (place - borders[-1] + 1) * longest > batch_tokens:
            borders.append(place)
            longest = length
    return [*borders, len(lengths_B)]
