"""Fingerprints beside the vectors: which there are, and why there are none."""

from kinema.media_settings import LimitSettings
from kinema.progress import silent
from kinema.steps.fingerprints import Fingerprints
from kinema.testing.clips import render_clip


def test_a_fingerprint_is_made_once_and_read_back(tmp_path):
    path = render_clip(tmp_path / "a.mp4", seconds=1.0, width=96, height=64)
    prints = Fingerprints.open(tmp_path / "features", LimitSettings())
    assert prints.make({"aa": ("a.mp4", path)}, workers=1, progress=silent) == {}
    tokens = Fingerprints.open(tmp_path / "features", LimitSettings()).tokens("aa")
    assert len(tokens.times_ms_T) > 8
    assert prints.vectors(["aa"]).any()
    assert prints.make({"aa": ("a.mp4", tmp_path / "gone.mp4")}, workers=1, progress=silent) == {}


def test_a_clip_without_pictures_has_a_reason(tmp_path):
    prints = Fingerprints.open(tmp_path, LimitSettings())
    (nothing,) = prints.cache.encode(["song.mp4"], [{}], [1.0])
    prints.cache.append([("aa", nothing)])
    failed = prints.make({"aa": ("song.mp4", tmp_path / "song.mp4")}, workers=1, progress=silent)
    assert failed == {"aa": "cannot compare 'song.mp4': it has no pictures"}


def test_another_number_of_frames_has_fingerprints_of_its_own(tmp_path):
    def folder(num_frames):
        return Fingerprints.open(tmp_path, LimitSettings(), num_frames=num_frames).cache.tokens.folder

    assert folder(8) == folder(4) == folder(64) != folder(12)
