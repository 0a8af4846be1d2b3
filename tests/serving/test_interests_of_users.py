import pytest

from kinema.serving.keys import create_key
from small_service import small_client


@pytest.fixture
def client(tmp_path):
    with small_client(tmp_path) as served:
        yield served


def shown(client, user, **asked):
    answer = client.post(f"/v1/users/{user}/recommendations", json={"n": 6, **asked})
    assert answer.status_code == 200, answer.text
    return [one["item_id"] for one in answer.json()["items"]]


def test_a_profile_says_what_somebody_is_interested_in(client):
    profile = client.get("/v1/users/ann/profile").json()
    assert profile["num_events"] == 3
    assert [(one["name"], one["num_events"], one["weight"]) for one in profile["topics"]] == [
        ("nature", 2, 1.0),
        ("sports", 1, 1.0),
    ]
    assert sum(one["share"] for one in profile["topics"]) == pytest.approx(1)


def test_an_event_is_in_the_profile_at_once(client):
    client.post("/v1/events", json={"user_id": "ann", "item_id": "e", "kind": "watch"})
    assert [one["name"] for one in client.get("/v1/users/ann/profile").json()["topics"]] == ["nature", "food", "sports"]


def test_a_topic_that_is_set_to_nothing_is_not_shown(client):
    assert set(shown(client, "bob")) == {"a", "b", "e", "f"}
    answer = client.put("/v1/users/bob/profile", json={"topics": {"food": 0}})
    assert [(one["name"], one["weight"]) for one in answer.json()["topics"]] == [("sports", 1.0), ("food", 0.0)]
    assert set(shown(client, "bob")) == {"a", "b"}
    client.put("/v1/users/bob/profile", json={"topics": {}})
    assert set(shown(client, "bob")) == {"a", "b", "e", "f"}


def test_a_topic_that_is_set_to_more_comes_first(client):
    last = shown(client, "bob")[-1]
    topic = client.get(f"/v1/items/{last}").json()["categories"][0]
    client.put("/v1/users/bob/profile", json={"topics": dict.fromkeys(("nature", "food"), 0.1) | {topic: 10}})
    first = shown(client, "bob")[0]
    assert client.get(f"/v1/items/{first}").json()["categories"] == [topic]


@pytest.mark.parametrize("topics", [{"food": -1}, {"food": 11}, {"food": "much"}, {"": 1}, ["food"]])
def test_weights_that_cannot_be_are_refused(client, topics):
    assert client.put("/v1/users/bob/profile", json={"topics": topics}).status_code == 422


def test_a_profile_of_somebody_unknown_is_not_there(client):
    for method in ("get", "put"):
        body = {} if method == "get" else {"json": {"topics": {}}}
        assert getattr(client, method)("/v1/users/eve/profile", **body).status_code == 404


def test_an_export_has_everything_that_is_kept(client):
    its_id = client.get("/v1/users/ann/recommendations?n=2").json()["recommendation_id"]
    client.put("/v1/users/ann/profile", json={"topics": {"food": 2}})
    told = client.get("/v1/users/ann/export").json()
    assert told["attributes"] == {"country": "de"}
    assert (told["topics"], told["modalities"]) == ({"food": 2.0}, {})
    assert [one["item_id"] for one in told["events"]] == ["a", "b", "c"]
    assert [one["recommendation_id"] for one in told["slates"]] == [its_id]


def test_who_is_erased_leaves_no_weights_behind(client):
    client.put("/v1/users/bob/profile", json={"topics": {"food": 0}})
    client.delete("/v1/users/bob")
    client.post("/v1/events", json={"user_id": "bob", "item_id": "c", "kind": "watch"})
    assert client.get("/v1/users/bob/profile").json()["topics"] == [
        {"name": "sports", "share": 1.0, "num_events": 1, "weight": 1.0}
    ]


def test_personal_fields_are_for_those_who_may_see_them(tmp_path):
    with small_client(tmp_path, is_open=False) as client:
        store = client.project.store
        keys = {
            scope: create_key(store, name=scope, scopes=["read", scope])[1] for scope in ("write", "personal", "admin")
        }
        put = {"attributes": {"email": "eve@example.org", "country": "de"}}

        def ask(scope, method, path, **more):
            return client.request(method, path, headers={"X-API-Key": keys[scope]}, **more)

        assert ask("write", "PUT", "/v1/users/eve", json=put).json()["attributes"] != put["attributes"]
        assert "eve@" not in ask("write", "GET", "/v1/users").text
        assert ask("write", "GET", "/v1/users/eve").json()["attributes"]["country"] == "de"
        assert ask("personal", "GET", "/v1/users/eve").json()["attributes"] == put["attributes"]
        assert ask("write", "GET", "/v1/users/eve/export").status_code == 403
        assert ask("admin", "GET", "/v1/users/eve/export").json()["attributes"] == put["attributes"]
