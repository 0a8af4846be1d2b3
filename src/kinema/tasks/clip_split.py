"""Which clips are learnt from, which decide and which are measured on: by groups that stay whole, in every class alike.

Shape suffixes: N clips, G groups, C classes, P parts.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.seeds import generator

PARTS: Final = ("train", "test", "valid")
SHARES: Final = (0.6, 0.25, 0.15)


def split_clips(
    labels_N: NDArray[np.int64], groups_N: Sequence[str], *, seed: int, shares: Sequence[float] = SHARES
) -> dict[str, NDArray[np.int64]]:
    """Divide clips.

    The largest groups come first, in random order among equal ones; each goes where the share of its classes that is still
    wanted is largest. Of three clips or groups of a class each part gets one.

    Args:
        labels_N: Class of each clip.
        groups_N: Clips with the same text stay together; an empty text stands alone.
        seed: Of the order.
        shares: Of the three parts, each > 0; they add up to 1.

    Returns:
        Part -> numbers of its clips, ascending; train, test and valid.

    Example:
        >>> labels, groups = np.zeros(6, dtype=np.int64), ["a", "a", "b", "b", "c", "c"]
        >>> [len(rows) for rows in split_clips(labels, groups, seed=0).values()]
        [2, 2, 2]
    """
    size = int(labels_N.max(initial=0)) + 1
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups_N):
        members.setdefault(group or f"\0{row}", []).append(row)
    order = generator(seed, "clip split").permutation(len(members))
    rows_G = [list(members.values())[place] for place in order]
    rows_G.sort(key=len, reverse=True)
    wanted_PC = np.asarray(shares)[:, None] * np.maximum(np.bincount(labels_N, minlength=size), 1)
    given_PC = np.zeros_like(wanted_PC)
    parts: tuple[list[int], ...] = ([], [], [])
    for rows in rows_G:
        counts_C = np.bincount(labels_N[rows], minlength=size)
        left_P = ((1 - given_PC / wanted_PC) * counts_C).sum(axis=1)
        part = int(left_P.argmax())
        given_PC[part] += counts_C
        parts[part].extend(rows)
    return {name: np.sort(np.array(rows, dtype=np.int64)) for name, rows in zip(PARTS, parts, strict=True)}
