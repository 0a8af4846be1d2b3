"""Weights of modalities, through the whole service: set, kept, felt, exported, erased."""

import numpy as np
import pytest

from kinema.store.features import ModalityFeatures
from small_service import ITEMS, small_client

# Bob has watched c and d: a and b look like them, e and f move like them.
LIKE_BOBS = {"frames": "abcd", "motion": "cdef"}


def made_up(folder, items):
    random = np.random.default_rng(7)
    here_V = np.ones(items.height, dtype=bool)
    features = {}
    for name, alike in LIKE_BOBS.items():
        vectors_VD = random.normal(size=(items.height, 8)).astype(np.float32)
        vectors_VD[[item in alike for item in items["id"]], 0] += 9
        features[name] = ModalityFeatures(name, vectors_VD, here_V, here_V.astype(np.float32))
    return features


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kinema.steps.dataset._read_features", made_up)
        with small_client(tmp_path_factory.mktemp("weighed")) as client:
            yield client


@pytest.fixture
def client(served):
    put(served, topics={}, modalities={})
    return served


def put(client, user="bob", **weights):
    return client.put(f"/v1/users/{user}/profile", json=weights)


def weights_of(client, user="bob"):
    return {one["name"]: one["weight"] for one in client.get(f"/v1/users/{user}/profile").json()["modalities"]}


def shown(client, user="bob", **asked):
    answer = client.post(f"/v1/users/{user}/recommendations", json={"n": 6, **asked})
    assert answer.status_code == 200, answer.text
    return [one["item_id"] for one in answer.json()["items"]]


def part_of_scores(client, wanted):
    items = client.get("/v1/users/bob/recommendations").json()["items"]
    return sum(one["score"] for one in items if one["item_id"] in wanted) / sum(one["score"] for one in items)


def test_a_profile_names_the_modalities_of_the_catalogue(client):
    told = client.get("/v1/users/bob/profile").json()["modalities"]
    assert [(one["name"], one["weight"]) for one in sorted(told, key=lambda one: one["name"])] == [
        ("frames", 1.0),
        ("motion", 1.0),
    ]
    assert sum(one["share"] for one in told) == pytest.approx(1)


def test_what_is_alike_by_a_modality_comes_first_where_it_counts_most(client):
    assert put(client, modalities={"frames": 10}).status_code == 200
    assert set(shown(client)[:2]) == {"a", "b"}
    assert put(client, modalities={"motion": 10}).status_code == 200
    assert set(shown(client)[:2]) == {"e", "f"}


def test_what_is_alike_by_a_modality_falls_back_where_it_does_not_count(client):
    plain = part_of_scores(client, "ab")
    put(client, modalities={"frames": 0})
    assert part_of_scores(client, "ab") < plain - 0.1
    put(client, modalities={})
    assert part_of_scores(client, "ab") == pytest.approx(plain)


def test_the_trace_tells_what_was_weighed(client):
    put(client, modalities={"motion": 10})
    trace = client.get("/v1/users/bob/recommendations?debug=true").json()["trace"]
    step = next(one for one in trace if one["stage"] == "modalities")
    assert step["detail"]["weights"] == {"motion": 10.0}
    assert step["detail"]["moved"] > 0


def test_weights_are_kept_as_they_were_put_however_often(client):
    first = put(client, modalities={"frames": 0.5, "motion": 1}).json()
    assert put(client, modalities={"frames": 0.5, "motion": 1}).json() == first
    assert weights_of(client) == {"frames": 0.5, "motion": 1.0}


def test_a_group_that_is_left_out_stays_as_it_is(client):
    put(client, topics={"food": 2}, modalities={"frames": 0})
    put(client, topics={"food": 3})
    assert weights_of(client) == {"frames": 0.0, "motion": 1.0}
    put(client, modalities={"motion": 4})
    assert weights_of(client) == {"frames": 1.0, "motion": 4.0}
    kept = client.get("/v1/users/bob/export").json()
    assert (kept["topics"], kept["modalities"]) == ({"food": 3.0}, {"motion": 4.0})


@pytest.mark.parametrize("weight", [-0.1, 10.1, "much"])
def test_a_weight_out_of_bounds_is_refused_by_its_name(client, weight):
    answer = put(client, modalities={"frames": weight})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "modalities.frames"
    assert weights_of(client)["frames"] == 1


def test_a_modality_that_no_item_has_is_refused_by_its_name(client):
    answer = put(client, topics={"food": 0}, modalities={"frame": 2})
    assert answer.status_code == 422
    assert answer.json()["error"] == {
        "code": "invalid",
        "message": "unknown modality 'frame', did you mean 'frames'? known: frames, motion",
        "field": "modalities.frame",
    }
    assert client.get("/v1/users/bob/export").json()["topics"] == {}


def test_somebody_who_watched_nothing_may_set_weights_and_sees_the_same(client):
    client.put("/v1/users/cold", json={})
    plain = shown(client, "cold")
    assert put(client, "cold", modalities={"frames": 0, "motion": 10}).status_code == 200
    assert shown(client, "cold") == plain
    assert set(plain) == set(ITEMS)


def test_what_happens_in_a_session_is_weighed_too(client):
    client.put("/v1/users/guest", json={})
    put(client, "guest", modalities={"motion": 10})
    session = [{"item_id": "c", "kind": "watch"}, {"item_id": "d", "kind": "watch"}]
    assert set(shown(client, "guest", session=session)[:2]) == {"e", "f"}


def test_who_is_erased_leaves_no_weights_behind(client):
    put(client, "cem", modalities={"frames": 0})
    assert client.project.store.document("profiles", "cem").value == {"topics": {}, "modalities": {"frames": 0.0}}
    client.delete("/v1/users/cem")
    client.put("/v1/users/cem", json={})
    assert weights_of(client, "cem") == {"frames": 1.0, "motion": 1.0}
    assert client.project.store.document("profiles", "cem") is None


def test_weights_that_were_kept_before_modalities_had_any_are_read(client):
    client.project.store.put_document("profiles", "bob", {"topics": {"food": 0.0}})
    client.app.state.parts.engine.weights.read()
    assert "e" not in shown(client)
    put(client, modalities={"frames": 2})
    assert client.get("/v1/users/bob/export").json()["topics"] == {"food": 0.0}
