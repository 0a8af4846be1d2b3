"""Where a mean comes from: the same cases in groups, by what is known of the user and of the target.

Shape suffixes: C cases, V items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.evaluation.bootstrap import Interval, percentile_interval, resampled_means
from kinema.evaluation.results import RankingResult
from kinema.store.splits import Cases


@dataclass(frozen=True)
class Slicing:
    """A way to group cases.

    Attributes:
        title: What is grouped by.
        labels: Names of the groups, in order.
        groups_C: int64, the group of each case.
    """

    title: str
    labels: tuple[str, ...]
    groups_C: NDArray[np.int64]


@dataclass(frozen=True)
class SliceValue:
    """One metric in one group."""

    label: str
    num_cases: int
    interval: Interval


def by_history_length(cases: Cases, *, edges: Sequence[int] = (1, 5, 20, 50)) -> Slicing:
    """Group cases by how many interactions are known of the user.

    Args:
        cases: C cases.
        edges: First length of each group after the first, ascending, >= 1.

    Returns:
        The groups.

    Example:
        >>> from kinema.store.histories import Histories
        >>> from kinema.store.splits import leave_one_out
        >>> by_history_length(leave_one_out(Histories.from_lists([[0, 1, 2]], num_items=3)).test).labels
        ('0', '1-4', '5-19', '20-49', '50+')
    """
    return _banded("interactions in the history", cases.histories.lengths, edges)


def by_target_count(cases: Cases, counts_V: NDArray[np.integer], *, edges: Sequence[int] = (1, 5, 20, 100)) -> Slicing:
    """Group cases by how often the (first) target was watched in training; the first group is the cold one.

    Args:
        cases: C cases.
        counts_V: Training interactions per item.
        edges: See `by_history_length`.

    Returns:
        The groups.
    """
    first_C = cases.targets.items[cases.targets.offsets[:-1]]
    return _banded("training interactions of the target", counts_V[first_C], edges)


def slice_values(
    result: RankingResult, slicing: Slicing, *, metric: str = "ndcg@10", num_resamples: int = 1000, seed: int = 0
) -> list[SliceValue]:
    """One metric in every group that has cases.

    Args:
        result: Of the cases that were grouped.
        slicing: The groups.
        metric: A metric the result has.
        num_resamples: Bootstrap resamples of each group.
        seed: Seed of the bootstrap.

    Returns:
        In the order of the labels; empty groups are left out.

    Raises:
        DataError: The groups are not about these cases.
    """
    row = result.rows["all"]
    if len(slicing.groups_C) != result.num_cases:
        raise DataError(
            f"'{slicing.title}' must group the {result.num_cases} cases of '{result.name}', "
            f"groups {len(slicing.groups_C)}"
        )
    found = []
    for group, label in enumerate(slicing.labels):
        member_C = slicing.groups_C == group
        if not member_C.any():
            continue
        values_C1 = row.values(metric)[member_C, None]
        samples_B1 = resampled_means(values_C1, row.users_R[member_C], num_resamples=num_resamples, seed=seed)
        interval = percentile_interval(float(values_C1.mean()), samples_B1[:, 0])
        found.append(SliceValue(label, int(member_C.sum()), interval))
    return found


def _banded(title: str, values_C: NDArray[np.integer], edges: Sequence[int]) -> Slicing:
    """Groups between edges, named by what they hold."""
    bounds = [0, *edges]
    labels = [f"{low}" if high == low + 1 else f"{low}-{high - 1}" for low, high in pairwise(bounds)]
    groups_C = np.searchsorted(np.asarray(edges), values_C, side="right").astype(np.int64)
    return Slicing(title, (*labels, f"{bounds[-1]}+"), groups_C)
