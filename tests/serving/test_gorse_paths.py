"""The paths of gorse that its Python library does not call, and what all of them have in common."""

import polars as pl
import pytest
from fastapi.testclient import TestClient

from kinema.project import Project
from kinema.schema import EventKind
from kinema.serving.app import create_app
from kinema.serving.keys import create_key
from kinema.serving.options import ServiceOptions
from kinema.serving.routes import gorse_feedback
from kinema.steps.serving import make_app, make_engine
from small_service import small_project

PAST = "2022-08-07T00:26:46Z"


@pytest.fixture
def client(tmp_path):
    with (
        small_project(tmp_path) as project,
        TestClient(make_app(project, is_open=True), base_url="http://127.0.0.1", follow_redirects=False) as served,
    ):
        served.project = project
        yield served


def feedback(kind, user, item, **more):
    return {"FeedbackType": kind, "UserId": user, "ItemId": item, "Timestamp": PAST} | more


def got(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer):
    return [one["Id"] for one in got(answer)]


def test_a_slash_at_the_end_is_no_detour(client):
    for path in ("popular", "latest", "item/a/neighbors", "user/ann/neighbors", "recommend/ann", "user/ann/feedback"):
        assert got(client.get(f"/api/{path}/")) == got(client.get(f"/api/{path}"))
    assert got(client.post("/api/session/recommend/", json=[]))


def test_scores_only_for_who_asks_for_them(client):
    plain = got(client.get("/api/recommend/ann"))
    scored = got(client.get("/api/recommend/ann", headers={"X-API-Version": "2"}))
    assert plain == [one["Id"] for one in scored]
    assert all(isinstance(one, str) for one in plain)


def test_categories_may_be_named_in_the_query(client):
    both = client.get("/api/recommend/eve?category=food&category=nature")
    assert got(both) == []
    assert set(got(client.get("/api/recommend/eve?category=food"))) == {"e", "f"}
    assert ids(client.post("/api/session/recommend/sports", json=[feedback("like", "0", "c")])) == ["d"]
    assert ids(client.get("/api/item/c/neighbors/sports")) == ["d"]


def test_popular_items(client):
    assert got(client.get("/api/popular"))[0]["Id"] == "c"
    assert ids(client.get("/api/popular?n=1&offset=1")) == ids(client.get("/api/popular"))[1:2]
    assert ids(client.get("/api/popular/nature")) == ["b", "a"]
    before = got(client.get("/api/popular/food"))
    client.post("/api/feedback", json=[feedback("star", "x", "e")])
    assert (before, ids(client.get("/api/popular/food"))) == ([], ["e"])
    client.patch("/api/item/e", json={"IsHidden": True})
    assert ids(client.get("/api/popular/food")) == []


def test_latest_items(client):
    assert got(client.get("/api/latest")) == []
    rows = [
        {"ItemId": "n1", "Timestamp": "2022-01-01T00:00:00Z", "Categories": ["new"]},
        {"ItemId": "n2", "Timestamp": "2023-01-01 00:00:00 +0000 UTC", "Categories": ["new", "other"]},
        {"ItemId": "n3", "Timestamp": "9999-01-01", "Categories": ["new"]},
        {"ItemId": "n4", "Timestamp": "2024-01-01", "IsHidden": True},
    ]
    assert got(client.post("/api/items", json=rows)) == {"RowAffected": 4}
    client.app.state.parts.engine.keeper.wait_for_items()
    assert got(client.get("/api/latest")) == [
        {"Id": "n2", "Score": 1_672_531_200.0},
        {"Id": "n1", "Score": 1_640_995_200.0},
    ]
    assert ids(client.get("/api/latest/other")) == ["n2"]


def test_neighbours_of_a_user(client):
    found = got(client.get("/api/user/bob/neighbors"))
    assert [one["Id"] for one in found] == ["cem", "ann"]
    assert found[0]["Score"] == pytest.approx(1.0)
    assert ids(client.get("/api/user/bob/neighbors?n=1&offset=1")) == ["ann"]
    assert got(client.get("/api/user/nobody/neighbors")) == []


def test_feedback_that_is_put_is_overwritten(client):
    rows = [feedback("star", "bob", "a", Value=1), feedback("star", "new", "b")]
    assert got(client.post("/api/feedback", json=rows)) == {"RowAffected": 2}
    later = {"Timestamp": "2023-01-01T00:00:00Z", "Comment": "again"}
    rows = [feedback("star", "bob", "a") | later, feedback("star", "newer", "a")]
    assert got(client.put("/api/feedback", json=rows)) == {"RowAffected": 2}
    assert got(client.get("/api/user/bob/feedback/star")) == [feedback("star", "bob", "a", Value=0.0) | later]
    assert "a" not in got(client.get("/api/recommend/bob"))
    assert len(got(client.get("/api/user/newer/feedback"))) == 1


def test_feedback_of_a_type_is_paged(client, monkeypatch):
    client.post("/api/feedback", json=[feedback("zap", f"u{place}", "a") for place in range(5)])
    client.post("/api/feedback", json=[feedback("zip", f"u{place}", "a") for place in range(3)])
    first = got(client.get("/api/feedback/zap?n=4"))
    assert [one["UserId"] for one in first["Feedback"]] == ["u0", "u1", "u2", "u3"]
    second = got(client.get("/api/feedback/zap", params={"n": 4, "Cursor": first["Cursor"]}))
    assert ([one["UserId"] for one in second["Feedback"]], second["Cursor"]) == (["u4"], "")
    assert got(client.get("/api/feedback/nothing")) == {"Cursor": "", "Feedback": []}
    assert got(client.get("/api/feedback?n=0")) == {"Cursor": "", "Feedback": []}
    monkeypatch.setattr(gorse_feedback, "_MOST_LOOKED_AT", 2)
    monkeypatch.setattr(gorse_feedback, "MOST", 2)
    short = got(client.get("/api/feedback/zip?n=4"))
    assert (short["Feedback"], short["Cursor"] > "") == ([], True)
    rows = []
    while short["Cursor"]:
        short = got(client.get("/api/feedback/zip", params={"n": 4, "cursor": short["Cursor"]}))
        rows += short["Feedback"]
    assert [one["UserId"] for one in rows] == ["u0", "u1", "u2"]


def test_feedback_of_users_and_items_and_both(client):
    client.post("/api/feedback", json=[feedback("star", "bob", "a"), feedback("read", "bob", "a")])
    pair = got(client.get("/api/feedback/bob/a"))
    assert [one["FeedbackType"] for one in pair] == ["star", "read"]
    assert got(client.get("/api/feedback/read/bob/a")) == pair[1]
    missing = client.get("/api/feedback/like/bob/a")
    assert (missing.status_code, missing.json()["error"]["message"]) == (404, "unknown feedback 'like/bob/a'")
    assert got(client.get("/api/item/a/feedback/star")) == pair[:1]
    assert [one["FeedbackType"] for one in got(client.get("/api/item/a/feedback"))] == ["watch", "star", "read"]
    assert len(got(client.get("/api/user/bob/feedback"))) == 4
    assert got(client.delete("/api/feedback/read/bob/a")) == {"RowAffected": 1}
    assert got(client.get("/api/feedback/bob/a")) == pair[:1]


def test_feedback_of_tomorrow_is_not_listed_today(client):
    client.post("/api/feedback", json=[feedback("read", "bob", "a", Timestamp="9999-01-01")])
    assert got(client.get("/api/user/bob/feedback/read")) == []
    assert "a" in got(client.get("/api/recommend/bob"))


def test_users_and_categories_are_changed_in_part(client):
    client.post("/api/user", json={"UserId": "u", "Labels": {"tv": "yes", "age": 3}, "Comment": "c"})
    assert client.project.store.user("u").attributes == {"tv": "yes", "age": 3, "Comment": "c"}
    assert got(client.patch("/api/user/u", json={"Comment": "d"})) == {"RowAffected": 1}
    assert got(client.get("/api/user/u"))["Labels"] == {"tv": "yes", "age": 3}
    client.patch("/api/user/u", json={"Labels": ["x"], "Comment": None})
    assert client.project.store.user("u").attributes == {"Labels": ["x"], "Comment": "d"}
    assert client.patch("/api/user/nobody", json={}).status_code == 404
    assert got(client.put("/api/item/a/category/ice")) == {"RowAffected": 1}
    assert got(client.get("/api/item/a"))["Categories"] == ["nature", "ice"]
    client.delete("/api/item/a/category/nature")
    assert got(client.get("/api/item/a"))["Categories"] == ["ice"]
    assert got(client.get("/api/item/a"))["Comment"] == "Otters dive under the ice"


def test_a_project_says_what_a_type_means(tmp_path):
    with small_project(tmp_path) as project:
        text = (project.folder / "kinema.toml").read_text()
    text = text.replace("\n[gorse]", '\n[gorse]\nfeedback_kinds = {read = "watch"}\n# [old]')
    (project.folder / "kinema.toml").write_text(text)
    with (
        Project.open(project.folder) as opened,
        TestClient(make_app(opened, is_open=True), base_url="http://127.0.0.1") as client,
    ):
        client.post("/api/feedback", json=[feedback("read", "zoe", "d")])
        assert [event.kind for event in opened.store.user_events("zoe")] == [EventKind.WATCH]
        assert got(client.get("/api/user/zoe/feedback/read"))[0]["ItemId"] == "d"


def test_personal_fields_are_masked(tmp_path):
    with small_project(tmp_path) as project:
        _, reader = create_key(project.store, name="reader", scopes=["read"])
        project.store.write_users(
            pl.DataFrame({"id": ["p"], "attributes": ['{"email": "p@example.org", "Comment": "c"}']})
        )
        options = ServiceOptions(personal=frozenset({"email"}))
        app = create_app(make_engine(project), options)
        with TestClient(app, headers={"X-API-Key": reader}) as client:
            assert "example" not in client.get("/api/user/p").text
            assert "example" not in client.get("/api/users").text
            assert got(client.get("/api/user/p"))["Comment"] == "c"


def test_limits(client):
    most = 10 * client.app.state.parts.max_batch
    for path, what, one in (
        ("feedback", "feedback must be", feedback("a", "b", "c")),
        ("items", "items must be", {"ItemId": "x"}),
    ):
        answer = client.post(f"/api/{path}", json=[one] * (most + 1))
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        assert answer.json()["error"]["message"].startswith(f"{what} at most {most:,} in a request, ")
    for query in ("n=-1", "offset=-1", "cursor=x", "n=1e9"):
        assert client.get(f"/api/feedback?{query}").status_code == (200 if "offset" in query else 422)
    assert len(got(client.get("/api/users?n=1000000"))["Users"]) == 3
    assert client.post("/api/item", json={"ItemId": ""}).status_code == 422


def test_health(client):
    well = {"Ready": True, "DataStoreError": None, "CacheStoreError": None}
    well |= {"DataStoreConnected": True, "CacheStoreConnected": True}
    assert got(client.get("/api/health/live")) == got(client.get("/api/health/ready")) == well
    client.app.state.parts.engine.keeper._stopping.set()
    answer = client.get("/api/health/ready")
    assert (answer.status_code, answer.json()["Ready"]) == (503, False)
