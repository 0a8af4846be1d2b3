"""What people have set themselves: how much of each topic they want, and how much each modality counts.

Kept as documents, remembered, followed when others write.
"""

from collections.abc import Mapping
from threading import Lock
from typing import Final

from kinema.recommend.interests import Weights
from kinema.store.service_protocols import Document, Documents

_ROOM: Final = "profiles"
_NONE: Final = Weights()


class ChosenWeights:
    """What users have set, by user.

    Args:
        documents: Where it is kept.
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._known: dict[str, Weights] = {}
        self._lock = Lock()

    def read(self) -> None:
        """Take up what is kept now."""
        found = {one.key: _weights(one) for one in self._documents.documents(_ROOM)}
        with self._lock:
            self._known = found

    def of(self, user: str) -> Weights:
        """What a user has set; nothing for most."""
        return self._known.get(user, _NONE)

    def put(
        self, user: str, *, topics: Mapping[str, float] | None = None, modalities: Mapping[str, float] | None = None
    ) -> None:
        """Set all weights of topics anew, or of modalities, or of both; None leaves them as they are."""
        with self._lock:
            before = _weights(self._documents.document(_ROOM, user))
            chosen = Weights(
                before.topics if topics is None else _changed(topics),
                before.modalities if modalities is None else _changed(modalities),
            )
            if chosen == _NONE:
                self._documents.delete_document(_ROOM, user)
            else:
                value = {"topics": dict(chosen.topics), "modalities": dict(chosen.modalities)}
                self._documents.put_document(_ROOM, user, value)
            self._known = {**{name: one for name, one in self._known.items() if name != user}, user: chosen}

    def forget(self, user: str) -> None:
        """A user is erased."""
        self.put(user, topics={}, modalities={})


def _changed(weights: Mapping[str, float]) -> dict[str, float]:
    return {name: weight for name, weight in weights.items() if weight != 1}


def _weights(document: Document | None) -> Weights:
    """What a document says; those of older versions have no modalities."""
    return _NONE if document is None else Weights(document.value["topics"], document.value.get("modalities", {}))
