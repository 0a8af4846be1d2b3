"""Nearest items of items, each found once: what a user watched was watched by others, and by the same user a minute ago.

Shape suffixes: V items, D width, H items asked about, N near ones, K of all lists together.
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
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The items nearest to those asked about, by the largest weighted cosine, as far as their lists tell.

        Args:
            items_H: At least one, all of them present.
            weights_H: > 0.

        Returns:
            Items int64 [K], ascending, and their weighted cosines float32: all that are above what the lists leave out.
        """
        lists, bound = self._lists(items_H), -np.inf
        weights = [np.float32(weight) for weight in weights_H.tolist()]
        for (near_N, cosines_N), weight in zip(lists, weights, strict=True):
            if len(near_N) == self._num_near:
                bound = max(bound, float(weight * cosines_N[-1]))
        found, scores = [], []
        for (near_N, cosines_N), weight in zip(lists, weights, strict=True):
            weighted_N = weight * cosines_N
            size = int(np.searchsorted(-weighted_N, -bound, side="left"))
            found.append(near_N[:size])
            scores.append(weighted_N[:size])
        items_K, scores_K = np.concatenate(found), np.concatenate(scores)
        order_K = np.lexsort((-scores_K, items_K))
        items_K, scores_K = items_K[order_K], scores_K[order_K]
        first_K = np.diff(items_K, prepend=-1) > 0
        return items_K[first_K].astype(np.int64), scores_K[first_K]

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
