"""Marks of sources, rejects, counters and facts: the small tables beside the data."""

import json
from collections.abc import Sequence
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Table, and_, bindparam, delete, func, insert, or_, select, update

from kinema.schema import Reject
from kinema.store.dialect import insert_new
from kinema.store.protocols import SourceMark
from kinema.store.tables import COUNTERS, FACTS, REJECTS, SOURCES

WHOLE_FILE: Final = 0


def read_mark(connection: Connection, key: str) -> SourceMark | None:
    """The place reached in a source."""
    row = connection.execute(select(SOURCES).where(SOURCES.c.key == key)).one_or_none()
    if row is None:
        return None
    return SourceMark(row.key, row.file, row.next_row, row.position, row.done, row.rejected, row.curable)


def save_mark(connection: Connection, mark: SourceMark, *, kind: str) -> int:
    """Save a mark and return its source's number; one at row 0 forgets what was set aside for its file."""
    values = {"file": mark.file, "next_row": mark.next_row, "position": mark.position, "done": mark.done}
    num = connection.execute(select(SOURCES.c.num).where(SOURCES.c.key == mark.key)).scalar()
    if num is None:
        result = connection.execute(insert(SOURCES).values(key=mark.key, rejected=0, curable=0, **values))
        (num,) = result.inserted_primary_key or (0,)
    else:
        connection.execute(update(SOURCES).where(SOURCES.c.num == num).values(**values))
    if mark.next_row == 0:
        same_file = and_(REJECTS.c.file == mark.file, REJECTS.c.kind == kind)
        connection.execute(delete(REJECTS).where(or_(REJECTS.c.source == num, same_file)))
        connection.execute(update(SOURCES).where(SOURCES.c.num == num).values(rejected=0, curable=0))
    return int(num)


def count_rejects(connection: Connection, source: int, *, rejected: int, curable: int) -> None:
    """Add to the numbers of rows a source had set aside."""
    sums = {"rejected": SOURCES.c.rejected + rejected, "curable": SOURCES.c.curable + curable}
    connection.execute(update(SOURCES).where(SOURCES.c.num == source).values(**sums))


def save_rejects(connection: Connection, rejects: Sequence[Reject], *, source: int | None = None) -> int:
    """Record rejects, one per file and row; a known one gets the new reason. Returns how many are new."""
    if not rejects:
        return 0
    rows = [
        {"kind": one.kind, "file": one.file, "row": one.row or WHOLE_FILE, "reason": one.reason, "raw": one.raw}
        for one in rejects
    ]
    frame = pl.DataFrame(rows, schema_overrides={"row": pl.Int64})
    new = insert_new(connection, REJECTS, frame.with_columns(source=pl.lit(source, dtype=pl.Int32)))
    if new < len(rows):
        place = [REJECTS.c[name] == bindparam(f"its_{name}") for name in ("file", "kind", "row")]
        texts: dict[str, Any] = {name: bindparam(f"its_{name}") for name in ("reason", "raw")}
        owner = {} if source is None else {"source": source}
        statement = update(REJECTS).where(*place).values(**texts, **owner)
        connection.execute(statement, [{f"its_{name}": value for name, value in row.items()} for row in rows])
    return new


def forget_mended(connection: Connection, kind: str, rejects: Sequence[Reject]) -> None:
    """Forget the rejects of a kind that no source has and that are not among the given ones."""
    places = {(one.file, one.row or WHOLE_FILE) for one in rejects if one.kind == kind}
    statement = select(REJECTS).where(REJECTS.c.kind == kind, REJECTS.c.source.is_(None))
    mended = [{"its_num": one.num} for one in connection.execute(statement) if (one.file, one.row) not in places]
    if mended:
        connection.execute(delete(REJECTS).where(REJECTS.c.num == bindparam("its_num")), mended)


def read_rejects(connection: Connection) -> list[Reject]:
    """Everything set aside, by file and row."""
    statement = select(REJECTS).order_by(REJECTS.c.file, REJECTS.c.row, REJECTS.c.kind)
    return [Reject(row.kind, row.file, row.row or None, row.reason, row.raw) for row in connection.execute(statement)]


def counter(connection: Connection, name: str) -> int:
    """The value of a counter."""
    return connection.execute(_COUNTER, {"its_name": name}).scalar() or 0


_COUNTER: Final = select(COUNTERS.c.value).where(COUNTERS.c.name == bindparam("its_name"))
_COUNTERS: Final = select(COUNTERS.c.name, COUNTERS.c.value)


def counters(connection: Connection) -> dict[str, int]:
    """All counters, by one read."""
    return {row.name: row.value for row in connection.execute(_COUNTERS)}


def raise_counters(connection: Connection, **by: int) -> None:
    """Add to counters; a sum of 0 changes nothing."""
    rows = [{"its_name": name, "its_sum": its_sum} for name, its_sum in by.items() if its_sum]
    if rows:
        connection.execute(_RAISE, rows)


_RAISE: Final = (
    update(COUNTERS)
    .where(COUNTERS.c.name == bindparam("its_name"))
    .values(value=COUNTERS.c.value + bindparam("its_sum"))
)


def fact(connection: Connection, key: str) -> Any:
    """A small JSON value, None where absent."""
    text = connection.execute(select(FACTS.c.value).where(FACTS.c.key == key)).scalar()
    return None if text is None else json.loads(text)


def save_fact(connection: Connection, key: str, value: Any) -> None:
    """Keep a small JSON value."""
    text = json.dumps(value)
    if connection.execute(update(FACTS).where(FACTS.c.key == key).values(value=text)).rowcount == 0:
        connection.execute(insert(FACTS).values(key=key, value=text))


def count_rows(connection: Connection, table: Table) -> int:
    """Number of rows."""
    return connection.execute(select(func.count()).select_from(table)).scalar() or 0
