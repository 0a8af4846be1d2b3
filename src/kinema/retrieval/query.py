"""What a retriever is asked, and the one shape every retriever has.

Shape suffixes: V items, D width, P profile columns, N past interactions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.schema import Candidate
from kinema.store.histories import Histories


class TransitionScores(Protocol):
    """The part of an item-item memory that retrieval needs."""

    def connected(self, items_N: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
        """The items that a history leads on to, by number ascending, and how strongly, > 0."""


@dataclass(frozen=True, eq=False)
class Transitions:
    """Where a history leads on to; to all other items with a strength of 0.

    Attributes:
        items_T: int64, ascending.
        scores_T: > 0.
    """

    items_T: NDArray[np.int64]
    scores_T: NDArray[np.floating]

    def of(self, items_K: NDArray[np.integer]) -> NDArray[np.floating]:
        """The strengths of some items.

        Example:
            >>> Transitions(np.array([2, 5]), np.array([0.5, 1.5])).of(np.array([5, 3, 9]))
            array([1.5, 0. , 0. ])
        """
        if not len(self.items_T):
            return np.zeros(len(items_K), dtype=self.scores_T.dtype)
        places_K = np.minimum(np.searchsorted(self.items_T, items_K), len(self.items_T) - 1)
        return np.where(self.items_T[places_K] == items_K, self.scores_T[places_K], 0)


@dataclass(frozen=True)
class Query:
    """One question, in numbers.

    Attributes:
        history: One row, oldest first; empty for a user without interactions.
        allowed_V: bool, the items that may be proposed. Filtering first keeps a retriever from spending its places on
            items that a later filter would throw away.
        now_ms: When the question is asked, UTC milliseconds.
        user_vector_D: The model's user vector; None without a model.
        profile_P: The user's profile row; None where nothing is known.
    """

    history: Histories
    allowed_V: NDArray[np.bool_]
    now_ms: int
    user_vector_D: NDArray[np.float32] | None = None
    profile_P: NDArray[np.float32] | None = None
    _led_to: dict[int, Transitions] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def items(self) -> NDArray[np.int32]:
        """int32 [N], the user's items, oldest first."""
        return self.history.of(0)

    def transitions(self, memory: TransitionScores) -> Transitions:
        """What the user's items lead on to, asked of a memory once."""
        found = self._led_to.get(id(memory))
        if found is None:
            found = self._led_to[id(memory)] = Transitions(*memory.connected(self.items))
        return found


class Retriever(Protocol):
    """Proposes at most ``num`` allowed items, best first, equal scores by item number; nothing to say is an empty list.

    A retriever never raises because a query lacks what it works with (a vector, a history): it proposes nothing.
    """

    @property
    def name(self) -> str:
        """The source that its candidates carry."""

    def __call__(self, query: Query, num: int) -> Sequence[Candidate]:
        """Search once."""
