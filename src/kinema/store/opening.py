"""A store by path or URL, whichever database is behind it."""

from pathlib import Path

from kinema.store.changes import Changes
from kinema.store.dialect import beside, read_url
from kinema.store.service_protocols import ServiceStore
from kinema.store.sql import SqlStore


def open_store(url_or_path: str | Path, *, changes: Path | None = None) -> ServiceStore:
    """Open a store; a new one is made where there is none.

    Args:
        url_or_path: A SQLite file, or a URL: ``postgresql://USER@HOST/NAME``, ``mysql://USER@HOST/NAME``,
            ``mongodb://USER@HOST/NAME``.
        changes: By which this machine's processes tell each other that they have written, see `kinema.store.changes`; one of SQLite
            is beside its file in any case.

    Raises:
        ConfigError: The URL names a database that is not served.
        DataError: The database cannot be reached.
        MissingExtraError: Its driver is not installed.
        StaleArtifactError: The store was made by a later release.

    Example:
        >>> import tempfile
        >>> store = open_store(Path(tempfile.mkdtemp()) / "store.db")
        >>> store.state().seq
        -1
        >>> store.close()
    """
    if str(url_or_path).startswith(("mongodb://", "mongodb+srv://")):
        from kinema.store.mongo import MongoStore  # noqa: PLC0415  # only who uses it pays for it

        store: ServiceStore = MongoStore.open(str(url_or_path))
    else:
        store = SqlStore.open(url_or_path)
        if beside(read_url(url_or_path)) is not None:
            return store
    if changes is not None:
        store.changes = Changes(changes)
    return store
