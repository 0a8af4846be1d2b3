"""What people went on to after the user's last items, from the model's item-item memory."""

from dataclasses import dataclass

from kinema.retrieval.query import Query, TransitionScores
from kinema.retrieval.top import Candidates, best_of, nothing


@dataclass(frozen=True)
class MemoryRetriever:
    """Items that followed the user's items in other people's histories.

    Attributes:
        memory: Counts which item followed which.
        name: The source its candidates carry.
    """

    memory: TransitionScores
    name: str = "memory"

    def __call__(self, query: Query, num: int) -> Candidates:
        """The ``num`` most strongly connected allowed items; an item without any connection is no candidate."""
        if not len(query.items):
            return nothing(self.name)
        found = query.transitions(self.memory)
        return best_of(found.items_T, found.scores_T, num, query.allowed_V, source=self.name)
