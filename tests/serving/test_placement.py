"""What is decided of single items acts in every scenario at the next request, in every process, and after a restart."""

import time

import pytest
from fastapi.testclient import TestClient

from kinema.project import Project
from kinema.recommend.placing import Placement
from kinema.serving import item_placements
from kinema.serving.item_placements import ItemPlacements
from kinema.serving.problems import Problem
from kinema.steps.serving import make_app, make_engine
from small_service import small_client, small_project

SCENARIO = '[scenarios.tv]\nrank_by = "sources"\n[scenarios.tv.sources]\npopularity = 1.0\n'


@pytest.fixture
def client(tmp_path):
    with small_project(tmp_path) as project:
        (project.folder / "kinema.toml").write_text(SCENARIO)
        project.reload()
        with TestClient(make_app(project, is_open=True), base_url="http://127.0.0.1") as client:
            client.project = project
            yield client


def put(client, item, **decided):
    answer = client.put(f"/v1/items/{item}/placement", json=decided)
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(client, scenario="home", user="eve"):
    return [
        one["item_id"]
        for one in client.get(f"/v1/users/{user}/recommendations?n=6&scenario={scenario}").json()["items"]
    ]


@pytest.mark.parametrize("scenario", ["home", "tv"])
def test_a_hidden_item_is_shown_nowhere(client, scenario):
    assert "c" in shown(client, scenario)
    assert put(client, "c", hidden=True)["hidden"]
    assert "c" not in shown(client, scenario)
    assert "c" not in [one["item_id"] for one in client.get("/v1/items/d/similar?n=6").json()["items"]]
    assert "c" not in [one["item_id"] for one in client.get("/v1/search?q=goal").json()["items"]]
    assert not client.get("/v1/items/c").json()["recommendable"]
    put(client, "c")
    assert "c" in shown(client, scenario)


def test_what_is_answered_is_what_is_kept_however_long_writing_took(client, monkeypatch):
    later = iter(range(time.time_ns(), time.time_ns() * 2, 5_000_000))
    monkeypatch.setattr(time, "time_ns", lambda: next(later))
    decided = put(client, "f", position=1, boost=0.5)
    assert client.get("/v1/items/f/placement").json() == decided
    afresh = ItemPlacements(client.project.store)
    afresh.read()
    assert afresh.of("f").updated_ms == decided["updated_ms"]


@pytest.mark.parametrize("scenario", ["home", "tv"])
def test_a_pinned_item_has_its_place(client, scenario):
    put(client, "f", position=1)
    assert shown(client, scenario)[1] == "f"
    assert [one["item_id"] for one in client.get("/v1/items/a/similar?n=3").json()["items"]][1] == "f"
    put(client, "f")
    assert shown(client, scenario)[1] != "f"


@pytest.mark.parametrize("scenario", ["home", "tv"])
def test_a_boosted_item_moves_up_and_down(client, scenario):
    first = shown(client, scenario)[0]
    put(client, first, boost=-1)
    assert shown(client, scenario)[0] != first
    put(client, first)
    put(client, "f", boost=1)
    assert shown(client, scenario).index("f") <= 1


def test_what_an_item_says_itself_still_holds(client):
    client.put("/v1/items/e", json={"title": "Soup", "hidden": True})
    put(client, "e", hidden=True)
    put(client, "e")
    assert "e" not in shown(client)
    client.put("/v1/items/e", json={"title": "Soup"})
    put(client, "e", hidden=True)
    client.put("/v1/items/e", json={"title": "Soup again"})
    assert "e" not in shown(client), "a decision outlives a new reading of the catalogue"


def test_other_processes_and_a_restart_know_it(client):
    other = make_engine(Project.open(client.project.folder))
    try:
        put(client, "c", hidden=True, boost=0.5)
        deadline = time.monotonic() + 10
        while not other.world.catalogue.hidden_V[other.world.catalogue.numbers["c"]]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        other.stop()
    with TestClient(make_app(Project.open(client.project.folder), is_open=True), base_url="http://127.0.0.1") as again:
        assert "c" not in shown(again)
        assert again.get("/v1/items/c/placement").json()["boost"] == 0.5


def test_a_place_is_given_once(client):
    put(client, "e", position=0)
    answer = client.put("/v1/items/f/placement", json={"position": 0})
    assert (answer.status_code, answer.json()["error"]["field"]) == (409, "position")
    assert answer.json()["error"]["message"] == "position 0 is taken by item 'e'; choose another, or free it first"
    put(client, "e", hidden=True, position=0)
    put(client, "f", position=0)
    assert shown(client)[0] == "f"


def test_decisions_of_unknown_and_deleted_items(client):
    assert client.put("/v1/items/none/placement", json={}).status_code == 404
    assert client.get("/v1/items/none/placement").status_code == 404
    put(client, "e", position=0)
    client.delete("/v1/items/e")
    put(client, "f", position=0)
    assert client.get("/v1/items/a/placement").json() == {
        "item_id": "a", "hidden": False, "boost": 0.0, "position": None, "updated_ms": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "body", [{"boost": 2}, {"position": -1}, {"position": 1000}, {"boots": 1}, {"hidden": "perhaps"}]
)
def test_what_cannot_be_decided_is_said(client, body):
    assert client.put("/v1/items/a/placement", json=body).status_code == 422


def test_the_table_of_the_catalogue_shows_decisions(client):
    put(client, "c", hidden=True)
    rows = client.get("/v1/catalogue?state=placed").json()["items"]
    assert [(one["item_id"], one["hidden"], one["placement"]["hidden"]) for one in rows] == [("c", True, True)]
    assert client.get("/v1/catalogue?state=hidden").json()["total"] == 1


def test_decisions_are_bounded_and_ids_may_be_long(tmp_path, monkeypatch):
    with small_client(tmp_path) as served:
        kept = ItemPlacements(served.project.store)
        long = "x" * 256
        kept.put(long, Placement(boost=0.5))
        monkeypatch.setattr(item_placements, "_MOST_MOVED", 1)
        with pytest.raises(Problem, match="at most 1 items may be boosted or pinned; use the boosts of a scenario"):
            kept.put("b", Placement(boost=0.1))
        monkeypatch.setattr(item_placements, "MOST", 1)
        with pytest.raises(Problem, match="at most 1 items may be placed; hide an item by its own field hidden"):
            kept.put("b", Placement(hidden=True))
        again = ItemPlacements(served.project.store)
        again.read()
        assert again.of(long).boost == 0.5
        again.forget(long)
        kept.read()
        assert kept.all() == {}
