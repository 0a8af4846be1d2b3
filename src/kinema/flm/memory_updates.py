"""What an item-item memory has counted since it was last put together, kept so that one event costs one event.

A sparse matrix of everything cannot take a single number without being written anew, which is a pass over the whole memory.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kinema.compiled import compiled

_ROOM: Final = 1024


class Chains(NamedTuple):
    """Entries in the order in which they came, and of each row the newest, which leads to the one before it.

    Attributes:
        heads_V: int32, the newest entry of each row; -1 for none.
        nums_V: int32, entries of each row.
        nexts_E: int32, the row's entry before each; -1 for none.
        rows_E: int32.
        columns_E: int32; a column may come several times in a row, and counts as often.
        values_E: float32.
    """

    heads_V: NDArray[np.int32]
    nums_V: NDArray[np.int32]
    nexts_E: NDArray[np.int32]
    rows_E: NDArray[np.int32]
    columns_E: NDArray[np.int32]
    values_E: NDArray[np.float32]


_NO_NUMBERS: Final = np.empty(0, dtype=np.int32)
NO_CHAINS: Final = Chains(*5 * (_NO_NUMBERS,), np.empty(0, dtype=np.float32))


class Updates:
    """Transitions counted one by one; who reads and who counts take turns.

    Example:
        >>> updates = Updates()
        >>> updates.add(np.array([3, 5], dtype=np.int32), 7, np.array([1.0, 0.5], dtype=np.float32), echo=0.5)
        >>> updates.matrix(8)[[3, 7]].toarray().tolist()
        [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.5, 0.0, 0.25, 0.0, 0.0]]
    """

    def __init__(self) -> None:
        self.chains = NO_CHAINS
        self.num = 0
        """Transitions; each has two entries."""

    def add(self, earlier_W: NDArray[np.int32], later: int, weights_W: NDArray[np.float32], *, echo: float) -> None:
        """Count that an item followed others.

        Args:
            earlier_W: What it followed.
            later: The item.
            weights_W: Of each transition.
            echo: Share that is counted backwards.
        """
        self._make_room(max(later, int(earlier_W.max(initial=0))) + 1, len(earlier_W))
        back_W = np.full(len(earlier_W), later, dtype=np.int32)
        entries = np.concatenate([earlier_W, back_W]), np.concatenate([back_W, earlier_W])
        _append(self.chains, 2 * self.num, *entries, np.concatenate([weights_W, np.float32(echo) * weights_W]))
        self.num += len(earlier_W)

    def row(self, item: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Followers of an item and their weights; one may come several times."""
        places = np.flatnonzero(self.chains.rows_E[: 2 * self.num] == item)
        return self.chains.columns_E[places].astype(np.int64), self.chains.values_E[places]

    def matrix(self, num_items: int) -> sparse.csr_matrix:
        """All of it, CSR float32 [V, V]."""
        entries = slice(0, 2 * self.num)
        places = self.chains.rows_E[entries], self.chains.columns_E[entries]
        shape = (num_items, num_items)
        made = sparse.csr_matrix((self.chains.values_E[entries], places), shape=shape, dtype=np.float32)
        made.eliminate_zeros()
        return made

    def _make_room(self, num_items: int, num_more: int) -> None:
        before, num_entries = self.chains, 2 * (self.num + num_more)
        if num_items > len(before.heads_V):
            missing = 2 * num_items - len(before.heads_V)
            heads_V = np.append(before.heads_V, np.full(missing, -1, dtype=np.int32))
            self.chains = self.chains._replace(
                heads_V=heads_V, nums_V=np.append(before.nums_V, np.zeros(missing, dtype=np.int32))
            )
        if num_entries > len(before.nexts_E):
            room = max(_ROOM, 2 * num_entries)
            self.chains = self.chains._replace(
                **{name: np.resize(getattr(before, name), room) for name in Chains._fields if name.endswith("_E")}
            )


@compiled
def _append(
    chains: Chains,
    size: int,
    rows_E: NDArray[np.int32],
    columns_E: NDArray[np.int32],
    values_E: NDArray[np.float32],
) -> None:
    for place in range(len(rows_E)):
        entry, row = size + place, rows_E[place]
        chains.rows_E[entry], chains.columns_E[entry], chains.values_E[entry] = row, columns_E[place], values_E[place]
        chains.nexts_E[entry] = chains.heads_V[row]
        chains.heads_V[row] = entry
        chains.nums_V[row] += 1
