"""Models, keys, scenarios and experiments over HTTP; and models that are swapped while others ask."""

import math
import threading
import time

import pytest
from fastapi.testclient import TestClient

from kinema.serving.admin_wire import IntervalOut
from kinema.serving.keys import create_key
from kinema.steps.serving import make_app
from small_service import small_client, small_project
from small_shop import make_shop, set_up

SCENARIOS = """
[scenarios.home]
caps = { category = 3 }
[scenarios.home.variants.b]
share = 0.5
diversity = 0.4
[scenarios.kids]
filter = { categories = ["nature"] }
"""


@pytest.fixture
def client(tmp_path):
    with small_client(tmp_path) as served:
        yield served


@pytest.fixture(scope="module")
def two_models(tmp_path_factory):
    """A served project with two versions of its model, the older and the newer."""
    with make_shop(tmp_path_factory.mktemp("swap") / "shop") as project:
        for seed in (1, 2):
            project.pretrain(seed=seed)
        older, newer = (one.version.id for one in reversed(project.models.list()))
        with TestClient(make_app(project, is_open=True), base_url="http://127.0.0.1") as served:
            yield served, older, newer


def error(answer, status, code):
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    return answer.json()["error"]


def test_a_project_without_a_model_says_so(client):
    assert client.get("/v1/models").json() == {"answering": "none", "trouble": None, "models": []}
    told = error(client.post("/v1/models/rollback", json={}), 409, "conflict")
    assert "there is no model to roll back to" in told["message"]


def test_models_are_listed_newest_first(two_models):
    served, older, newer = two_models
    found = served.get("/v1/models").json()
    assert [(one["id"], one["published"]) for one in found["models"]] == [(newer, True), (older, False)]
    assert found["answering"] == newer
    assert found["models"][0]["seed"] == 2
    assert found["models"][0]["parent"] == older


def test_a_version_that_is_not_there_cannot_be_rolled_back_to(two_models):
    served, _, newer = two_models
    told = error(served.post("/v1/models/rollback", json={"version": "1999"}), 404, "not_found")
    assert (told["message"], told["field"]) == ("unknown version '1999'", "version")
    told = error(served.post("/v1/models/rollback", json={"version": newer}), 409, "conflict")
    assert "serves already" in told["message"]
    error(served.post("/v1/models/rollback", json={"version": "2"}), 409, "conflict")
    error(served.post("/v1/models/rollback", json={"to": newer}), 422, "invalid")


def test_models_are_swapped_under_load_without_a_failed_or_mixed_answer(two_models):
    served, older, newer = two_models
    seen, lock, enough = {older: set(), newer: set()}, threading.Lock(), threading.Event()
    failed = []

    def ask():
        while not enough.is_set():
            answer = served.get("/v1/users/u7/recommendations?n=5")
            if answer.status_code != 200:
                failed.append(answer.text)
                return
            body = answer.json()
            with lock:
                seen[body["model_version"]].add(
                    tuple((one["item_id"], round(one["score"], 6)) for one in body["items"])
                )

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    try:
        for version in (older, newer, older, newer):
            done = served.post("/v1/models/rollback", json={"version": version}).json()
            assert (done["version"], done["answering"]) == (version, True)
            assert served.get("/v1/users/u7/recommendations").json()["model_version"] == version
    finally:
        enough.set()
        for one in threads:
            one.join()
    assert not failed
    # Nothing happens to the user meanwhile: each version has one answer, and it is not the other's.
    assert [len(answers) for answers in seen.values()] == [1, 1]
    assert not seen[older] & seen[newer]


def test_what_another_process_publishes_is_taken_up(two_models, tmp_path):
    served, older, newer = two_models
    project = served.app.state.administration._project
    project.models.rollback(older)
    deadline = time.monotonic() + 20
    while served.get("/v1/models").json()["answering"] != older:
        assert time.monotonic() < deadline, "the service does not follow"
        time.sleep(0.02)
    project.models.rollback(newer)
    served.app.state.parts.engine.keeper.wait_until(lambda world: world.version == newer)


def test_a_model_that_cannot_be_read_leaves_the_old_one_answering(two_models):
    served, older, newer = two_models
    place = served.app.state.administration._project.artifacts / "versions" / older / "bound.safetensors"
    kept = place.read_bytes()
    place.write_bytes(b"broken")
    try:
        done = served.post("/v1/models/rollback", json={"version": older})
        assert done.status_code in (200, 409)
        assert served.get("/v1/users/u7/recommendations").status_code == 200
    finally:
        place.write_bytes(kept)
        served.post("/v1/models/rollback", json={"version": newer})


def test_a_key_is_made_listed_and_revoked(tmp_path):
    with small_project(tmp_path) as project:
        _, admin = create_key(project.store, name="admin", scopes=["admin"])
        with TestClient(make_app(project), base_url="http://shop.example") as client:
            own = {"X-API-Key": admin}
            made = client.post("/v1/keys", json={"name": "shop", "scopes": ["read"], "expires_days": 7}, headers=own)
            assert made.status_code == 201
            assert made.headers["cache-control"] == "no-store"
            key = made.json()
            asked = {"Authorization": f"Bearer {key['key']}"}
            assert client.get("/v1/users/ann/recommendations", headers=asked).status_code == 200
            assert client.get("/v1/keys", headers=asked).status_code == 403
            assert client.get("/v1/models", headers=asked).status_code == 403
            listed = client.get("/v1/keys", headers=own)
            assert [one["name"] for one in listed.json()["keys"]] == ["admin", "shop"]
            assert key["key"] not in listed.text
            assert all("key" not in one for one in listed.json()["keys"])
            gone = client.delete(f"/v1/keys/{key['id']}", headers=own).json()
            assert (gone["state"], "key" in gone) == ("revoked", False)
            error(client.delete("/v1/keys/unknown", headers=own), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "", "scopes": ["read"]}, "name"),
        ({"name": "a\nb", "scopes": ["read"]}, "name"),
        ({"name": "a", "scopes": []}, "scopes"),
        ({"name": "a", "scopes": ["root"]}, "scopes.0"),
        ({"name": "a", "scopes": ["read"], "expires_days": 0}, "expires_days"),
        ({"name": "a", "scopes": ["read"], "expires_days": 1e9}, "expires_days"),
    ],
)
def test_a_key_that_cannot_be_is_refused(client, body, field):
    assert error(client.post("/v1/keys", json=body), 422, "invalid")["field"] == field


def test_scenarios_are_listed_with_what_is_not_as_usual(tmp_path):
    with small_project(tmp_path) as project:
        set_up(project, SCENARIOS)
        with TestClient(make_app(project, is_open=True), base_url="http://127.0.0.1") as client:
            found = {one["scenario"]: one for one in client.get("/v1/scenarios").json()["scenarios"]}
            assert list(found) == ["home", "kids", "related", "search"]
            assert found["related"] == {
                "scenario": "related",
                "rules": {},
                "experiment": "related",
                "variants": [],
                "origin": "built-in",
                "version": 0,
                "changed_ms": None,
                "changed_by": "",
            }
            assert found["kids"]["rules"] == {"filter": {"categories": ["nature"]}}
            assert [(one["variant"], one["share"], one["rules"]) for one in found["home"]["variants"]] == [
                ("control", 0.5, {}),
                ("b", 0.5, {"diversity": 0.4}),
            ]


def test_an_experiment_is_read_from_the_log(tmp_path):
    with small_project(tmp_path) as project:
        set_up(project, SCENARIOS)
        with TestClient(make_app(project, is_open=True), base_url="http://127.0.0.1") as client:
            told = error(client.get("/v1/experiments/home"), 409, "conflict")
            assert "no slate of scenario 'home' was logged" in told["message"]
            error(client.get("/v1/experiments/kids"), 409, "conflict")
            error(client.get("/v1/experiments/nope"), 404, "not_found")
            for number in range(6):
                client.get(f"/v1/users/u{number}/recommendations")
            error(client.get("/v1/experiments/home?since=yesterday"), 422, "invalid")
            report = client.get("/v1/experiments/home?since=2020-01-01").json()
            assert [one["variant"] for one in report["variants"]] == ["control", "b"]
            assert sum(one["slates"] for one in report["variants"]) == 6
            assert report["comparisons"][0]["found"]["p_value"] is None


def test_what_cannot_be_said_is_null():
    assert IntervalOut(mean=1.0, low=math.nan, high=math.inf).model_dump() == {"mean": 1.0, "low": None, "high": None}
