"""Which items may appear at all.

Most of it is the same for every user and for a while: what is hidden, what is not published yet, what a scenario rules out. That
is kept; of a request only what the user has seen and excludes is new.

Shape suffixes: V items, N items of a request.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.recommend.catalogue import Catalogue
from kinema.recommend.conditions import epoch, failures
from kinema.recommend.scenario import Condition

_MOST_KEPT: Final = 16
_GENERAL: Final = 2
"""Reasons that come before what a request says: hidden and unpublished."""


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
        return len(self.allowed_V) - sum(self.removed.values())


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
    standing = _standing(catalogue, condition, now_ms)
    allowed_V = standing.allowed_V.copy()
    seen_N = own_N = np.unique(np.asarray(seen, dtype=np.int64))
    if len(excluded):
        own_N = np.concatenate([seen_N, np.setdiff1d(np.asarray(excluded, dtype=np.int64), seen_N)])
    allowed_V[own_N] = False
    # Who is hidden or unpublished counts as that; who was seen or excluded does not count under the condition.
    open_N = standing.reasons_V[own_N] >= min(len(standing.removed), _GENERAL)
    num_seen = int(np.count_nonzero(open_N[: len(seen_N)]))
    own = {"seen": num_seen, "excluded": int(np.count_nonzero(open_N)) - num_seen}
    twice = np.bincount(standing.reasons_V[own_N], minlength=len(standing.removed) + 1)
    removed: dict[str, int] = {}
    for place, (reason, count) in enumerate(standing.removed.items()):
        if place == _GENERAL:
            removed |= own
        removed[reason] = count - (int(twice[place]) if place >= _GENERAL else 0)
    return Eligible(allowed_V, removed if len(standing.removed) > _GENERAL else removed | own)


@dataclass(frozen=True, eq=False)
class _Standing:
    """What holds for every user.

    Attributes:
        hidden_V: What was hidden when it was found.
        allowed_V: bool.
        reasons_V: uint8, number of the first reason that rules an item out; as many as there are for an allowed one.
        removed: Reason -> items.
    """

    hidden_V: NDArray[np.bool_]
    allowed_V: NDArray[np.bool_]
    reasons_V: NDArray[np.uint8]
    removed: Mapping[str, int]

    @classmethod
    def of(cls, catalogue: Catalogue, condition: Condition | None, now_ms: int) -> "_Standing":
        hidden_V = catalogue.hidden_V.copy()
        rules = {
            "hidden": hidden_V,
            "unpublished": catalogue.published_ms_V > now_ms,
            **({} if condition is None else failures(condition, catalogue, now_ms)),
        }
        reasons_V = np.full(len(catalogue), len(rules), dtype=np.uint8)
        for place, hit_V in reversed(list(enumerate(rules.values()))):
            reasons_V[hit_V] = place
        counts = np.bincount(reasons_V, minlength=len(rules) + 1).tolist()
        return cls(hidden_V, reasons_V == len(rules), reasons_V, dict(zip(rules, counts[:-1], strict=True)))


class _Kept:
    """The newest standings of a catalogue."""

    def __init__(self) -> None:
        self._found: OrderedDict[Any, _Standing] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, catalogue: Catalogue, condition: Condition | None, now_ms: int) -> _Standing:
        key = condition, epoch(condition, catalogue, now_ms)
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                self._found.move_to_end(key)
        if found is None or not np.array_equal(found.hidden_V, catalogue.hidden_V):
            found = _Standing.of(catalogue, condition, now_ms)
            with self._lock:
                self._found[key] = found
                while len(self._found) > _MOST_KEPT:
                    self._found.popitem(last=False)
        return found


def _standing(catalogue: Catalogue, condition: Condition | None, now_ms: int) -> _Standing:
    kept: _Kept = catalogue.facets.keep("standing", _Kept)
    return kept.get(catalogue, condition, now_ms)
