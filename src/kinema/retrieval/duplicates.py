"""Which clips are copies of each other: candidates by one coarse vector each, then groups that hang together.

Shape suffixes: N clips, D width, W views, P pairs, B clips of a block.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.encoders.picture_hash import VIEWS

LEAST_NEAR: Final = 0.85
"""Cosine of coarse vectors from which a pair is looked at closely. Crops of a tenth, wherever they lie, keep .92."""
MOST_PER_CLIP: Final = 64
"""Pairs per clip that are looked at closely: where thousands look alike, the nearest decide."""
_BLOCK: Final = 256


def near_pairs(
    vectors_ND: NDArray[np.float32],
    *,
    num_views: int = len(VIEWS),
    least: float = LEAST_NEAR,
    most_per_clip: int = MOST_PER_CLIP,
) -> tuple[NDArray[np.int64], int]:
    """Pairs that may be copies, by exact products in blocks; 100,000 clips take some minutes of one core.

    Args:
        vectors_ND: From `kinema.encoders.picture_hash.PictureHash.pool`: views of the mean picture side by side, the whole
            first; rows of zeros are near nothing.
        num_views: Views in a row.
        least: Smallest cosine of the whole of one with a view of the other.
        most_per_clip: The nearest this many of the clips behind each.

    Returns:
        int64 [P, 2], the smaller number first, ascending; and how many clips had more near ones than that.

    Example:
        >>> near_pairs(np.float32([[1, 0, 1, 0], [0, 1, 0, 1], [1, 0.1, 1, 0]]), num_views=2)
        (array([[0, 2]]), 0)
    """
    views_WND = np.stack(np.split(vectors_ND, num_views, axis=1))
    found, num_cut = [np.zeros((0, 2), dtype=np.int64)], 0
    for start in range(0, len(vectors_ND), _BLOCK):
        rows, rest = slice(start, start + _BLOCK), slice(start, None)
        near_BN = views_WND[0, rows] @ views_WND[0, rest].T
        for view_ND in views_WND[1:]:
            np.maximum(near_BN, view_ND[rows] @ views_WND[0, rest].T, out=near_BN)
            np.maximum(near_BN, views_WND[0, rows] @ view_ND[rest].T, out=near_BN)
        for row, near_N in enumerate(near_BN):
            others = row + 1 + np.flatnonzero(near_N[row + 1 :] >= least)
            if len(others) > most_per_clip:
                num_cut += 1
                others = np.sort(others[np.argsort(-near_N[others], kind="stable")[:most_per_clip]])
            found.append(np.stack([np.full(len(others), start + row), start + others], axis=1))
    return np.concatenate(found), num_cut


def group_pairs(num: int, pairs_P2: NDArray[np.integer], same: Callable[[int, int], bool]) -> list[tuple[int, ...]]:
    """Groups in which every clip is a copy of the middle one.

    Joining pairs alone would chain: a copy of a copy of a copy, each a little other, ends at another clip. So what hangs
    together is taken apart around the clip with the most copies; what is not a copy of that one looks for a group among
    the rest.

    Args:
        num: N.
        pairs_P2: Verified pairs.
        same: Asked about two clips that were no candidates but may belong to one group.

    Returns:
        Groups of two and more, each with its middle first and then by number; ordered by smallest number.

    Example:
        >>> group_pairs(5, np.array([[0, 1], [1, 2], [3, 4]]), lambda one, other: True)
        [(1, 0, 2), (3, 4)]
        >>> group_pairs(4, np.array([[0, 1], [1, 2], [2, 3]]), lambda one, other: False)
        [(1, 0, 2)]
    """
    linked: list[set[int]] = [set() for _ in range(num)]
    for one, other in pairs_P2.tolist():
        linked[one].add(other)
        linked[other].add(one)
    groups: list[tuple[int, ...]] = []
    for part in _connected(linked):
        left = set(part)
        while left:
            middle = min(left, key=lambda one: (-len(linked[one] & left), one))
            near = linked[middle] & left
            if not near:
                break
            reach = _reach(middle, linked, left)
            near |= {one for one in reach - near - {middle} if same(middle, one)}
            groups.append((middle, *sorted(near)))
            left -= near | {middle}
    return sorted(groups, key=min)


def _connected(linked: Sequence[set[int]]) -> list[set[int]]:
    """What hangs together, apart from clips without a link."""
    seen: set[int] = set()
    parts = []
    for start, near in enumerate(linked):
        if near and start not in seen:
            parts.append(_reach(start, linked, None))
            seen |= parts[-1]
    return parts


def _reach(start: int, linked: Sequence[set[int]], within: set[int] | None) -> set[int]:
    """Everything that links lead to, over clips of ``within`` only."""
    reached, waiting = {start}, [start]
    while waiting:
        new = linked[waiting.pop()] - reached
        new = new if within is None else new & within
        reached |= new
        waiting.extend(new)
    return reached
