"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from kinema.threads import set_thread_policy

set_thread_policy()
# How long an example takes says more about the machine than about the code.
settings.register_profile("kinema", deadline=None)
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
