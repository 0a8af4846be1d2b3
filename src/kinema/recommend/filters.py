"""Which items may appear at all.

Shape suffixes: V items.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinema.recommend.catalogue import Catalogue
from kinema.recommend.conditions import failures
from kinema.recommend.scenario import Condition


@dataclass(frozen=True)
class Eligible:
    """What is left of the catalogue for one request.

    Attributes:
        allowed_V: bool.
        removed: Reason -> number of items; an item with several reasons counts under the first of hidden, unpublished,
            seen, excluded, and what the scenario's condition says.
    """

    allowed_V: NDArray[np.bool_]
    removed: Mapping[str, int]

    @property
    def num(self) -> int:
        """Items that may appear."""
        return int(np.count_nonzero(self.allowed_V))


def eligible(
    catalogue: Catalogue,
    *,
    now_ms: int,
    seen: NDArray[np.integer],
    excluded: NDArray[np.integer],
    condition: Condition | None = None,
) -> Eligible:
    """Apply every filter once, before retrieval.

    Args:
        catalogue: All items.
        now_ms: Items published later than this are not there yet.
        seen: Numbers of items the user has interacted with.
        excluded: Numbers of items the request rules out.
        condition: What must hold of an item; None for nothing.

    Returns:
        The mask and the count per reason; both add up to the catalogue.
    """
    allowed_V = np.ones(len(catalogue), dtype=np.bool_)
    removed: dict[str, int] = {}
    rules: dict[str, NDArray[np.bool_]] = {
        "hidden": catalogue.hidden_V,
        "unpublished": catalogue.published_ms_V > now_ms,
        "seen": _mask(len(catalogue), seen),
        "excluded": _mask(len(catalogue), excluded),
        **({} if condition is None else failures(condition, catalogue, now_ms)),
    }
    for reason, hit_V in rules.items():
        gone_V = hit_V & allowed_V
        removed[reason] = int(np.count_nonzero(gone_V))
        allowed_V ^= gone_V
    return Eligible(allowed_V, removed)


def _mask(size: int, items: NDArray[np.integer]) -> NDArray[np.bool_]:
    mask_V = np.zeros(size, dtype=np.bool_)
    mask_V[items] = True
    return mask_V
