"""A few places of a slate for new items that fit: an item that is never shown is never learned.

Shape suffixes: S places of the slate, N new candidates, G chosen ones.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def with_newcomers(
    places_S: NDArray[np.integer], newcomers_N: Sequence[int], *, share: float, num_items: int
) -> NDArray[np.int64]:
    """Let new candidates in, at the end of the first stretches of the slate that are long enough for one.

    Args:
        places_S: Chosen candidates in the order of the slate, at most ``num_items``.
        newcomers_N: New candidates that fit, best first; some may be among the chosen ones.
        share: Of the places, in [0, 1]; as many whole places as it makes are kept, but for the first one.
        num_items: Places that were asked for.

    Returns:
        int64, as long as before or filled up to ``num_items``. Where enough new ones have found a place by themselves nothing
        changes; else the last of the others make room. Nothing else changes its order, and the best stays first.

    Example:
        >>> with_newcomers(np.arange(10), [40, 50], share=0.2, num_items=10).tolist()
        [0, 1, 2, 3, 40, 4, 5, 6, 7, 50]
        >>> with_newcomers(np.arange(10), [3, 40], share=0.1, num_items=10).tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    slate = [int(one) for one in places_S]
    kept = min(int(share * num_items), num_items - bool(slate))
    new = set(newcomers_N)
    missing = kept - sum(one in new for one in slate)
    entering = [one for one in newcomers_N if one not in slate][: max(0, missing)]
    if not entering:
        return np.asarray(slate, dtype=np.int64)
    size = min(num_items, len(slate) + len(entering))
    leaving = [one for one in reversed(slate) if one not in new][: max(0, len(slate) + len(entering) - size)]
    slate = [one for one in slate if one not in leaving]
    for number, one in enumerate(entering, start=1):
        slate.insert(max(1, number * size // kept - 1), one)
    return np.asarray(slate, dtype=np.int64)
