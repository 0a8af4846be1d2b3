"""What a write of items, users or events does inside its transaction: number, write, set aside, count."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import polars as pl
from sqlalchemy import Connection, Table

from kinema.schema import Reject
from kinema.store import bookkeeping, catalogue, event_log
from kinema.store.aside import refuse, repeated, set_aside, unknown_item
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
    kind = KINDS[table.name]
    source = _start(connection, mark, table)
    done = catalogue.write_rows(connection, vocabulary, table, frame, source=source, fill=fill)
    found = [*rejects, *set_aside(done.repeated.iter_rows(named=True), kind, mark, partial(repeated, kind=kind))]
    refuse(found, strict=strict)
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
    mark: SourceMark | None = None,
    rejects: Sequence[Reject] = (),
    create_items: bool = False,
    strict: bool = False,
) -> WriteCounts:
    """Append events."""
    source = _start(connection, mark, EVENTS)
    if create_items:
        items, added = item_ids.add_missing(connection, frame["item"])
    else:
        items, added = item_ids.numbers(connection, frame["item"]), 0
    unknown = frame.filter(items.is_null()) if items.null_count() else frame.clear()
    found = [*rejects, *set_aside(unknown.iter_rows(named=True), "event", mark, unknown_item)]
    refuse(found, strict=strict)
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


KINDS: Final = {"items": "item", "users": "user", "events": "event"}


def _start(connection: Connection, mark: SourceMark | None, table: Table) -> int | None:
    """Save the mark first: rows name the source they come from. Returns the source's number."""
    if mark is None:
        return None
    source = bookkeeping.save_mark(connection, mark, kind=KINDS[table.name])
    if mark.next_row == 0 and table is not EVENTS:
        catalogue.forget_source(connection, table, source)
    return source


def _finish(connection: Connection, source: int | None, found: Sequence[Reject], *, curable: int = 0) -> None:
    bookkeeping.save_rejects(connection, found, source=source)
    if source is not None and found:
        bookkeeping.count_rejects(connection, source, rejected=len(found), curable=curable)
