import pytest

from kinema.errors import ConfigError, DataError, MissingExtraError
from kinema.store import dialect_postgresql
from kinema.store.dialect import read_url, shown
from kinema.store.sql import SqlStore


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("postgresql://u@h/n", "postgresql"),
        ("postgres://u@h/n", "postgresql"),
        ("postgresql+asyncpg://u@h/n", "postgresql"),
        ("mysql://u@h/n", "mysql"),
        ("mariadb://u@h/n", "mysql"),
        ("sqlite:///a/b.db", "sqlite"),
        ("a/b.db", "sqlite"),
    ],
)
def test_a_url_names_its_database_and_we_choose_the_driver(given, name):
    url = read_url(given)
    assert url.drivername == name
    assert url.database == ("a/b.db" if name == "sqlite" else "n")


@pytest.mark.parametrize("given", ["oracle://u:topsecret@h/n", "://u:topsecret@h/n"])
def test_another_database_is_refused_without_showing_the_url(given):
    with pytest.raises(
        ConfigError, match=r"the store's url must be sqlite:///FILE, postgresql://USER@HOST/NAME"
    ) as caught:
        SqlStore.open(given)
    assert "topsecret" not in str(caught.value)


def test_a_password_that_breaks_the_url_is_not_shown():
    with pytest.raises(ConfigError, match="special characters of a password are written %XX") as caught:
        SqlStore.open("postgresql://u@h:topsecret@h:x/n")
    assert "topsecret" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_server_that_is_not_there_is_named_without_its_password(kind):
    with pytest.raises(DataError) as caught:
        SqlStore.open(f"{kind}://kinema:topsecret@127.0.0.1:1/shop?connect_timeout=2")
    message = str(caught.value)
    assert message.startswith(f"cannot open the store '{kind}://kinema:***@127.0.0.1:1/shop': ")
    assert message.endswith("check its address, name, user and password")
    assert "topsecret" not in message


def test_what_is_shown_of_a_url_has_no_secrets():
    assert "secret" not in shown(read_url("mysql://u:secret1@h/n?ssl_key=secret2"))


def test_a_driver_that_is_missing_is_named(monkeypatch):
    def require(module):
        raise MissingExtraError(f"{module} is needed for a store on PostgreSQL and is not installed")

    monkeypatch.setattr(dialect_postgresql, "require", require)
    with pytest.raises(MissingExtraError, match="psycopg is needed for a store on PostgreSQL"):
        SqlStore.open("postgresql://u@h/n")
