"""`kinema serve --workers 2`: the address is said once it answers, and any of the processes tells what both have counted."""

import re
import time

import httpx2
import pytest

from running_service import RunningService
from small_service import small_project

_LISTED = re.compile(rb'kinema_requests_total\{method="GET",route="/v1/items",status="200"\} ([0-9.]+)')
_NUM = 24


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with small_project(tmp_path_factory.mktemp("workers")) as project:
        folder = project.folder
    with RunningService(folder, "--open", "--workers", "2") as made:
        yield made


def afresh(service, path):
    """An answer to a connection of its own, which the other process gets next."""
    return httpx2.get(service.address + path, timeout=30)


def test_every_process_tells_of_all_requests(service):
    for _ in range(_NUM):
        assert afresh(service, "/v1/items").status_code == 200
    deadline, told, processes = time.monotonic() + 60, set(), set()
    while (told != {_NUM} or len(processes) < 2) and time.monotonic() < deadline:
        told = {float(_LISTED.search(afresh(service, "/metrics").content)[1]) for _ in range(4)}
        processes |= {afresh(service, "/v1/health/series").json()["process"] for _ in range(2)}
    assert told == {_NUM}
    assert len(processes) == 2


def test_the_address_that_was_said_answered_at_once(service):
    said = [line for line in service.lines if service.address in line]
    assert len(said) == 1
    assert "Kinema serves" in said[0]
