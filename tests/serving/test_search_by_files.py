"""Search by a picture and by a clip over HTTP, and files that are none."""

import io
import shutil
import struct
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from kinema.serving.likeness import Crowd
from kinema.serving.problems import Problem
from kinema.steps.serving import make_app
from small_clips import COLOURS, clips_project, picture, write


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    with (
        pytest.MonkeyPatch.context() as patch,
        clips_project(folder) as project,
        TestClient(make_app(project, is_open=True), base_url="http://127.0.0.1") as served,
    ):
        served.project, served.temporary = project, tmp_path_factory.mktemp("temporary")
        patch.setattr(tempfile, "tempdir", str(served.temporary))
        yield served


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write(tmp_path_factory.mktemp("clip") / "clip.mp4", "blue", seed=7).read_bytes()


@pytest.fixture(autouse=True)
def _left(client):
    """Nothing is left in the folder of temporary files, and the service answers."""
    yield
    assert not list(client.temporary.iterdir())
    assert client.get("/v1/items/red").status_code == 200


def drawn(name, form="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(picture(name, seed=5)).save(file, form, **options)
    return file.getvalue()


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [one["item_id"] for one in answer.json()["items"]]


def told(answer, status):
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_picture_finds_clips_that_look_like_it(client, form):
    answer = client.post("/v1/search?n=2", content=drawn("green", form), headers={"Content-Type": "image/any"})
    assert ids(answer)[0] == "green"
    assert answer.json()["items"][0]["reason"] == "looks like the picture"
    logged = client.project.store.slate(answer.json()["recommendation_id"])
    assert (logged.scenario, logged.context) == ("search", {"query": "", "image": True})


def test_a_clip_finds_others_like_it(client, clip):
    answer = client.post("/v1/search?n=1", content=clip, headers={"Content-Type": "video/mp4"})
    assert ids(answer) == ["blue"]
    assert answer.json()["items"][0]["reason"] == "looks like the clip"


def test_a_form_has_the_file_and_the_rest(client, clip):
    fields = {"q": "red", "n": "3", "user_id": "", "hide_seen": "false", "published_since": "0"}
    picture_first = client.post("/v1/search", files={"image": ("a.jpg", drawn("red", "JPEG"))}, data=fields)
    assert told(picture_first, 422)["field"] == "user_id"
    del fields["user_id"]
    del fields["published_since"]
    assert ids(client.post("/v1/search", files={"image": ("a.jpg", drawn("red", "JPEG"))}, data=fields))[0] == "red"
    both = {"clip": ("b.mp4", clip), "image": ("b.png", drawn("blue"))}
    assert ids(client.post("/v1/search", files=both, data={"n": "1"})) == ["blue"]
    refused = client.post("/v1/search", files={"clip": ("b", clip)}, data={"category": ["nature", "sports"]})
    assert "unknown category 'nature'" in told(refused, 422)["message"]
    refused = client.post("/v1/search", files={"clip": ("b", clip)}, data={"language": ["en", "de"]})
    assert "unknown language 'en'" in told(refused, 422)["message"]
    refused = client.post("/v1/search", files={"clip": ("b", clip)}, data={"max_duration_ms": "soon"})
    assert told(refused, 422)["field"] == "max_duration_ms"


def test_a_form_of_a_browser_may_leave_a_file_out(client):
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    left_out = b'--b\r\nContent-Disposition: form-data; name="clip"; filename=""\r\nContent-Type: video/mp4\r\n\r\n\r\n'
    given = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + drawn("grey") + b"\r\n"
    answer = client.post("/v1/search", content=left_out + given + b"--b--\r\n", headers=kind)
    assert ids(answer)[0] == "grey"
    answer = client.post("/v1/search", content=left_out + b"--b--\r\n", headers=kind)
    assert told(answer, 422)["message"].startswith("a search needs words")


def test_the_type_that_is_said_of_a_file_means_nothing(client, clip):
    swapped = {"image": ("clip.mp4", drawn("red"), "video/mp4")}
    assert ids(client.post("/v1/search", files=swapped))[0] == "red"
    answer = client.post("/v1/search", files={"image": ("a.png", clip, "image/png")})
    assert told(answer, 415)["message"] == (
        "image must be a picture (jpg, png, webp, bmp, gif, tiff), is none by its first bytes"
    )
    answer = client.post("/v1/search", files={"clip": ("a.mp4", drawn("red"), "video/mp4")})
    assert told(answer, 415)["field"] == "clip"
    raw = client.post("/v1/search?n=1", content=drawn("red"), headers={"Content-Type": "video/mp4"})
    assert ids(raw) == ["red"]


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, body=b"", *, more=b""):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + more + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil", b"0" * 10_000_000)
    return file.getvalue()


def noise(size):
    return np.random.default_rng(0).integers(256, size=size, dtype=np.uint8).tobytes()


PICTURES = {
    "nothing": (b"", 422, "is empty"),
    "a text": (b"not a picture", 415, "none by its first bytes"),
    "a zip bomb": (zipped(), 415, "none by its first bytes"),
    "a script": (b"<svg onload='alert(1)'/>", 415, "none by its first bytes"),
    "a head alone": (b"\x89PNG\r\n\x1a\n", 422, "cannot read picture 'image.png'"),
    "half a picture": (drawn("red")[:900], 422, "cannot read picture 'image.png'"),
    "a picture with noise in it": (drawn("red")[:900] + noise(5000), 422, "cannot read picture"),
    "a bomb of 10 billion pixels": (png(100_000, 100_000), 422, "must have at most 400,000 pixels, has many times"),
    "a bomb of 100 million pixels": (png(10_000, 10_000), 422, "must have at most 400,000 pixels"),
    "more pixels than there are": (png(2**31 - 1, 2**31 - 1), 422, "pixels"),
    "no pixels": (png(0, 0), 422, "cannot read picture"),
    "a bomb in its text": (
        png(8, 8, bytes(200), more=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(90_000_000), 9))),
        422,
        "cannot read picture",
    ),
    "a bomb in its colours": (
        png(8, 8, bytes(200), more=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(90_000_000), 9))),
        422,
        "cannot read picture",
    ),
    "a GIF of other pixels": (b"GIF89a\xff\xff\xff\xff\0\0\0" + noise(100), 422, "cannot read picture"),
    "a TIFF that points at itself": (b"II*\0\x08\0\0\0\xff\xff" + b"\x08\0\0\0" * 200, 422, "cannot read picture"),
    "a WEBP of noise": (b"RIFF\xff\xff\0\0WEBPVP8 " + noise(500), 422, "cannot read picture"),
    "a JPEG of noise": (b"\xff\xd8\xff\xe0" + noise(5000), 422, "cannot read picture"),
    "a BMP of noise": (b"BM" + noise(500), 422, "cannot read picture"),
    "2 MB": (b"\x89PNG\r\n\x1a\n" + noise(2_000_000), 413, "at most 1 MB"),
    "a picture that is a zip, too": (drawn("red") + zipped(), 200, ""),
}


@pytest.mark.parametrize(("content", "status", "message"), PICTURES.values(), ids=list(PICTURES))
def test_a_picture_that_is_none_is_refused(client, content, status, message):
    answer = client.post("/v1/search", files={"image": ("a.png", content)})
    assert answer.status_code == status, answer.text
    if status != 200:
        assert message in told(answer, status)["message"]


def test_no_damaged_picture_fails(client):
    """Bytes of whole pictures are changed at random: what is still a picture is answered, the rest is refused."""
    random, found = np.random.default_rng(3), set()
    for form in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"):
        whole = np.frombuffer(drawn("green", form), dtype=np.uint8)
        for _ in range(25):
            damaged = whole.copy()
            places = random.integers(12, min(len(damaged), int(random.choice([60, 400, len(damaged)]))), size=6)
            damaged[places] = random.integers(256, size=6)
            found.add(client.post("/v1/search", files={"image": ("a", damaged.tobytes())}).status_code)
    assert found <= {200, 415, 422}
    assert found >= {200, 422}


def declared(clip, box, at, value):
    """A clip whose header says something else: four bytes of the first box of a kind."""
    place = clip.index(box) + at
    return clip[:place] + value + clip[place + 4 :]


HUGE = b"\x7f\xff\xff\xff"


def test_a_clip_that_declares_too_much_is_refused_or_read_as_it_is(client, clip):
    for box, at in ((b"tkhd", 80), (b"tkhd", 84), (b"mvhd", 20), (b"mdhd", 20), (b"stsz", 12), (b"stts", 12)):
        answer = client.post("/v1/search", content=declared(clip, box, at, HUGE), headers={"Content-Type": "video/mp4"})
        assert answer.status_code in (200, 422), (box, at, answer.text)
    large = write(Path(client.project.folder) / "large.mp4", "red", side=800).read_bytes()
    answer = client.post("/v1/search", content=large, headers={"Content-Type": "video/mp4"})
    assert "a frame must have at most 400000 pixels, has 800 x 800" in told(answer, 422)["message"]


CLIPS = {
    "nothing": (b"", 422),
    "a text": (b"no clip", 415),
    "a zip": (zipped(), 415),
    "a head alone": (b"\x00\x00\x00\x18ftypmp42" + bytes(100), 422),
    "noise in a container": (b"\x1a\x45\xdf\xa3" + noise(5000), 422),
    "a list of other files": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 415),
    "a list in a container": (b"\x00\x00\x00\x18ftypmp42" + b"#EXTM3U\n/etc/passwd\n", 422),
    "3 MB": (b"\x00\x00\x00\x18ftypmp42" + noise(3_000_000), 413),
}


@pytest.mark.parametrize(("content", "status"), CLIPS.values(), ids=list(CLIPS))
def test_a_clip_that_is_none_is_refused(client, content, status):
    answer = client.post("/v1/search", content=content, headers={"Content-Type": "video/mp4"})
    assert told(answer, status)["message"]
    assert "/etc/passwd" not in answer.text


def test_half_a_clip_is_read_as_far_as_it_goes(client, clip, tmp_path):
    avi = write(tmp_path / "a.avi", "grey", seed=3).read_bytes()
    answers = [
        client.post("/v1/search?n=1", content=one, headers={"Content-Type": "video/any"})
        for one in (clip[: len(clip) // 2], avi[: len(avi) // 2])
    ]
    assert all(one.status_code in (200, 422) for one in answers)
    assert ids(answers[1]) == ["grey"]


UPLOADS = {
    "nothing": (b"", 422),
    "a picture": (drawn("red"), 415),
    "a zip": (zipped(), 415),
    "3 MB": (b"\x00\x00\x00\x18ftypmp42" + noise(3_000_000), 413),
    "a head alone": (b"\x00\x00\x00\x18ftypmp42" + bytes(100), 202),
}
EVIL = ("../../evil.mp4", "/etc/evil.mp4", "..\\..\\evil.mp4", "a\0.mp4", "é" * 300 + ".mp4", "con", "")


@pytest.mark.parametrize(("content", "status"), UPLOADS.values(), ids=list(UPLOADS))
def test_an_upload_that_is_no_clip_is_refused_or_fails_alone(client, content, status):
    before = {path for path in client.project.folder.parent.rglob("*") if path.is_file()}
    raw = client.post("/v1/items/upload/media", content=content)
    for name in EVIL:
        answer = client.post("/v1/items/upload/media", files={"file": (name or "x", content)})
        assert answer.status_code == status, answer.text
    assert raw.status_code == status
    if status == 202:
        failed = ended(client, raw.json()["job_id"])
        assert failed["status"] == "failed"
        assert failed["message"].startswith("cannot decode the clip: ")
    new = {path for path in client.project.folder.parent.rglob("*") if path.is_file()} - before
    kept = client.project.media_root / "uploads"
    assert all(path.is_relative_to(kept) or path.is_relative_to(client.project.folder) for path in new)
    assert not list((kept / ".drafts").glob("*"))


def ended(client, job):
    deadline = time.monotonic() + 60
    while True:
        found = client.get(f"/v1/media/{job}").json()
        if found["status"] in ("failed", "recommendable"):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def test_only_so_many_search_by_files_at_once():
    crowd = Crowd(2)
    with crowd.entered(), crowd.entered():
        with pytest.raises(Problem, match="2 searches by picture or clip wait; try again later") as refused:
            crowd.entered().__enter__()
        assert refused.value.status == 503
    with crowd.entered():
        pass


def test_a_project_without_vectors_of_clips_says_what_is_missing(client, tmp_path):
    with clips_project(tmp_path) as project:
        shutil.rmtree(project.artifacts / "features")
        with TestClient(make_app(project, is_open=True), base_url="http://127.0.0.1") as served:
            answer = served.post("/v1/search", files={"image": ("a.png", drawn("red"))})
            assert "run: kinema extract" in told(answer, 409)["message"]
    assert list(COLOURS) == ["red", "green", "blue", "grey"]
