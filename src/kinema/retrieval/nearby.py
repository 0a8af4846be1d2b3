"""Nearest items of items, each found once: what a user watched was watched by others, and by the same user a minute ago.

Shape suffixes: V items, D width, H items asked about, N near ones.
"""

import threading
from collections import OrderedDict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.retrieval.top import top

_MOST_NUMBERS: Final = 1 << 24
"""Numbers kept at most: of so many items as that makes, the last asked about."""


class Nearby:
    """Lists of the items nearest to an item.

    Args:
        vectors_VD: float32, unit rows.
        present_V: bool, the items that can be near to anything.
        num_near: N, length of a list.
    """

    def __init__(self, vectors_VD: NDArray[np.float32], present_V: NDArray[np.bool_], *, num_near: int) -> None:
        self._vectors_VD = vectors_VD
        self._present_V = present_V
        self._num_near = num_near
        self._most = max(1, _MOST_NUMBERS // (2 * num_near))
        self._kept: OrderedDict[int, tuple[NDArray[np.int32], NDArray[np.float32]]] = OrderedDict()
        self._lock = threading.Lock()

    def scores(
        self, items_H: NDArray[np.integer], weights_H: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], float]:
        """The largest weighted cosine of every item to those asked about, as far as their lists tell.

        Args:
            items_H: At least one, all of them present.
            weights_H: > 0.

        Returns:
            float32 [V], and a bound: a score above it is exact, and no item has one above it that is not among these. Items
            of no list have minus infinity.
        """
        scores_V = np.full(len(self._vectors_VD), -np.inf, dtype=np.float32)
        bound = -np.inf
        for (near_N, cosines_N), weight in zip(self._lists(items_H), weights_H.tolist(), strict=True):
            weighted_N = np.float32(weight) * cosines_N
            scores_V[near_N] = np.maximum(scores_V[near_N], weighted_N)
            if len(near_N) == self._num_near:
                bound = max(bound, float(weighted_N[-1]))
        return scores_V, bound

    def _lists(self, items_H: NDArray[np.integer]) -> list[tuple[NDArray[np.int32], NDArray[np.float32]]]:
        wanted = items_H.tolist()
        with self._lock:
            found = {item: self._kept[item] for item in wanted if item in self._kept}
            for item in found:
                self._kept.move_to_end(item)
        missing = [item for item in dict.fromkeys(wanted) if item not in found]
        if missing:
            for item, cosines_V in zip(missing, self._vectors_VD[missing] @ self._vectors_VD.T, strict=True):
                near_N = top(cosines_V, self._num_near, self._present_V)
                found[item] = near_N.astype(np.int32), cosines_V[near_N]
        with self._lock:
            self._kept.update({item: found[item] for item in missing})
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return [found[item] for item in wanted]
