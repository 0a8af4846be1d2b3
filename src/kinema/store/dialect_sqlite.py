"""SQLite: one file, embedded, the default.

Writers take turns from their first statement (``BEGIN IMMEDIATE``); a reader sees the state at its begin and waits for
nobody. A commit is synced to disk, and what is deleted is overwritten.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl
from sqlalchemy import URL, ColumnElement, Connection, Engine, Table, bindparam, create_engine, event
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError, OperationalError

from kinema.store.grouped_numbers import read_grouped
from kinema.store.tables import LAZY_INDEXES, METADATA

_ROWS_PER_STATEMENT: Final = 100
_ROWS_PER_SLICE: Final = 8_000
_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "cache_size=-65536",
    "temp_store=MEMORY",
    "secure_delete=ON",
)


def open_engines(url: URL, *, patience_s: float) -> tuple[Engine, Engine]:
    """Engines for reading and for writing."""
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        patience_ms = round(options.get("patience_s", patience_s) * 1000)
        if connection.info.get("patience_ms") != patience_ms:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience_ms}")
            connection.info["patience_ms"] = patience_ms
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes", False) else "BEGIN")

    return engine, engine.execution_options(writes=True)


def is_busy(error: DBAPIError) -> bool:
    """Whether a writer waited for its turn in vain."""
    return "locked" in str(error.orig)


def is_refusal(error: BaseException) -> bool:
    """Whether a value cannot be kept."""
    return isinstance(error, sqlite3.DataError)


@contextmanager
def making(engine: Engine) -> Iterator[Connection]:
    """A transaction in which tables may be made; one process at a time."""
    with engine.execution_options(writes=True).begin() as connection:
        yield connection


def make_all(connection: Connection) -> None:
    """Make the tables that are missing."""
    METADATA.create_all(connection)


def insert_new(connection: Connection, table: Table, frame: pl.DataFrame) -> int:
    """Insert the rows whose keys are not in the table yet.

    A hundred rows go into each statement: that alone is 1.6 times as fast as one row each. A frame becomes Python objects
    in slices that fit the processor's cache.
    """
    width, names = frame.width, tuple(frame.columns)
    inserted = 0
    # The driver's own cursor: SQLAlchemy's would copy each row once more.
    cursor = connection.connection.cursor()
    for part in frame.iter_slices(_ROWS_PER_SLICE):
        size = _ROWS_PER_STATEMENT if part.height >= _ROWS_PER_STATEMENT else 1
        text, order = insert_statement(table, names, size)
        cells: list[Any] = [None] * (part.height * width)
        for place, name in enumerate(order):
            cells[place::width] = part[name].to_list()
        step = size * width
        split = len(cells) // step * step
        cursor.executemany(text, [cells[start : start + step] for start in range(0, split, step)])
        inserted += cursor.rowcount
        if split < len(cells):
            single, _ = insert_statement(table, names, 1)
            cursor.executemany(single, [cells[start : start + width] for start in range(split, len(cells), width)])
            inserted += cursor.rowcount
    cursor.close()
    return inserted


def insert_few(connection: Connection, table: Table, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> int:
    """The same for a few rows."""
    text, order = insert_statement(table, tuple(names), 1)
    cursor = connection.connection.cursor()
    cursor.executemany(text, [[row.get(name) for name in order] for row in rows])
    inserted: int = cursor.rowcount
    cursor.close()
    return inserted


@cache
def insert_statement(table: Table, names: tuple[str, ...], num_rows: int) -> tuple[str, tuple[str, ...]]:
    """SQL text with one mark per value, and the order of the columns in it."""
    rows: list[dict[str, Any]] = [{name: bindparam(f"{name}__{row}") for name in names} for row in range(num_rows)]
    statement = insert(table).values(rows).on_conflict_do_nothing()
    compiled = statement.compile(dialect=sqlite_dialect())
    order = [name.rsplit("__", 1)[0] for name in (compiled.positiontup or [])[: len(names)]]
    return str(compiled), tuple(order)


def make_index(engine: Engine, name: str) -> bool:
    """Make an index of events if it is not there; where another process is writing, leave it. Whether it is there now."""
    try:
        with engine.execution_options(writes=True, patience_s=0).begin() as connection:
            quote = connection.dialect.identifier_preparer.quote
            columns = ", ".join(quote(column) for column in LAZY_INDEXES[name])
            connection.exec_driver_sql(f"CREATE INDEX IF NOT EXISTS {name} ON events ({columns})")
    except OperationalError:
        return False
    return True


def read_whole_numbers(
    connection: Connection, columns: Sequence[ColumnElement[int]], where: Sequence[ColumnElement[bool]]
) -> pl.DataFrame | None:
    """Columns of integers, read fast."""
    return read_grouped(connection, columns, where)
