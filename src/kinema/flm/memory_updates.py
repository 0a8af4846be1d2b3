"""What an item-item memory has counted since it was last put together: a few rows, kept so that one event costs one event.

A sparse matrix of everything cannot take a single number without being written anew, which is a pass over the whole memory.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


class Updates:
    """Transitions counted one by one; not safe for several writers at once.

    Example:
        >>> updates = Updates()
        >>> updates.add(np.array([3, 5]), 7, np.array([1.0, 0.5]), echo=0.5)
        >>> updates.rows[3], updates.rows[7]
        ({7: 1.0}, {3: 0.5, 5: 0.25})
    """

    def __init__(self) -> None:
        self.rows: dict[int, dict[int, float]] = {}
        self.num = 0

    def add(self, earlier_W: NDArray[np.integer], later: int, weights_W: NDArray[np.floating], *, echo: float) -> None:
        """Count that an item followed others.

        Args:
            earlier_W: What it followed.
            later: The item.
            weights_W: Of each transition.
            echo: Share that is counted backwards.
        """
        back = self.rows.setdefault(later, {})
        for item, weight in zip(earlier_W.tolist(), weights_W.tolist(), strict=True):
            row = self.rows.setdefault(item, {})
            row[later] = row.get(later, 0.0) + weight
            back[item] = back.get(item, 0.0) + echo * weight
        self.num += len(earlier_W)

    def row(self, item: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Followers of an item and their weights."""
        found = self.rows.get(item, {})
        return np.fromiter(found, np.int64, len(found)), np.fromiter(found.values(), np.float32, len(found))

    def matrix(self, num_items: int) -> sparse.csr_matrix:
        """All of it, CSR float32 [V, V]."""
        parts = [(item, *self.row(item)) for item in self.rows]
        shape = (num_items, num_items)
        if not parts:
            return sparse.csr_matrix(shape, dtype=np.float32)
        rows = np.concatenate([np.full(len(followers), item) for item, followers, _ in parts])
        columns = np.concatenate([followers for _, followers, _ in parts])
        weights = np.concatenate([weights for _, _, weights in parts])
        made = sparse.csr_matrix((weights, (rows, columns)), shape=shape, dtype=np.float32)
        made.eliminate_zeros()
        return made
