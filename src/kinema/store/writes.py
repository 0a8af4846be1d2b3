"""What a write of items, users or events does inside its transaction: number, write, set aside, count."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Table

from kinema.errors import DataError
from kinema.schema import Reject
from kinema.store import bookkeeping, catalogue, event_log
from kinema.store.protocols import SourceMark, WriteCounts
from kinema.store.tables import EVENTS
from kinema.store.vocabulary import Vocabulary


def write_catalogue(
    connection: Connection,
    vocabulary: Vocabulary,
    table: Table,
    frame: pl.DataFrame,
    *,
    mark: SourceMark | None,
    rejects: Sequence[Reject],
    fill: bool = False,
    strict: bool,
) -> WriteCounts:
    """Write items or users; see `kinema.store.protocols.Store` for what the arguments mean."""
    kind = _KINDS[table.name]
    source = _start(connection, mark, table)
    done = catalogue.write_rows(connection, vocabulary, table, frame, source=source, fill=fill)
    found = [*rejects, *_set_aside(done.repeated, kind, mark, lambda row: _repeated(kind, row["id"]))]
    _refuse(found, strict=strict)
    _finish(connection, source, found)
    changed = int(done.new + done.changed > 0)
    bookkeeping.raise_counters(connection, version=changed, **{table.name: changed})
    return WriteCounts(done.new, done.known, len(found))


def write_events(
    connection: Connection,
    item_ids: Vocabulary,
    user_ids: Vocabulary,
    frame: pl.DataFrame,
    *,
    mark: SourceMark | None,
    rejects: Sequence[Reject],
    create_items: bool,
    strict: bool,
) -> WriteCounts:
    """Append events."""
    source = _start(connection, mark, EVENTS)
    if create_items:
        items, added = item_ids.add_missing(connection, frame["item"])
    else:
        items, added = item_ids.numbers(connection, frame["item"]), 0
    unknown = frame.filter(items.is_null()) if items.null_count() else frame.clear()
    found = [*rejects, *_set_aside(unknown, "event", mark, lambda row: _unknown_item(row["item"]))]
    _refuse(found, strict=strict)
    good = frame.with_columns(item=items)
    if unknown.height:
        good = good.filter(items.is_not_null())
    users, newcomers = user_ids.add_missing(connection, good["user"])
    first = bookkeeping.counter(connection, "seq")
    new = event_log.insert_events(connection, good.with_columns(user=users), first_seq=first)
    _finish(connection, source, found, curable=unknown.height)
    bookkeeping.raise_counters(
        connection, seq=good.height if new else 0, version=int(new + added + newcomers > 0), items=int(added > 0)
    )
    return WriteCounts(new, good.height - new, len(found))


_KINDS: Final = {"items": "item", "users": "user", "events": "event"}


def _start(connection: Connection, mark: SourceMark | None, table: Table) -> int | None:
    """Save the mark first: rows name the source they come from. Returns the source's number."""
    if mark is None:
        return None
    source = bookkeeping.save_mark(connection, mark, kind=_KINDS[table.name])
    if mark.next_row == 0 and table is not EVENTS:
        catalogue.forget_source(connection, table, source)
    return source


def _finish(connection: Connection, source: int | None, found: Sequence[Reject], *, curable: int = 0) -> None:
    bookkeeping.save_rejects(connection, found, source=source)
    if source is not None and found:
        bookkeeping.count_rejects(connection, source, rejected=len(found), curable=curable)


def _set_aside(
    rows: pl.DataFrame, kind: str, mark: SourceMark | None, reason: Callable[[dict[str, Any]], str]
) -> list[Reject]:
    """A reject for each row of a frame; its column ``row`` has their places in the file."""
    file = mark.file if mark else "direct write"
    found = []
    for row in rows.iter_rows(named=True):
        place = row.pop("row", None)
        raw = ",".join("" if value is None else str(value) for value in row.values())
        found.append(Reject(kind, file, place, reason(row), raw[:200]))
    return found


def _unknown_item(item: str) -> str:
    return f"item must be in the catalogue, is {item!r}; ingest its row, then this file again"


def _repeated(kind: str, its_id: str) -> str:
    return f"{kind} id must occur once in a file, {its_id!r} occurs again; the first row stands"


def _refuse(found: Sequence[Reject], *, strict: bool) -> None:
    if strict and found:
        first = found[0]
        raise DataError(f"'{first.file}' row {first.row}: {first.reason}")
