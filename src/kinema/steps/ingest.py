"""From files to the store: items, clips, users, events, in this order, so that events find their items.

A block of rows is one transaction, and the place behind it is saved in that transaction. A run that is killed at any
moment is taken up by the same command: nothing is lost and nothing is there twice.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import polars as pl

from kinema.errors import DataError
from kinema.progress import Progress, silent
from kinema.schema import Reject
from kinema.sources.blocks import NO_ROWS, Block, Table
from kinema.sources.byte_window import BLOCK_BYTES
from kinema.sources.named import open_named
from kinema.sources.tables import open_table
from kinema.sources.video_files import check_video_folder, open_video_folder
from kinema.steps.rejects import write_rejects
from kinema.store.protocols import SourceMark, Store, WriteCounts

CATALOGUE: Final = "catalogue"
"""Store fact: items were ingested, so an event of an unknown item is a mistake instead of news."""

_SHOWN: Final = 3


@dataclass(frozen=True)
class FileReport:
    """What became of one file.

    Attributes:
        kind: ``item``, ``user`` or ``event``.
        file: As the caller named it.
        counts: Rows that were new, known, set aside in this run.
        resumed_at: Rows that an earlier run had written already.
        skipped: It had been read to its end before, and reading it again could not change anything.
        seconds: Time taken.
    """

    kind: str
    file: str
    counts: WriteCounts
    resumed_at: int
    skipped: bool
    seconds: float


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        counts: ``items``, ``users`` and ``events`` -> rows that were new, known, set aside in this run.
        files: File by file, in the order they were read.
        rejects_folder: Where everything that was set aside is listed, of this run and earlier ones; None where nothing is.
        examples: The first of what was set aside of the files that had something set aside in this run.
        seconds: Time taken.
        version: Of the store's content afterwards.
    """

    counts: Mapping[str, WriteCounts]
    files: tuple[FileReport, ...]
    rejects_folder: Path | None = None
    examples: tuple[Reject, ...] = ()
    seconds: float = 0.0
    version: int = 0


def ingest(
    *,
    store: Store,
    videos: Path | None = None,
    items: Path | Sequence[Path] | None = None,
    users: Path | Sequence[Path] | None = None,
    events: Path | Sequence[Path] | None = None,
    source: tuple[str, Path] | None = None,
    mapping: Mapping[str, str] | None = None,
    media_root: Path | None = None,
    rejects_folder: Path | None = None,
    strict: bool = False,
    block_bytes: int = BLOCK_BYTES,
    only: Path | None = None,
    arrived_ms: int | None = None,
    progress: Progress = silent,
) -> IngestReport:
    """Read files into the store. All files are opened and their columns found before the first row is written.

    Args:
        store: Where to.
        videos: A folder of video files; each becomes an item, or the media file of the item that names it.
        items: Files of items: CSV, TSV, JSON lines, Parquet.
        users: Files of users.
        events: Files of events. Where items were ever ingested, events of other items are set aside; in a store without
            a catalogue they create their items.
        source: Name and folder of a public data set; see `kinema.sources.named`.
        mapping: The files' column names -> ours, for names that `kinema.sources.columns` does not know.
        media_root: What ``media_path`` is relative to; by default ``videos``.
        rejects_folder: Where what was set aside is listed; None lists it in the store only.
        strict: The first row that would be set aside is an error, and nothing of its file is written from its block on.
        block_bytes: Text read at a time.
        only: One clip of ``videos``; the others are not looked at.
        arrived_ms: When new clips of ``videos`` were published, UTC milliseconds, where nothing else says so.
        progress: Called after each block with place and end of the file.

    Returns:
        What was done.

    Raises:
        DataError: Nothing to read; a file is missing, cannot be read, or lacks a required column; or, with ``strict``,
            holds a bad row.
        ConfigError: The mapping or the source is unknown.
    """
    started = time.perf_counter()
    root = media_root or videos
    opened = list(open_named(*source)) if source is not None else []
    for kind, paths in (("item", items), ("user", users), ("event", events)):
        for path in [paths] if isinstance(paths, Path) else paths or ():
            opened.append(open_table(path, kind=kind, mapping=mapping, media_root=root, block_bytes=block_bytes))
    if not opened and videos is None:
        raise DataError("ingest must have something to read, nothing is named; name items, users, events or videos")
    if videos is not None:
        check_video_folder(videos, media_root=root)
    _check_used(mapping or {}, opened)
    writer = _Writer(store, strict=strict, progress=progress)
    try:
        files = [writer.write(table) for table in opened if table.kind == "item"]
        if videos is not None:
            files += [writer.write(table) for table in _clips(store, videos, root, only, arrived_ms)]
        files += [writer.write(table) for kind in ("user", "event") for table in opened if table.kind == kind]
    finally:
        listed = write_rejects(store, rejects_folder) if rejects_folder is not None else ()
    return IngestReport(
        counts={f"{kind}s": _sum(files, kind) for kind in ("item", "user", "event")},
        files=tuple(files),
        rejects_folder=rejects_folder if listed else None,
        examples=_examples(store, files),
        seconds=time.perf_counter() - started,
        version=store.version(),
    )


def _sum(files: Sequence[FileReport], kind: str) -> WriteCounts:
    return sum((file.counts for file in files if file.kind == kind), WriteCounts())


def _examples(store: Store, files: Sequence[FileReport]) -> tuple[Reject, ...]:
    names = {file.file for file in files if file.counts.rejected}
    folders = tuple(f"{name}/" for name in names)
    found = (one for one in store.rejects() if one.file in names or one.file.startswith(folders)) if names else ()
    return tuple(islice(found, _SHOWN))


def _check_used(mapping: Mapping[str, str], opened: Sequence[Table]) -> None:
    for theirs, ours in mapping.items():
        if not any(theirs in table.used_mapping for table in opened):
            raise DataError(
                f"mapping '{theirs}={ours}' must name a column of a file, no file has '{theirs}'; check its spelling"
            )


def _clips(store: Store, videos: Path, root: Path | None, only: Path | None, arrived_ms: int | None) -> list[Table]:
    """The video folder, seen in the light of the items that are in the store already."""
    known = store.media()
    return open_video_folder(
        videos,
        media_root=root,
        owners=dict(known.select("media_path", "id").drop_nulls().iter_rows()),
        without_media=known.filter(pl.col("media_path").is_null())["id"].to_list(),
        only=only,
        arrived_ms=arrived_ms,
    )


class _Writer:
    """Writes tables, block by block."""

    def __init__(self, store: Store, *, strict: bool, progress: Progress) -> None:
        self._store = store
        self._strict = strict
        self._progress = progress

    def write(self, table: Table) -> FileReport:
        """Read a table from where an earlier run left it, or from its start."""
        started = time.perf_counter()
        mark = self._store.mark(table.key)
        if mark and self._is_settled(table, mark):
            counts = WriteCounts(known=max(0, mark.next_row - mark.rejected), rejected=mark.rejected)
            return FileReport(table.kind, table.file, counts, mark.next_row, skipped=True, seconds=0.0)
        if mark is None or mark.done or table.volatile:
            mark = SourceMark(table.key, table.file)
            self._save(table, Block(NO_ROWS[table.kind], (), 0, 0, done=False), reached=0)
        if table.kind == "item" and not self._store.meta(CATALOGUE):
            self._store.set_meta(CATALOGUE, value=True)
        counts, reached = WriteCounts(), mark.next_row
        for block in table.read(mark.position, mark.next_row):
            counts += self._save(table, block, reached=reached)
            reached = block.next_row
            self._progress(block.position, table.size, table.file)
        seconds = time.perf_counter() - started
        return FileReport(table.kind, table.file, counts, mark.next_row, skipped=False, seconds=seconds)

    def _is_settled(self, table: Table, mark: SourceMark) -> bool:
        """Whether reading a finished file again could change anything, or must be an error."""
        if not mark.done or table.volatile or (self._strict and mark.rejected):
            return False
        return not mark.rejected or (table.kind == "event" and not mark.curable)

    def _save(self, table: Table, block: Block, *, reached: int) -> WriteCounts:
        """Write one block with its rejects and the place behind it."""
        state = f"this run took the first {reached} rows of '{table.file}' and nothing behind them"
        if self._strict and block.rejects:
            first = "; ".join(f"'{one.file}' row {one.row}: {one.reason}" for one in block.rejects[:_SHOWN])
            raise DataError(f"bad rows ({len(block.rejects)}): {first}; {state}; mend them or run without --strict")
        mark = SourceMark(table.key, table.file, block.next_row, block.position, block.done)
        common: dict[str, Any] = {"mark": mark, "rejects": block.rejects, "strict": self._strict}
        try:
            if table.kind == "item":
                return self._store.write_items(block.frame, **common, fill=table.fill)
            if table.kind == "user":
                return self._store.write_users(block.frame, **common)
            return self._store.write_events(block.frame, **common, create_items=not self._store.meta(CATALOGUE))
        except DataError as error:
            if not self._strict:
                raise
            raise DataError(f"{error}; {state}; mend it or run without --strict") from error
