"""Fixtures that every room's tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from database_servers import mongo_server, mysql_server, postgresql_server
from kinema.threads import set_thread_policy

set_thread_policy()
# How long an example takes says more about the machine than about the code; a test that failed once has to fail again, so the
# examples are the same in every run. To look for new ones: pytest --hypothesis-profile explore.
settings.register_profile("kinema", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile("kinema")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the public data sets; `KINEMA_DATA` overrides the place."""
    folder = Path(os.environ.get("KINEMA_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the public data sets are not here; set KINEMA_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL server of this process."""
    with postgresql_server() as url:
        yield url


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[str]:
    """A MariaDB server of this process; %s stands for the name of a database."""
    with mysql_server() as url:
        yield url


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    """A MongoDB server; %s stands for the name of a database."""
    with mongo_server() as url:
        yield url


@pytest.fixture(scope="module")
def one_thread() -> None:
    """Torch on one thread: what is trained is too small for more, and several tests at once are then not in each other's way."""
    import torch  # noqa: PLC0415  # most rooms run without it

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def task_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project that every task can learn from, see `every_task`; what needs it unchanged copies its parent."""
    from every_task import make_project  # noqa: PLC0415  # brings transformers

    return make_project(tmp_path_factory.mktemp("every-task"))
