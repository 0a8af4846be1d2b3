"""What follows from the counts of all items, kept while the counts stay as they are.

Counts are written in place, event by event, by another thread, which tells nobody. Their inner product with fixed random numbers is
one quick pass and tells almost surely that one of them has changed.

Shape suffixes: V items.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Made = TypeVar("Made")
_MOST: Final = 32


class KeptWhile(Generic[Made]):
    """Results by name, of one state of an array; the oldest go first.

    Args:
        most: Results kept at once.

    Example:
        >>> kept, counts_V = KeptWhile(), np.array([1.0, 2.0])
        >>> kept.get(counts_V, "sum", lambda: float(counts_V.sum()))
        3.0
        >>> counts_V[0] += 1
        >>> kept.get(counts_V, "sum", lambda: float(counts_V.sum()))
        4.0
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[float, Made]] = OrderedDict()

    def get(self, counts_V: NDArray[np.floating], name: Hashable, make: Callable[[], Made]) -> Made:
        """What is kept under a name, made anew where the counts are not what they were."""
        state = float(counts_V @ _numbers(len(counts_V)))
        found = self._kept.get(name)
        if found is not None and found[0] == state:
            return found[1]
        made = make()
        self._kept.pop(name, None)
        self._kept[name] = (state, made)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return made


@lru_cache(maxsize=8)
def _numbers(size: int) -> NDArray[np.float64]:
    return np.random.default_rng(0).uniform(0.5, 1.0, size)
