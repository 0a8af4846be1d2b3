"""Which scenario and variant a slate was of, for events that name it: the newest are remembered, older ones looked up."""

from collections import OrderedDict
from threading import Lock
from typing import Final

from kinema.store.service_protocols import ServiceStore

_MOST: Final = 25_000


class SlateOrigins:
    """Scenario and variant by recommendation id.

    Args:
        store: Where slates are logged.
    """

    def __init__(self, store: ServiceStore) -> None:
        self._store = store
        self._known: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._lock = Lock()

    def put(self, slate_id: str, origin: tuple[str, str]) -> None:
        """Remember a slate."""
        with self._lock:
            self._known[slate_id] = origin
            if len(self._known) > _MOST:
                self._known.popitem(last=False)

    def get(self, slate_id: str) -> tuple[str, str]:
        """Scenario and variant; empty texts for a slate that was never logged."""
        found = self._known.get(slate_id)
        if found is None:
            slate = self._store.slate(slate_id)
            found = ("", "") if slate is None else (slate.scenario, slate.variant)
            self.put(slate_id, found)
        return found
