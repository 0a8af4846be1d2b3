"""The loops of an item-item memory: rows of a sparse matrix are added up for one history.

Sums go into arrays over the catalogue that are lent, and what was touched is told, so that nothing passes over the catalogue.
Item numbers are not checked here: who calls has done so.
``places_V`` tells where an item stands among those touched; it may hold anything before, because the item that stands there must be the one
asked about.

Shape suffixes: V catalogue, Q items asked with, T touched items, K items asked about, H rows, W window.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kinema.compiled import compiled

_SPARSE: Final = 8
"""A catalogue of fewer items per entry is passed over to find those that were touched; in a larger one each is noted."""


class Rows(NamedTuple):
    """A CSR matrix as its arrays.

    Attributes:
        starts: Where each row starts, one more than rows.
        columns: int, of each entry.
        values: float32, of each entry.
    """

    starts: NDArray[np.integer]
    columns: NDArray[np.integer]
    values: NDArray[np.float32]


class Lent(NamedTuple):
    """Arrays over the catalogue.

    Attributes:
        raw_V: float32, sums; zero where nothing was touched.
        places_V: int32, see the module docstring.
    """

    raw_V: NDArray[np.float32]
    places_V: NDArray[np.int32]


def rows_of(matrix_VV: sparse.csr_matrix) -> Rows:
    """The arrays of a matrix; nothing is copied."""
    return Rows(matrix_VV.indptr, matrix_VV.indices, matrix_VV.data)


@compiled
def newest_of(items_N: NDArray[np.integer], window: int, decay: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The newest items of a history, each once, newest first, with their weights float32: ``decay ** k`` for the k-th newest."""
    most = min(window, len(items_N))
    items_Q, weights_Q = np.empty(most, dtype=np.int64), np.zeros(most, dtype=np.float32)
    size, weight = 0, 1.0
    for k in range(most):
        item, place = items_N[len(items_N) - 1 - k], 0
        while place < size and items_Q[place] != item:
            place += 1
        if place == size:
            items_Q[size] = item
            size += 1
        weights_Q[place] += np.float32(weight)
        weight *= decay
    return items_Q[:size], weights_Q[:size]


@compiled
def add_rows(
    rows: Rows,
    items_Q: NDArray[np.int64],
    weights_Q: NDArray[np.float32],
    lent: Lent,
    spare: int,
) -> tuple[NDArray[np.int64], int]:
    """Add some rows of a CSR matrix, each times its weight, to the sums.

    Args:
        rows: All.
        items_Q: Numbers of those to add.
        weights_Q: Of those.
        lent: Has the sums.
        spare: Room left for items that are touched later.

    Returns:
        The touched items int64, and how many there are; the rest of the array is room. In a small catalogue, ascending.
    """
    room = spare
    for item in items_Q:
        room += rows.starts[item + 1] - rows.starts[item]
    touched_T = np.empty(min(room, len(lent.raw_V)) + 1, dtype=np.int64)
    size = 0
    if _SPARSE * room <= len(lent.raw_V):
        for q in range(len(items_Q)):
            for entry in range(rows.starts[items_Q[q]], rows.starts[items_Q[q] + 1]):
                value = np.float32(weights_Q[q] * rows.values[entry])
                size = _add(rows.columns[entry], value, lent, touched_T, size)
        return touched_T, size
    raw_V = lent.raw_V
    for q in range(len(items_Q)):
        weight = weights_Q[q]
        for entry in range(rows.starts[items_Q[q]], rows.starts[items_Q[q] + 1]):
            raw_V[rows.columns[entry]] += weight * rows.values[entry]
    for item in range(
        len(raw_V)
    ):  # written whether it was touched or not: nobody can guess which, and a wrong guess costs more
        lent.places_V[item] = size
        touched_T[size] = item
        size += int(raw_V[item] != 0)
    return touched_T, size


@compiled
def add_entries(
    entries: tuple[NDArray[np.int64], NDArray[np.float32]],
    weight: float,
    lent: Lent,
    touched_T: NDArray[np.int64],
    size: int,
) -> int:
    """Add one more row to what `add_rows` began; items beyond the catalogue are left out. Returns how many are touched."""
    items_M, values_M = entries
    for entry in range(len(items_M)):
        if items_M[entry] < len(lent.raw_V):
            size = _add(items_M[entry], np.float32(np.float32(weight) * values_M[entry]), lent, touched_T, size)
    return size


@compiled
def _add(
    item: int,
    value: np.floating,
    lent: Lent,
    touched_T: NDArray[np.int64],
    size: int,
) -> int:
    place = lent.places_V[item]
    if place < 0 or place >= size or touched_T[place] != item:
        lent.places_V[item] = size
        touched_T[size] = item
        size += 1
    lent.raw_V[item] += value
    return size


@compiled
def taken_out(touched_T: NDArray[np.int64], raw_V: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sums of the touched items; zeros are left in their place."""
    sums_T = np.empty(len(touched_T), dtype=np.float32)
    for t in range(len(touched_T)):
        sums_T[t] = raw_V[touched_T[t]]
        raw_V[touched_T[t]] = 0
    return sums_T


@compiled
def cleared(touched_T: NDArray[np.int64], raw_V: NDArray[np.float32]) -> None:
    """Leave zeros where something was touched."""
    for item in touched_T:
        raw_V[item] = 0


@compiled
def weighed(
    touched_T: NDArray[np.int64],
    raw_V: NDArray[np.float32],
    columns_V: NDArray[np.float32],
    shares_V: NDArray[np.float32] | None,
) -> float:
    """Sum over the catalogue of the touched sums, each times its column's weight and, where given, its share; zeros count as nothing."""
    total = 0.0
    for item in touched_T:
        value = raw_V[item] * columns_V[item]
        total += value if shares_V is None else value * shares_V[item]
    return total


@compiled
def gathered(
    rows: Rows,
    items_K: NDArray[np.int64],
    raw_V: NDArray[np.float32],
    columns_V: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Of some rows of a CSR matrix the product with the weighed sums, float32 [K]."""
    found_K = np.zeros(len(items_K), dtype=np.float32)
    for k in range(len(items_K)):
        for entry in range(rows.starts[items_K[k]], rows.starts[items_K[k] + 1]):
            item = rows.columns[entry]
            found_K[k] += rows.values[entry] * (raw_V[item] * columns_V[item])
    return found_K


@compiled
def between(
    rows: Rows,
    rows_H: NDArray[np.int64],
    items_K: NDArray[np.int64],
    places_V: NDArray[np.int32],
) -> NDArray[np.float32]:
    """The entries of some rows in some columns, float32 [H, K], the columns each named once; 0 where there is none."""
    found_HK = np.zeros((len(rows_H), len(items_K)), dtype=np.float32)
    for k in range(len(items_K)):
        places_V[items_K[k]] = k
    for h in range(len(rows_H)):
        for entry in range(rows.starts[rows_H[h]], rows.starts[rows_H[h] + 1]):
            k = places_V[rows.columns[entry]]
            if 0 <= k < len(items_K) and items_K[k] == rows.columns[entry]:
                found_HK[h, k] = rows.values[entry]
    return found_HK
