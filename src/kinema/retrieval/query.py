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

    def scores(self, histories: Histories) -> NDArray[np.floating]:
        """[C, V]: for each row, how strongly its items lead on to every item; 0 where no transition was counted."""


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
    _found: dict[int, NDArray[np.floating]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def items(self) -> NDArray[np.int32]:
        """int32 [N], the user's items, oldest first."""
        return self.history.of(0)

    def nearness(self, vectors_VD: NDArray[np.float32]) -> NDArray[np.floating] | None:
        """Inner products of the user vector with all items, computed once; None without a user vector."""
        if self.user_vector_D is None:
            return None
        found = self._found.get(id(vectors_VD))
        if found is None:
            found = self._found[id(vectors_VD)] = np.asarray(vectors_VD @ self.user_vector_D)
        return found

    def transitions(self, memory: TransitionScores) -> NDArray[np.floating]:
        """How strongly the user's items lead on to all items, asked of a memory once."""
        found = self._found.get(id(memory))
        if found is None:
            found = self._found[id(memory)] = memory.scores(self.history)[0]
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
