"""What the recommender knows of an item and sees in its clip, over HTTP."""

import io
import time

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from kinema.serving.app import create_app
from kinema.serving.options import ServiceOptions
from kinema.serving.routes import insights
from kinema.steps.copies import write_copies
from kinema.steps.serving import make_app, make_engine
from kinema.store.features import MomentShares
from small_clips import clips_project
from small_service import small_project


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with clips_project(tmp_path_factory.mktemp("insight")) as project:
        now = time.time_ns() // 1_000_000
        moments = [now, now - 1, now - 86_400_000, now - 400 * 86_400_000]
        project.store.write_events(
            pl.DataFrame(
                {
                    "user": list("abcd"),
                    "item": "red",
                    "timestamp_ms": moments,
                    "kind": ["like", "watch", "watch", "watch"],
                }
            )
        )
        write_copies(project.artifacts / "duplicates", [["red", "blue"]], config={})
        with TestClient(make_app(project, is_open=True), base_url="http://127.0.0.1") as served:
            served.project = project
            yield served


def test_what_is_known_of_an_item(client):
    found = client.get("/v1/items/red/insight").json()
    assert (found["cold"], found["events"], found["imputed_weight"]) == (False, 4, None)
    assert found["near_duplicates"] == [{"item_id": "blue", "title": "Blue"}]
    assert found["modalities"] == {"frames": True}
    assert [sum(day["counts"].values()) for day in found["days"]][-1] in (1, 2)
    assert sum(sum(day["counts"].values()) for day in found["days"]) == 3
    longer = client.get("/v1/items/red/insight?days=3660").json()
    assert sum(sum(day["counts"].values()) for day in longer["days"]) == 4
    assert client.get("/v1/items/green/insight").json()["cold"]
    assert client.get("/v1/items/none/insight").status_code == 404


def test_frames_have_pictures_and_shares(client):
    found = client.get("/v1/items/red/frames").json()
    assert (found["attention"], [one["number"] for one in found["frames"]]) == ("mean", [0, 1])
    assert sum(one["weight"] for one in found["frames"]) == pytest.approx(1)
    picture = client.get(found["frames"][1]["url"])
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/webp")
    assert Image.open(io.BytesIO(picture.content)).size == (64, 64)
    answer = client.get("/v1/items/red/frames/2")
    assert answer.json()["error"]["message"] == "item 'red' has 2 frames, there is no 2"


def test_motion_is_a_field_of_cells(client):
    found = client.get("/v1/items/red/motion").json()
    assert found["fields"]
    for one in found["fields"]:
        assert {np.shape(one[name]) for name in ("right", "down", "trust")} == {(16, 16)}


def test_what_has_no_clip_has_no_frames(client):
    client.put("/v1/items/words", json={"title": "Only words"})
    for path in ("frames", "frames/0", "motion"):
        assert client.get(f"/v1/items/words/{path}").status_code == 404
    assert client.get("/v1/items/words/insight").json()["modalities"] == {"frames": False}


def test_shares_belong_to_the_pictures_near_them():
    shares = MomentShares(np.array([100, 900]), np.float32([0.25, 0.75]), learnt=True)
    assert insights._weights([110, 500, 880], shares) == [0.25, None, 0.75]
    assert insights._weights([5], None) == [None]


def test_a_service_without_clips_says_so(tmp_path):
    with small_project(tmp_path) as project:
        app = create_app(make_engine(project), ServiceOptions(is_open=True))
        with TestClient(app, base_url="http://127.0.0.1") as served:
            answer = served.get("/v1/items/a/media")
            assert answer.status_code == 503
            assert (
                answer.json()["error"]["message"]
                == "this service shows no clips: it was started without a media folder"
            )
