"""What the recommender knows of one item: how it came to its vector, what it has, what is the same clip.

Shape suffixes: V items, J neighbours.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinema.recommend.parts import Parts

_MOST_COPIES = 100


@dataclass(frozen=True)
class Neighbour:
    """An item that lends its vector.

    Attributes:
        id: Of the item.
        title: Of the item.
        weight: Its share of what is borrowed; those of all neighbours sum to 1.
    """

    id: str
    title: str
    weight: float


@dataclass(frozen=True)
class Insight:
    """See the module docstring.

    Attributes:
        num_events: Interactions that the model has learnt from.
        cold: Whether there are none.
        imputed_weight: Share of its vector that is borrowed from items with like content: 1 for a cold one, less with every event;
            None where no model says.
        neighbours: From whom, the most important first.
        copies: Ids of other items with the same clip.
        modalities: Modality -> whether the item has it.
        popularity: Interactions, older ones counting less.
    """

    num_events: int
    cold: bool
    imputed_weight: float | None
    neighbours: tuple[Neighbour, ...]
    copies: tuple[str, ...]
    modalities: dict[str, bool]
    popularity: float


def insight_of(parts: Parts, item: int, *, num_events: int) -> Insight:
    """What is known of an item.

    Args:
        parts: Of the recommender.
        item: Its number.
        num_events: Interactions that the model has learnt from.
    """
    borrowed: Any = getattr(parts.scorer, "borrowed", None)
    neighbours: tuple[Neighbour, ...] = ()
    if borrowed is not None:
        pairs = zip(borrowed.neighbours_VJ[item].tolist(), borrowed.weights_VJ[item].tolist(), strict=True)
        catalogue = parts.catalogue
        neighbours = tuple(
            Neighbour(catalogue.ids[one], catalogue.titles[one], weight) for one, weight in pairs if weight > 0
        )
    copies: tuple[str, ...] = ()
    if parts.copies_V is not None and parts.copies_V[item] >= 0:
        same = np.flatnonzero(parts.copies_V == parts.copies_V[item])[:_MOST_COPIES].tolist()
        copies = tuple(parts.catalogue.ids[one] for one in same if one != item)
    return Insight(
        num_events=num_events,
        cold=num_events == 0,
        imputed_weight=None if borrowed is None else float(borrowed.share_V[item]),
        neighbours=neighbours,
        copies=copies,
        modalities={name: bool(rows_VD[item].any()) for name, rows_VD in parts.content.items()},
        popularity=float(parts.popularity_V[item]),
    )
