"""The catalogue as a table, what was set aside, uploads, and what a user did, over HTTP."""

import polars as pl
import pytest
from fastapi.testclient import TestClient

from kinema.schema import Reject
from kinema.serving.app import create_app
from kinema.serving.keys import create_key
from kinema.serving.options import ServiceOptions
from kinema.steps.serving import make_app, make_engine
from served import Clips
from small_service import small_client, small_project

MP4 = b"\x00\x00\x00\x18ftypmp42" + bytes(100)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with small_client(tmp_path_factory.mktemp("table")) as served:
        yield served


def ids(client, query=""):
    answer = client.get(f"/v1/catalogue?{query}")
    assert answer.status_code == 200, answer.text
    return [one["item_id"] for one in answer.json()["items"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "abcdef"),
        ("q=OTTERS+the", "ab"),
        ("q=nature", "ab"),
        ("category=Sports&category=food", "cdef"),
        ("category=sports&q=goal", "cd"),
        ("sort=title", "cfabed"),
        ("sort=title&descending=true", "debafc"),
        ("sort=added&descending=true&limit=2", "fe"),
        ("sort=category", "efabcd"),
        ("sort=events&descending=true&limit=2", "cd"),
        ("offset=4&limit=10", "ef"),
        ("state=warm", "abcd"),
        ("state=cold&state=recommendable", "ef"),
        ("state=with_media", ""),
        ("language=en", ""),
        ("min_duration_ms=1", ""),
        ("published_since=2024-01-01", ""),
    ],
)
def test_items_are_searched_filtered_and_sorted(client, query, found):
    assert "".join(ids(client, query)) == found


def test_a_row_says_what_is_known_of_an_item(client):
    answer = client.get("/v1/catalogue?q=goalkeeper&limit=1").json()
    assert (answer["total"], answer["offset"]) == (1, 0)
    row = answer["items"][0]
    assert (row["item_id"], row["events"], row["recommendable"], row["placement"]) == ("d", 2, True, None)
    assert row["popularity"] > 1.9


def test_what_can_be_filtered_by_is_counted(client):
    found = client.get("/v1/catalogue/counts").json()
    assert (found["total"], found["categories"]) == (6, {"food": 2, "nature": 2, "sports": 2})
    assert found["states"] == {
        "recommendable": 6, "hidden": 0, "scheduled": 0, "cold": 2, "warm": 4, "with_media": 0, "without_media": 6, "placed": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "field"),
    [("sort=colour", "sort"), ("state=odd", "state.0"), ("limit=501", "limit"), ("offset=-1", "offset")],
)
def test_what_cannot_be_asked_is_said(client, query, field):
    answer = client.get(f"/v1/catalogue?{query}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)


def test_deleted_items_are_listed_no_more(tmp_path):
    with small_client(tmp_path) as client:
        client.delete("/v1/items/a")
        assert ids(client) == list("bcdef")
        client.put("/v1/items/g", json={"title": "Kites", "language": "en-GB", "duration_ms": 5000})
        assert ids(client) == list("bcdefg")
        assert ids(client, "language=en&max_duration_ms=5000") == ["g"]
        assert ids(client, "sort=duration&limit=1") == ["g"], "what has no length comes last"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with small_project(tmp_path_factory.mktemp("rejects")) as project:
        project.store.set_aside(
            [
                Reject("event", "events.csv", 7, "user_id must be known, is 'anna'", "anna,a,watch"),
                Reject("clip", "bad.mp4", None, "cannot decode 'bad.mp4': the file is empty"),
                Reject("item", "items.csv", 3, "id must not be empty", ",a title"),
            ]
        )
        keys = {
            scope: create_key(project.store, name=scope, scopes=scope.split("+"))[1]
            for scope in ("read", "read+personal")
        }
        with TestClient(make_app(project), base_url="http://shop.example") as client:
            yield lambda scope, path: client.get(path, headers={"x-api-key": keys[scope]}).json()


def test_what_was_set_aside_is_listed_by_kind_and_words(guarded):
    found = guarded("read", "/v1/rejects")
    assert (found["total"], found["kinds"]) == (3, {"clip": 1, "event": 1, "item": 1})
    found = guarded("read", "/v1/rejects?kind=clip&q=EMPTY")
    assert [(one["file"], one["row"], one["reason"]) for one in found["rejects"]] == [
        ("bad.mp4", None, "cannot decode 'bad.mp4': the file is empty")
    ]
    assert guarded("read", "/v1/rejects?limit=1&offset=2")["rejects"][0]["kind"] == "item"


def test_rows_of_people_are_masked_for_most(guarded):
    (row,) = guarded("read", "/v1/rejects?kind=event")["rejects"]
    assert (row["reason"], row["raw"]) == ("user_id must be known, is '***'", "***")
    assert guarded("read", "/v1/rejects?q=anna")["total"] == 0
    (row,) = guarded("read+personal", "/v1/rejects?kind=event")["rejects"]
    assert (row["reason"], row["raw"]) == ("user_id must be known, is 'anna'", "anna,a,watch")


def test_uploads_are_listed_newest_first(tmp_path):
    with small_project(tmp_path) as project:
        app = create_app(make_engine(project), ServiceOptions(is_open=True), clips=Clips(tmp_path))
        with TestClient(app, base_url="http://127.0.0.1") as client:
            for name in ("a", "new"):
                assert client.post(f"/v1/items/{name}/media?title=Kites", content=MP4).status_code == 202
            found = client.get("/v1/uploads").json()
            assert [(one["item_id"], one["title"]) for one in found["uploads"]] == [
                ("new", "Kites"),
                ("a", "Otters dive under the ice"),
            ]
            assert sum(found["statuses"].values()) == 2
            assert len(client.get("/v1/uploads?limit=1").json()["uploads"]) == 1
            assert client.get("/v1/uploads?status=failed").json()["uploads"] == []


def test_what_a_user_did_is_told_newest_first_page_by_page(client):
    store = client.project.store
    moments = [1000, 2000, 2000, 2000, 3000]
    store.write_events(
        pl.DataFrame(
            {
                "user": "dan",
                "item": list("abcde"),
                "timestamp_ms": moments,
                "kind": "watch",
                "context": '{"email": "d@x"}',
            }
        )
    )
    told, cursor = [], None
    for _ in range(3):
        page = client.get("/v1/users/dan/history", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        told += [(one["timestamp_ms"], one["item_id"]) for one in page["events"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert [moment for moment, _ in told] == moments[::-1]
    assert sorted(item for _, item in told) == list("abcde")
    assert page["events"][0]["title"] == "Otters dive under the ice"
    assert client.get("/v1/users/nobody/history").status_code == 404
    assert client.get("/v1/users/dan/history?cursor=7").status_code == 422


def test_personal_fields_of_what_a_user_did_are_masked(tmp_path):
    with small_project(tmp_path) as project:
        key = create_key(project.store, name="read", scopes=["read"])[1]
        project.store.write_events(
            pl.DataFrame(
                {
                    "user": ["ann"],
                    "item": "a",
                    "timestamp_ms": 5,
                    "kind": "like",
                    "context": '{"email": "a@x", "tv": 1}',
                }
            )
        )
        with TestClient(make_app(project), base_url="http://shop.example") as client:
            found = client.get("/v1/users/ann/history", headers={"x-api-key": key}).json()
            assert found["events"][-1]["context"] == {"email": "***", "tv": 1}
