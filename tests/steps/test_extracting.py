"""`kinema extract` on a project: settings that reach the extraction, what is left out, modalities of one's own."""

import pytest

from brightness import Bright, BrightReader
from kinema import extras
from kinema.errors import ConfigError, NotBuiltError
from kinema.project import Project
from kinema.steps import extracting
from kinema.steps.dataset import read_tokens
from kinema.testing.clips import render_clip
from tiny_encoders import save_bert


def make_project(folder, settings):
    clips = folder / "clips"
    clips.mkdir()
    for number in range(2):
        render_clip(clips / f"c{number}.avi", seed=number, seconds=0.5, width=64, height=48)
    (clips / "bad.avi").write_bytes(b"no clip")
    project = Project.init(folder / "shop")
    (project.folder / "kinema.toml").write_text(settings)
    project.close()
    project = Project.open(folder / "shop")
    project.ingest(videos=clips)
    return project


def test_a_project_takes_encoders_of_ones_own_beside_its_settings(tmp_path):
    settings = '[encoders]\ntext = ""\nframes = ""\nsound = ""\n[runtime]\nworkers = 1\n'
    with make_project(tmp_path, settings) as project:
        report = project.extract(extra={"light": Bright(BrightReader(num_frames=2))})
        assert {name: (one.computed, one.failed) for name, one in report.counts.items()} == {
            "motion": (2, 1),
            "light": (2, 1),
        }
        assert "cannot decode 'bad.avi'" in report.rejects[0].reason
        assert len(report.rejects) == 1
        dataset = project.dataset()
        assert dataset.features["light"].present_V.sum() == 2
        tokens = read_tokens(project.artifacts / "features", dataset.items)
        assert tokens["light"].lengths().max() == 2
        assert list(project.dataset().features) == ["motion", "light"]
        render_clip(tmp_path / "new.avi", seed=9, seconds=0.5, width=64, height=48)
        project.take_in(tmp_path / "new.avi")
        assert project.dataset().features["light"].present_V.sum() == 2
        again = project.extract()
        assert list(again.counts) == ["motion"]
        assert any(
            one.startswith("without an encoder in this run, and left out of what follows: light;")
            for one in again.notices
        )
        assert project.extract(extra={"light": Bright(BrightReader(num_frames=2))}).counts["light"].cached == 2


def test_tokens_of_a_project_without_features_are_none(tmp_path):
    with Project.init(tmp_path / "shop") as project:
        assert read_tokens(project.artifacts / "features", project.store.items()) == {}


def test_without_a_decoder_the_texts_go_on(tmp_path, monkeypatch):
    settings = f'[encoders]\ntext = "{save_bert(tmp_path / "bert")}"\nframes = ""\nsound = ""\n[runtime]\nworkers = 1\n'
    with make_project(tmp_path, settings) as project:
        monkeypatch.setattr(extracting, "require", lambda name: extras.require("no_such_module"))
        report = project.extract()
        assert report.counts["text"].computed == 3
        assert list(report.counts) == ["text"]
        assert "no_such_module" in report.notices[0]


def test_limits_of_the_settings_reach_the_extraction(tmp_path, monkeypatch):
    settings = '[encoders]\ntext = ""\nframes = ""\nsound = ""\nbatch_size = 24\n[limits]\nmax_clip_seconds = 7.5\n'
    settings += (
        "max_clip_pixels = 5000\ndecode_seconds = 9.0\nclip_memory_mb = 300\n[runtime]\nthreads = 3\nworkers = 2\n"
    )
    seen = {}

    def extract(**given):
        seen.update(given)
        raise NotBuiltError("enough")

    monkeypatch.setattr(extracting, "extract", extract)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with make_project(tmp_path, settings) as project, pytest.raises(NotBuiltError, match="enough"):
        project.extract()
    names = (
        "max_seconds",
        "max_pixels",
        "clip_timeout_s",
        "clip_memory_mb",
        "workers",
        "encode_threads",
        "batch_clips",
    )
    assert [seen[name] for name in names] == [7.5, 5000, 9.0, 300, 2, 3, 3]


def test_the_way_frames_are_taken_reaches_the_extraction(tmp_path, monkeypatch):
    seen = []

    def extract(**given):
        seen.append((given["sampling"], list(given["along"] or {})))
        raise NotBuiltError("enough")

    monkeypatch.setattr(extracting, "extract", extract)
    for name, line in (("plain", ""), ("keys", '[media]\nsampling = "key"\n')):
        settings = '[encoders]\ntext = ""\nframes = ""\nsound = ""\n' + line
        (tmp_path / name).mkdir()
        with make_project(tmp_path / name, settings) as project:
            with pytest.raises(NotBuiltError, match="enough"):
                project.extract()
            monkeypatch.setenv("KINEMA_MEDIA__SAMPLING", "shots")
            assert Project.open(project.folder).settings.media.sampling == "shots"
            monkeypatch.delenv("KINEMA_MEDIA__SAMPLING")
    assert seen == [("even", ["picture_hash"]), ("key", [])]


def test_a_frame_beyond_the_limit_is_a_reason(tmp_path):
    settings = (
        '[encoders]\ntext = ""\nframes = ""\nsound = ""\n[limits]\nmax_clip_pixels = 2000\n[runtime]\nworkers = 1\n'
    )
    with make_project(tmp_path, settings) as project:
        report = project.extract()
        assert report.counts["motion"].failed == 3
        assert any("a frame must have at most 2000 pixels" in one.reason for one in report.rejects)


def test_a_project_without_any_encoder_says_so(tmp_path):
    settings = '[encoders]\ntext = ""\nframes = ""\nmotion = ""\nsound = ""\n'
    with (
        make_project(tmp_path, settings) as project,
        pytest.raises(
            ConfigError, match="at least one of text, frames, motion, sound; all of them are empty in kinema"
        ),
    ):
        project.extract()
