"""Cutting packed histories: by place, by item, by moment. The splits are written in these terms.

Shape suffixes: R rows, N interactions, M interactions of the result, V items.
"""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError, DataError
from kinema.store.histories import Histories

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def slices(histories: Histories, starts_R: NDArray[np.int64], stops_R: NDArray[np.int64]) -> Histories:
    """Parts of the flat log as histories of their own.

    Args:
        histories: The log.
        starts_R: First place of each new row in the flat log.
        stops_R: The place behind its last.

    Returns:
        R rows, in the order given; parts may overlap.

    Example:
        >>> log = Histories.from_lists([[5, 6, 7]], num_items=8)
        >>> slices(log, np.array([0, 1]), np.array([2, 2])).items
        array([5, 6, 6], dtype=int32)
    """
    lengths_R = stops_R - starts_R
    offsets = np.concatenate([[0], np.cumsum(lengths_R)]).astype(np.int64)
    picked_M = np.repeat(starts_R - offsets[:-1], lengths_R) + np.arange(offsets[-1])
    return Histories(offsets, histories.items[picked_M], histories.timestamps_ms[picked_M], histories.num_items)


def without_items(histories: Histories, held_V: NDArray[np.bool_]) -> Histories:
    """The same rows without some items.

    Args:
        histories: The log.
        held_V: True for the items to take out.

    Returns:
        As many rows, some of them shorter or empty.
    """
    kept_N = ~held_V[histories.items]
    offsets = np.concatenate([[0], np.cumsum(kept_N)]).astype(np.int64)[histories.offsets]
    return Histories(offsets, histories.items[kept_N], histories.timestamps_ms[kept_N], histories.num_items)


def tie_starts(histories: Histories, owners_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each place of the log, where the user's events in the same millisecond begin.

    Args:
        histories: The log, each row in time order.
        owners_N: The row of each place.

    Returns:
        int64 [N], places in the flat log: what lies before is strictly earlier.
    """
    places_N = np.arange(len(owners_N))
    new_N = np.ones(len(owners_N), dtype=bool)
    new_N[1:] = (np.diff(owners_N) != 0) | (np.diff(histories.timestamps_ms) != 0)
    return np.maximum.accumulate(np.where(new_N, places_N, 0))


def shuffled_ties(histories: Histories, random: np.random.Generator) -> Histories:
    """The same log with a user's events of one moment in random order.

    Their order in a file is the order in which somebody sorted it, often by item number. A model would learn it.

    Args:
        histories: The log, each row in time order.
        random: Decides.

    Returns:
        The log itself where no two events of a user share a moment.

    Example:
        >>> log = Histories(np.array([0, 3]), np.int32([4, 1, 2]), np.array([7, 9, 9]), 5)
        >>> sorted(shuffled_ties(log, np.random.default_rng(0)).items[1:].tolist())
        [1, 2]
    """
    owners_N = np.repeat(np.arange(histories.num_users), histories.lengths)
    groups_N = tie_starts(histories, owners_N)
    if (groups_N == np.arange(len(groups_N))).all():
        return histories
    order_N = np.lexsort((random.random(len(groups_N)), groups_N))
    return replace(histories, items=histories.items[order_N])


def check_time_order(histories: Histories) -> None:
    """Refuse a log in which a row goes back in time: its last interaction would not be the newest.

    Args:
        histories: The log.

    Raises:
        DataError: A row is not in time order.
    """
    backwards_N = np.diff(histories.timestamps_ms) < 0
    inner = histories.offsets[1:-1]
    backwards_N[inner[(inner > 0) & (inner < len(histories.items))] - 1] = False
    if backwards_N.any():
        place = int(np.argmax(backwards_N)) + 1
        user = int(np.searchsorted(histories.offsets, place, side="right")) - 1
        raise DataError(f"histories must be in time order, user number {user} goes back at place {place}; sort the log")


def period_starts(
    times_N: NDArray[np.int64], *, test_from_ms: int | None, test_share: float, valid_share: float
) -> tuple[int, int]:
    """Where validation and test begin when the whole log is cut by time.

    Args:
        times_N: UTC milliseconds, in any order.
        test_from_ms: First moment of the test period; None takes the last ``test_share`` of the times.
        test_share: In (0, 1); ties may make it more.
        valid_share: Share of the times before the test period, in (0, 1).

    Returns:
        First moment of the validation and of the test period; training, validation and test all hold a time.

    Raises:
        ConfigError: A share is out of range.
        DataError: There is nothing to cut between, or nothing in the test period.

    Example:
        >>> period_starts(np.arange(100), test_from_ms=None, test_share=0.2, valid_share=0.1)
        (72, 80)
    """
    for name, share in (("test_share", test_share), ("valid_share", valid_share)):
        if not 0 < share < 1:
            raise ConfigError(f"{name} must be in (0, 1), is {share}")
    test_ms = _cut(times_N, test_share, "test period") if test_from_ms is None else int(test_from_ms)
    valid_ms = _cut(times_N[times_N < test_ms], valid_share, "validation period")
    if not (times_N >= test_ms).any():
        raise DataError(f"the test period must hold an interaction, none is at or after {iso_moment(test_ms)}")
    return valid_ms, test_ms


def _cut(times_N: NDArray[np.int64], share: float, period: str) -> int:
    """The moment from which on about ``share`` of the times lie, with at least one before it."""
    if not len(times_N) or times_N.min() == times_N.max():
        raise DataError(f"the {period} must have interactions of at least two moments to cut between, there are none")
    place = min(math.ceil((1 - share) * len(times_N)), len(times_N) - 1)
    cut = int(np.partition(times_N, place)[place])
    return cut if cut > times_N.min() else int(times_N[times_N > cut].min())


def iso_moment(ms: int) -> str:
    """UTC text of a moment; the bare number where the calendar ends.

    Example:
        >>> iso_moment(874724710000)
        '1997-09-20T03:05:10+00:00'
    """
    try:
        return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="seconds")
    except OverflowError:
        return f"{ms} ms"
