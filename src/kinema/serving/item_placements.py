"""What was decided of single items: hidden, lifted, pinned. Kept as documents, remembered, followed when others write."""

import hashlib
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final

from kinema.recommend.placing import Placement
from kinema.serving.problems import Problem
from kinema.store.service_protocols import Document, Documents

_ROOM: Final = "placements"
_LONGEST_KEY: Final = 200
MOST: Final = 10_000
"""Decisions that are kept: each process holds them all."""
_MOST_MOVED: Final = 1000
"""Items that are lifted, lowered or pinned: each request looks at them all."""


class ItemPlacements:
    """Item id -> what was decided of it.

    Args:
        documents: Where it is kept.
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._known: dict[str, Placement] = {}
        self._lock = Lock()

    def read(self) -> None:
        """Take up what is kept now."""
        with self._lock:
            self._known = dict(_read(one) for one in self._documents.documents(_ROOM))

    def all(self) -> Mapping[str, Placement]:
        """Everything that was decided; never changed in place."""
        return self._known

    def of(self, item_id: str) -> Placement:
        """What was decided of an item."""
        return self._known.get(item_id, Placement())

    def put(self, item_id: str, placement: Placement) -> Placement:
        """Decide anew; an empty decision leaves the item to itself again.

        Raises:
            Problem: 409, another item has that place, or too many have been decided.
        """
        with self._lock:
            self._check(item_id, placement)
            others = {name: one for name, one in self._known.items() if name != item_id}
            if placement.is_empty:
                self._documents.delete_document(_ROOM, _key(item_id))
                self._known = others
                return placement
            self._documents.put_document(_ROOM, _key(item_id), _written(item_id, placement))
            kept = self._documents.document(_ROOM, _key(item_id))
            if kept is None:
                self._known = others
                return Placement()
            self._known = {**others, item_id: _read(kept)[1]}
            return self._known[item_id]

    def forget(self, item_id: str) -> None:
        """An item is deleted."""
        if item_id in self._known:
            self.put(item_id, Placement())

    def _check(self, item_id: str, placement: Placement) -> None:
        others = {name: one for name, one in self._known.items() if name != item_id}
        taken = {one.position: name for name, one in others.items() if not one.hidden}
        if placement.position is not None and not placement.hidden and placement.position in taken:
            raise Problem(
                409,
                f"position {placement.position} is taken by item '{taken[placement.position][:80]}'; choose another, or free it first",
                field="position",
            )
        num_moved = sum(bool(one.boost) or one.position is not None for one in others.values())
        if len(others) >= MOST and not placement.is_empty:
            raise Problem(409, f"at most {MOST:,} items may be placed; hide an item by its own field hidden")
        if num_moved >= _MOST_MOVED and (placement.boost or placement.position is not None):
            raise Problem(409, f"at most {_MOST_MOVED:,} items may be boosted or pinned; use the boosts of a scenario")


def _key(item_id: str) -> str:
    """The id, or a digest of one that is longer than a key may be."""
    if len(item_id) <= _LONGEST_KEY:
        return item_id
    return f"sha256:{hashlib.sha256(item_id.encode()).hexdigest()}"


def _written(item_id: str, placement: Placement) -> dict[str, Any]:
    return {"item_id": item_id, "hidden": placement.hidden, "boost": placement.boost, "position": placement.position}


def _read(document: Document) -> tuple[str, Placement]:
    value = document.value
    return value["item_id"], Placement(value["hidden"], value["boost"], value["position"], document.updated_ms)
