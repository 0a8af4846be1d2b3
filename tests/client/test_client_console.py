"""What both clients ask of the catalogue, its clips and decisions."""

import asyncio
import inspect

import polars as pl
import pytest

from kinema.client.async_client import AsyncClient
from kinema.client.async_console import AsyncConsole
from kinema.client.client import Client
from kinema.client.console import Console
from kinema.client.errors import ChangedMeanwhileError, InvalidRequestError, NotFoundError
from served import served
from small_clips import clips_project


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with clips_project(tmp_path_factory.mktemp("console")) as project:
        moments = list(range(1, 8))
        project.store.write_events(
            pl.DataFrame({"user": "ann", "item": "red", "timestamp_ms": moments, "kind": "watch"})
        )
        with served(project) as address:
            yield address


@pytest.fixture
def console(url):
    with Client(url, api_key="") as client:
        yield client.console


def test_the_catalogue(console):
    page = console.catalogue("RED", state=["with_media", "warm"], sort="title")
    assert (page.total, [one.item_id for one in page.items]) == (1, ["red"])
    assert [one.item_id for one in console.catalogue(sort="id", descending=True, limit=2).items] == ["red", "grey"]
    assert console.counts().states["with_media"] == 4


def test_decisions(console):
    decided = console.place("red", boost=0.5, position=0)
    assert console.placement("red") == decided
    with pytest.raises(ChangedMeanwhileError, match="position 0 is taken by item 'red'"):
        console.place("blue", position=0)
    with pytest.raises(InvalidRequestError, match="boost must be"):
        console.place("blue", boost=7)
    assert console.place("red").updated_ms is None


def test_clips(console):
    assert console.file("red", "media")[4:8] == b"ftyp"
    assert {console.file("red", what)[8:12] for what in ("poster", "strip")} == {b"WEBP"}
    frames = console.frames("red").frames
    assert console.frame("red", frames[-1].number)[8:12] == b"WEBP"
    assert console.motion("red").fields
    with pytest.raises(NotFoundError):
        console.file("nothing")


def test_what_is_known(console):
    assert not console.insight("red", days=5).cold
    assert console.rejects("word", kind="clip").total == 0
    assert console.uploads(status=["failed"], limit=5).uploads == []
    assert len(console.history("ann", limit=3).events) == 3
    assert [one.timestamp_ms for one in console.iter_history("ann", 3)] == [7, 6, 5, 4, 3, 2, 1]


def test_the_other_client_has_the_same(url):
    async def ask():
        async with AsyncClient(url, api_key="") as client:
            console = client.console
            page, poster, _ = await asyncio.gather(
                console.catalogue("red"), console.file("red"), console.place("grey", hidden=True)
            )
            told = [one.timestamp_ms async for one in console.iter_history("ann", 4)]
            all_of_them = [
                await one
                for one in (
                    console.counts(), console.placement("grey"), console.insight("red"), console.frames("red"), console.motion("red"),
                    console.frame("red", 0), console.rejects(), console.uploads(), console.place("grey"),
                )
            ]  # fmt: skip
            return page.total, poster[8:12], told, len(all_of_them)

    assert asyncio.run(ask()) == (1, b"WEBP", [7, 6, 5, 4, 3, 2, 1], 9)
    for name, method in inspect.getmembers(Console, inspect.isfunction):
        assert list(inspect.signature(method).parameters) == list(
            inspect.signature(getattr(AsyncConsole, name)).parameters
        )
