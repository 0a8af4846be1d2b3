"""Nearest items of items, each found once: what a user watched was watched by others, and by the same user a minute ago.

Shape suffixes: V items, D width, H items asked about, N near ones, K of all lists together.
"""

import threading
from collections import OrderedDict
from typing import Final

import numpy as np
from numpy.typing import NDArray

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
        self._lock = threading.Lock()

    def scores(
        self, items_H: NDArray[np.integer], weights_H: NDArray[np.floating], *, most: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The items nearest to those asked about, by the largest weighted cosine, as far as their lists tell.

        Args:
            items_H: At least one, all of them present.
            weights_H: > 0.
            most: Of the places in the lists, which may name an item several times, the best so many; None for all.

        Returns:
            Items int64 [K], ascending, and their weighted cosines float32: all that are above what the lists, or ``most``, leave out.
        """
        lists = self._lists(items_H)
        scores_HN = np.stack([cosines_N for _, cosines_N in lists]) * weights_H[:, None].astype(np.float32)
        within_HN = scores_HN > scores_HN[:, -1].max()
        items_K, scores_K = np.stack([near_N for near_N, _ in lists])[within_HN], scores_HN[within_HN]
        if most is not None and most < len(scores_K):
            best_K = np.argpartition(scores_K, len(scores_K) - most)[len(scores_K) - most :]
            items_K, scores_K = items_K[best_K], scores_K[best_K]
        by_score_K = np.argsort(-scores_K, kind="stable")
        found_K, firsts = np.unique(items_K[by_score_K], return_index=True)
        return found_K.astype(np.int64), scores_K[by_score_K[firsts]]

    def _filled(
        self, near_N: NDArray[np.integer], cosines_N: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """A list of full length; what is missing is nearer to nothing than any item."""
        missing = (0, self._num_near - len(near_N))
        filled_N = np.pad(cosines_N.astype(np.float32), missing, constant_values=-np.inf)
        return np.pad(near_N.astype(np.int32), missing), filled_N

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
