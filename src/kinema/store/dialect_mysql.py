"""MySQL and MariaDB, by PyMySQL.

Writers take turns by a lock on the counter of arrivals that they hold until they have committed; so what they write becomes
visible in the order of its numbers. Texts are utf8mb4 and compared byte by byte: ids that differ by case, by an accent or by
a space at the end are two.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import polars as pl
from sqlalchemy import URL, ColumnElement, Connection, Engine, Table, create_engine, event, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable

from kinema.errors import DataError
from kinema.extras import require
from kinema.store.grouped_numbers import read_grouped
from kinema.store.tables import COUNTERS, LAZY_INDEXES, METADATA

_DRIVER: Final = "mysql+pymysql"
_BUSY: Final = frozenset({1205, 3572})
_SESSION: Final = "SET SESSION sql_mode = 'STRICT_ALL_TABLES', group_concat_max_len = 1000000000"
_BYTES_PER_STATEMENT: Final = 1 << 18
"""Of which a server takes at least 16 times as much, unless one row alone is longer."""


def open_engines(url: URL, *, patience_s: float) -> tuple[Engine, Engine]:
    """Engines for reading and for writing."""
    require("pymysql")
    patience = max(1, round(patience_s))
    engine = create_engine(
        url.set(drivername=_DRIVER).update_query_dict({"charset": "utf8mb4"}),
        connect_args={"init_command": f"{_SESSION}, innodb_lock_wait_timeout = {patience}"},
        isolation_level="REPEATABLE READ",
        pool_pre_ping=True,
        pool_recycle=1800,
        hide_parameters=True,
    )
    counter = select(COUNTERS.c.value).where(COUNTERS.c.name == "seq")

    # The state that a transaction sees is that of its first reading that locks nothing: a writer's comes after its turn.
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("writes", False):
            connection.execute(counter.with_for_update(nowait=options.get("patience_s") == 0))

    return engine, engine.execution_options(writes=True)


def is_busy(error: DBAPIError) -> bool:
    """Whether a writer waited for its turn in vain."""
    return bool(error.orig is not None and error.orig.args and error.orig.args[0] in _BUSY)


def is_refusal(error: BaseException) -> bool:
    """Whether a value cannot be kept: an id or a text that is too long."""
    return isinstance(error, require("pymysql").err.DataError)


@contextmanager
def making(engine: Engine) -> Iterator[Connection]:
    """A connection on which tables may be made; one process at a time. MySQL commits each of them by itself."""
    with engine.connect() as connection:
        lock = "CONCAT('kinema/', LEFT(SHA1(DATABASE()), 40))"
        connection.exec_driver_sql(f"SELECT GET_LOCK({lock}, 60)")
        try:
            yield connection
            connection.commit()
        finally:
            connection.exec_driver_sql(f"SELECT RELEASE_LOCK({lock})")


def make_all(connection: Connection) -> None:
    """Make the tables that are missing, and their indexes."""
    collation = "utf8mb4_nopad_bin" if getattr(connection.dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    inspector = inspect(connection)
    known = set(inspector.get_table_names())
    for table in METADATA.sorted_tables:
        there = set()
        if table.name in known:
            there = {one["name"] for one in inspector.get_indexes(table.name)}
        else:
            text = str(CreateTable(table).compile(dialect=connection.dialect)).rstrip()
            connection.exec_driver_sql(f"{text} ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={collation}")
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            if index.name not in there:
                connection.execute(CreateIndex(index))


def insert_new(connection: Connection, table: Table, frame: pl.DataFrame) -> int:
    """Insert the rows whose keys are not in the table yet.

    Polars writes the statements, texts as hexadecimal literals: the driver would take a second for ten thousand rows.
    """
    cells = [_literal(frame[name]) for name in frame.columns]
    rows = frame.select(row=pl.concat_str(pl.lit("("), pl.concat_str(cells, separator=","), pl.lit(")")))["row"]
    start = _insert(connection, table, frame.columns)
    cursor = connection.connection.cursor()
    inserted = 0
    statement = rows.str.len_bytes().cast(pl.Int64).cum_sum() // _BYTES_PER_STATEMENT
    numbered = pl.DataFrame({"row": rows, "statement": statement})
    for part in numbered.partition_by("statement", maintain_order=True, include_key=False):
        cursor.execute(start + part["row"].str.join(",").item())
        inserted += _counted(cursor, table, part.height)
    cursor.close()
    return inserted


def insert_few(connection: Connection, table: Table, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> int:
    """The same for a few rows, in one statement."""
    cursor = connection.connection.cursor()
    marks = ",".join([f"({','.join(['%s'] * len(names))})"] * len(rows))
    cursor.execute(_insert(connection, table, names) + marks, [row.get(name) for row in rows for name in names])
    inserted = _counted(cursor, table, len(rows))
    cursor.close()
    return inserted


def _insert(connection: Connection, table: Table, names: Sequence[str]) -> str:
    quote = connection.dialect.identifier_preparer.quote
    return f"INSERT IGNORE INTO {table.name} ({', '.join(quote(name) for name in names)}) VALUES "  # noqa: S608 (our own names)


def _counted(cursor: Any, table: Table, height: int) -> int:
    """How many rows a statement inserted. IGNORE forgives more than known keys; whatever else there was is an error."""
    inserted: int = cursor.rowcount
    if cursor.warning_count > height - inserted:
        raise DataError(f"MySQL refuses a value of '{table.name}': it is too long or out of range")
    return inserted


def _literal(column: pl.Series) -> pl.Expr:
    """The SQL text of each value."""
    if column.dtype == pl.String:
        text = pl.concat_str(pl.lit("_utf8mb4 X'"), pl.lit(column).str.encode("hex"), pl.lit("'"))
    else:
        text = pl.lit(column).cast(pl.String)
    return text.fill_null("NULL")


def make_index(engine: Engine, name: str) -> bool:
    """Make an index of events if it is not there; where another process is writing, leave it. Whether it is there now."""
    with engine.begin() as connection:
        if name in {one["name"] for one in inspect(connection).get_indexes("events")}:
            return True
    try:
        with engine.execution_options(writes=True, patience_s=0).begin():
            pass
    except DBAPIError as error:
        if is_busy(error):
            return False
        raise
    with making(engine) as connection:
        if name not in {one["name"] for one in inspect(connection).get_indexes("events")}:
            quote = connection.dialect.identifier_preparer.quote
            columns = ", ".join(quote(column) for column in LAZY_INDEXES[name])
            connection.exec_driver_sql(f"CREATE INDEX {name} ON events ({columns})")
    return True


def read_whole_numbers(
    connection: Connection, columns: Sequence[ColumnElement[int]], where: Sequence[ColumnElement[bool]]
) -> pl.DataFrame | None:
    """Columns of integers, read fast."""
    return read_grouped(connection, columns, where)
