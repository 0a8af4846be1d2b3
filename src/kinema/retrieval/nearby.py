"""Nearest items of items, each found once: what a user watched was watched by others, and by the same user a minute ago.

Shape suffixes: V items, D width, H items asked about, N near ones, K of all lists together.
"""

import threading
from collections import OrderedDict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.compiled import compiled
from kinema.retrieval.ivf import IvfIndex
from kinema.retrieval.top import top

_MOST_NUMBERS: Final = 1 << 24
"""Numbers kept at most: of so many items as that makes, the last asked about."""


class Nearby:
    """Lists of the items nearest to an item.

    Args:
        vectors_VD: float32, unit rows.
        present_V: bool, the items that can be near to anything.
        num_near: N, length of a list.
        index: Of the same vectors, by which lists are nearly right and a first look does not go through the catalogue; None
            compares with everything.
    """

    def __init__(
        self,
        vectors_VD: NDArray[np.float32],
        present_V: NDArray[np.bool_],
        *,
        num_near: int,
        index: IvfIndex | None = None,
    ) -> None:
        self._index = index
        self._vectors_VD = vectors_VD
        self._present_V = present_V
        self._num_near = num_near
        self._most = max(1, _MOST_NUMBERS // (2 * num_near))
        self._kept: OrderedDict[int, tuple[NDArray[np.int32], NDArray[np.float32]]] = OrderedDict()
        self._free: list[NDArray[np.int32]] = []
        self._lock = threading.Lock()

    def scores(
        self, items_H: NDArray[np.integer], weights_H: NDArray[np.floating]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The items nearest to those asked about, by the largest weighted cosine, as far as their lists tell.

        Args:
            items_H: At least one, all of them present.
            weights_H: > 0.

        Returns:
            Items int64 [K], in no order, and their weighted cosines float32: all that are above what the lists leave out.
        """
        lists = self._lists(items_H)
        near_HN, cosines_HN = np.stack([near_N for near_N, _ in lists]), np.stack([cosines_N for _, cosines_N in lists])
        try:
            places_V = self._free.pop()
        except IndexError:
            places_V = np.zeros(len(self._vectors_VD), dtype=np.int32)
        found = _best_of_lists(near_HN, cosines_HN, weights_H.astype(np.float32), places_V)
        self._free.append(places_V)
        return found

    def _filled(
        self, near_N: NDArray[np.integer], cosines_N: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """A list of full length; what is missing is nearer to nothing than any item."""
        items_N = np.zeros(self._num_near, dtype=np.int32)
        filled_N = np.full(self._num_near, -np.inf, dtype=np.float32)
        items_N[: len(near_N)], filled_N[: len(near_N)] = near_N, cosines_N
        return items_N, filled_N

    def _lists(self, items_H: NDArray[np.integer]) -> list[tuple[NDArray[np.int32], NDArray[np.float32]]]:
        wanted = items_H.tolist()
        with self._lock:
            found = {item: self._kept[item] for item in wanted if item in self._kept}
            for item in found:
                self._kept.move_to_end(item)
        missing = [item for item in dict.fromkeys(wanted) if item not in found]
        if missing and self._index is not None:
            for item in missing:
                near_N, cosines_N = self._index.search(self._vectors_VD[item], self._num_near)
                found[item] = self._filled(near_N, cosines_N)
        elif missing:
            for item, cosines_V in zip(missing, self._vectors_VD[missing] @ self._vectors_VD.T, strict=True):
                near_N = top(cosines_V, self._num_near, self._present_V)
                found[item] = self._filled(near_N, cosines_V[near_N])
        with self._lock:
            self._kept.update({item: found[item] for item in missing})
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return [found[item] for item in wanted]


@compiled
def _best_of_lists(
    near_HN: NDArray[np.int32],
    cosines_HN: NDArray[np.float32],
    weights_H: NDArray[np.float32],
    places_V: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """See `Nearby.scores`; lists are in falling order. ``places_V`` tells where an item stands in the answer, and may hold anything before."""
    least = -np.inf
    for h in range(len(near_HN)):
        least = max(least, cosines_HN[h, -1] * weights_H[h])
    items_K, scores_K = np.empty(near_HN.size, dtype=np.int64), np.empty(near_HN.size, dtype=np.float32)
    size = 0
    for h in range(len(near_HN)):
        for n in range(near_HN.shape[1]):
            item, score = near_HN[h, n], cosines_HN[h, n] * weights_H[h]
            if not score > least:
                break
            place = places_V[item]
            if place < 0 or place >= size or items_K[place] != item:
                places_V[item], items_K[size], scores_K[size] = size, item, score
                size += 1
            elif score > scores_K[place]:
                scores_K[place] = score
    return items_K[:size], scores_K[:size]
