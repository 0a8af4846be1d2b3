"""Item-item memory: what was watched soon after what, counted, decayed, and updated event by event.

It is the closed-form part of the collaborative side and the only part that learns online: one more event is one more
row of counts, no gradient step. Bounded: the strongest followers of an item are kept.

Shape suffixes: V catalogue, C cases, N interactions, W window, K followers.
"""

import threading
from collections.abc import Sequence
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kinema.errors import DataError
from kinema.flm.memory_counts import row_sums, strongest, transitions
from kinema.flm.memory_kernels import (
    Counted,
    Lent,
    Reach,
    add_rows,
    between,
    follow,
    links_of,
    strengths,
    strengths_of,
    taken_out,
)
from kinema.flm.memory_query import Scales, Scratch, Standing, check_items, decayed_query, grown
from kinema.flm.memory_updates import Updates
from kinema.store.histories import Histories
from kinema.threads import give_back_freed_memory

_FOLD_AFTER: Final = 20_000


class ItemMemory:
    """Recency-decayed transitions between items.

    ``M[i, j]`` grows by ``decay ** gap`` when j follows i with ``gap`` items between, and ``M[j, i]`` by ``echo`` times
    that: what was watched before says something about what comes next too, but less.

    Args:
        counts_VV: CSR float32, transitions counted so far.
        totals_V: float32, row sums of the counts before any was dropped.
        window: How many interactions back a transition or a query reaches.
        decay: Weight a counted transition loses per interaction in between, in (0, 1].
        query_decay: Weight an interaction of the query loses per newer one, in (0, 1].
        echo: Share that is counted backwards.
        num_neighbours: Followers kept per item; bounds the memory at V x this many numbers.
        shrinkage: Events at which an item's own transitions weigh as much as those of its content neighbours; 0 leaves
            items that have any alone.
        counted_U: int64, the oldest so many interactions of each user of a log are counted; None where that is not known.

    What was counted lately is put together with the rest now and then: half a second for millions of counts. By the event that is
    due, so that the same events always give the same memory; in a thread of its own, for a service, where ``folds_aside`` is set.

    Source: FLM.md section 3; the family is SAR and sequential item-kNN. We differ by the echo, by the powers of the totals
    (rows .5, columns .3, chosen on validation of two unlike logs), and by the row mean inside the logarithm.
    """

    def __init__(
        self,
        counts_VV: sparse.csr_matrix,
        totals_V: NDArray[np.float32],
        *,
        window: int = 20,
        decay: float = 0.9,
        query_decay: float = 0.75,
        echo: float = 0.5,
        num_neighbours: int = 200,
        shrinkage: float = 5.0,
        counted_U: NDArray[np.int64] | None = None,
    ) -> None:
        self.counted_U = counted_U
        self.window = window
        self.decay = decay
        self.query_decay = query_decay
        self.echo = echo
        self.num_neighbours = num_neighbours
        self.shrinkage = shrinkage
        self.folds_aside = False
        self._lock = threading.Lock()
        self._folding = threading.Lock()
        self._counts_VV = counts_VV
        self._totals_V = totals_V.astype(np.float32)
        self._scales = Scales.of(self._totals_V)
        self._updates: tuple[Updates, ...] = (Updates(),)
        self._stand_ins: Standing | None = None
        self._scratch = Scratch()

    @classmethod
    def fit(
        cls,
        histories: Histories,
        *,
        window: int = 20,
        decay: float = 0.9,
        query_decay: float = 0.75,
        echo: float = 0.5,
        num_neighbours: int = 200,
        shrinkage: float = 5.0,
    ) -> Self:
        """Count every transition of a log.

        Args:
            histories: The log; only what lies before the questions to come.
            window: See the class.
            decay: See the class.
            query_decay: See the class.
            echo: See the class.
            num_neighbours: See the class.
            shrinkage: See the class.

        Returns:
            The memory.

        Example:
            >>> memory = ItemMemory.fit(Histories.from_lists([[0, 1, 2]], num_items=3), decay=0.5, echo=0.0)
            >>> memory.counts.toarray().tolist()
            [[0.0, 1.0, 0.5], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
        """
        counts_VV = transitions(
            histories, np.zeros(histories.num_users, np.int64), window=window, decay=decay, echo=echo
        )
        return cls(
            strongest(counts_VV, num_neighbours),
            row_sums(counts_VV),
            window=window,
            decay=decay,
            query_decay=query_decay,
            echo=echo,
            num_neighbours=num_neighbours,
            shrinkage=shrinkage,
            counted_U=histories.lengths.astype(np.int64),
        )

    @property
    def counts(self) -> sparse.csr_matrix:
        """CSR float32 [V, V] with every update folded in."""
        self.fold()
        with self._lock:
            return self._counts_VV

    @property
    def num_items(self) -> int:
        """V."""
        return int(self._counts_VV.shape[0])

    def update(self, history: Sequence[int] | NDArray[np.integer], new_item: int) -> None:
        """Count one more event, without a refit. Prequential use: score first, then update.

        Args:
            history: The user's items before the event, oldest first; only the newest ``window`` count.
            new_item: The item of the event; a number beyond the catalogue grows it.

        Raises:
            DataError: An item number is negative.
        """
        newest_W = np.asarray(history[-self.window :], dtype=np.int32)[::-1]
        if new_item < 0 or (newest_W < 0).any():
            raise DataError(
                f"item numbers must be >= 0, got {new_item} after {newest_W.tolist()}; use the store's numbers"
            )
        with self._lock:
            self._grow(max(new_item, int(newest_W.max(initial=0))) + 1)
            weights_W = np.power(self.decay, np.arange(len(newest_W)), dtype=np.float32)
            self._updates[-1].add(newest_W, new_item, weights_W, echo=self.echo)
            np.add.at(self._totals_V, newest_W, weights_W)
            self._totals_V[new_item] += self.echo * weights_W.sum()
            self._scales.change(self._totals_V, np.append(newest_W, new_item))
            is_much = self._updates[-1].num > _FOLD_AFTER
        if is_much and self.folds_aside:
            if not self._folding.locked():
                threading.Thread(target=self.fold, name="kinema-fold", daemon=True).start()
        elif is_much:
            self.fold()

    def fold(self) -> None:
        """Put what was counted lately together with the rest. Others may read and count meanwhile."""
        with self._folding:
            with self._lock:
                last = self._updates[-1]
                if not last.num:
                    return
                before_VV = self._counts_VV
                self._updates = (last, Updates())
            folded_VV = strongest((before_VV + last.matrix(before_VV.shape[0])).tocsr(), self.num_neighbours)
            with self._lock:
                self._counts_VV = grown(folded_VV, self.num_items)
                self._updates = self._updates[1:]
        if self.folds_aside:
            give_back_freed_memory()

    def count_on(self, histories: Histories) -> int:
        """Count what a log holds beyond what was counted of it, as `update` would event by event.

        A model is trained without each user's newest interaction, and people go on watching; this needs no refit.

        Args:
            histories: The log the memory was counted on, grown since: users and items keep their numbers. An interaction
                that arrives late, before others that are counted, shifts its user's by one place.

        Returns:
            Interactions that were counted; 0 where the memory does not know what it has counted.
        """
        if self.counted_U is None:
            return 0
        counted_U = np.zeros(histories.num_users, dtype=np.int64)
        known = min(len(counted_U), len(self.counted_U))
        counted_U[:known] = np.minimum(self.counted_U[:known], histories.lengths[:known])
        num_new = int((histories.lengths - counted_U).sum())
        if num_new:
            new_VV = transitions(histories, counted_U, window=self.window, decay=self.decay, echo=self.echo)
            self.fold()
            with self._folding, self._lock:
                self._grow(histories.num_items)
                self._counts_VV = strongest((self._counts_VV + new_VV).tocsr(), self.num_neighbours)
                self._totals_V = self._totals_V + row_sums(new_VV)
                self._scales = Scales.of(self._totals_V)
                self.counted_U = histories.lengths.astype(np.int64)
        return num_new

    def copy(self) -> Self:
        """A memory of its own; updates of one do not reach the other."""
        return self.replaced(self.counts.copy(), self.totals.copy())

    def replaced(self, counts_VV: sparse.csr_matrix, totals_V: NDArray[np.float32]) -> Self:
        """A memory that counts the same way and has counted something else."""
        return type(self)(
            counts_VV,
            totals_V,
            window=self.window,
            decay=self.decay,
            query_decay=self.query_decay,
            echo=self.echo,
            num_neighbours=self.num_neighbours,
            shrinkage=self.shrinkage,
            counted_U=self.counted_U,
        )

    def grow(self, num_items: int) -> None:
        """Make room for items that were appended to the catalogue."""
        with self._lock:
            self._grow(num_items)

    def scores(self, histories: Histories, *, smoothing_VV: sparse.csr_matrix | None = None) -> NDArray[np.float32]:
        """How strongly each item follows what a user watched last.

        Args:
            histories: C rows, oldest first.
            smoothing_VV: Row j says by which items j is stood in for, so that a cold item is reached through its content
                neighbours (`kinema.flm.imputation.smoothing`); applied to the query and to the result.

        Returns:
            float32 [C, V]: ``log(1 + r_j / mean_j r)`` with
            ``r_j = sum_k query_decay^k M[s_{n-k}, j] / (total[s_{n-k}]^.5 total[j]^.3)``. Zero everywhere for a history
            without known followers. The mean makes users with many and few counted followers comparable.
        """
        if histories.num_users == 1:
            return self._scores_of_one(histories.of(0), smoothing_VV)[None]
        with self._lock:
            counts_VV, scales = self._counts_VV, self._scales
            newest = [one.matrix(counts_VV.shape[0]) for one in self._updates if one.num]
        num_items = len(scales.rows_V)
        query_CV = decayed_query(histories, window=self.window, decay=self.query_decay, num_items=num_items)
        if smoothing_VV is not None:
            query_CV = query_CV @ smoothing_VV
        query_CV = query_CV @ sparse.diags(scales.rows_V)
        raw_CV = (query_CV @ counts_VV).toarray()
        for one_VV in newest:
            raw_CV += (query_CV @ one_VV).toarray()
        raw_CV *= scales.columns_V
        if smoothing_VV is not None:
            raw_CV = (smoothing_VV @ raw_CV.T).T
        mean_C1 = raw_CV.mean(axis=1, keepdims=True)
        return np.asarray(np.log1p(raw_CV / np.where(mean_C1 > 0, mean_C1, 1)), dtype=np.float32)

    def connected(self, items_N: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """`scores` of one history where they are not zero, without a pass over the catalogue.

        Returns:
            Item numbers int64, ascending, and their scores float32, > 0.
        """
        lent, touched_T, is_ascending, scales = self._followed(items_N, None)
        if not is_ascending:
            touched_T = np.sort(touched_T)
        scores_T = strengths(touched_T, lent, scales.columns_V)
        self._scratch.give_back(lent)
        return touched_T, scores_T

    def scores_of(
        self,
        items_N: NDArray[np.integer],
        items_K: NDArray[np.integer],
        *,
        smoothing_VV: sparse.csr_matrix | None = None,
    ) -> NDArray[np.float32]:
        """`scores` of one history for some items, float32 [K]; the rest of the catalogue is not looked at."""
        asked_K = np.asarray(items_K, dtype=np.int64)
        check_items(asked_K, self.num_items, smoothing_VV)
        standing = None if smoothing_VV is None else self._standing(smoothing_VV)
        lent, touched_T, _, scales = self._followed(items_N, standing)
        through = None if standing is None else standing.through
        scores_K = strengths_of(asked_K, touched_T, lent, scales.columns_V, through)
        self._scratch.give_back(lent)
        return scores_K

    def _scores_of_one(
        self, items_N: NDArray[np.integer], smoothing_VV: sparse.csr_matrix | None
    ) -> NDArray[np.float32]:
        """`scores` of one user, float32 [V]: only what is not zero is touched."""
        standing = None if smoothing_VV is None else self._standing(smoothing_VV)
        lent, touched_T, _, scales = self._followed(items_N, standing)
        scores_V = np.zeros(len(lent.raw_V), dtype=np.float32)
        if standing is None:
            scores_V[touched_T] = strengths(touched_T, lent, scales.columns_V)
        else:
            raw_T = taken_out(touched_T, lent.raw_V) * scales.columns_V[touched_T]
            lent_to_T, _ = add_rows(links_of(standing.stands_for), touched_T, raw_T, lent)
            scores_V[lent_to_T] = strengths(lent_to_T, lent, None)
        self._scratch.give_back(lent)
        return scores_V

    def _followed(
        self, items_N: NDArray[np.integer], standing: Standing | None
    ) -> tuple[Lent, NDArray[np.int64], bool, Scales]:
        """What follows one history: the sums, the items that have one, whether these are ascending, and what weighs them.

        The sums are cleared and given back by who asks; what an error leaves behind is thrown away with it.
        """
        check_items(np.asarray(items_N)[-self.window :], self.num_items, standing and standing.smoothing_VV)
        with self._lock:
            lent, scales = self._scratch.take(self.num_items), self._scales
            through, reach = None if standing is None else standing.through, Reach(self.window, self.query_decay)
            touched_T, is_ascending = follow(np.asarray(items_N), reach, through, self._counted(), lent)
        return lent, touched_T, is_ascending, scales

    def _counted(self) -> Counted:
        """All that was counted; nobody may count while it is read."""
        links = links_of(self._counts_VV, *(one.chains for one in self._updates))
        return Counted(links, self._scales.rows_V, self._scales.columns_V)

    def _standing(self, smoothing_VV: sparse.csr_matrix) -> Standing:
        """Of a model's smoothing, made once."""
        if self._stand_ins is None or self._stand_ins.smoothing_VV is not smoothing_VV:
            self._stand_ins = Standing(smoothing_VV)
        return self._stand_ins

    def neighbours(self, item: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The items that go best with an item, by counts over ``total^.3``.

        Returns:
            Item numbers int64 [<= n], strongest first (ties: lower number first), and their weights float32.
        """
        with self._lock:
            part = slice(self._counts_VV.indptr[item], self._counts_VV.indptr[item + 1])
            followers, counts = self._counts_VV.indices[part], self._counts_VV.data[part]
            newest = [one.row(item) for one in self._updates if one.num]
            columns_V = self._scales.columns_V
        if newest:
            joined = np.concatenate([followers, *(items for items, _ in newest)])
            followers, places = np.unique(joined, return_inverse=True)
            counts = np.bincount(places, np.concatenate([counts, *(more for _, more in newest)]))
        weights = counts * columns_V[followers]
        order = np.lexsort((followers, -weights))[:n]
        return followers[order].astype(np.int64), weights[order].astype(np.float32)

    def links(self, items_H: NDArray[np.integer], items_K: NDArray[np.integer]) -> NDArray[np.float32]:
        """How strongly some items are connected with others, as `neighbours` weighs it.

        Args:
            items_H: Those that were watched.
            items_K: Those that followed; each once.

        Returns:
            float32 [H, K]; 0 where there is no connection.
        """
        rows_H, asked_K = np.asarray(items_H, dtype=np.int64), np.asarray(items_K, dtype=np.int64)
        check_items(rows_H, self.num_items)
        check_items(asked_K, self.num_items)
        with self._lock:
            lent = self._scratch.take(self.num_items)
            found_HK = between(self._counted(), rows_H, asked_K, lent.places_V)
        self._scratch.give_back(lent)
        return found_HK

    @property
    def totals(self) -> NDArray[np.float32]:
        """float32 [V], row sums of everything ever counted."""
        return self._totals_V

    def _grow(self, num_items: int) -> None:
        missing = num_items - self.num_items
        if missing > 0:
            self._counts_VV = grown(self._counts_VV, num_items)
            self._totals_V = np.concatenate([self._totals_V, np.zeros(missing, dtype=np.float32)])
            self._scales = Scales.of(self._totals_V)
