"""Documents in memory, with the guarantees of `kinema.store.service_protocols.Documents`."""

from collections.abc import Mapping
from typing import Any

from kinema.errors import ConflictError
from kinema.store.service_protocols import Document


class KeptDocuments:
    """Counts how often it is read, so that a test can tell what a cache saves."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Document] = {}
        self.reads = 0

    def document(self, room: str, key: str) -> Document | None:
        self.reads += 1
        return self.kept.get((room, key))

    def documents(self, room: str) -> list[Document]:
        return [self.kept[one] for one in sorted(self.kept) if one[0] == room]

    def put_document(self, room: str, key: str, value: Mapping[str, Any], *, expected: int | None = None) -> int:
        before = self.kept.get((room, key))
        version = 0 if before is None else before.version
        if expected is not None and expected != version:
            raise ConflictError(f"document '{room}/{key}' has version {version}, expected {expected}")
        self.kept[room, key] = Document(room, key, dict(value), version + 1, 0)
        return version + 1

    def delete_document(self, room: str, key: str) -> bool:
        return self.kept.pop((room, key), None) is not None
