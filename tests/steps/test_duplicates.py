"""`kinema duplicates` from video files to slates, on drawn clips."""

import json
import shutil

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.errors import NotBuiltError
from kinema.project import Project
from kinema.testing.clips import write_clip


def pan(seed):
    """A second and a half of a window that moves over soft patches."""
    cells = np.random.default_rng(seed).integers(30, 220, (10, 20, 3), dtype=np.uint8)
    canvas = cv2.resize(cells, (320, 160), interpolation=cv2.INTER_CUBIC)
    return [np.ascontiguousarray(canvas[24:136, 4 * step : 4 * step + 160]) for step in range(18)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Clips a and b, a in another container and another size, the very file of b again, two black clips, one no video."""
    place = tmp_path_factory.mktemp("shop")
    clips = place / "clips"
    clips.mkdir()
    pictures = pan(seed=1)
    write_clip(clips / "a.mp4", pictures)
    write_clip(clips / "a_again.avi", pictures)
    write_clip(clips / "a_small.mkv", [cv2.resize(one, (96, 64), interpolation=cv2.INTER_AREA) for one in pictures])
    write_clip(clips / "b.mp4", pan(seed=2))
    shutil.copy(clips / "b.mp4", clips / "b_again.mp4")
    for name, size in (("black.mp4", 96), ("dark.mp4", 112)):
        write_clip(clips / name, [np.zeros((size, 128, 3), dtype=np.uint8)] * 12)
    (clips / "broken.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(2000))
    (place / "events.csv").write_text(
        "user,item,timestamp,kind\nu,a_again,1700000000,click\nv,a_again,1700000001,click\nu,a,1700000002,click\nw,b,1700000003,click\n"
    )
    (place / "items.csv").write_text(
        "id,title,media_path\n"
        + "".join(f"{path.stem},The {path.stem},{path.name}\n" for path in sorted(clips.iterdir()))
    )
    Project.init(place / "shop").close()
    with Project.open(place / "shop") as project:
        project.ingest(videos=clips, items=place / "items.csv", events=place / "events.csv")
        report = project.duplicates()
    return place / "shop", report


def test_copies_are_grouped_and_the_most_watched_is_kept(shop):
    _, report = shop
    assert [[one.item for one in group] for group in report.groups] == [["a_again", "a", "a_small"], ["b", "b_again"]]
    kept = report.groups[0][0]
    assert (kept.title, kept.file, kept.interactions, kept.quality, kept.pixels) == (
        "The a_again",
        "a_again.avi",
        2,
        1.0,
        160 * 112,
    )
    assert all(one.alike > 0.9 for group in report.groups for one in group)


def test_black_clips_are_not_copies_of_each_other(shop):
    _, report = shop
    assert report.num_empty == 2


def test_a_clip_that_cannot_be_read_costs_no_other(shop):
    _, report = shop
    assert list(report.unreadable) == ["broken.mp4"]
    assert report.notices[0].startswith(
        "clips that cannot be read: 1, such as 'broken.mp4': cannot decode 'broken.mp4'"
    )
    assert report.num_clips == 8


def test_a_second_run_makes_nothing_again(shop):
    folder, first = shop
    with Project.open(folder) as project:
        again = project.duplicates()
    assert (first.num_made, again.num_made) == (6, 0)
    assert again.groups == first.groups


def test_slates_show_one_of_each_group(shop):
    folder, _ = shop
    with Project.open(folder) as project:
        slate = project.recommend("stranger")
        shown = [item.id for item in slate.items]
        assert len(set(shown) & {"a", "a_again", "a_small"}) == len(set(shown) & {"b", "b_again"}) == 1
        assert next(one for one in slate.trace if one.stage == "copies").detail["removed"] == {"copies of one above": 3}
        assert not {item.id for item in project.recommend("u").items} & {"a", "a_again", "a_small"}
        near = {item.id for item in project.similar("a").items}
        assert not near & {"a_again", "a_small"}
        assert len(near & {"b", "b_again"}) == 1


def test_slates_made_before_learn_of_new_groups(shop):
    folder, _ = shop
    with Project.open(folder) as project:
        shutil.move(project.artifacts / "duplicates", folder / "aside")
        assert len(project.recommend("stranger").items) == 8
        shutil.move(folder / "aside", project.artifacts / "duplicates")
        assert len(project.recommend("stranger").items) == 5


def test_the_command_answers_people_and_machines(shop):
    folder, report = shop
    answer = CliRunner().invoke(main, ["duplicates", "-p", str(folder), "--json", "-q"])
    assert [[one["item"] for one in group] for group in json.loads(answer.stdout)["groups"]] == [
        [one.item for one in group] for group in report.groups
    ]
    text = CliRunner().invoke(main, ["duplicates", "-p", str(folder), "-q"]).stdout
    assert "2 groups with 3 copies to spare among 8 clips; 0 fingerprints made" in text
    assert "note: clips that show nothing (black or of one colour) and are compared by file only: 2" in text
    assert "a_again.avi" in text


def test_a_project_without_clips_is_told_what_to_do(tmp_path):
    with (
        Project.init(tmp_path / "shop") as project,
        pytest.raises(NotBuiltError, match="no item has a video file; run"),
    ):
        project.duplicates()


def test_an_extraction_makes_the_fingerprints_and_nothing_is_decoded_again(tmp_path, monkeypatch):
    clips = tmp_path / "clips"
    clips.mkdir()
    write_clip(clips / "a.mp4", pan(seed=1))
    write_clip(clips / "a_again.avi", pan(seed=1))
    Project.init(tmp_path / "shop").close()
    (tmp_path / "shop" / "kinema.toml").write_text(
        '[encoders]\ntext = ""\nframes = ""\nsound = ""\n[runtime]\nworkers = 1\n'
    )
    with Project.open(tmp_path / "shop") as project:
        project.ingest(videos=clips)
        assert list(project.extract().counts) == ["motion"]
        assert list(project.dataset().features) == ["motion"]
        monkeypatch.setattr("kinema.encoders.clip_vectors.ClipReaders", None)
        report = project.duplicates()
    assert (report.num_made, len(report.groups), report.unreadable) == (0, 1, {})


def test_clips_are_decoded_in_processes_with_limits(tmp_path, monkeypatch):
    clips = tmp_path / "clips"
    clips.mkdir()
    write_clip(clips / "a.mp4", pan(seed=1))
    Project.init(tmp_path / "shop").close()
    (tmp_path / "shop" / "kinema.toml").write_text(
        "[limits]\nmax_clip_pixels = 2000\n[media]\nsampling = 'key'\n[runtime]\nworkers = 1\n"
    )
    monkeypatch.setattr("kinema.encoders.clip_readers.read_clip", None)
    with Project.open(tmp_path / "shop") as project:
        project.ingest(videos=clips)
        report = project.duplicates()
        assert "a frame must have at most 2000 pixels" in report.unreadable["a.mp4"]
        (tmp_path / "shop" / "kinema.toml").write_text("[runtime]\nworkers = 1\n")
    with Project.open(tmp_path / "shop") as project:
        report = project.duplicates()
        assert (report.num_made, report.unreadable) == (1, {})
        assert project.dataset().features == {}
