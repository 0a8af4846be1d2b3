"""How many places of a slate one category, or one creator, may take.

Shape suffixes: K candidates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_CHOICE = 4
"""Candidates of a group that are looked at for each place it may take: enough to choose the most different of them."""


@dataclass(frozen=True, eq=False)
class Quota:
    """A limit on the places of one group.

    Attributes:
        groups_K: Group of each candidate, -1 for none, which is not limited.
        most: Places a group may take, >= 1.
        taken: Group -> places that are taken before the first is filled.
    """

    groups_K: NDArray[np.integer]
    most: int
    taken: Mapping[int, int] = field(default_factory=dict)

    def take(self, places: NDArray[np.integer]) -> "Quota":
        """The same limit on some of the candidates, in that order."""
        return Quota(self.groups_K[places], self.most, self.taken)


class Places:
    """The places of a slate while they are filled: which candidates are open, and which have their group's quota full.

    Args:
        size: K.
        quotas: Limits; none for no limit.

    Example:
        >>> places = Places(3, [Quota(np.array([7, 7, -1]), most=1)])
        >>> places.fill(0)
        >>> places.free().tolist()
        [False, False, True]
        >>> places.fill(2)
        >>> places.free().tolist()
        [False, True, False]
    """

    def __init__(self, size: int, quotas: Sequence[Quota] = ()) -> None:
        self.open_K = np.ones(size, dtype=np.bool_)
        self.full_K = np.zeros(size, dtype=np.bool_)
        self._quotas = [(quota, dict(quota.taken)) for quota in quotas]
        for quota, counts in self._quotas:
            for group, count in counts.items():
                if count >= quota.most:
                    self.full_K |= quota.groups_K == group

    def free(self) -> NDArray[np.bool_]:
        """Bool [K], who may take the next place.

        Where every open one has its quota full, all of the open ones: a slate shorter than possible would be the worse answer.
        """
        within_K = self.open_K & ~self.full_K
        return within_K if within_K.any() else self.open_K

    def fill(self, candidate: int) -> None:
        """Give a candidate the next place."""
        self.open_K[candidate] = False
        for quota, counts in self._quotas:
            group = int(quota.groups_K[candidate])
            if group >= 0:
                counts[group] = counts.get(group, 0) + 1
                if counts[group] >= quota.most:
                    self.full_K |= quota.groups_K == group


def first_within(quotas: Sequence[Quota], size: int, *, num_candidates: int, least: int) -> NDArray[np.int64]:
    """The candidates that a slate is chosen from: the first ones, without more of one group than it could use.

    Without that, a group that makes up the first candidates alone would keep its quota from being kept.

    Args:
        quotas: Limits.
        size: How many.
        num_candidates: K, best first.
        least: At least so many, of whatever group, where there are as many.

    Returns:
        int64, their places, ascending.

    Example:
        >>> groups = np.array([5, 5, 5, 5, 5, 5, 8])
        >>> first_within([Quota(groups, most=1)], 5, num_candidates=7, least=2).tolist()
        [0, 1, 2, 3, 6]
    """
    useful_K = np.ones(num_candidates, dtype=np.bool_)
    for quota in quotas:
        useful_K &= (_earlier(quota.groups_K) < _CHOICE * quota.most) | (quota.groups_K < 0)
    places = np.flatnonzero(useful_K)[:size]
    if len(places) < min(least, num_candidates):
        others = np.flatnonzero(~np.isin(np.arange(num_candidates), places))
        places = np.sort(np.concatenate([places, others[: least - len(places)]]))
    return places


def _earlier(groups_K: NDArray[np.integer]) -> NDArray[np.int64]:
    """int64 [K], how many of the same group stand before each."""
    order = np.argsort(groups_K, kind="stable")
    ordered = groups_K[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(ordered) else order
    lengths = np.diff(np.append(starts, len(ordered)))
    counts = np.empty(len(groups_K), dtype=np.int64)
    counts[order] = np.arange(len(ordered)) - np.repeat(starts, lengths)
    return counts
