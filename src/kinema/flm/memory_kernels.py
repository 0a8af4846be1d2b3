"""The loops of an item-item memory: rows of a sparse matrix are added up for one history.

Sums go into arrays over the catalogue that are lent, and what was touched is told, so that nothing passes over the catalogue.
Item numbers of rows are not checked here: who calls has done so.
``places_V`` tells where an item stands among those touched; it may hold anything before, because the item that stands there must be the one
asked about.

Shape suffixes: V catalogue, N interactions, Q items asked with, T touched items, K items asked about, H rows, W window, E entries.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kinema.compiled import compiled
from kinema.flm.memory_updates import NO_CHAINS, Chains

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


class Links(NamedTuple):
    """Rows of a matrix, and what came to them since, twice while that is put together.

    Attributes:
        matrix: The rows.
        older: What came since.
        newer: And since then.
    """

    matrix: Rows
    older: Chains
    newer: Chains


class Counted(NamedTuple):
    """All that a memory has counted.

    Attributes:
        links: What follows what.
        rows_V: float32, what weighs down an item that is followed.
        columns_V: float32, what weighs down one that follows.
    """

    links: Links
    rows_V: NDArray[np.float32]
    columns_V: NDArray[np.float32]


class Reach(NamedTuple):
    """What of a history counts.

    Attributes:
        window: So many of the newest items.
        decay: Weight that an item loses per newer one.
    """

    window: int
    decay: float


class Through(NamedTuple):
    """Who stands in for whom.

    Attributes:
        links: By which items each is stood in for.
        shares_V: float32, how much of the catalogue each stands in for.
    """

    links: Links
    shares_V: NDArray[np.float32]


class Lent(NamedTuple):
    """Arrays over the catalogue.

    Attributes:
        raw_V: float32, sums; zero where nothing was touched.
        places_V: int32, see the module docstring.
    """

    raw_V: NDArray[np.float32]
    places_V: NDArray[np.int32]


class _Touched(NamedTuple):
    """What is lent, and room for the items that are touched, int64."""

    lent: Lent
    items_T: NDArray[np.int64]


def links_of(matrix_VV: sparse.csr_matrix, older: Chains = NO_CHAINS, newer: Chains = NO_CHAINS) -> Links:
    """The arrays of a matrix, and what came to it; nothing is copied."""
    columns = matrix_VV.indices
    if columns.dtype == np.int32:  # an index without a sign need not be looked at for counting from the end
        columns = columns.view(np.uint32)
    return Links(Rows(matrix_VV.indptr, columns, matrix_VV.data), older, newer)


@compiled
def are_within(items_N: NDArray[np.integer], num_items: int) -> bool:
    """Whether all are numbers of items."""
    num_outside = 0
    for item in items_N:
        num_outside += int(item < 0 or item >= num_items)
    return num_outside == 0


@compiled
def newest_of(items_N: NDArray[np.integer], reach: Reach) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The newest items of a history, each once, newest first, with their weights float32: ``decay ** k`` for the k-th newest."""
    most = min(reach.window, len(items_N))
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
        weight *= reach.decay
    return items_Q[:size], weights_Q[:size]


@compiled
def add_rows(
    links: Links, items_Q: NDArray[np.int64], weights_Q: NDArray[np.float32], lent: Lent
) -> tuple[NDArray[np.int64], bool]:
    """Add some rows, each times its weight, to the sums.

    Args:
        links: All rows; what came to them in columns beyond the catalogue is left out.
        items_Q: Numbers of those to add.
        weights_Q: Of those.
        lent: Has the sums.

    Returns:
        The touched items int64, and whether they are ascending, as in a small catalogue.
    """
    raw_V, room = lent.raw_V, _room(links, items_Q)
    starts, columns, values = links.matrix
    touched = _Touched(lent, np.empty(min(room, len(raw_V)) + 1, dtype=np.int64))
    size, is_dense = 0, _SPARSE * room > len(raw_V)
    for q in range(len(items_Q)):
        item, weight = items_Q[q], weights_Q[q]
        if is_dense:
            for entry in range(starts[item], starts[item + 1]):
                raw_V[columns[entry]] += weight * values[entry]
        else:
            for entry in range(starts[item], starts[item + 1]):
                size = _add(columns[entry], np.float32(weight * values[entry]), touched, size)
        size = _add_chain(links.older, item, weight, touched, size)
        size = _add_chain(links.newer, item, weight, touched, size)
    if not is_dense:
        return touched.items_T[:size], False
    size, touched_T = 0, touched.items_T
    # Written whether it was touched or not: nobody can guess which, and a wrong guess costs more.
    for item in range(len(raw_V)):
        touched_T[size] = item
        size += int(raw_V[item] != 0)
    return touched_T[:size], True


@compiled
def _room(links: Links, items_Q: NDArray[np.int64]) -> int:
    """How many entries some rows have."""
    room = 0
    for item in items_Q:
        room += links.matrix.starts[item + 1] - links.matrix.starts[item]
        for chains in (links.older, links.newer):
            room += chains.nums_V[item] if item < len(chains.nums_V) else 0
    return room


@compiled
def _add_chain(chains: Chains, item: int, weight: np.floating, touched: _Touched, size: int) -> int:
    entry = chains.heads_V[item] if item < len(chains.heads_V) else -1
    while entry >= 0:
        if chains.columns_E[entry] < len(touched.lent.raw_V):
            size = _add(chains.columns_E[entry], np.float32(weight * chains.values_E[entry]), touched, size)
        entry = chains.nexts_E[entry]
    return size


@compiled
def _add(item: int, value: np.floating, touched: _Touched, size: int) -> int:
    place = touched.lent.places_V[item]
    if place < 0 or place >= size or touched.items_T[place] != item:
        touched.lent.places_V[item] = size
        touched.items_T[size] = item
        size += 1
    touched.lent.raw_V[item] += value
    return size


@compiled
def follow(
    items_N: NDArray[np.integer], reach: Reach, through: Through | None, counted: Counted, lent: Lent
) -> tuple[NDArray[np.int64], bool]:
    """Add up what follows the newest items of a history.

    Args:
        items_N: The history, oldest first.
        reach: What of it counts.
        through: What stands in for its items; None where each stands for itself.
        counted: What follows what.
        lent: Gets the sums, which are not weighed by columns yet.

    Returns:
        See `add_rows`.
    """
    items_Q, weights_Q = newest_of(items_N, reach)
    if through is not None:
        items_Q, _ = add_rows(through.links, items_Q, weights_Q, lent)
        weights_Q = taken_out(items_Q, lent.raw_V)
    weighed_Q = np.empty(len(items_Q), dtype=np.float32)
    for q in range(len(items_Q)):
        weighed_Q[q] = weights_Q[q] * counted.rows_V[items_Q[q]]
    return add_rows(counted.links, items_Q, weighed_Q, lent)


@compiled
def taken_out(touched_T: NDArray[np.int64], raw_V: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sums of the touched items; zeros are left in their place."""
    sums_T = np.empty(len(touched_T), dtype=np.float32)
    for t in range(len(touched_T)):
        sums_T[t] = raw_V[touched_T[t]]
        raw_V[touched_T[t]] = 0
    return sums_T


@compiled
def strengths(touched_T: NDArray[np.int64], lent: Lent, columns_V: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """``log(1 + r / mean r)`` of all that was touched, float32 [T]; zeros are left in place of the sums.

    Args:
        touched_T: Items whose sums are not zero.
        lent: Has the sums.
        columns_V: What the sums are multiplied by; None for 1.
    """
    found_T = taken_out(touched_T, lent.raw_V)
    total = 0.0
    for t in range(len(touched_T)):
        if columns_V is not None:
            found_T[t] *= columns_V[touched_T[t]]
        total += found_T[t]
    return _by_mean(found_T, total, len(lent.raw_V))


@compiled
def strengths_of(
    items_K: NDArray[np.int64],
    touched_T: NDArray[np.int64],
    lent: Lent,
    columns_V: NDArray[np.float32],
    through: Through | None,
) -> NDArray[np.float32]:
    """`strengths` of some items, float32 [K].

    Args:
        items_K: The items.
        touched_T: See `strengths`.
        lent: See `strengths`.
        columns_V: See `strengths`.
        through: What stands in for them; None where each stands for itself.
    """
    raw_V, total = lent.raw_V, 0.0
    for item in touched_T:
        raw_V[item] *= columns_V[item]
    if through is None:
        for item in touched_T:
            total += raw_V[item]
    else:
        shares_V = through.shares_V
        for item in touched_T:
            total += raw_V[item] * shares_V[item]
    found_K = np.zeros(len(items_K), dtype=np.float32)
    if through is None:
        for k in range(len(items_K)):
            found_K[k] = raw_V[items_K[k]]
    else:
        starts, columns, values = through.links.matrix
        for k in range(len(items_K)):
            found = np.float32(0)
            for entry in range(starts[items_K[k]], starts[items_K[k] + 1]):
                found += values[entry] * raw_V[columns[entry]]
            found_K[k] = found
    for item in touched_T:
        raw_V[item] = 0
    return _by_mean(found_K, total, len(raw_V))


@compiled
def _by_mean(found_K: NDArray[np.float32], total: float, num_items: int) -> NDArray[np.float32]:
    mean = np.float32(total / max(num_items, 1))
    if mean <= 0:
        mean = np.float32(1)
    for k in range(len(found_K)):
        found_K[k] = np.log1p(found_K[k] / mean)
    return found_K


@compiled
def between(
    counted: Counted,
    rows_H: NDArray[np.int64],
    items_K: NDArray[np.int64],
    places_V: NDArray[np.int32],
) -> NDArray[np.float32]:
    """What was counted of some rows in some columns, float32 [H, K], the columns each named once; 0 where there is nothing."""
    found_HK = np.zeros((len(rows_H), len(items_K)), dtype=np.float32)
    links = counted.links
    starts, columns, values = links.matrix
    for k in range(len(items_K)):
        places_V[items_K[k]] = k
    for h in range(len(rows_H)):
        for entry in range(starts[rows_H[h]], starts[rows_H[h] + 1]):
            k = places_V[columns[entry]]
            if 0 <= k < len(items_K) and items_K[k] == columns[entry]:
                found_HK[h, k] += values[entry]
        for chains in (links.older, links.newer):
            entry = chains.heads_V[rows_H[h]] if rows_H[h] < len(chains.heads_V) else -1
            while entry >= 0:
                k = _place(chains.columns_E[entry], items_K, places_V)
                if k >= 0:
                    found_HK[h, k] += chains.values_E[entry]
                entry = chains.nexts_E[entry]
    for k in range(len(items_K)):
        found_HK[:, k] *= counted.columns_V[items_K[k]]
    return found_HK


@compiled
def _place(item: int, items_K: NDArray[np.int64], places_V: NDArray[np.int32]) -> int:
    """Where an item stands among those asked about; -1 where it is none of them."""
    k = places_V[item] if item < len(places_V) else -1
    return k if 0 <= k < len(items_K) and items_K[k] == item else -1
