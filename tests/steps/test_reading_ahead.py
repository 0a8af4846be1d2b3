"""A clip that came in is decoded before the encoders are there, and the reading is used if it is what they want."""

import shutil
from pathlib import Path

import pytest

from kinema.encoders.clip_readers import BegunReading
from kinema.encoders.clip_worker import ClipRequest
from kinema.media_settings import EncoderSettings
from kinema.project import Project
from kinema.settings import Settings
from kinema.steps import live
from kinema.steps.extracting import CLIP_MODALITIES, EncoderOptions
from kinema.steps.fingerprints import made_along
from kinema.steps.reading_ahead import foreseen_readers, read_ahead

SETTINGS = '[encoders]\ntext = ""\nframes = ""\nsound = ""\n[runtime]\nworkers = 1\n'


@pytest.fixture
def shop(tmp_path, data_dir):
    clips = tmp_path / "clips"
    clips.mkdir()
    shutil.copy(data_dir / "clips" / "real" / "small.mp4", clips)
    Project.init(tmp_path / "shop").close()
    (tmp_path / "shop" / "kinema.toml").write_text(SETTINGS)
    with Project.open(tmp_path / "shop") as project:
        project.ingest(videos=clips)
        yield project


def test_what_packaged_encoders_want_is_known_without_loading_them():
    settings = Settings()
    options = EncoderOptions(num_frames=settings.media.num_frames)
    found = foreseen_readers(settings)
    assert found == {
        name: CLIP_MODALITIES[name](getattr(settings.encoders, name), options).reader for name in CLIP_MODALITIES
    } | {name: one.reader for name, one in made_along(settings).items()}


def test_nothing_is_read_ahead_for_encoders_that_must_be_asked():
    other = EncoderSettings(frames="facebook/dinov2-small")
    assert foreseen_readers(Settings(encoders=other)) == {}
    assert sorted(foreseen_readers(Settings(encoders=EncoderSettings(frames="", sound="")))) == [
        "motion",
        "picture_hash",
    ]


def test_only_the_very_reading_that_was_begun_is_used(shop):
    parts = {"media_root": shop.media_root, "folder": shop.folder, "settings": shop.settings}
    with read_ahead(shop.media_root / "small.mp4", **parts) as begun:
        request = begun._request
        assert begun.answer(request).result().arrays.keys() == {"motion", "picture_hash"}
        assert begun.answer(ClipRequest(**{**vars(request), "max_seconds": 1.0})) is None


def test_a_live_clip_is_decoded_once_and_the_others_are_left_alone(shop, data_dir, monkeypatch):
    begun = []

    def watch(*given, **named):
        begun.append(read_ahead(*given, **named))
        return begun[-1]

    asked = []
    answer = BegunReading.answer
    monkeypatch.setattr(BegunReading, "answer", lambda self, one: asked.append(answer(self, one)) or asked[-1])
    monkeypatch.setattr(live, "read_ahead", watch)
    (item,) = shop.take_in(data_dir / "clips" / "real" / "bikes.mp4").items
    assert item.id == "bikes"
    assert [one is begun[0]._reading for one in asked] == [True]
    features = shop.dataset().features["motion"]
    assert features.present_V.tolist() == [False, True]
    assert shop.extract().counts["motion"].computed == 1


def test_one_clip_of_a_full_folder_is_looked_at_alone(shop, data_dir):
    for name in ("a.mp4", "park.mp4"):
        shutil.copy(data_dir / "clips" / "real" / name, shop.media_root)
    (item,) = shop.take_in(shop.media_root / "park.mp4").items
    assert item.id == "park"
    assert shop.store.items()["id"].to_list() == ["small", "park"]


def test_clips_that_were_set_aside_before_stay_so(shop, tmp_path, data_dir):
    (tmp_path / "broken.mp4").write_bytes(b"no clip at all")
    shop.take_in(tmp_path / "broken.mp4")
    shop.take_in(data_dir / "clips" / "real" / "park.mp4")
    assert [Path(one.file).name for one in shop.store.rejects() if one.kind == "clip"] == ["broken.mp4"]
    shutil.copy(data_dir / "clips" / "real" / "bikes.mp4", shop.media_root / "live" / "broken.mp4")
    shop.take_in(shop.media_root / "live" / "broken.mp4")
    assert [one for one in shop.store.rejects() if one.kind == "clip"] == []
