import json
from pathlib import Path

import polars as pl
import pytest

from kinema.errors import DataError
from kinema.sources.video_files import EXTENSIONS, open_video_folder, title_of


def read(folder, **options):
    """Rows by id of both tables, and all rejects."""
    rows, rejects = {}, []
    for table in open_video_folder(folder, **options):
        assert table.volatile
        for block in table.read(0, 0):
            rejects += block.rejects
            for row in block.frame.drop("row").rows(named=True):
                rows.setdefault(row["id"], {}).update({name: value for name, value in row.items() if name != "id"})
    return rows, rejects


def clip(folder, name, content=b"x"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_every_container_is_an_item_and_names_become_titles(tmp_path):
    for place, extension in enumerate(EXTENSIONS):
        clip(tmp_path, f"a/clip_{place}{extension.upper() if place % 2 else extension}")
    rows, rejects = read(tmp_path)
    assert len(rows) == len(EXTENSIONS)
    assert rows["a/clip_0"] == {"title": "Clip 0", "media_path": "a/clip_0.mp4"}
    assert rejects == []


def test_clips_that_differ_in_the_extension_only_keep_it(tmp_path):
    for name in ("demo.mp4", "demo.avi", "sub/demo.mp4", "other.mp4"):
        clip(tmp_path, name)
    assert list(read(tmp_path)[0]) == ["demo.avi", "demo.mp4", "other", "sub/demo"]


def test_titles_are_cleaned():
    assert title_of("my_holiday-2024") == "My holiday 2024"
    assert title_of("__") == ""
    assert title_of("éa") == "Éa"


def test_a_sidecar_gives_fields_and_replaces_no_others(tmp_path):
    clip(tmp_path, "a.mp4")
    clip(tmp_path, "b.mp4")
    clip(
        tmp_path,
        "a.json",
        json.dumps({"title": "Sunset", "tags": ["sea"], "year": 2001, "path": "/etc/passwd"}).encode(),
    )
    clip(tmp_path, "b.json", json.dumps({"id": "b-17", "duration_ms": 5000}).encode())
    rows, rejects = read(tmp_path)
    assert rejects == []
    assert rows["a"]["title"] == "Sunset"
    assert rows["a"]["tags"] == ["sea"]
    assert rows["a"]["media_path"] == "a.mp4"
    assert json.loads(rows["a"]["attributes"]) == {"year": 2001, "path": "/etc/passwd"}
    assert rows["b-17"] == {"title": "B", "media_path": "b.mp4", "duration_ms": 5000}
    first, second = open_video_folder(tmp_path)
    assert first.fill
    assert not second.fill
    frames = [block.frame.columns for block in second.read(0, 0)]
    assert frames == [
        ["row", "id", "title", "tags", "media_path", "attributes"],
        ["row", "id", "duration_ms", "media_path"],
    ]


def test_a_broken_sidecar_is_listed_and_the_clip_stays(tmp_path):
    for name, content in (("a", b"{"), ("b", b"[1]"), ("c", b'{"duration_ms": -1}'), ("d", b"\xff\xfe")):
        clip(tmp_path, f"{name}.mp4")
        clip(tmp_path, f"{name}.json", content)
    rows, rejects = read(tmp_path)
    assert sorted(rows) == ["a", "b", "c", "d"]
    reasons = {Path(one.file).name: one.reason for one in rejects}
    assert reasons["a.json"].startswith("sidecar must be a JSON object, cannot be read")
    assert reasons["b.json"] == "sidecar must be a JSON object, is list"
    assert reasons["c.json"] == "duration_ms must be > 0 milliseconds, is '-1'"
    assert reasons["d.json"].startswith("sidecar must be a JSON object, cannot be read")
    assert {one.row for one in rejects} == {None}


def test_what_is_no_usable_clip_is_set_aside_with_a_reason(tmp_path):
    root, outside = tmp_path / "clips", tmp_path / "secret.mp4"
    outside.write_bytes(b"x")
    clip(root, "fine.mp4")
    clip(root, "empty.mp4", b"")
    clip(root, "program.exe")
    clip(root, "titles.csv")
    clip(root, ".hidden.mp4")
    clip(root, ".cache/x.mp4")
    (root / "link.mp4").symlink_to(outside)
    (root / "dangling.mp4").symlink_to(root / "gone.mp4")
    rows, rejects = read(root)
    assert list(rows) == ["fine"]
    assert {Path(one.file).name: one.reason for one in rejects} == {
        "dangling.mp4": "clip must be a file, is a link to nothing",
        "empty.mp4": "clip must be a video file, is empty (0 bytes)",
        "link.mp4": "media_path must stay inside the media folder, 'link.mp4' is a link that leads out of it",
        "program.exe": f"clip must be a video file ({', '.join(one[1:] for one in EXTENSIONS)}), is 'program.exe'",
    }
    assert {one.kind for one in rejects} == {"clip"}


def test_clips_belong_to_the_items_that_know_them(tmp_path):
    for name in ("x/v1.mp4", "x/v2.mp4", "y/v2.mp4", "x/mine.mp4"):
        clip(tmp_path, name)
    rows, _ = read(tmp_path, owners={"x/mine.mp4": "item-9"}, without_media=["v1", "v2"])
    assert list(rows) == ["item-9", "v1", "x/v2", "y/v2"]
    assert rows["v1"]["media_path"] == "x/v1.mp4"


def test_paths_are_relative_to_the_media_root(tmp_path):
    clip(tmp_path, "media/2024/a.mp4")
    rows, _ = read(tmp_path / "media" / "2024", media_root=tmp_path / "media")
    assert rows == {"a": {"title": "A", "media_path": "2024/a.mp4"}}
    with pytest.raises(DataError, match="must lie inside the media folder"):
        open_video_folder(tmp_path / "media", media_root=tmp_path / "media" / "2024")


def test_an_empty_folder_is_an_empty_catalogue(tmp_path):
    assert read(tmp_path) == ({}, [])


def test_a_missing_folder_and_a_file_are_refused(tmp_path):
    with pytest.raises(DataError, match="must be a folder of video files, there is none"):
        open_video_folder(tmp_path / "no")
    with pytest.raises(DataError, match="must be a folder of video files, is a file"):
        open_video_folder(clip(tmp_path, "a.mp4"))


def test_the_eight_containers_of_one_clip_are_eight_items(data_dir):
    (table,) = open_video_folder(data_dir / "clips" / "containers")
    frame = pl.concat([block.frame for block in table.read(0, 0)])
    assert sorted(frame["id"]) == sorted(
        f"demo.{one}" for one in ("avi", "flv", "mkv", "mov", "mp4", "mpg", "webm", "wmv")
    )


def test_a_clip_under_the_name_of_a_picture_is_set_aside_and_pictures_are_not(tmp_path):
    heads = [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n", b"GIF89a", b"RIFF\0\0\0\nWEBPVP8 ", b"\0\0\0\x1cftypavif"]
    for number, head in enumerate(heads):
        clip(tmp_path, f"cover{number}.{'png' if number % 2 else 'jpg'}", head + bytes(20))
    clip(tmp_path, "clip.jpg", b"\0\0\0\x1cftypisom" + bytes(20))
    rows, rejects = read(tmp_path)
    assert rows == {}
    assert [(one.kind, one.file, one.reason) for one in rejects] == [
        (
            "clip",
            str(tmp_path / "clip.jpg"),
            "'clip.jpg' must be a picture, is none by its first bytes; if it is a clip, give it the suffix of one",
        )
    ]
