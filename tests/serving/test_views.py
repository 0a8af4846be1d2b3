"""Clips, posters and strips over HTTP: whole, by ranges, converted where browsers cannot play them."""

import io

import av
import polars as pl
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from kinema.steps.serving import make_app
from small_clips import clips_project, write


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("views")
    with (
        clips_project(folder) as project,
        TestClient(make_app(project, is_open=True), base_url="http://127.0.0.1") as served,
    ):
        served.project, served.videos = project, folder / "videos"
        yield served


def told(answer, status):
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def add(client, name, **fields):
    client.project.store.write_items(pl.DataFrame([{"id": name, **fields}]))


def test_a_clip_that_browsers_cannot_play_is_converted_once(client):
    first = client.get("/v1/items/red/media")
    assert (first.status_code, first.headers["content-type"]) == (200, "video/mp4")
    with av.open(io.BytesIO(first.content)) as found:
        assert found.streams.video[0].codec_context.name == "h264"
    made = next((client.project.artifacts / "views").glob("*.mp4"))
    before = made.stat().st_mtime_ns
    assert client.get("/v1/items/red/media").content == first.content
    assert made.stat().st_mtime_ns == before


def test_parts_of_a_clip_are_answered_by_ranges(client):
    whole = client.get("/v1/items/red/media")
    size = len(whole.content)
    for asked, part in (
        ("bytes=0-99", slice(0, 100)),
        (f"bytes={size - 5}-", slice(size - 5, None)),
        ("bytes=-7", slice(-7, None)),
    ):
        answer = client.get("/v1/items/red/media", headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, whole.content[part])
    assert answer.headers["content-range"] == f"bytes {size - 7}-{size - 1}/{size}"
    same = {"Range": "bytes=0-9", "If-Range": whole.headers["etag"]}
    assert len(client.get("/v1/items/red/media", headers=same).content) == 10
    other = {"Range": "bytes=0-9", "If-Range": '"another"'}
    assert client.get("/v1/items/red/media", headers=other).status_code == 200


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=", "bytes=-", "lines=1-2", "bytes=0-1,4-5", "bytes=x-y"])
def test_a_range_that_means_nothing_is_answered_by_the_whole(client, asked):
    answer = client.get("/v1/items/red/media", headers={"Range": asked})
    assert (answer.status_code, answer.headers["content-length"]) == (200, str(len(answer.content)))


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
def test_a_range_behind_the_end_is_told_so(client, asked):
    answer = client.get("/v1/items/red/media", headers={"Range": asked})
    assert told(answer, 416)["message"].startswith("the range must begin within the ")
    assert answer.headers["content-range"].startswith("bytes */")


def test_a_browser_that_has_it_is_told_so(client):
    for path in ("media", "poster", "strip"):
        first = client.get(f"/v1/items/green/{path}")
        again = client.get(f"/v1/items/green/{path}", headers={"If-None-Match": f'"x", {first.headers["etag"]}'})
        assert (again.status_code, again.content, again.headers["cache-control"]) == (304, b"", "private, no-cache")


def test_the_head_of_a_clip_is_asked_without_it(client):
    answer = client.head("/v1/items/blue/media")
    assert (answer.status_code, answer.content, answer.headers["accept-ranges"]) == (200, b"", "bytes")
    assert int(answer.headers["content-length"]) == len(client.get("/v1/items/blue/media").content)


def test_posters_and_strips_are_pictures_and_drawn_again_where_they_are_gone(client):
    shapes = {}
    for path in ("poster", "strip"):
        answer = client.get(f"/v1/items/grey/{path}")
        assert answer.headers["content-type"] == "image/webp"
        shapes[path] = Image.open(io.BytesIO(answer.content)).size
    assert shapes["poster"] == (64, 64)
    assert shapes["strip"][0] > shapes["strip"][1]
    for one in (client.project.artifacts / "pictures").glob("*.webp"):
        one.unlink()
    assert client.get("/v1/items/grey/poster").status_code == 200


def test_what_has_no_clip_is_told_so(client):
    add(client, "text", title="Only words")
    assert told(client.get("/v1/items/text/media"), 404)["message"] == "item 'text' has no clip; upload one by POST"
    assert told(client.get("/v1/items/none/media"), 404)["message"] == "unknown item 'none'"
    add(client, "lost", media_path="lost.mp4")
    assert "there is no 'lost.mp4'" in told(client.get("/v1/items/lost/poster"), 404)["message"]


def test_no_path_leads_out_of_the_media_folder(client, tmp_path):
    write(tmp_path / "secret.mp4", "red")
    (client.videos / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    for name in ("../shop/kinema.toml", "link.mp4", str(tmp_path / "secret.mp4")):
        add(client, "outside", media_path=name)
        assert "leads outside" in told(client.get("/v1/items/outside/media"), 404)["message"]


def test_a_file_that_is_no_clip_is_told_so_and_not_tried_again(client):
    (client.videos / "broken.avi").write_bytes(b"RIFF" + b"\0" * 4000)
    add(client, "broken", media_path="broken.avi")
    for path in ("media", "poster", "media", "poster"):
        assert "cannot decode 'broken.avi'" in told(client.get(f"/v1/items/broken/{path}"), 404)["message"]
    notes = (client.project.artifacts / "views").glob("*.json")
    assert sum("cannot decode" in one.read_text() for one in notes) == 2


def test_a_clip_that_browsers_play_is_answered_as_it_is(client):
    made = next(one for one in (client.project.artifacts / "views").glob("*.mp4"))
    (client.videos / "web.mp4").write_bytes(made.read_bytes())
    add(client, "web", media_path="web.mp4")
    assert client.get("/v1/items/web/media").content == made.read_bytes()
    assert len(list((client.project.artifacts / "views").glob("*.mp4"))) <= 3
