"""Where a project's clips lie: one folder, which a second ingest does not take away from the first."""

import shutil

import pytest

from kinema.errors import DataError
from kinema.project import Project


def clip(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a clip")


@pytest.fixture
def shop(tmp_path):
    clip(tmp_path / "clips" / "a.mp4")
    clip(tmp_path / "clips" / "new" / "b.mp4")
    with Project.init(tmp_path / "shop") as project:
        project.ingest(videos=tmp_path / "clips")
        yield project


def paths(project):
    return dict(project.store.media().iter_rows())


def test_a_folder_that_is_not_there_leaves_the_media_folder_as_it_was(shop, tmp_path):
    with pytest.raises(DataError, match=r"must be a folder of video files, there is none"):
        shop.ingest(videos=tmp_path / "clisp")
    assert shop.media_root == tmp_path / "clips"


def test_a_folder_inside_adds_clips_and_keeps_the_media_folder(shop, tmp_path):
    clip(tmp_path / "clips" / "later" / "c.mp4")
    counts = shop.ingest(videos=tmp_path / "clips" / "later").counts["items"]
    assert (counts.new, shop.media_root) == (1, tmp_path / "clips")
    assert paths(shop) == {"a": "a.mp4", "new/b": "new/b.mp4", "c": "later/c.mp4"}


def test_a_folder_elsewhere_is_refused_while_the_clips_are_where_they_were(shop, tmp_path):
    clip(tmp_path / "more" / "c.mp4")
    with pytest.raises(DataError, match=r"must lie inside the media folder '.*clips', where 2 items have their clips"):
        shop.ingest(videos=tmp_path / "more")
    with pytest.raises(DataError, match=r"move or copy it there"):
        shop.ingest(videos=tmp_path)
    assert shop.media_root == tmp_path / "clips"


def test_a_folder_that_was_moved_is_followed(shop, tmp_path):
    shutil.move(tmp_path / "clips", tmp_path / "moved")
    assert shop.ingest(videos=tmp_path / "moved").counts["items"].new == 0
    assert shop.media_root == tmp_path / "moved"
    assert paths(shop) == {"a": "a.mp4", "new/b": "new/b.mp4"}


def test_a_folder_that_the_settings_name_stays(shop, tmp_path):
    (shop.folder / "kinema.toml").write_text(f"[media]\nroot = '{tmp_path / 'clips'}'\n")
    clip(tmp_path / "more" / "c.mp4")
    with Project.open(shop.folder) as project:
        with pytest.raises(DataError, match=r"or change root in \[media\] of kinema.toml"):
            project.ingest(videos=tmp_path / "more")
        project.ingest(videos=tmp_path / "clips" / "new")
        assert paths(project) == {"a": "a.mp4", "new/b": "new/b.mp4"}


def test_two_clips_of_one_name_are_two_items(shop, tmp_path):
    clip(tmp_path / "clips" / "later" / "a.mp4")
    clip(tmp_path / "clips" / "later" / "a" / "a.mp4")
    for _ in range(2):
        shop.ingest(videos=tmp_path / "clips" / "later")
        assert paths(shop) == {
            "a": "a.mp4",
            "new/b": "new/b.mp4",
            "later/a": "later/a.mp4",
            "a/a": "later/a/a.mp4",
        }
