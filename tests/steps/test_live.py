import shutil
import time
from datetime import UTC, datetime

import pytest

from kinema.errors import DataError
from kinema.project import Project
from kinema.steps.live import copy_beside, copy_subtitles, placed

SETTINGS = '[encoders]\ntext = ""\nframes = ""\nsound = ""\n[media]\nnum_frames = 2\n[runtime]\nworkers = 1\n'


@pytest.fixture
def shop(tmp_path, data_dir):
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("small", "carphone_pristine"):
        shutil.copy(data_dir / "clips" / "real" / f"{name}.mp4", clips / f"{name}.mp4")
    Project.init(tmp_path / "shop").close()
    (tmp_path / "shop" / "kinema.toml").write_text(SETTINGS)
    with Project.open(tmp_path / "shop") as project:
        project.ingest(videos=clips)
        project.extract()
        yield project


def test_a_clip_from_elsewhere_is_copied_understood_and_placed_at_once(shop, data_dir):
    report = shop.take_in(data_dir / "clips" / "real" / "bikes.mp4")
    (item,) = report.items
    assert (item.id, set(item.similar), item.reason) == ("bikes", {"small", "carphone_pristine"}, "")
    assert (shop.media_root / "live" / "bikes.mp4").is_file()
    pictures = sorted(path.name.split(".", 1)[1] for path in (shop.artifacts / "pictures").iterdir())
    assert pictures == ["poster.webp"] * 3 + ["strip.webp"] * 3
    assert set(report.seconds) == {"take in", "understand", "bind", "place"}
    assert "bikes" in {one.id for one in shop.similar("small").items}
    again = shop.take_in(data_dir / "clips" / "real" / "bikes.mp4")
    assert again.items == ()
    assert again.notices[0] == (
        "'live/bikes.mp4' is the clip of item 'bikes', which was there before; its vectors are up to date"
    )


def test_a_clip_is_published_when_it_comes_in_unless_it_says_otherwise(shop, tmp_path, data_dir):
    began = time.time() * 1000 - 1
    shop.take_in(data_dir / "clips" / "real" / "bikes.mp4")
    shutil.copy(data_dir / "clips" / "real" / "park.mp4", shop.media_root)
    (shop.media_root / "park.json").write_text('{"published_at": "2020-05-01"}')
    shop.take_in(shop.media_root / "park.mp4")
    dates = dict(shop.store.items().select("id", "published_at").iter_rows())
    assert began <= dates["bikes"] <= time.time() * 1000
    assert dates["park"] == datetime(2020, 5, 1, tzinfo=UTC).timestamp() * 1000
    assert dates["small"] is None


def test_a_clip_that_cannot_be_read_says_why_and_stays(shop, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no clip at all")
    (item,) = shop.take_in(tmp_path / "broken.mp4").items
    assert item.id == "broken"
    assert "cannot decode" in item.reason
    again = shop.take_in(tmp_path / "broken.mp4")
    assert again.notices[0].startswith(
        "'live/broken.mp4' is the clip of item 'broken', which was there before; cannot decode"
    )


def test_a_clip_with_the_name_of_an_item_is_an_item_of_its_own(shop, tmp_path, data_dir):
    shutil.copy(data_dir / "clips" / "real" / "bikes.mp4", tmp_path / "small.mp4")
    (item,) = shop.take_in(tmp_path / "small.mp4").items
    assert (item.id, item.reason) == ("live/small", "")
    assert "small" in item.similar


def test_files_of_a_folder_that_are_set_aside_are_named(shop):
    folder = shop.media_root / "later"
    folder.mkdir()
    (folder / "notes.docx").write_text("text")
    report = shop.take_in(folder)
    assert report.items == ()
    assert report.notices[0].startswith("set aside: 1 files, such as 'notes.docx': clip must be a video file")


def test_another_clip_of_the_same_name_keeps_its_name_with_a_number(tmp_path):
    first, second = tmp_path / "a.mp4", tmp_path / "b" / "a.mp4"
    second.parent.mkdir()
    first.write_bytes(b"one")
    second.write_bytes(b"two")
    folder = tmp_path / "live"
    folder.mkdir()
    assert copy_beside(first, folder).name == "a.mp4"
    assert copy_beside(first, folder).name == "a.mp4"
    assert copy_beside(second, folder).name == "a-2.mp4"


def test_subtitles_come_with_their_clip_under_its_new_name(tmp_path):
    for name in ("a.mp4", "a.srt", "a.en.vtt", "a.mp4.srt", "ab.srt"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "a.mp4").write_bytes(b"another clip")
    copy_subtitles(tmp_path / "a.mp4", copy_beside(tmp_path / "a.mp4", tmp_path / "live"))
    assert {path.name: path.read_text() for path in (tmp_path / "live").glob("*-2*")} == {
        "a-2.mp4": "a.mp4",
        "a-2.srt": "a.srt",
        "a-2.en.vtt": "a.en.vtt",
        "a-2.mp4.srt": "a.mp4.srt",
    }
    assert len(list((tmp_path / "live").iterdir())) == 5


def test_what_is_no_clip_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(DataError, match=r"there is none; check the path"):
        placed(tmp_path / "nothing.mp4", tmp_path / "media")
    with pytest.raises(DataError, match=r"'notes.txt' must be a video file by its name"):
        placed(tmp_path / "notes.txt", tmp_path / "media")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(DataError, match=r"'empty.mp4' must be a video file, is empty \(0 bytes\)"):
        placed(tmp_path / "empty.mp4", tmp_path / "media")
    assert not (tmp_path / "media").exists()
    (tmp_path / "clips").mkdir()
    with pytest.raises(DataError, match=r"must lie inside the media folder"):
        placed(tmp_path / "clips", tmp_path / "media")
