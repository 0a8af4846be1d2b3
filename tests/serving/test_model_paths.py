"""Reports, curves and maps of versions over HTTP."""

import time

import pytest
from fastapi.testclient import TestClient

from kinema.steps.serving import make_app
from small_service import small_client
from small_shop import make_shop


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with make_shop(tmp_path_factory.mktemp("reports") / "shop") as project:
        project.pretrain(seed=1)
        project.evaluate("leave-one-out", quick=True)
        run = project.folder / "runs" / "click"
        run.mkdir(parents=True)
        (run / "epochs.csv").write_text("epoch,loss,auc,kind\n1,0.7,0.61,full\n2,0.6,,full\n")
        with TestClient(make_app(project, is_open=True), base_url="http://127.0.0.1") as asking:
            asking.version = project.models.list()[0].version.id
            yield asking


def error(answer, status, code):
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    return answer.json()["error"]


def test_a_report_sets_the_model_beside_the_baselines(client):
    told = client.get(f"/v1/models/{client.version}/report").json()
    assert told["version"] == client.version
    assert told["validation"]
    (found,) = told["evaluations"]
    assert (found["protocol"], found["reference"]) == ("leave-one-out", "FLM")
    names = [one["name"] for one in found["rankers"]]
    assert {"FLM", "popularity", "EASE", "chance"} <= set(names)
    measured = found["rankers"][names.index("FLM")]["rows"]["all"]["metrics"]["ndcg@10"]
    assert measured["low"] <= measured["mean"] <= measured["high"]
    assert found["differences"][0]["reference"] != found["differences"][0]["ranker"]


def test_a_report_says_whether_what_was_measured_was_made_alike(client):
    told = client.get(f"/v1/models/{client.version}/report").json()["evaluations"][0]
    assert told["same_recipe"] is False  # another seed
    place = client.app.state.administration._project.artifacts / "evaluation" / "leave-one-out" / "results.json"
    text = place.read_text()
    place.write_text(text.replace('"seed": "0"', '"seed": "1"'))
    assert client.get(f"/v1/models/{client.version}/report").json()["evaluations"][0]["same_recipe"] is True
    place.write_text("{")
    assert client.get(f"/v1/models/{client.version}/report").json()["evaluations"] == []
    place.write_text(text)


def test_a_curve_has_a_point_for_each_epoch(client):
    told = client.get(f"/v1/models/{client.version[:12]}/curve").json()
    assert told["version"] == client.version
    assert [one["epoch"] for one in told["points"]] == [1, 2, 3]
    assert "sequential" in told["points"][0]["losses"]
    assert told["points"][2]["validation"]["sequential"] >= 0
    assert told["best_epoch"] in (1, 2, 3)
    assert told["tasks"] == [
        {"name": "click", "points": [{"epoch": 1.0, "loss": 0.7, "auc": 0.61}, {"epoch": 2.0, "loss": 0.6}]}
    ]


@pytest.mark.parametrize("what", ["report", "curve"])
def test_a_version_that_is_not_there_is_not_found(client, what):
    told = error(client.get(f"/v1/models/1999/{what}"), 404, "not_found")
    assert told["field"] == "version"
    assert "unknown version '1999'" in told["message"]


def test_the_catalogue_is_mapped_in_the_background(client):
    deadline = time.monotonic() + 60
    while (told := client.get("/v1/models/map").json())["state"] == "computing":
        assert time.monotonic() < deadline
        assert told["points"] == []
        time.sleep(0.05)
    assert (told["state"], told["version"], told["num_items"]) == ("ready", client.version, 24)
    assert {one["item_id"] for one in told["points"]} == {f"v{number}" for number in range(24)}
    assert all(-1 <= one[axis] <= 1 for one in told["points"] for axis in ("x", "y"))
    assert {one["cold"] for one in told["points"]} == {False}
    assert told["points"][0]["title"].startswith("clip ")


def test_a_hidden_item_is_not_on_the_map(client):
    client.app.state.administration._maps.wait(60)
    client.app.state.parts.engine.world.hide("v3", hidden=True)
    assert "v3" not in {one["item_id"] for one in client.get("/v1/models/map").json()["points"]}


def test_without_vectors_there_is_no_map(tmp_path):
    with small_client(tmp_path) as served:
        told = error(served.get("/v1/models/map"), 409, "not_built")
        assert told["message"] == "there are no vectors to lay out; run: kinema extract, then kinema pretrain"
