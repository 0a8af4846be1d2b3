"""Everything that differs between SQL databases: which one a URL names, and what each has to be able to do."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl
from sqlalchemy import URL, ColumnElement, Connection, Engine, Table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from kinema.errors import ConfigError
from kinema.store import dialect_mysql, dialect_postgresql, dialect_sqlite

_FORMS: Final = "sqlite:///FILE, postgresql://USER@HOST/NAME, mysql://USER@HOST/NAME or a path"


class Dialect(Protocol):
    """What a database must be able to do; its module says how."""

    def open_engines(self, url: URL, *, patience_s: float) -> tuple[Engine, Engine]:
        """Engines for reading and for writing. Writers take turns; nothing is opened before its first use."""

    def is_busy(self, error: DBAPIError) -> bool:
        """Whether a writer waited for its turn in vain."""

    def is_refusal(self, error: BaseException) -> bool:
        """Whether the driver says that a value cannot be kept."""

    def making(self, engine: Engine) -> AbstractContextManager[Connection]:
        """A connection on which tables may be made; one process at a time."""

    def make_all(self, connection: Connection) -> None:
        """Make the tables that are missing."""

    def make_index(self, engine: Engine, name: str) -> bool:
        """Make one of `kinema.store.tables.LAZY_INDEXES` if it is not there; where another process is writing, leave it.

        Returns:
            Whether it is there now.
        """

    def insert_new(self, connection: Connection, table: Table, frame: pl.DataFrame) -> int:
        """Insert the rows whose keys are not in the table yet, and count them; no column is null throughout."""

    def insert_few(
        self, connection: Connection, table: Table, names: Sequence[str], rows: Sequence[Mapping[str, Any]]
    ) -> int:
        """The same for a few rows; what a row lacks is null."""

    def read_whole_numbers(
        self, connection: Connection, columns: Sequence[ColumnElement[int]], where: Sequence[ColumnElement[bool]]
    ) -> pl.DataFrame | None:
        """Integer columns of one table as Int64, in any order; None where that cannot be done fast."""


def dialect_of(database: Engine | Connection) -> Dialect:
    """What is particular to the database behind an engine or a connection."""
    match database.dialect.name:
        case "postgresql":
            return dialect_postgresql
        case "mysql" | "mariadb":
            return dialect_mysql
        case _:
            return dialect_sqlite


def read_url(url_or_path: str | Path) -> URL:
    """The URL of a store.

    Args:
        url_or_path: A URL, or the path of a SQLite file.

    Raises:
        ConfigError: It is no URL, or names a database that is not served. Its text never shows the URL.
    """
    text = str(url_or_path)
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError(
            f"the store's url must be {_FORMS}; special characters of a password are written %XX"
        ) from None
    known = {"postgres": "postgresql", "mariadb": "mysql"}
    name = url.drivername.split("+", maxsplit=1)[0]
    name = known.get(name, name)
    if name not in {"sqlite", "postgresql", "mysql"}:
        raise ConfigError(f"the store's url must be {_FORMS}, is of '{name}'")
    return url.set(drivername=name)


def open_engines(url: URL, *, patience_s: float) -> tuple[Engine, Engine]:
    """Engines for reading and for writing, from a URL of `read_url`."""
    match url.drivername:
        case "postgresql":
            return dialect_postgresql.open_engines(url, patience_s=patience_s)
        case "mysql":
            return dialect_mysql.open_engines(url, patience_s=patience_s)
        case _:
            return dialect_sqlite.open_engines(url, patience_s=patience_s)


def beside(url: URL) -> str | None:
    """The file whose neighbours the processes of a store may share; None where it is on a server, or in memory."""
    return url.database if url.drivername == "sqlite" and url.database not in (None, "", ":memory:") else None


def shown(url: URL) -> str:
    """A URL for people: neither its password nor its options, which may hold one.

    Example:
        >>> shown(read_url("postgresql://kinema:secret@localhost/kinema?sslpassword=secret"))
        'postgresql://kinema:***@localhost/kinema'
        >>> shown(read_url("shop/store.db"))
        'shop/store.db'
    """
    if url.drivername == "sqlite":
        return str(url.database)
    return url.set(query={}).render_as_string(hide_password=True)


def insert_new(connection: Connection, table: Table, frame: pl.DataFrame) -> int:
    """Insert the rows whose keys are not in the table yet.

    Columns that are null throughout are left out: binding None is the slowest value of most drivers.

    Args:
        connection: Inside a writing transaction.
        table: Where to.
        frame: Columns named as the table's.

    Returns:
        Number of rows inserted.
    """
    frame = frame.select([column for column in frame if column.null_count() < frame.height])
    return dialect_of(connection).insert_new(connection, table, frame) if frame.height else 0


def insert_few(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """The same for a few rows.

    Args:
        connection: Inside a writing transaction.
        table: Where to.
        rows: Values by name of the column; what is missing is null.

    Returns:
        Number of rows inserted.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    return dialect_of(connection).insert_few(connection, table, names, rows) if rows else 0
