"""Posters and preview strips: with the vectors, for clips that have vectors already, and clips that cannot have them."""

import pytest
from PIL import Image
from small_catalogue import MeanColour, catalogue, make_media, run

from kinema.encoders import clip_pictures, clip_worker
from kinema.encoders.clip_pictures import PictureFolder
from kinema.encoders.clip_readers import read_clips
from kinema.encoders.clip_worker import ClipRequest
from kinema.encoders.frames import FrameReader
from kinema.errors import DataError
from kinema.media.sampling import sample_frames
from kinema.testing.clips import render_clip


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    return make_media(tmp_path_factory.mktemp("media"))


def posters(folder):
    return sorted(path.name for path in folder.glob("*.poster.webp"))


def no_decoding(*args, **settings):
    raise AssertionError("nothing was to be decoded")


def test_clips_whose_vectors_are_there_get_their_posters_without_encoding(media, tmp_path, monkeypatch):
    items = catalogue(["c0.mp4", "c1.avi", "copy.mp4", "single.mp4", "half.avi"])
    run(items, media, tmp_path / "features")
    encoder, told = MeanColour(), []
    report = run(
        items,
        media,
        tmp_path / "features",
        frames=encoder,
        pictures=tmp_path / "pictures",
        workers=1,
        progress=lambda done, total, note="": told.append((done, total, note)),
    )
    assert encoder.calls == 0
    assert report.counts["frames"].cached == 5
    assert len(posters(tmp_path / "pictures")) == 4
    assert len(list(tmp_path.glob("pictures/*.strip.webp"))) == 4
    assert told[-1] == (4, 4, "clips")
    monkeypatch.setattr(clip_pictures, "sample_frames", no_decoding)
    monkeypatch.setattr("kinema.encoders.clip_passes.sample_frames", no_decoding)
    assert run(items, media, tmp_path / "features", pictures=tmp_path / "pictures").rejects == ()


def test_a_poster_comes_with_the_vectors_and_from_the_same_frames(media, tmp_path, monkeypatch):
    monkeypatch.setattr(clip_pictures, "sample_frames", no_decoding)
    items = catalogue(["c0.mp4", "c2.flv"])
    run(items, media, tmp_path / "features", pictures=tmp_path / "pictures")
    assert len(posters(tmp_path / "pictures")) == 2


def test_a_clip_that_cannot_be_drawn_is_rejected_and_not_tried_again(media, tmp_path, monkeypatch):
    items, pictures = catalogue(["c0.mp4", "c1.avi"]), tmp_path / "pictures"
    run(items, media, tmp_path / "features")
    tried = []

    def sample(path, *, name, **settings):
        tried.append(name)
        if name == "c1.avi":
            raise DataError(f"cannot decode '{name}': no frame decodes; the item keeps its text features")
        return sample_frames(path, name=name, **settings)

    monkeypatch.setattr(clip_pictures, "sample_frames", sample)
    reason = "no poster: cannot decode 'c1.avi': no frame decodes; the item keeps its vectors"
    for _ in range(2):
        report = run(items, media, tmp_path / "features", pictures=pictures)
        assert [one.reason for one in report.rejects] == [reason]
        assert report.counts["frames"].cached == 2
    assert sorted(set(tried)) == ["c0.mp4", "c1.avi"]
    assert tried.count("c1.avi") == 1
    assert len(posters(pictures)) == 1
    run(items, media, tmp_path / "features", pictures=pictures, clip_timeout_s=60.0)
    assert tried.count("c1.avi") == 2


def test_a_clip_that_no_encoder_can_use_is_rejected_once(media, tmp_path):
    report = run(
        catalogue(["renamed.mp4", "c0.mp4"]), media, tmp_path / "features", pictures=tmp_path / "pictures", workers=1
    )
    (reject,) = report.rejects
    assert reject.reason.startswith("cannot decode 'renamed.mp4'")
    assert "no poster" not in reject.reason
    assert len(posters(tmp_path / "pictures")) == 1


def test_a_file_without_pictures_has_no_poster_and_nothing_is_wrong_with_that(media, tmp_path, monkeypatch):
    items = catalogue(["c0.mp4"])
    run(items, media, tmp_path / "features")

    def sample(*args, **settings):
        raise DataError("cannot decode 'c0.mp4': no video stream that can be decoded (ogg with audio)")

    monkeypatch.setattr(clip_pictures, "sample_frames", sample)
    assert run(items, media, tmp_path / "features", pictures=tmp_path / "pictures").rejects == ()
    monkeypatch.setattr(clip_pictures, "sample_frames", no_decoding)
    assert run(items, media, tmp_path / "features", pictures=tmp_path / "pictures").rejects == ()
    assert posters(tmp_path / "pictures") == []


def request_for(path, folder, **changes):
    fields = {"path": str(path), "name": path.name, "readers": {}, "max_seconds": 60.0, "max_pixels": 2**20}
    return ClipRequest(**{**fields, "pictures": (str(folder), "key"), **changes})


def test_a_strip_shows_more_than_the_only_key_frame(tmp_path):
    path = render_clip(tmp_path / "clip.mp4", seconds=1.0, width=96, height=64)
    assert len(sample_frames(path, mode="key").array) < 4
    (reading,) = read_clips([request_for(path, tmp_path / "even")], num_workers=1)
    assert reading == clip_worker.ClipReading()
    (reading,) = read_clips([request_for(path, tmp_path / "key", sampling="key")], num_workers=0)
    widths = {}
    for mode in ("even", "key"):
        with Image.open(tmp_path / mode / "key.strip.webp") as strip:
            widths[mode] = strip.width
    assert widths["even"] == 8 * 108
    assert widths["key"] < widths["even"]


def test_a_picture_of_two_frames_is_not_taken_for_a_poster_where_more_can_be_had(tmp_path):
    path = render_clip(tmp_path / "clip.mp4", seconds=1.0, width=96, height=64)
    request = request_for(path, tmp_path / "pictures", readers={"frames": FrameReader(32, 2)})
    (reading,) = read_clips([request], num_workers=0)
    assert (reading.reasons, reading.undrawn, list(reading.arrays)) == ({}, None, ["frames"])
    with Image.open(tmp_path / "pictures" / "key.strip.webp") as strip:
        assert strip.width == 8 * 108


def test_a_clip_that_a_decoding_process_fails_on_has_a_reason(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no clip")
    for workers in (0, 1):
        (reading,) = read_clips([request_for(tmp_path / "bad.mp4", tmp_path / "pictures")], num_workers=workers)
        assert reading.undrawn.startswith("cannot decode 'bad.mp4'")
    (reading,) = read_clips(
        [request_for(tmp_path / "bad.mp4", tmp_path / "pictures")], num_workers=1, command=("false",)
    )
    assert (
        reading.undrawn == "cannot decode 'bad.mp4': the decoder crashed on it twice; the item keeps its text features"
    )


def test_a_full_disk_is_not_held_against_the_clip(tmp_path, monkeypatch):
    def full(*args, **settings):
        raise OSError("no space left on device")

    monkeypatch.setattr(clip_pictures, "write_pictures", full)
    path = render_clip(tmp_path / "clip.mp4", seconds=0.5, width=64, height=48)
    (reading,) = read_clips([request_for(path, tmp_path / "pictures")], num_workers=0)
    assert reading.undrawn is None


def test_notes_of_posters_hold_under_their_limits_and_damaged_ones_do_not_count(tmp_path):
    folder = PictureFolder(tmp_path, "limits")
    assert "a" not in folder
    folder.remember("a", "broken")
    folder.remember("b", "")
    (tmp_path / "c.none.json").write_text("{")
    (tmp_path / "d.poster.webp").write_bytes(b"picture")
    for again in (folder, PictureFolder(tmp_path, "limits")):
        assert [key in again for key in "abcd"] == [True, True, False, True]
        assert [again.reason(key) for key in "abd"] == ["broken", "", ""]
    assert [key in PictureFolder(tmp_path, "others") for key in "abcd"] == [False, False, False, True]
    other = PictureFolder(tmp_path / "new", "limits")
    (tmp_path / "new" / "e.poster.webp").write_bytes(b"picture")
    assert "e" in other
