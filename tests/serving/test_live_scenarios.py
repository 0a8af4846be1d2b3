"""Scenarios and experiments that are changed while the service runs."""

import time

import pytest
from fastapi.testclient import TestClient

from kinema.project import Project
from kinema.serving.keys import create_key
from kinema.steps.live_scenarios import LOG_ROOM, MOST_KEPT, ROOM
from kinema.steps.serving import make_app
from small_service import small_client, small_project
from small_shop import set_up

WRITTEN = """
[scenarios.home]
caps = { category = 3 }
[scenarios.kids]
filter = { categories = ["nature"] }
"""


@pytest.fixture
def client(tmp_path):
    with small_project(tmp_path) as project:
        set_up(project, WRITTEN)
        with TestClient(make_app(project, is_open=True), base_url="http://127.0.0.1") as asking:
            asking.project = project
            yield asking


def error(answer, status, code):
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    return answer.json()["error"]


def put(client, name, rules, **more):
    answer = client.put(f"/v1/scenarios/{name}", json={"rules": rules, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(client, user="zoe", scenario="home", n=6):
    items = client.get(f"/v1/users/{user}/recommendations", params={"scenario": scenario, "n": n}).json()["items"]
    return [one["item_id"] for one in items]


def test_rules_hold_from_the_next_request_on(client):
    told = put(client, "home", {"filter": {"categories": ["food"]}})
    assert set(shown(client)) == {"e", "f"}
    assert (told["origin"], told["version"], told["rules"]) == ("store", 1, {"filter": {"categories": ["food"]}})
    assert told["changed_by"] == "open"
    assert abs(told["changed_ms"] / 1000 - time.time()) < 60


def test_a_name_that_is_new_becomes_a_scenario(client):
    error(client.get("/v1/users/zoe/recommendations?scenario=lunch"), 422, "invalid")
    put(client, "lunch", {"filter": {"categories": ["food"]}})
    assert set(shown(client, scenario="lunch")) == {"e", "f"}
    left = client.delete("/v1/scenarios/lunch").json()["scenarios"]
    assert "lunch" not in [one["scenario"] for one in left]
    error(client.get("/v1/users/zoe/recommendations?scenario=lunch"), 422, "invalid")


def test_what_the_file_says_holds_again(client):
    put(client, "kids", {"filter": {"categories": ["food"]}})
    assert set(shown(client, scenario="kids")) == {"e", "f"}
    client.delete("/v1/scenarios/kids")
    assert set(shown(client, scenario="kids")) == {"a", "b"}
    told = error(client.delete("/v1/scenarios/kids"), 409, "conflict")
    assert told["message"] == "scenario 'kids' has no rules of its own here; change those of kinema.toml there"
    error(client.delete("/v1/scenarios/nope"), 404, "not_found")


def test_every_version_is_kept_with_who_and_when_and_can_be_put_back(client):
    put(client, "home", {"max_items": 2})
    put(client, "home", {"max_items": 3})
    told = client.get("/v1/scenarios/home").json()
    assert [(one["version"], one["by"], one["what"], one["rules"]) for one in told["versions"]] == [
        (2, "open", "rules changed", {"max_items": 3}),
        (1, "open", "rules changed", {"max_items": 2}),
        (0, "kinema.toml", "as written", {"caps": {"category": 3}}),
    ]
    again = put(client, "home", told["versions"][2]["rules"])
    assert (again["version"], again["rules"]) == (3, {"caps": {"category": 3}})
    client.delete("/v1/scenarios/home")
    newest = client.get("/v1/scenarios/home").json()
    assert (newest["origin"], newest["versions"][0]["rules"], newest["versions"][0]["version"]) == ("file", None, 4)


def test_only_the_newest_versions_are_kept(client):
    for number in range(MOST_KEPT + 3):
        put(client, "lunch", {"max_items": number + 1})
    assert len(client.project.store.documents(LOG_ROOM)) == MOST_KEPT


def test_two_who_change_rules_at_once_do_not_lose_each_others_change(client):
    put(client, "home", {"max_items": 2}, expected_version=0)
    body = {"rules": {"max_items": 3}, "expected_version": 0}
    told = error(client.put("/v1/scenarios/home", json=body), 409, "conflict")
    assert told["message"] == "scenario 'home' must be at version 0, is at 1; read it again"
    error(client.delete("/v1/scenarios/home?expected_version=7"), 409, "conflict")
    assert client.delete("/v1/scenarios/home?expected_version=1").status_code == 200


@pytest.mark.parametrize(
    ("rules", "field", "message"),
    [
        ({"diversity": 2}, "rules.diversity", "rules.diversity must be less than or equal to 1"),
        ({"divrsity": 0.2}, "rules.divrsity", "unknown field 'rules.divrsity'"),
        ({"filter": {"max_age_days": 0}}, "rules.filter.max_age_days", "must be greater than 0"),
        ({"boosts": [{"multiply": -1}]}, "rules.boosts.0.multiply", "must be greater than or equal to 0"),
        ({"variants": {"b": {"share": 0}}}, "rules.variants.b.share", "must be greater than 0"),
        ({"variants": {"b": {"share": 0.7}, "c": {"share": 0.7}}}, "rules", "sum to at most 1, sum to 1.4"),
        ({"variants": {"control": {"share": 0.5}}}, "rules", "must have names of their own, not 'control'"),
        ({"filter": {"tags": ["x" * 70_000]}}, "rules", "must have at most 65,536 bytes, have 70,"),
    ],
)
def test_rules_that_cannot_be_are_refused_with_the_field_they_are_about(client, rules, field, message):
    for answer in (
        client.put("/v1/scenarios/home", json={"rules": rules}),
        client.post("/v1/scenarios/preview", json={"scenario": "home", "rules": rules}),
    ):
        told = error(answer, 422, "invalid")
        assert told["field"] == field
        assert message in told["message"]
    assert client.project.store.documents(ROOM) == []


def test_a_name_that_cannot_be_is_refused(client):
    assert error(client.put("/v1/scenarios/-x", json={"rules": {}}), 422, "invalid")["field"] == "scenario"
    assert error(client.get("/v1/scenarios/nope"), 404, "not_found")["message"] == "unknown scenario 'nope'"


def test_another_process_and_the_next_start_see_a_change(client):
    put(client, "home", {"filter": {"categories": ["food"]}})
    folder = client.project.folder
    with Project.open(folder) as other:
        assert {one.id for one in other.recommend("zoe", num_items=6).items} == {"e", "f"}
        with TestClient(make_app(other, is_open=True), base_url="http://127.0.0.1") as second:
            assert set(shown(second)) == {"e", "f"}
            put(client, "home", {"filter": {"categories": ["sports"]}})
            deadline = time.monotonic() + 20
            while set(shown(second)) != {"c", "d"}:
                assert time.monotonic() < deadline, "the other process does not follow"
                time.sleep(0.02)
        assert {one.id for one in other.recommend("zoe", num_items=6).items} == {"c", "d"}


def test_kept_rules_that_cannot_be_read_leave_those_of_the_file(client, caplog):
    client.project.store.put_document(ROOM, "kids", {"rules": {"no such": 1}, "by": "x", "what": "x", "at_ms": 1})
    client.app.state.parts.engine.keeper.follow_documents()
    assert set(shown(client, scenario="kids")) == {"a", "b"}


def preview(client, rules, **more):
    answer = client.post("/v1/scenarios/preview", json={"scenario": "home", "rules": rules, "n": 4, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_preview_shows_both_slates_and_what_each_stage_did(client):
    told = preview(client, {"filter": {"categories": ["food"]}}, user_id="ann")
    now, then = ([one["item_id"] for one in told[side]["items"]] for side in ("current", "proposed"))
    assert set(then) == {"e", "f"}
    assert told["entered"] == [one for one in then if one not in now]
    assert told["left"] == [one for one in now if one not in then]
    stages = {one["stage"]: one for one in told["proposed"]["trace"]}
    assert sum(stages["filter"]["detail"]["removed"].values()) == 4
    assert told["proposed"]["items"][0]["reason"]
    assert told["proposed"]["items"][0]["sources"]


def test_a_preview_leaves_no_trace(client):
    store, telemetry = client.project.store, client.app.state.parts.engine.telemetry
    before = store.state(), store.slates().height, telemetry.text().count(b"kinema_slates_total{")
    preview(client, {"exploration": 0.5}, user_id="ann")
    assert (store.state(), store.slates().height, telemetry.text().count(b"kinema_slates_total{")) == before
    assert shown(client) == shown(client)


def test_chance_falls_alike_in_both_slates_of_a_preview(client):
    put(client, "home", {"exploration": 0.9, "variants": {"b": {"share": 1.0}}})
    for _ in range(3):
        told = preview(client, {"exploration": 0.9}, user_id="zoe", n=6)
        assert [one["item_id"] for one in told["current"]["items"]] == [
            one["item_id"] for one in told["proposed"]["items"]
        ]
        assert (told["current"]["variant"], told["proposed"]["variant"]) == ("b", "")


def test_a_preview_of_what_is_not_there_yet_has_nothing_beside_it(client):
    told = preview(client, {"max_items": 1}, scenario="lunch")
    assert (told["current"], len(told["proposed"]["items"])) == (None, 1)


def test_a_preview_of_related_items_needs_an_item(client):
    told = preview(client, {"filter": {"categories": ["sports"]}}, scenario="related", item_id="a")
    assert {one["item_id"] for one in told["proposed"]["items"]} <= {"c", "d"}
    error(client.post("/v1/scenarios/preview", json={"scenario": "related", "rules": {}}), 404, "not_found")


def start(client, **body):
    return client.put("/v1/experiments/home", json={"variants": {"b": {"share": 0.5, "max_items": 1}}, **body})


def test_an_experiment_is_started_read_and_stopped(client):
    told = start(client).json()
    assert [(one["variant"], one["share"], one["rules"]) for one in told["variants"]] == [
        ("control", 0.5, {}),
        ("b", 0.5, {"max_items": 1}),
    ]
    assert told["rules"] == {"caps": {"category": 3}}
    assert {len(shown(client, user=f"u{number}")) for number in range(20)} == {1, 6}
    report = client.get("/v1/experiments/home").json()
    assert (report["running"], report["ended_ms"]) == (True, None)
    assert report["started_ms"] > 0
    assert report["sentence"].startswith("Too early: ")
    stopped = client.delete("/v1/experiments/home").json()
    assert (stopped["variants"], stopped["rules"]) == ([], {"caps": {"category": 3}})
    assert {len(shown(client, user=f"u{number}")) for number in range(20)} == {6}
    after = client.get("/v1/experiments/home").json()
    assert after["running"] is False
    assert after["ended_ms"] >= after["started_ms"]
    assert [one["slates"] for one in after["variants"]] == [one["slates"] for one in report["variants"]]
    told = error(client.delete("/v1/experiments/home"), 409, "conflict")
    assert told["message"] == "no experiment runs on scenario 'home'"


def test_rules_that_change_leave_an_experiment_running(client):
    start(client, attribution_hours=48)
    told = put(client, "home", {"diversity": 0.3})
    assert told["rules"] == {"diversity": 0.3, "attribution_hours": 48}
    assert [one["variant"] for one in told["variants"]] == ["control", "b"]
    told = put(client, "home", {"diversity": 0.3, "variants": {}})
    assert told["variants"] == []


def test_an_experiment_that_cannot_be_is_refused(client):
    assert error(start(client, variants={}), 422, "invalid")["field"] == "variants"
    two = {"b": {"share": 0.9}, "c": {"share": 0.9}}
    assert error(start(client, variants=two), 422, "invalid")["field"] == "variants"
    error(client.put("/v1/experiments/nope", json={"variants": {"b": {"share": 0.5}}}), 404, "not_found")
    start(client)
    told = error(start(client), 409, "conflict")
    assert told["message"] == "an experiment runs on scenario 'home' (b); stop it first"


def test_a_new_experiment_does_not_count_slates_of_the_last(client):
    start(client)
    shown(client)
    client.delete("/v1/experiments/home")
    time.sleep(0.005)
    start(client)
    error(client.get("/v1/experiments/home"), 409, "conflict")
    shown(client)
    assert sum(one["slates"] for one in client.get("/v1/experiments/home").json()["variants"]) == 1


def test_changing_needs_the_scope_admin_and_names_the_key(tmp_path):
    with small_project(tmp_path) as project:
        keys = {name: create_key(project.store, name=name, scopes=[name])[1] for name in ("read", "write", "admin")}
        with TestClient(make_app(project), base_url="http://shop.example") as client:

            def ask(method, path, scope, body=None):
                return client.request(method, path, json=body, headers={"x-api-key": keys[scope]})

            changes = [
                ("PUT", "/v1/scenarios/home", {"rules": {}}),
                ("DELETE", "/v1/scenarios/home", None),
                ("PUT", "/v1/experiments/home", {"variants": {"b": {"share": 0.5}}}),
                ("DELETE", "/v1/experiments/home", None),
            ]
            for method, path, body in changes:
                assert ask(method, path, "write", body).status_code == 403
            told = ask("PUT", "/v1/scenarios/home", "admin", {"rules": {}}).json()
            assert told["changed_by"].startswith("admin (key:")
            assert ask("GET", "/v1/scenarios/home", "read").status_code == 200
            body = {"scenario": "home", "rules": {}}
            assert ask("POST", "/v1/scenarios/preview", "read", body).status_code == 200


def test_a_scenario_that_weights_name_cannot_vanish(tmp_path):
    with small_client(tmp_path) as client:
        desk = client.app.state.administration._desk
        put(client, "lunch", {})
        desk._weighted = {"lunch": {"click": 1.0}}
        told = error(client.delete("/v1/scenarios/lunch"), 409, "conflict")
        assert "unknown key 'recommend.scenario_weights.lunch'" in told["message"]


def test_there_may_be_only_so_many_scenarios(tmp_path, monkeypatch):
    monkeypatch.setattr("kinema.steps.live_scenarios.MOST_SCENARIOS", 1)
    with small_client(tmp_path) as client:
        put(client, "one", {})
        told = error(client.put("/v1/scenarios/two", json={"rules": {}}), 422, "invalid")
        assert told["message"] == "there may be 1 scenarios, with 'two' there are 2"
