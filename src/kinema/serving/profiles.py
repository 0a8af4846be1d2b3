"""What people have set themselves: how much of each topic they want. Kept as documents, remembered, followed when others write."""

from collections.abc import Mapping
from threading import Lock
from typing import Any, Final

from kinema.store.service_protocols import Documents

_ROOM: Final = "profiles"


class ChosenWeights:
    """Category -> weight, by user.

    Args:
        documents: Where they are kept.
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._known: dict[str, Mapping[str, float]] = {}
        self._lock = Lock()

    def read(self) -> None:
        """Take up what is kept now."""
        found = {one.key: one.value["topics"] for one in self._documents.documents(_ROOM)}
        with self._lock:
            self._known = found

    def of(self, user: str) -> Mapping[str, float]:
        """What a user has set; empty for nothing."""
        return self._known.get(user, {})

    def put(self, user: str, topics: Mapping[str, float]) -> None:
        """Set them anew; all of them."""
        chosen: dict[str, Any] = {name: weight for name, weight in topics.items() if weight != 1}
        if chosen:
            self._documents.put_document(_ROOM, user, {"topics": chosen})
        else:
            self._documents.delete_document(_ROOM, user)
        with self._lock:
            self._known = {**{name: one for name, one in self._known.items() if name != user}, user: chosen}

    def forget(self, user: str) -> None:
        """A user is erased."""
        self.put(user, {})
