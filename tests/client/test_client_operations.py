"""What the client asks for those who run a service."""

import asyncio
import subprocess
import sys

import pytest

from kinema.client.async_client import AsyncClient
from kinema.client.client import Client
from kinema.client.errors import (
    ChangedMeanwhileError,
    InvalidRequestError,
    NotBuiltYetError,
    NotFoundError,
)
from served import served
from small_service import small_project


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with small_project(tmp_path_factory.mktemp("operations")) as project, served(project) as address:
        yield address


def test_scenarios_are_tried_changed_and_put_back(url):
    with Client(url, api_key="") as client:
        desk = client.operations
        assert desk.session().open
        tried = desk.preview_scenario("home", {"filter": {"categories": ["food"]}}, user_id="zoe", n=3)
        assert {one.item_id for one in tried.proposed.items} == {"e", "f"}
        held = desk.put_scenario("home", {"filter": {"categories": ["food"]}}, expected_version=0)
        assert (held.version, held.origin) == (1, "store")
        assert {one.item_id for one in client.recommend("zoe").items} == {"e", "f"}
        with pytest.raises(ChangedMeanwhileError, match="must be at version 0, is at 1"):
            desk.put_scenario("home", {}, expected_version=0)
        with pytest.raises(InvalidRequestError, match=r"rules.diversity must be less than or equal to 1"):
            desk.put_scenario("home", {"diversity": 2})
        assert desk.scenario("home").versions[0].rules == {"filter": {"categories": ["food"]}}
        names = [one.scenario for one in desk.delete_scenario("home", expected_version=1).scenarios]
        assert names == [one.scenario for one in desk.scenarios().scenarios] == ["home", "related", "search"]


def test_an_experiment_is_started_and_stopped(url):
    with Client(url, api_key="") as client:
        desk = client.operations
        started = desk.start_experiment("home", {"b": {"share": 0.5, "max_items": 1}}, name="short")
        assert (started.experiment, [one.variant for one in started.variants]) == ("short", ["control", "b"])
        client.recommend("ann")
        assert desk.experiment("home", since="2020-01-01").running
        assert desk.stop_experiment("home").variants == []
        assert not desk.experiment("home").running


def test_models_and_health_are_asked(url):
    with Client(url, api_key="") as client:
        desk = client.operations
        assert desk.models().answering == "none"
        with pytest.raises(NotFoundError, match="unknown version 'x'"):
            desk.model_report("x")
        with pytest.raises(NotFoundError, match="unknown version 'x'"):
            desk.model_curve("x")
        with pytest.raises(ChangedMeanwhileError, match="there is no model to roll back to"):
            desk.roll_back()
        with pytest.raises(NotBuiltYetError, match="there are no vectors to lay out"):
            desk.model_map()
        assert desk.health_series(since_ms=1).step_seconds == 10
        assert len(desk.alerts().alerts) == 12


def test_the_client_for_asyncio_asks_the_same(url):
    async def ask():
        async with AsyncClient(url, api_key="") as client:
            desk = client.operations
            assert (await desk.session()).open
            assert (await desk.put_scenario("tea", {"max_items": 1})).version == 1
            assert (await desk.scenario("tea")).rules == {"max_items": 1}
            assert len((await desk.preview_scenario("tea", {"max_items": 2}, n=3)).proposed.items) == 2
            assert (await desk.start_experiment("tea", {"b": {"share": 1.0}})).variants
            assert len((await client.recommend("ann", scenario="tea")).items) == 1
            assert (await desk.experiment("tea")).sentence
            assert not (await desk.stop_experiment("tea")).variants
            await desk.delete_scenario("tea")
            assert "tea" not in [one.scenario for one in (await desk.scenarios()).scenarios]
            assert (await desk.models()).models == []
            assert (await desk.health_series()).process == (await desk.alerts()).process
            for asked in (desk.model_report("x"), desk.model_curve("x")):
                with pytest.raises(NotFoundError):
                    await asked
            with pytest.raises(NotFoundError):
                await desk.roll_back("x")
            with pytest.raises(NotBuiltYetError):
                await desk.model_map()

    asyncio.run(ask())


def test_operations_bring_neither_torch_nor_the_web_framework():
    script = (
        "import kinema.client.operations, kinema.client.async_operations, sys; "
        "print([one for one in ('torch', 'fastapi', 'starlette', 'sqlalchemy') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
