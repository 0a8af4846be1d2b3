import threading
import time

import httpx2
import psutil
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from kinema.cli.main import main
from kinema.errors import ConfigError
from kinema.project import Project
from kinema.steps.serving import make_app
from kinema.store.sql import SqlStore
from running_service import RunningService
from small_service import small_project


@pytest.fixture
def folder(tmp_path):
    with small_project(tmp_path) as project:
        return project.folder


@pytest.fixture(scope="module", name="running")
def running_service(tmp_path_factory):
    """A service that no test ends, and its folder."""
    with small_project(tmp_path_factory.mktemp("running")) as project:
        folder = project.folder
    with RunningService(folder) as service:
        yield service, folder


def serve_here(folder, *arguments):
    """The command in this process; it has to end before it serves."""
    CliRunner().invoke(main, ["serve", "--project", str(folder), *arguments], catch_exceptions=False)


def test_everything_acknowledged_survives_kill_9(folder):
    service = RunningService(folder)
    events, slates, lock = [], [], threading.Lock()
    enough = threading.Event()

    def load(number):
        with httpx2.Client(base_url=service.address, timeout=10) as http:
            for place in range(10_000):
                name = f"{number}-{place}"
                event = {"user_id": f"u{place % 7}", "item_id": "abcdef"[place % 6], "kind": "click", "event_id": name}
                try:
                    written = http.post("/v1/events", json=event)
                    shown = http.get(f"/v1/users/u{place % 7}/recommendations?n=2")
                except httpx2.TransportError:
                    return
                with lock:
                    if written.status_code == 200:
                        events.append(name)
                    if shown.status_code == 200:
                        slates.append(shown.json()["recommendation_id"])
                    if len(events) > 60:
                        enough.set()

    threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    assert enough.wait(60)
    service.kill()
    for one in threads:
        one.join()
    store = SqlStore.open(folder / "store.db")
    kept = set(store.events(columns=["id"])["id"].to_list())
    assert set(events) <= kept
    assert set(slates) <= set(store.slates()["id"].to_list())
    store.close()
    with (
        Project.open(folder) as project,
        TestClient(make_app(project, is_open=True), base_url="http://127.0.0.1") as again,
    ):
        assert again.get("/v1/users/u1/recommendations?n=6").status_code == 200


def test_a_service_that_is_asked_to_end_writes_what_it_has_taken(folder):
    service = RunningService(folder)
    event = {"user_id": "eve", "item_id": "a", "kind": "click"}
    assert service.http.post("/v1/events", json=event).status_code == 200
    assert service.stop() in (0, -15)
    store = SqlStore.open(folder / "store.db")
    assert [one.item for one in store.user_events("eve")] == ["a"]
    store.close()


def test_two_services_on_one_store_see_each_others_events(running):
    one, folder = running
    with RunningService(folder) as other:
        event = {"user_id": "ann", "item_id": "d", "kind": "watch"}
        assert one.http.post("/v1/events", json=event).status_code == 200
        for _ in range(100):
            answer = other.http.get("/v1/users/ann/recommendations?n=6").json()
            if "d" not in [item["item_id"] for item in answer["items"]]:
                break
            threading.Event().wait(0.02)
        else:
            pytest.fail("the other service does not know the event after two seconds")


def test_a_port_that_is_taken_is_said_at_once(running):
    service, folder = running
    port = service.address.rsplit(":", 1)[1]
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
        serve_here(folder, "--open", "--port", port)


def test_open_is_refused_where_others_reach_it(folder):
    with pytest.raises(ConfigError, match="--open serves without keys and must listen on loopback"):
        serve_here(folder, "--open", "--host", "0.0.0.0", "--port", "0")


def test_without_a_key_nothing_is_told(folder):
    with RunningService(folder, "--log", "off") as service:
        answer = service.http.get("/v1/users/ann/recommendations")
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


def test_several_workers_share_a_port_and_one_that_dies_is_replaced(folder):
    with RunningService(folder, "--open", "--workers", "2") as service:
        event = {"user_id": "ann", "item_id": "d", "kind": "watch"}
        assert service.http.post("/v1/events", json=event).status_code == 200
        workers = psutil.Process(service.process.pid).children()
        assert len(workers) == 2
        workers[0].kill()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            alive = [one for one in psutil.Process(service.process.pid).children() if one.status() != "zombie"]
            if len(alive) == 2 and workers[0] not in alive:
                break
            time.sleep(0.1)
        assert len(alive) == 2
        with httpx2.Client(base_url=service.address, timeout=30) as fresh:
            shown = fresh.get("/v1/users/ann/recommendations?n=6").json()["items"]
        assert "d" not in [one["item_id"] for one in shown]
    assert not any(one.is_running() for one in alive)
