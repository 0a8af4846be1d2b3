"""Everything that differs between SQL databases, in one place. SQLite is served; PostgreSQL and MySQL are to follow here.

What a further database needs: how a connection is prepared, how writers take turns, an insert that skips known keys, and
how columns of numbers are read fast.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, Final

import polars as pl
from sqlalchemy import ColumnElement, Connection, Engine, Table, bindparam, create_engine, event, func, select
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from kinema.errors import ConfigError
from kinema.store.tables import LAZY_INDEXES

_ROWS_PER_STATEMENT: Final = 100
_ROWS_PER_SLICE: Final = 8_000
_NULL: Final = "n"
_PATIENCE_S: Final = 60
"""How long a writer waits for another one before it gives up."""


def open_engine(url_or_path: str | Path) -> Engine:
    """An engine for a database by URL or for a SQLite file by path.

    Writers take turns from their first statement (``BEGIN IMMEDIATE``); a reader sees the state at its begin and waits
    for nobody. A commit is synced to disk.

    Args:
        url_or_path: ``sqlite:///store.db`` or ``store.db``.

    Returns:
        The engine; nothing is opened before its first use.

    Raises:
        ConfigError: The URL names a database that is not served yet.
    """
    text = str(url_or_path)
    url = make_url(text) if "://" in text else make_url(f"sqlite:///{text}")
    if url.get_backend_name() != "sqlite":
        raise ConfigError(
            f"the store's url must be sqlite:///FILE or a path, is '{url.get_backend_name()}'; "
            "other databases are not served yet"
        )
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    patience_s = float(str(url.query.get("timeout", _PATIENCE_S)))

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "cache_size=-65536",
            "temp_store=MEMORY",
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        patience_ms = round(options.get("patience_s", patience_s) * 1000)
        if connection.info.get("patience_ms") != patience_ms:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience_ms}")
            connection.info["patience_ms"] = patience_ms
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes", False) else "BEGIN")

    return engine


@cache
def _insert_statement(table: Table, names: tuple[str, ...], num_rows: int) -> tuple[str, tuple[str, ...]]:
    """SQL text with one mark per value, and the order of the columns in it."""
    rows: list[dict[str, Any]] = [{name: bindparam(f"{name}__{row}") for name in names} for row in range(num_rows)]
    statement = insert(table).values(rows).on_conflict_do_nothing()
    compiled = statement.compile(dialect=sqlite_dialect())
    order = [name.rsplit("__", 1)[0] for name in (compiled.positiontup or [])[: len(names)]]
    return str(compiled), tuple(order)


def insert_new(connection: Connection, table: Table, frame: pl.DataFrame) -> int:
    """Insert the rows whose keys are not in the table yet.

    A hundred rows go into each statement: that alone is 1.6 times as fast as one row each. Columns that are null
    throughout are left out, because binding None is the slowest value of the driver. A frame becomes Python objects in
    slices that fit the processor's cache.

    Args:
        connection: Inside a writing transaction.
        table: Where to.
        frame: Columns named as the table's.

    Returns:
        Number of rows inserted.
    """
    frame = frame.select([column for column in frame if column.null_count() < frame.height])
    width, names = frame.width, tuple(frame.columns)
    inserted = 0
    # The driver's own cursor: SQLAlchemy's would copy each row once more.
    cursor = connection.connection.cursor()
    for part in frame.iter_slices(_ROWS_PER_SLICE):
        size = _ROWS_PER_STATEMENT if part.height >= _ROWS_PER_STATEMENT else 1
        text, order = _insert_statement(table, names, size)
        cells: list[Any] = [None] * (part.height * width)
        for place, name in enumerate(order):
            cells[place::width] = part[name].to_list()
        step = size * width
        split = len(cells) // step * step
        cursor.executemany(text, [cells[start : start + step] for start in range(0, split, step)])
        inserted += cursor.rowcount
        if split < len(cells):
            single, _ = _insert_statement(table, names, 1)
            cursor.executemany(single, [cells[start : start + width] for start in range(split, len(cells), width)])
            inserted += cursor.rowcount
    cursor.close()
    return inserted


def insert_few(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert those of a few rows whose keys are not in the table yet.

    Args:
        connection: Inside a writing transaction.
        table: Where to.
        rows: Values by name of the column; what is missing is null.

    Returns:
        Number of rows inserted.
    """
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    if not names:
        return 0
    text, order = _insert_statement(table, names, 1)
    cursor = connection.connection.cursor()
    cursor.executemany(text, [[row.get(name) for name in order] for row in rows])
    inserted: int = cursor.rowcount
    cursor.close()
    return inserted


def make_index(engine: Engine, name: str) -> bool:
    """Make one of `kinema.store.tables.LAZY_INDEXES` if it is not there; where another process is writing, leave it.

    Args:
        engine: Of the store.
        name: Which.

    Returns:
        Whether it is there now.
    """
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
) -> pl.DataFrame:
    """Columns of integers, each returned by the database as one long text and parsed by Polars.

    Twice as fast as fetching rows, and without a Python object per cell.

    Args:
        connection: Where from.
        columns: Integer columns of one table.
        where: Conditions, all of which must hold.

    Returns:
        Int64 columns under their names; the order of the rows is the database's.
    """
    statement = select(*[func.group_concat(func.coalesce(column, _NULL)) for column in columns]).where(*where)
    texts = connection.execute(statement).one()
    return pl.DataFrame(
        [
            pl.read_csv(
                StringIO(text or ""),
                has_header=False,
                eol_char=",",
                null_values=_NULL,
                schema={column.name: pl.Int64},
                raise_if_empty=False,
            ).to_series()
            for column, text in zip(columns, texts, strict=True)
        ]
    )
