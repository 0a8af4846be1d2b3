"""Views of clips: a process that makes them, and a folder that stays small."""

import os
import sys
import time
from dataclasses import replace

import pytest

from kinema.encoders import view_worker
from kinema.encoders.clip_views import ViewFolder, ViewMaker
from kinema.encoders.view_worker import ViewRequest, make_view
from kinema.testing.clips import render_clip


@pytest.fixture
def request_(tmp_path):
    path = render_clip(tmp_path / "clip.avi", seconds=1.0)
    (tmp_path / "views").mkdir()
    return ViewRequest("media", str(path), "clip.avi", str(tmp_path / "views"), "key")


def test_a_process_makes_one_view_after_the_other(request_):
    maker = ViewMaker(timeout_s=60.0)
    try:
        assert maker.make(request_) == {"suffix": ".mp4", "files": ["key.mp4"]}
        assert maker.make(replace(request_, view="pictures")) == {}
        assert "there is no such file" in maker.make(replace(request_, path="none.avi"))["reason"]
    finally:
        maker.close()


def test_a_view_that_needs_too_much_memory_by_its_header_says_what_to_raise(tmp_path, request_):
    large = render_clip(tmp_path / "large.mp4", seconds=0.2, width=1600, height=1200)
    maker = ViewMaker(timeout_s=60.0, memory_mb=64)
    try:
        for view in ("pictures", "frames", "motion"):
            reason = maker.make(replace(request_, view=view, path=str(large)))["reason"]
            assert "at most 32 MB are allowed (max_bytes, half of clip_memory_mb in [limits] of kinema.toml)" in reason
    finally:
        maker.close()


@pytest.mark.parametrize(
    ("does", "why"),
    [("import time; time.sleep(60)", "not done after 0.5 s"), ("raise SystemExit", "the decoder crashed on it")],
)
def test_a_process_that_hangs_or_dies_costs_its_view(request_, does, why):
    maker = ViewMaker(timeout_s=0.5, command=(sys.executable, "-c", does))
    assert maker.make(request_) == {"reason": f"cannot show 'clip.avi': {why}"}
    maker.close()
    assert maker.make(request_)["reason"].endswith("the decoder crashed on it")


def test_surprises_are_reasons(request_, monkeypatch):
    def fail(error):
        def raised(_):
            raise error

        monkeypatch.setattr(view_worker, "_MAKERS", {"media": raised})
        return make_view(request_)["reason"]

    assert fail(MemoryError()).endswith("raise clip_memory_mb in [limits] of kinema.toml")
    assert fail(RuntimeError("oh")) == "cannot show 'clip.avi': RuntimeError: oh"


def kept(folder, key, size):
    (folder.folder / f"{key}.mp4").write_bytes(b"x" * size)
    folder.keep(key, "media", {"suffix": ".mp4"}, [f"{key}.mp4"])


def test_the_least_used_go_first(tmp_path):
    folder = ViewFolder(tmp_path, limits="some", max_bytes=2600)
    for age, key in ((9000, "old"), (8000, "older"), (0, "new")):
        kept(folder, key, 1000)
        moment = time.time() - age
        os.utime(tmp_path / f"{key}.media.json", (moment, moment))
        if key == "older":
            assert folder.find("old", "media")["suffix"] == ".mp4"  # looked at just now
    assert folder.find("older", "media") is None
    assert not (tmp_path / "older.mp4").exists()
    assert folder.find("old", "media")
    assert folder.find("new", "media")


def test_a_view_without_its_file_or_of_other_limits_is_none(tmp_path):
    folder = ViewFolder(tmp_path, limits="some", max_bytes=10_000)
    kept(folder, "key", 10)
    assert ViewFolder(tmp_path, limits="others", max_bytes=10_000).find("key", "media") is None
    (tmp_path / "key.mp4").unlink()
    assert folder.find("key", "media") is None
    (tmp_path / "bad.media.json").write_text("{")
    assert folder.find("bad", "media") is None


def test_what_a_process_left_behind_is_removed(tmp_path):
    folder = ViewFolder(tmp_path, limits="some", max_bytes=10_000)
    left = tmp_path / ".key.mp4.7.partial"
    left.write_bytes(b"x")
    os.utime(left, (0, 0))
    kept(folder, "key", 10)
    assert not left.exists()
