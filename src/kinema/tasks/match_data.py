"""What answers what: pairs of a query and an item, which of them are learnt from, and the questions that are held out.

Some items are kept out of all pairs that are learnt from: as new items will be, they are known by their content alone. Questions
about them are asked apart from those about the others.

Shape suffixes: N pairs, Q queries, V items, C cases, T targets of all cases one after another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kinema.errors import DataError
from kinema.seeds import generator

SHARES: Final = (0.8, 0.1, 0.1)
"""Of queries, or of the time: learnt from, validation, test."""
COLD_SHARE: Final = 0.1
"""Of the items that have pairs: kept out for validation, and as many more for the test."""
FEWEST: Final = 20
"""Pairs, and different items in them, below which nothing can be learnt and held out."""


@dataclass(frozen=True)
class Pairs:
    """Queries with items that answer them.

    Attributes:
        queries: Q different texts, or ids of items that are asked about.
        query_N: int64, number of the query.
        item_N: int64, number of the item.
        weight_N: float32, > 0, what the pair counts.
        moments_N: int64, when; None where times are unknown.
        rests: What each pair's item says without the query, where queries were taken from the items' own texts; None else.
        kind_Q: int64, which part of a text a query is; None where queries come from elsewhere.
        bare: Kind -> V texts, what every item says without a part of this kind: items that are not meant must lack as much as
            the one that is, or they would be told by it. None where queries come from elsewhere.
        source: Where the pairs come from, in words.
        query_items_Q: int64, number of the item that a query is; None where queries are texts.
    """

    queries: tuple[str, ...]
    query_N: NDArray[np.int64]
    item_N: NDArray[np.int64]
    weight_N: NDArray[np.float32]
    moments_N: NDArray[np.int64] | None = None
    rests: tuple[str, ...] | None = None
    kind_Q: NDArray[np.int64] | None = None
    bare: tuple[tuple[str, ...], ...] | None = None
    source: str = ""
    query_items_Q: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.query_N)

    def right(self, num_items: int) -> sparse.csr_array:
        """Sparse bool [Q, V], every item that is known to answer a query; an item that is the query itself counts."""
        rows, columns = self.query_N, self.item_N
        if self.query_items_Q is not None:
            rows = np.concatenate([rows, np.arange(len(self.queries))])
            columns = np.concatenate([columns, self.query_items_Q])
        shape = (len(self.queries), num_items)
        return sparse.csr_array((np.ones(len(rows), dtype=np.bool_), (rows, columns)), shape=shape)


@dataclass(frozen=True)
class Cases:
    """Held-out questions.

    Attributes:
        query_C: int64, number of the query.
        rows_T: int64, case of each target.
        items_T: int64, the right items.
        pairs_T: int64, the pair that each target comes from.
        blocked_B: int64 [B, 2], case and item of what is no candidate: the query's other right answers, the query itself.
    """

    query_C: NDArray[np.int64]
    rows_T: NDArray[np.int64]
    items_T: NDArray[np.int64]
    pairs_T: NDArray[np.int64]
    blocked_B: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.query_C)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Case c owns the targets from offsets[c] to offsets[c + 1]."""
        return np.concatenate([[0], np.cumsum(np.bincount(self.rows_T, minlength=len(self)))]).astype(np.int64)

    def blocked(self, first: int, last: int, num_items: int) -> NDArray[np.bool_]:
        """Bool [last - first, V], True where an item is no candidate; a target always is one."""
        found = np.zeros((last - first, num_items), dtype=np.bool_)
        mine = self.blocked_B[(self.blocked_B[:, 0] >= first) & (self.blocked_B[:, 0] < last)]
        found[mine[:, 0] - first, mine[:, 1]] = True
        own = (self.rows_T >= first) & (self.rows_T < last)
        found[self.rows_T[own] - first, self.items_T[own]] = False
        return found

    def take(self, most: int, *, seed: int) -> "Cases":
        """At most so many of them, drawn without order."""
        if len(self) <= most:
            return self
        kept = np.sort(generator(seed, "some cases").permutation(len(self))[:most])
        new = np.full(len(self), -1)
        new[kept] = np.arange(most)
        mine, blocked = new[self.rows_T] >= 0, self.blocked_B[new[self.blocked_B[:, 0]] >= 0]
        return Cases(
            self.query_C[kept],
            new[self.rows_T[mine]],
            self.items_T[mine],
            self.pairs_T[mine],
            np.stack([new[blocked[:, 0]], blocked[:, 1]], axis=1),
        )


@dataclass(frozen=True)
class Split:
    """What is learnt from and what is asked.

    Attributes:
        train_N: int64, numbers of the pairs that are learnt from.
        cases: ``valid`` and ``test`` -> ``warm`` and ``cold`` -> cases; what has none is left out.
        cold_V: bool [V], items kept out of all pairs that are learnt from.
        by_time: The newest are held out; else queries drawn at random.
    """

    train_N: NDArray[np.int64]
    cases: Mapping[str, Mapping[str, Cases]]
    cold_V: NDArray[np.bool_]
    by_time: bool
    sizes: Mapping[str, int] = field(default_factory=dict)


def split_pairs(pairs: Pairs, *, num_items: int, seed: int) -> Split:
    """Hold out queries and items.

    Queries in words are held out as a whole, by the first time they occur or at random: no words are in two parts. Of
    pairs of items it is the pairs that are divided by time: an item that was asked about in training is asked about again.

    Args:
        pairs: All there are.
        num_items: V.
        seed: Of the draws.

    Returns:
        The parts. A case is a query with all its right answers among the items that are not held out (``warm``), or among
        those held out for this part (``cold``); its other right answers are no candidates.

    Raises:
        DataError: There are too few pairs or items, or nothing is left to learn from or to choose by.
    """
    known = np.unique(pairs.item_N)
    if len(pairs) < FEWEST or len(known) < FEWEST:
        raise DataError(
            f"pairs must be at least {FEWEST} of at least {FEWEST} items, are {len(pairs)} of {len(known)}; "
            "give more pairs, or more items"
        )
    order = generator(seed, "match/cold").permutation(known)
    num_cold = max(1, round(COLD_SHARE * len(known)))
    held = np.zeros(num_items, dtype=np.int64)
    held[order[:num_cold]], held[order[num_cold : 2 * num_cold]] = 1, 2
    part_N = _parts(pairs, seed=seed)
    warm_N = held[pairs.item_N] == 0
    if pairs.query_items_Q is not None:
        own_N = pairs.query_items_Q[pairs.query_N]
        train = np.flatnonzero((part_N == 0) & warm_N & (held[own_N] == 0))
    else:
        train = np.flatnonzero((part_N == 0) & warm_N)
    learnt_Q = np.zeros(len(pairs.queries), dtype=np.bool_)
    learnt_Q[pairs.query_N[train]] = True
    cases: dict[str, dict[str, Cases]] = {}
    for number, name in ((1, "valid"), (2, "test")):
        asked_N = part_N == number
        new_N = asked_N | ~learnt_Q[pairs.query_N] if pairs.query_items_Q is None else asked_N
        chosen = {"warm": asked_N & warm_N, "cold": new_N & (held[pairs.item_N] == number)}
        cases[name] = {
            kind: _cases(pairs, np.flatnonzero(rows_N), asked_N | new_N)
            for kind, rows_N in chosen.items()
            if rows_N.any()
        }
    if len(train) < 2 or not cases["valid"] or not cases["test"]:
        raise DataError(
            f"pairs must leave some to learn from, to choose by and to test, leave {len(train)}, "
            f"{sum(map(len, cases['valid'].values()))} and {sum(map(len, cases['test'].values()))}; give more of them"
        )
    sizes = {"train": len(train), "cold items": 2 * num_cold, "queries": len(pairs.queries)}
    return Split(train, cases, held > 0, pairs.moments_N is not None, sizes)


def _parts(pairs: Pairs, *, seed: int) -> NDArray[np.int64]:
    """int64 [N]: 0 is learnt from, 1 validation, 2 test."""
    edges = np.cumsum(SHARES)[:2]
    if pairs.query_items_Q is not None:
        assert pairs.moments_N is not None
        cuts = np.quantile(pairs.moments_N, edges)
        return np.searchsorted(cuts, pairs.moments_N, side="left").astype(np.int64)
    num = len(pairs.queries)
    if pairs.moments_N is None:
        order_Q = generator(seed, "match/queries").permutation(num)
    else:
        first_Q = np.full(num, np.iinfo(np.int64).max)
        np.minimum.at(first_Q, pairs.query_N, pairs.moments_N)
        order_Q = np.argsort(first_Q, kind="stable")
    place_Q = np.empty(num, dtype=np.int64)
    place_Q[order_Q] = np.arange(num)
    part_Q = np.searchsorted(edges * num, place_Q, side="right")
    return np.asarray(part_Q[pairs.query_N], dtype=np.int64)


def _cases(pairs: Pairs, rows: NDArray[np.int64], asked_N: NDArray[np.bool_]) -> Cases:
    """One case per query of some pairs; the query's other answers in the same part are no candidates."""
    keys = np.stack([pairs.query_N[rows], pairs.item_N[rows]], axis=1)
    _, first = np.unique(keys, axis=0, return_index=True)
    chosen = rows[np.sort(first)]
    chosen = chosen[np.argsort(pairs.query_N[chosen], kind="stable")]
    query_C, rows_T = np.unique(pairs.query_N[chosen], return_inverse=True)
    case_of = np.full(len(pairs.queries), -1)
    case_of[query_C] = np.arange(len(query_C))
    # Of texts every right answer is known to be right whenever it was given; of items, what came before may come again.
    others = np.arange(len(pairs)) if pairs.query_items_Q is None else np.flatnonzero(asked_N)
    others = others[case_of[pairs.query_N[others]] >= 0]
    blocked = [np.stack([case_of[pairs.query_N[others]], pairs.item_N[others]], axis=1)]
    if pairs.query_items_Q is not None:
        blocked.append(np.stack([np.arange(len(query_C)), pairs.query_items_Q[query_C]], axis=1))
    return Cases(
        query_C.astype(np.int64),
        rows_T.astype(np.int64),
        pairs.item_N[chosen],
        chosen,
        np.unique(np.concatenate(blocked), axis=0).astype(np.int64),
    )
