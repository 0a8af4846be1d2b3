"""A trained town, served with and without keys, and a window on it. Everything is made once a session.

`KINEMA_CONSOLE_PROJECT` names a trained project of the generated town to be used instead of a fresh one; its folder and the town's
beside it are copied.
"""

import os
import shutil
from pathlib import Path

import pytest

from browser_window import CHROMIUM, DESKTOP, Watch, browser
from console_town import make_town
from kinema.project import Project
from kinema.serving.keys import create_key
from kinema.steps.locking import only_one
from running_service import RunningService

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed", exc_type=ImportError)
TIMEOUT_MS = 15_000


def pytest_collection_modifyitems(items):
    if CHROMIUM.is_file():
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"there is no browser at {CHROMIUM}: apt-get install chromium"))


@pytest.fixture(scope="session")
def chromium():
    playwright.expect.set_options(timeout=TIMEOUT_MS)
    with browser() as made:
        yield made


@pytest.fixture(scope="session")
def town(tmp_path_factory):
    """The folder of a trained project, of this process alone; processes that test side by side share the making."""
    given = os.environ.get("KINEMA_CONSOLE_PROJECT")
    project = made_by_one(tmp_path_factory) if given is None else Path(given).resolve()
    return shutil.copytree(project.parent, tmp_path_factory.mktemp("console") / "given", symlinks=True) / project.name


def made_by_one(tmp_path_factory):
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "console-town"
    with only_one(folder / "making", wait=True):
        if not (folder / "made").exists():
            make_town(folder)
            (folder / "made").touch()
    return folder / "shop"


@pytest.fixture(scope="session")
def service(town):
    """The town, served to everybody on this machine, once it has searched: in a new environment the first search takes long."""
    with RunningService(town) as running:
        assert running.http.get("/v1/search", params={"q": "guitar"}, timeout=120).status_code == 200
        yield running


@pytest.fixture(scope="session")
def keys(town):
    """Keys by what they may do."""
    scopes = {"reader": ("read",), "all": ("read", "write", "admin", "personal")}
    with Project.open(town) as project:
        return {name: create_key(project.store, name=name, scopes=given)[1] for name, given in scopes.items()}


@pytest.fixture(scope="session")
def guarded(town, keys):
    """The same town, with keys."""
    with RunningService(town, "--log", "off") as running:
        yield running


@pytest.fixture
def window(chromium):
    """Open a page with a context of its own; at the end of the test nothing foreign was asked for and nothing went wrong."""
    opened = []

    def make(address, **options):
        context = chromium.new_context(**{"viewport": DESKTOP, "locale": "en-GB", "base_url": address} | options)
        context.set_default_timeout(TIMEOUT_MS)
        page, watch = context.new_page(), Watch(address)
        watch.look_at(page)
        page.watch = watch
        opened.append((context, watch))
        return page

    yield make
    for context, _ in opened:
        context.close()
    for _, watch in opened:
        assert watch.foreign == []
        assert watch.unexpected == []


@pytest.fixture
def page(window, service):
    """A window on the open service."""
    return window(service.address)
