"""A place of a test's own in each database."""

import hashlib

from sqlalchemy import create_engine

from kinema.store.dialect import read_url

DATABASES = ("sqlite", "postgresql", "mysql", "mongo")


def store_url(request, database, folder):
    """The URL of a store that is kept for one folder; the server is started when it is asked for first."""
    if database == "sqlite":
        return f"sqlite:///{folder / 'store.db'}"
    server = request.getfixturevalue(f"{database}_url")
    name = f"t{hashlib.sha1(str(folder).encode()).hexdigest()[:12]}"
    if database == "postgresql":
        _run(read_url(server).set(drivername="postgresql+psycopg"), f"CREATE SCHEMA IF NOT EXISTS {name}")
        return f"{server}&options=-csearch_path%3D{name}"
    if database == "mongo":
        return server % name
    _run(read_url(server % "").set(drivername="mysql+pymysql"), f"CREATE DATABASE IF NOT EXISTS {name}")
    return server % name


def _run(url, statement):
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
