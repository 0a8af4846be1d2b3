import hashlib

import pytest
from sqlalchemy import create_engine

from kinema.store.dialect import read_url
from kinema.store.sql import SqlStore
from kinema.testing.service_conformance import ServiceConformance
from kinema.testing.store_conformance import StoreConformance


def name_of(place):
    return f"t{hashlib.sha1(str(place).encode()).hexdigest()[:12]}"


def postgresql_place(url, place):
    """The URL of a schema of a test's own."""
    name = name_of(place)
    engine = create_engine(read_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {name}")
    engine.dispose()
    return f"{url}&options=-csearch_path%3D{name}"


def mysql_place(url, place):
    """The URL of a database of a test's own."""
    name = name_of(place)
    engine = create_engine(read_url(url % "").set(drivername="mysql+pymysql"))
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE IF NOT EXISTS {name}")
    engine.dispose()
    return url % name


class TestPostgresql(StoreConformance, ServiceConformance):
    @pytest.fixture(autouse=True)
    def server(self, postgresql_url):
        self.url = postgresql_url

    def open_store(self, place):
        return SqlStore.open(postgresql_place(self.url, place))


class TestMysql(StoreConformance, ServiceConformance):
    @pytest.fixture(autouse=True)
    def server(self, mysql_url):
        self.url = mysql_url

    def open_store(self, place):
        return SqlStore.open(mysql_place(self.url, place))
