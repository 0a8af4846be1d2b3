"""The tables of a store: made where there are none, brought up to date where a former release has made them."""

from typing import Final

from sqlalchemy import Connection, Table, inspect
from sqlalchemy.schema import CreateColumn

from kinema.store import bookkeeping
from kinema.store.dialect import dialect_of
from kinema.store.tables import COUNTER_NAMES, COUNTERS, ITEMS, SCHEMA_VERSION, USERS

_KEY: Final = "schema_version"


def found_version(connection: Connection) -> int | None:
    """The version of the tables, None where there are none."""
    if not inspect(connection).has_table("facts"):
        return None
    found = bookkeeping.fact(connection, _KEY)
    return None if found is None else int(found)


def make_tables(connection: Connection) -> None:
    """Make or upgrade the tables, inside a writing transaction: another process may have done so meanwhile.

    Version 2 added what a running service needs: slates, documents, removal of items and users.
    """
    found = found_version(connection)
    if found is not None and found >= SCHEMA_VERSION:
        return
    dialect_of(connection).make_all(connection)
    if found == 1:
        for table in (ITEMS, USERS):
            _add_column(connection, table, "deleted")
    there = bookkeeping.counters(connection)
    missing = [{"name": name, "value": 0} for name in COUNTER_NAMES if name not in there]
    if missing:
        connection.execute(COUNTERS.insert(), missing)
    bookkeeping.save_fact(connection, _KEY, SCHEMA_VERSION)


def _add_column(connection: Connection, table: Table, name: str) -> None:
    column = CreateColumn(table.c[name]).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column}")
