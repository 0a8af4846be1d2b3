"""Where the right items stand in a ranking, and which items a ranking shows.

Every ranking metric follows from the ranks of the targets, so ties and unscored items are settled here and nowhere
else: always against the ranker. A model that gives all items one score must not look perfect.

Shape suffixes: C cases, V items, T targets of all cases one after another, K places of a slate.
"""

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError

_BLOCK = 256


def target_ranks(
    scores_CV: NDArray[np.floating],
    *,
    rows_T: NDArray[np.integer],
    items_T: NDArray[np.integer],
    blocked_CV: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Pessimistic rank of every target among the candidates of its case.

    The rank is ``1 + #{other candidates scored at least as high} + #{targets of the case placed before}``: a tie with
    an item that is no target counts as lost, ties among targets are broken by their order (they are all right
    answers). Only finite scores count; -inf, NaN and +inf mean "cannot score", stand behind every scored item, and a
    target among them comes after all its equals.

    Args:
        scores_CV: One row per case, higher is better.
        rows_T: The case of each target, 0..C-1.
        items_T: Item number of each target.
        blocked_CV: True where an item is no candidate; a target is always one.

    Returns:
        int64 [T], ranks from 1; within a case they are distinct.

    Raises:
        DataError: A shape does not fit.

    Example:
        >>> scores = np.array([[0.9, 0.5, 0.5, 0.1], [0.0, np.nan, 0.0, 0.0]])
        >>> target_ranks(scores, rows_T=np.array([0, 1]), items_T=np.array([1, 1]))
        array([3, 4])
    """
    if blocked_CV is not None and blocked_CV.shape != scores_CV.shape:
        raise DataError(f"blocked_CV must have the shape of the scores {scores_CV.shape}, has {blocked_CV.shape}")
    if len(rows_T) != len(items_T):
        raise DataError(f"targets must have one row and one item each, got {len(rows_T)} rows, {len(items_T)} items")
    others_CV = np.where(np.isfinite(scores_CV), scores_CV, -np.inf)
    scores_T = others_CV[rows_T, items_T]
    # NaN compares false with everything, so what is set to NaN here is counted nowhere below.
    others_CV[rows_T, items_T] = np.nan
    if blocked_CV is not None:
        np.copyto(others_CV, np.nan, where=blocked_CV)
    if np.array_equal(rows_T, np.arange(len(scores_CV))):
        # One target per case, in order: the usual question needs no copy of the rows.
        ranks_T: NDArray[np.int64] = 1 + np.count_nonzero(others_CV >= scores_T[:, None], axis=1)
        return ranks_T
    ahead_T = np.empty(len(rows_T), dtype=np.int64)
    for start in range(0, len(rows_T), _BLOCK):
        part = slice(start, start + _BLOCK)
        ahead_T[part] = np.count_nonzero(others_CV[rows_T[part]] >= scores_T[part, None], axis=1)
    return 1 + ahead_T + _places_within_case(scores_T, rows_T)


def _places_within_case(scores_T: NDArray[np.floating], rows_T: NDArray[np.integer]) -> NDArray[np.int64]:
    """How many targets of the same case stand before each target."""
    order_T = np.lexsort((np.arange(len(rows_T)), -scores_T, rows_T))
    sorted_rows_T = rows_T[order_T]
    places_T = np.empty(len(rows_T), dtype=np.int64)
    places_T[order_T] = np.arange(len(rows_T)) - np.searchsorted(sorted_rows_T, sorted_rows_T)
    return places_T


def top_items(
    scores_CV: NDArray[np.floating], *, num_places: int, blocked_CV: NDArray[np.bool_] | None = None
) -> NDArray[np.int32]:
    """The best items of each case, best first.

    Equal scores are ordered by item number, at the edge of the slate too, so that the same scores give the same slates
    on every machine (the order `numpy.argpartition` leaves ties in depends on the processor).

    Args:
        scores_CV: One row per case, higher is better; what is not finite is not shown.
        num_places: K, >= 1.
        blocked_CV: True where an item is no candidate.

    Returns:
        int32 [C, K], item numbers; -1 where a case has fewer than K scored candidates.

    Example:
        >>> top_items(np.array([[0.2, 0.7, 0.7], [1.0, -np.inf, 2.0]]), num_places=3)
        array([[ 1,  2,  0],
               [ 2,  0, -1]], dtype=int32)
    """
    num_cases, num_items = scores_CV.shape
    usable_CV = np.isfinite(scores_CV)
    if blocked_CV is not None:
        usable_CV &= ~blocked_CV
    kept_CV = np.where(usable_CV, scores_CV, -np.inf)
    kept = min(num_places, num_items)
    edge_C1 = np.partition(kept_CV, num_items - kept, axis=1)[:, num_items - kept, None]
    chosen_CV = kept_CV >= edge_C1
    tied = np.flatnonzero(np.count_nonzero(chosen_CV, axis=1) > kept)
    chosen_CV[tied] = _first_of_equals(kept_CV[tied], edge_C1[tied], kept)
    items_CK = (np.flatnonzero(chosen_CV) % num_items).reshape(num_cases, kept)
    scores_CK = np.take_along_axis(kept_CV, items_CK, axis=1)
    order_CK = np.argsort(-scores_CK, axis=1, kind="stable")
    slates_CK = np.full((num_cases, num_places), -1, dtype=np.int32)
    slates_CK[:, :kept] = np.take_along_axis(np.where(np.isfinite(scores_CK), items_CK, -1), order_CK, axis=1)
    return slates_CK


def _first_of_equals(
    kept_CV: NDArray[np.floating], edge_C1: NDArray[np.floating], num_places: int
) -> NDArray[np.bool_]:
    """Everything above the edge, and of what lies on it the lowest item numbers that fill the slate."""
    above_CV = kept_CV > edge_C1
    level_CV = kept_CV == edge_C1
    room_C1 = num_places - np.count_nonzero(above_CV, axis=1, keepdims=True)
    first_CV: NDArray[np.bool_] = above_CV | (level_CV & (np.cumsum(level_CV, axis=1, dtype=np.int32) <= room_C1))
    return first_CV
