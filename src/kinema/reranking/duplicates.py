"""One of each group of copies.

Shape suffixes: K candidates.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray


def first_of_each(groups_K: NDArray[np.integer], *, taken: Collection[int] = ()) -> NDArray[np.int64]:
    """Where the candidates stand of which no copy stands further up.

    Args:
        groups_K: Group of each candidate, best first; -1 for one without copies.
        taken: Groups of which something was shown before, such as what the user has watched.

    Returns:
        int64, places in the array given, ascending.

    Example:
        >>> first_of_each(np.array([-1, 4, 7, 4, -1, 2]), taken=[2])
        array([0, 1, 2, 4])
    """
    groups = np.asarray(groups_K, dtype=np.int64)
    firsts = np.zeros(len(groups), dtype=np.bool_)
    firsts[np.unique(groups, return_index=True)[1]] = True
    fresh = firsts & ~np.isin(groups, np.fromiter(taken, dtype=np.int64))
    return np.flatnonzero(fresh | (groups < 0))
