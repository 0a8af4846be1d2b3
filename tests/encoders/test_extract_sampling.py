"""Which frames an extraction takes: evenly spaced, key frames, every shot."""

from dataclasses import asdict

import numpy as np
import polars as pl
import pytest
from small_catalogue import MeanColour, catalogue, make_media, run

from kinema.artifacts import fingerprint
from kinema.encoders.clip_modality import ClipModality
from kinema.encoders.extract import extract, load_tokens
from kinema.encoders.frames import FrameTokens
from kinema.encoders.motion import MotionEncoder
from kinema.encoders.sound import load_sound_encoder
from kinema.errors import ConfigError
from kinema.media.index import read_index
from kinema.media.limits import Deadline
from kinema.media.probe import ClipFile
from kinema.media.sampling import sample_frames
from kinema.testing.clips import render_clip


def key_times(path):
    """Times of a file's key frames, milliseconds."""
    with ClipFile(path, name=path.name, max_pixels=2**25) as file:
        index = read_index(file, max_ms=600_000, deadline=Deadline(60.0))
    return {round(time_ms) for time_ms in index.times_ms_N[index.keys].tolist()}


def seen_times(root, names, folder, *, sampling, num_frames):
    """Media path -> times of the frames, and of the pairs, after an extraction by decoding processes."""
    items = catalogue(names)
    report = run(items, root, folder, text=None, num_frames=num_frames, sampling=sampling, workers=1)
    assert report.rejects == ()
    tokens = load_tokens(folder, items)
    return {
        name: tuple(tokens[modality].get([row]).of(0)[1].tolist() for modality in ("frames", "motion"))
        for row, name in enumerate(names)
    }


def test_even_sampling_keeps_the_cache_of_before_and_other_modes_have_their_own(tmp_path):
    encoder = MotionEncoder()
    of = {
        mode: ClipModality(tmp_path, "motion", encoder, pooling=None, max_seconds=600.0, sampling=mode).fingerprint
        for mode in ("even", "key", "shots")
    }
    reader = [type(encoder.reader).__qualname__, asdict(encoder.reader)]
    parts = {"encoder": encoder.fingerprint, "reader": reader, "max_seconds": 600.0, "sampling": 1}
    assert of["even"] == fingerprint({"tokens": fingerprint(parts), "pooling": "plain"})
    assert len(set(of.values())) == 3


def test_the_cache_of_sound_does_not_depend_on_which_frames_are_taken(tmp_path):
    sound = load_sound_encoder("mel:stats")
    one, other = (
        ClipModality(tmp_path, "sound", sound, pooling=None, max_seconds=600.0, sampling=mode)
        for mode in ("even", "shots")
    )
    assert one.fingerprint == other.fingerprint


def test_another_mode_encodes_clips_again_and_texts_not(tmp_path):
    media = make_media(tmp_path)
    items = catalogue(["c0.mp4", "c1.avi"])
    run(items, media, tmp_path / "features")
    changed = run(items, media, tmp_path / "features", sampling="key")
    assert {name: one.computed for name, one in changed.counts.items()} == {"text": 0, "frames": 2, "motion": 2}
    encoder = MeanColour()
    back = run(items, media, tmp_path / "features", frames=encoder)
    assert (back.counts["frames"].cached, back.counts["motion"].cached, encoder.calls) == (2, 2, 0)


def test_an_unknown_mode_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="sampling must be one of even, key, shots, got 'best'"):
        run(catalogue([]), None, tmp_path, sampling="best")


def test_each_shot_of_a_real_clip_is_seen(data_dir, tmp_path):
    root = data_dir / "clips" / "real"
    (frames, pairs) = seen_times(root, ["shot_change.mp4"], tmp_path / "two", sampling="shots", num_frames=2)[
        "shot_change.mp4"
    ]
    assert [time_ms >= 3200 for time_ms in frames] == [False, True]
    assert pairs
    shots = sample_frames(root / "bikes.mp4", mode="shots").shots_ms
    seen = seen_times(root, ["bikes.mp4"], tmp_path / "six", sampling="shots", num_frames=len(shots))["bikes.mp4"][0]
    assert np.searchsorted(shots, seen, side="right").tolist() == list(range(1, len(shots) + 1))


def test_key_mode_takes_key_frames_and_pairs_that_begin_at_them(data_dir, tmp_path):
    root = data_dir / "clips"
    names = ["containers/demo.mkv", "real/shot_change.mp4"]
    for name, (frames, pairs) in seen_times(root, names, tmp_path, sampling="key", num_frames=8).items():
        keys = key_times(root / name)
        assert len(frames) == min(8, len(keys))
        assert set(frames) <= keys
        assert pairs
        assert set(pairs) <= keys


def test_a_clip_with_a_single_key_frame_is_seen_by_it_and_named(data_dir, tmp_path):
    media = make_media(tmp_path)
    one_key = data_dir / "clips" / "real" / "park.mp4"
    (media / "one_key.mp4").write_bytes(one_key.read_bytes())
    assert len(key_times(one_key)) == 1
    items = catalogue(["one_key.mp4", "single.mp4"])
    for _ in range(2):
        report = run(items, media, tmp_path / "features", text=None, num_frames=4, sampling="key")
        assert report.rejects == ()
        assert report.notices == (
            (
                "clips seen by a single key frame, for they have no other: 1, such as 'one_key.mp4'; "
                'sampling = "even" in [media] of kinema.toml sees more of them'
            ),
        )
    tokens = load_tokens(tmp_path / "features", items)
    assert tokens["frames"].lengths().tolist() == [1, 1]
    assert tokens["frames"].get([0, 1]).quality_N.tolist() == [0.25, 1.0]
    even = run(items, media, tmp_path / "features", text=None, num_frames=4)
    assert even.notices == ()


def test_sampling_reaches_every_encoder_of_clips(tmp_path):
    render_clip(tmp_path / "long.mkv", seconds=3.0, width=64, height=48)
    items = pl.DataFrame({"num": [0], "id": ["a"], "title": [""], "media_path": ["long.mkv"]})
    clips = {"frames": FrameTokens(MeanColour(), num_frames=4), "eyes": FrameTokens(MeanColour(), num_frames=6)}
    extract(items=items, media_root=tmp_path, folder=tmp_path / "f", clips=clips, workers=0, sampling="key")
    tokens = load_tokens(tmp_path / "f", items)
    for name in clips:
        assert set(tokens[name].get([0]).of(0)[1].tolist()) <= key_times(tmp_path / "long.mkv")
