"""What is made along with the vectors, without a further pass: the fingerprints that copies are found by."""

import pytest
from small_catalogue import MeanColour, catalogue, make_media, run

from kinema.encoders import clip_passes
from kinema.encoders.clip_modality import ClipModality
from kinema.encoders.extract import load_features, load_tokens
from kinema.encoders.modality import Tokens, Wants
from kinema.encoders.picture_hash import PictureHash, PictureReader
from kinema.encoders.sound import load_sound_encoder
from kinema.errors import ConfigError


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    return make_media(tmp_path_factory.mktemp("media"))


def prints_in(folder, encoder=None):
    return ClipModality(folder, "prints", encoder or PictureHash(), pooling=None, max_seconds=600.0)


def test_fingerprints_are_made_along_and_are_no_modality(media, tmp_path, monkeypatch):
    items = catalogue(["c0.mp4", "c1.avi", "single.mp4", "renamed.mp4"])
    passes, decode = [], clip_passes.sample_frames
    monkeypatch.setattr(
        clip_passes, "sample_frames", lambda *args, **given: passes.append(args) or decode(*args, **given)
    )
    report = run(items, media, tmp_path, along={"prints": PictureHash()})
    assert len(passes) == 4
    assert list(report.counts) == list(load_features(tmp_path, items)) == ["text", "frames", "motion"]
    assert list(load_tokens(tmp_path, items)) == ["frames", "motion"]
    assert len(report.rejects) == 1
    assert len(prints_in(tmp_path).vectors.index) == 3


def test_a_clip_is_not_decoded_for_its_fingerprint_alone(media, tmp_path):
    items = catalogue(["c0.mp4", "c1.avi"])
    run(items, media, tmp_path)
    report = run(items, media, tmp_path, along={"prints": PictureHash()})
    assert report.counts["frames"].cached == 2
    sound = {"sound": load_sound_encoder("mel:stats")}
    run(items, media, tmp_path, clips=sound, along={"prints": PictureHash()})
    assert len(prints_in(tmp_path).vectors.index) == 0
    run(items, media, tmp_path, frames=MeanColour("v2"), along={"prints": PictureHash()})
    assert len(prints_in(tmp_path).vectors.index) == 2


class Failing(PictureHash):
    """A fingerprint that cannot be made."""

    def encode(self, readings):
        raise ValueError("odd")


def test_a_fingerprint_that_fails_costs_nothing_else(media, tmp_path):
    report = run(catalogue(["c0.mp4"]), media, tmp_path, along={"prints": Failing()})
    assert report.rejects == ()
    assert report.counts["frames"].computed == 1
    assert len(prints_in(tmp_path, Failing()).vectors.index) == 0


class LargerReader(PictureReader):
    """It wants larger pictures than the others."""

    wants = Wants(num_frames=8, max_side=512)


def test_what_needs_a_pass_of_its_own_is_left_out(media, tmp_path):
    larger = PictureHash(LargerReader())
    run(catalogue(["c0.mp4"]), media, tmp_path, along={"prints": larger})
    assert len(prints_in(tmp_path, larger).vectors.index) == 0


def test_a_name_is_a_modality_or_goes_along(tmp_path):
    with pytest.raises(ConfigError, match=r"a name of letters, digits and _ other than .*, got 'frames'"):
        run(catalogue([]), None, tmp_path, along={"frames": PictureHash()})


def test_tokens_of_a_fingerprint_keep_their_times(media, tmp_path):
    run(catalogue(["c0.mp4"]), media, tmp_path, along={"prints": PictureHash()})
    cache = prints_in(tmp_path)
    tokens_TD, times_ms_T = cache.tokens.get(sorted(cache.tokens.index.keys())).of(0)
    assert Tokens(tokens_TD, times_ms_T).tokens_TD.shape == (len(times_ms_T), PictureHash().token_width)
    assert (times_ms_T[1:] > times_ms_T[:-1]).all()
