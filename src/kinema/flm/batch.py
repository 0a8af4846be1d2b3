"""What one training step sees: windows of histories of about equal length, so that hardly a token is padding.

Shape suffixes: B windows, L window length.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kinema.store.histories import Histories

PADDING = -1


@dataclass(frozen=True)
class SequenceBatch:
    """Windows padded on the right to the longest of the batch.

    Attributes:
        items_BL: int64 item numbers, oldest first, `PADDING` behind the end.
        users_B: int64, whose profile stands in front of each window.
        times_BL: int64 ms, when each interaction happened, anything behind the end; None where nobody asks.
    """

    items_BL: Tensor
    users_B: Tensor
    times_BL: Tensor | None = None

    @property
    def num_targets(self) -> int:
        """Interactions in the batch; each is predicted once."""
        return int((self.items_BL != PADDING).sum())


@dataclass(frozen=True)
class Negatives:
    """Items that all predictions of a step are told apart from.

    Attributes:
        items_K: int64, each at most once.
        log_rate_K: Logarithm of how often each is expected in a step; None where all are equally likely and no
            correction is wanted.
    """

    items_K: Tensor
    log_rate_K: Tensor | None = None


def pad_rows(
    histories: Histories, starts_B: NDArray[np.int64], lengths_B: NDArray[np.int64], *, times: bool = False
) -> NDArray[np.int64]:
    """Slices of the packed items as a padded matrix.

    Args:
        histories: Where the items are.
        starts_B: First place of each slice in ``histories.items``.
        lengths_B: Its length.
        times: Time stamps instead of items.

    Returns:
        int64 [B, max(lengths, 1)], `PADDING` behind the end.

    Example:
        >>> histories = Histories.from_lists([[4, 2], [7]], num_items=8)
        >>> pad_rows(histories, histories.offsets[:-1], histories.lengths).tolist()
        [[4, 2], [7, -1]]
    """
    width = max(int(lengths_B.max(initial=0)), 1)
    places_BL = starts_B[:, None] + np.arange(width)
    inside_BL = np.arange(width) < lengths_B[:, None]
    if not len(histories.items):
        return np.full((len(starts_B), width), PADDING, dtype=np.int64)
    values = histories.timestamps_ms if times else histories.items
    values_BL = values[np.minimum(places_BL, len(values) - 1)].astype(np.int64)
    return np.where(inside_BL, values_BL, PADDING)


def newest(histories: Histories, max_length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Place and length of the newest part of every row.

    Returns:
        Starts int64 [C] in ``histories.items`` and lengths int64 [C], at most ``max_length``.
    """
    lengths_C = np.minimum(histories.lengths, max_length)
    return histories.offsets[1:] - lengths_C, lengths_C


def as_batch(
    items_BL: NDArray[np.int64], users_B: NDArray[np.integer], times_BL: NDArray[np.int64] | None = None
) -> SequenceBatch:
    """Arrays as tensors."""
    times = None if times_BL is None else torch.from_numpy(times_BL)
    return SequenceBatch(torch.from_numpy(items_BL), torch.from_numpy(users_B.astype(np.int64)), times)
