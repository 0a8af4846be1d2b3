"""Writing and reading the ``events`` table."""

import json
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from sqlalchemy import ColumnElement, Connection, and_, bindparam, desc, func, or_, select

from kinema.schema import EVENT_COLUMNS, Event, EventKind
from kinema.store.dialect import dialect_of, insert_few, insert_new
from kinema.store.event_keys import event_key, event_keys
from kinema.store.service_protocols import Arrival
from kinema.store.tables import EVENTS, ITEMS, KIND_CODES, USERS
from kinema.store.text_json import read_object
from kinema.store.vocabulary import check_lengths

_ROWS_PER_READ: Final = 500_000
_ROWS_PER_FETCH: Final = 50_000
_NAMES: Final = {code: kind.value for kind, code in KIND_CODES.items()}
_TYPES: Final[dict[str, Any]] = {
    "id": pl.String,
    "user": pl.Int32,
    "item": pl.Int32,
    "timestamp_ms": pl.Int64,
    "kind": pl.Int8,
    "value": pl.Float64,
    "watch_ms": pl.Int64,
    "session_id": pl.String,
    "slate_id": pl.String,
    "position": pl.Int32,
    "propensity": pl.Float64,
    "context": pl.String,
}


def insert_events(connection: Connection, frame: pl.DataFrame, *, first_seq: int) -> int:
    """Append events that are not there yet.

    Rows go in by key, so that the B-tree is walked from left to right even when the file is ordered by user.

    Args:
        connection: Inside a writing transaction.
        frame: Columns of `Event`, ``user`` and ``item`` as numbers, ``kind`` as text; others are ignored.
        first_seq: Arrival number of the first row.

    Returns:
        How many were new.
    """
    given = [name for name in EVENT_COLUMNS if name in frame.columns]
    if "id" in given:
        check_lengths(frame["id"].cast(pl.String).replace("", None), of="event")
    if frame.height <= _FEW:
        events = [stored_event(event) for event in frame.select(given).iter_rows(named=True)]
        rows = [event | {"key": event_key(event), "seq": seq} for seq, event in enumerate(events, first_seq)]
        return insert_few(connection, EVENTS, rows)
    stored = frame.select(_as_stored(name) for name in given)
    stored = stored.with_columns(
        key=pl.Series(event_keys(stored)), seq=pl.int_range(first_seq, first_seq + stored.height, dtype=pl.Int64)
    )
    return insert_new(connection, EVENTS, stored.sort("timestamp_ms", "key", "seq"))


_FEW: Final = 64
_CODES: Final = {kind.value: code for kind, code in KIND_CODES.items()}
_EMPTY_AS_NULL: Final = {"id": "", "context": "{}", "session_id": "", "slate_id": ""}


def _as_stored(name: str) -> pl.Expr:
    """A column in the one type that its key is made from; empty text and what is not a number are null."""
    if name == "kind":
        return pl.col(name).replace_strict(_CODES, return_dtype=pl.Int16)
    column = pl.col(name).cast(_TYPES[name])
    if name in _EMPTY_AS_NULL:
        column = pl.when(column != _EMPTY_AS_NULL[name]).then(column).alias(name)
    if _TYPES[name] == pl.Float64:
        column = pl.when(column.is_finite()).then(column).alias(name)
    return column


def stored_event(event: dict[str, Any]) -> dict[str, Any]:
    """One event as it is kept: its values in the types of the table, what is empty left out."""
    stored: dict[str, Any] = {}
    for name, value in event.items():
        if value is None or value == _EMPTY_AS_NULL.get(name):
            continue
        if name == "kind":
            stored[name] = _CODES[value]
        elif _TYPES[name] == pl.Float64:
            if math.isfinite(value):
                stored[name] = float(value)
        else:
            stored[name] = int(value) if _TYPES[name].is_integer() else str(value)
    return stored


def event_row(event: Event) -> dict[str, Any]:
    """An event by column; its context is JSON text."""
    row: dict[str, Any] = {name: getattr(event, name) for name in EVENT_COLUMNS}
    return row | {"kind": str(event.kind), "context": _json(dict(event.context)) if event.context else "{}"}


def event_frame(events: Sequence[Event]) -> pl.DataFrame:
    """Events as `kinema.store.protocols.Store.write_events` takes them.

    Example:
        >>> event_frame([Event("u1", "v1", 7, EventKind.CLICK)]).select("user", "item", "kind").row(0)
        ('u1', 'v1', 'click')
    """
    types = _TYPES | dict.fromkeys(("user", "item", "kind"), pl.String) | {"position": pl.Int64}
    return pl.DataFrame([event_row(event) for event in events], schema={name: types[name] for name in EVENT_COLUMNS})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def read_events(
    connection: Connection, *, kinds: Sequence[EventKind] | None, columns: Sequence[str] | None
) -> pl.DataFrame:
    """Events by (time stamp, arrival); see `kinema.store.protocols.Store.events`."""
    wanted = list(EVENT_COLUMNS if columns is None else columns)
    names = list(dict.fromkeys([*wanted, "timestamp_ms", "seq"]))
    where = [] if kinds is None else [EVENTS.c.kind.in_([KIND_CODES[EventKind(kind)] for kind in kinds])]
    whole = all(name == "seq" or _TYPES[name].is_integer() for name in names)
    read = _read_whole_numbers if whole else _read_rows
    parts = [read(connection, [EVENTS.c[name] for name in names], [*where, *between]) for between in _pages(connection)]
    types: dict[Any, Any] = {name: _TYPES.get(name, pl.Int64) for name in names}
    events = pl.concat([part.cast(types) for part in parts]) if parts else pl.DataFrame(schema=types)
    events = _in_order(events).select(wanted)
    if "kind" in wanted:
        events = events.with_columns(pl.col("kind").replace_strict(_NAMES, return_dtype=pl.String))
    if "context" in wanted:
        events = events.with_columns(pl.col("context").fill_null("{}"))
    if "id" in wanted:
        events = events.with_columns(pl.col("id").fill_null(""))
    return events


def read_arrivals(connection: Connection, seq: int, *, limit: int) -> list[Arrival]:
    """Events that arrived after one; see `kinema.store.service_protocols.ServiceStore.events_after`."""
    rows = connection.execute(_ARRIVALS, {"its_seq": seq, "its_limit": limit})
    return [as_arrival(row) for row in rows]


def as_arrival(row: Sequence[Any]) -> Arrival:
    """An event from a row with the columns of `Arrival`, the kind as its code."""
    return Arrival(row[0], row[1], row[2], row[3], _NAMES[row[4]], row[5], row[6], row[7], row[8])


_ARRIVALS: Final = (
    select(*[EVENTS.c[name] for name in Arrival._fields])
    .where(EVENTS.c.seq > bindparam("its_seq"))
    .order_by(EVENTS.c.seq)
    .limit(bindparam("its_limit"))
)


def read_user_events(connection: Connection, user_id: str, *, limit: int, before_ms: int | None = None) -> list[Event]:
    """The newest events of one user, oldest first."""
    earlier = [] if before_ms is None else [EVENTS.c.timestamp_ms < before_ms]
    statement = (
        select(EVENTS, ITEMS.c.id.label("item_id"))
        .join_from(EVENTS, ITEMS, EVENTS.c.item == ITEMS.c.num)
        .where(EVENTS.c.user == select(USERS.c.num).where(USERS.c.id == user_id).scalar_subquery(), *earlier)
        .order_by(desc(EVENTS.c.timestamp_ms), desc(EVENTS.c.seq))
        .limit(limit)
    )
    rows = connection.execute(statement).all()
    return [event_of(row, user=user_id, item=row.item_id) for row in reversed(rows)]


def event_of(row: Any, *, user: str, item: str) -> Event:
    """An `Event` from a row of the table."""
    return Event(
        user=user,
        item=item,
        timestamp_ms=row.timestamp_ms,
        kind=EventKind(_NAMES[row.kind]),
        id=row.id or "",
        value=row.value,
        watch_ms=row.watch_ms,
        session_id=row.session_id,
        slate_id=row.slate_id,
        position=row.position,
        propensity=row.propensity,
        context=read_object(row.context),
    )


def count_kinds(connection: Connection) -> dict[str, int]:
    """Number of events of each kind that occurs."""
    statement = select(EVENTS.c.kind, func.count()).group_by(EVENTS.c.kind).order_by(EVENTS.c.kind)
    return {_NAMES[code]: count for code, count in connection.execute(statement)}


def _pages(connection: Connection) -> list[list[ColumnElement[bool]]]:
    """Conditions that cut the table into parts of bounded size, along its primary key."""
    time, key = EVENTS.c.timestamp_ms, EVENTS.c.key
    pages: list[list[ColumnElement[bool]]] = []
    after: list[ColumnElement[bool]] = []
    while True:
        statement = select(time, key).where(*after).order_by(time, key).offset(_ROWS_PER_READ - 1).limit(1)
        last = connection.execute(statement).one_or_none()
        if last is None:
            return [*pages, after]
        upto = or_(time < last[0], and_(time == last[0], key <= last[1]))
        pages.append([*after, time <= last[0], upto])
        after = [time >= last[0], or_(time > last[0], key > last[1])]


def _read_whole_numbers(
    connection: Connection, columns: Sequence[ColumnElement[int]], where: Sequence[ColumnElement[bool]]
) -> pl.DataFrame:
    found = dialect_of(connection).read_whole_numbers(connection, columns, where)
    return _read_rows(connection, columns, where) if found is None else found


def _read_rows(
    connection: Connection, columns: Sequence[ColumnElement[Any]], where: Sequence[ColumnElement[bool]]
) -> pl.DataFrame:
    # The driver's own cursor: wrapping a million rows in SQLAlchemy's takes longer than reading them.
    cursor = connection.execute(select(*columns).where(*where)).cursor
    types = {column.name: _TYPES.get(column.name, pl.Int64) for column in columns}
    parts = [pl.DataFrame(schema=types)]
    while cursor is not None and (rows := cursor.fetchmany(_ROWS_PER_FETCH)):
        parts.append(pl.DataFrame(rows, schema=types, orient="row"))
    return pl.concat(parts)


def _in_order(events: pl.DataFrame) -> pl.DataFrame:
    """By time, then arrival. Pages come by time already, so most logs need the check only."""
    times_N = events["timestamp_ms"].to_numpy()
    if bool(np.all(times_N[1:] > times_N[:-1])):
        return events
    return events.sort("timestamp_ms", "seq")
