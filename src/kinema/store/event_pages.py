"""Events one by one, page by page, and taking single ones back."""

from collections.abc import Iterable, Sequence
from typing import Final

import polars as pl
from sqlalchemy import Connection, ScalarSelect, Table, delete, func, select

from kinema.schema import Event, EventKind
from kinema.store import bookkeeping
from kinema.store.event_log import event_of
from kinema.store.tables import EVENTS, ITEMS, KIND_CODES, USERS

DAY_MS: Final = 86_400_000
_NAMES: Final = {code: kind.value for kind, code in KIND_CODES.items()}
_NUMBERS_PER_STATEMENT: Final = 500


def event_page(
    connection: Connection,
    *,
    after: int,
    limit: int,
    user_id: str | None,
    item_id: str | None,
    kinds: Sequence[EventKind] | None,
) -> list[tuple[int, Event]]:
    """Events behind an arrival number; see `kinema.store.service_protocols.ServiceStore.event_page`."""
    where = [EVENTS.c.seq > after, ITEMS.c.deleted.is_(None)]
    if user_id is not None:
        where.append(EVENTS.c.user == _number_of(USERS, user_id))
    if item_id is not None:
        where.append(EVENTS.c.item == _number_of(ITEMS, item_id))
    if kinds is not None:
        where.append(EVENTS.c.kind.in_([KIND_CODES[kind] for kind in kinds]))
    statement = (
        select(EVENTS, USERS.c.id.label("user_id"), ITEMS.c.id.label("item_id"))
        .join_from(EVENTS, ITEMS, EVENTS.c.item == ITEMS.c.num)
        .join(USERS, EVENTS.c.user == USERS.c.num)
        .where(*where)
        .order_by(EVENTS.c.seq)
        .limit(limit)
    )
    return [(row.seq, event_of(row, user=row.user_id, item=row.item_id)) for row in connection.execute(statement)]


def item_activity(connection: Connection, item_id: str, *, since_ms: int) -> pl.DataFrame:
    """Counts of an item's events; see `kinema.store.service_protocols.ServiceStore.item_activity`."""
    day = (EVENTS.c.timestamp_ms // DAY_MS).label("day")
    statement = (
        select(day, EVENTS.c.kind, func.count())
        .where(EVENTS.c.timestamp_ms >= since_ms, EVENTS.c.item == _number_of(ITEMS, item_id))
        .group_by(day, EVENTS.c.kind)
    )
    return activity_frame((int(one), code, count) for one, code, count in connection.execute(statement))


def activity_frame(rows: Iterable[tuple[int, int, int]]) -> pl.DataFrame:
    """Day, code of the kind and count, as a frame in order."""
    types = {"day": pl.Int32, "kind": pl.String, "count": pl.Int64}
    named = [(day, _NAMES[code], count) for day, code, count in rows]
    return pl.DataFrame(named, schema=types, orient="row").sort("day", "kind")


def delete_events(connection: Connection, seqs: Sequence[int]) -> int:
    """Take events back; see `kinema.store.service_protocols.ServiceStore.delete_events`."""
    gone = 0
    for start in range(0, len(seqs), _NUMBERS_PER_STATEMENT):
        chosen = EVENTS.c.seq.in_(seqs[start : start + _NUMBERS_PER_STATEMENT])
        gone += connection.execute(delete(EVENTS).where(chosen)).rowcount
    if gone:
        bookkeeping.raise_counters(connection, version=1, users=1)
    return gone


def _number_of(table: Table, its_id: str) -> ScalarSelect[int]:
    return select(table.c.num).where(table.c.id == its_id).scalar_subquery()
