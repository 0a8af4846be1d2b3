"""PostgreSQL, by psycopg 3.

Writers take turns by a lock on the counter of arrivals that they hold until they have committed; so what they write becomes
visible in the order of its numbers. A reader sees the state at its first statement and waits for nobody.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Final

import polars as pl
from sqlalchemy import URL, ColumnElement, Connection, Engine, Table, create_engine, event, select
from sqlalchemy.exc import DBAPIError

from kinema.extras import require
from kinema.store.tables import COUNTERS, LAZY_INDEXES, METADATA

_DRIVER: Final = "postgresql+psycopg"
_LOCK_NOT_AVAILABLE: Final = "55P03"
_MAKING: Final = 0x4B494E454D41


def open_engines(url: URL, *, patience_s: float) -> tuple[Engine, Engine]:
    """Engines for reading and for writing."""
    require("psycopg")
    engine = create_engine(
        url.set(drivername=_DRIVER), isolation_level="REPEATABLE READ", pool_pre_ping=True, hide_parameters=True
    )
    turn = select(COUNTERS.c.value).where(COUNTERS.c.name == "seq").with_for_update()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("writes", False):
            patience_ms = max(1, round(options.get("patience_s", patience_s) * 1000))
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {patience_ms}")
            connection.execute(turn)

    # A writer waits within its first statement: what it asks afterwards must see what was committed meanwhile.
    return engine, engine.execution_options(writes=True, isolation_level="READ COMMITTED")


def is_busy(error: DBAPIError) -> bool:
    """Whether a writer waited for its turn in vain."""
    return getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def is_refusal(error: BaseException) -> bool:
    """Whether a value cannot be kept: a text with a NUL, an id that is too long."""
    return isinstance(error, require("psycopg").DataError)


@contextmanager
def making(engine: Engine) -> Iterator[Connection]:
    """A transaction in which tables may be made; one process at a time."""
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MAKING})")
        yield connection


def make_all(connection: Connection) -> None:
    """Make the tables that are missing."""
    METADATA.create_all(connection)


def insert_new(connection: Connection, table: Table, frame: pl.DataFrame) -> int:
    """Insert the rows whose keys are not in the table yet: by COPY into a table of the transaction's own, and from there."""
    names = ", ".join(_quoted(connection, frame.columns))
    incoming = f"incoming_{table.name}"
    cursor = connection.connection.cursor()
    cursor.execute(f"CREATE TEMP TABLE {incoming} ON COMMIT DROP AS SELECT {names} FROM {table.name} WITH NO DATA")  # noqa: S608 (our own names)
    with cursor.copy(f"COPY {incoming} ({names}) FROM STDIN") as copy:
        for row in frame.iter_rows():
            copy.write_row(row)
    cursor.execute(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {incoming} ON CONFLICT DO NOTHING")  # noqa: S608 (the same)
    inserted: int = cursor.rowcount
    cursor.execute(f"DROP TABLE {incoming}")
    cursor.close()
    return inserted


def insert_few(connection: Connection, table: Table, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> int:
    """The same for a few rows: a list per column, so that the statement is the same, and prepared, for any number of rows."""
    quoted = ", ".join(_quoted(connection, names))
    lists = ", ".join(f"%s::{table.c[name].type.compile(connection.dialect)}[]" for name in names)
    cursor = connection.connection.cursor()
    text = f"INSERT INTO {table.name} ({quoted}) SELECT * FROM unnest({lists}) ON CONFLICT DO NOTHING"  # noqa: S608 (our own names)
    cursor.execute(text, [[row.get(name) for row in rows] for name in names])
    inserted: int = cursor.rowcount
    cursor.close()
    return inserted


def make_index(engine: Engine, name: str) -> bool:
    """Make an index of events if it is not there; where another process is writing, leave it. Whether it is there now."""
    with engine.begin() as connection:
        if connection.exec_driver_sql("SELECT to_regclass(%s)", (name,)).scalar() is not None:
            return True
    try:
        options = {"writes": True, "patience_s": 0, "isolation_level": "READ COMMITTED"}
        with engine.execution_options(**options).begin() as connection:
            columns = ", ".join(_quoted(connection, LAZY_INDEXES[name]))
            connection.exec_driver_sql(f"CREATE INDEX IF NOT EXISTS {name} ON events ({columns})")
    except DBAPIError as error:
        if is_busy(error):
            return False
        raise
    return True


def read_whole_numbers(
    connection: Connection, columns: Sequence[ColumnElement[int]], where: Sequence[ColumnElement[bool]]
) -> pl.DataFrame | None:
    """Columns of integers, copied out as one text and parsed by Polars."""
    statement = select(*columns).where(*where)
    text = statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY ({text}) TO STDOUT (FORMAT csv)") as copy:
        found = b"".join(bytes(part) for part in copy)
    cursor.close()
    schema = {column.name: pl.Int64 for column in columns}
    return pl.read_csv(BytesIO(found), has_header=False, schema=schema, raise_if_empty=False)


def _quoted(connection: Connection, names: Sequence[str]) -> list[str]:
    return [connection.dialect.identifier_preparer.quote(name) for name in names]
