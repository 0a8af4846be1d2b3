"""The motion vector must tell moves apart, whatever is filmed and however it is stored."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from kinema.artifacts import fingerprint
from kinema.encoders.modality import Clip, Wants
from kinema.encoders.motion import MotionEncoder, MotionReader, load_motion_encoder
from kinema.errors import ConfigError
from kinema.media.sampling import sample_frames
from kinema.testing.clips import CODECS, MOTIONS, render_clip


def vector_of(path, encoder):
    return encoder.pool(encoder.tokens(sample_frames(path, num_frames=1)))


def test_each_move_is_nearest_to_the_same_move_with_other_pictures(tmp_path):
    encoder = MotionEncoder()
    suffixes = sorted(CODECS)
    vectors, labels = [], []
    for number, motion in enumerate(MOTIONS):
        for take in range(2):
            path = tmp_path / f"{motion}{take}{suffixes[(number + take) % len(suffixes)]}"
            render_clip(path, motion=motion, seed=10 * number + take, seconds=1.5, width=128, height=96)
            vectors.append(vector_of(path, encoder))
            labels.append(motion)
    standard = np.stack(vectors)
    standard = (standard - standard.mean(axis=0)) / (standard.std(axis=0) + 1e-6)
    standard /= np.linalg.norm(standard, axis=1, keepdims=True)
    cosines = standard @ standard.T
    np.fill_diagonal(cosines, -2)
    names = np.array(labels)
    assert (names[cosines.argmax(axis=1)] == names).all()


def test_the_vector_has_the_announced_width_and_is_repeatable(tmp_path):
    encoder = MotionEncoder(grid=2, segments=(1, 2))
    path = render_clip(tmp_path / "clip.flv", seconds=1.0)
    first, again = vector_of(path, encoder), vector_of(path, encoder)
    assert first.shape == (encoder.width,)
    assert first.dtype == np.float32
    assert np.array_equal(first, again)


def test_a_single_picture_has_no_tokens(tmp_path):
    encoder = MotionEncoder()
    frames = sample_frames(render_clip(tmp_path / "one.mp4", seconds=1 / 12))
    assert encoder.tokens(frames).shape == (0, encoder.token_width)


def test_the_two_halves_give_what_the_whole_gives(tmp_path):
    encoder = MotionEncoder(method="dis-fast", num_pairs=5)
    frames = sample_frames(render_clip(tmp_path / "clip.mp4", seconds=1.5), num_pairs=5)
    reading = encoder.reader.read(Clip(frames, None, 0, frames.duration_ms))
    (tokens,) = encoder.encode([reading])
    assert encoder.reader.wants == Wants(num_pairs=5)
    assert np.array_equal(tokens.tokens_TD, encoder.tokens(frames))
    assert np.array_equal(tokens.times_ms_T, frames.pair_times_ms)
    assert (np.diff(tokens.times_ms_T) > 0).all()
    assert np.array_equal(encoder.pool(tokens), encoder.pool(tokens.tokens_TD))
    assert encoder.pool(tokens).shape == (encoder.width,)


def test_a_reader_survives_the_way_to_another_process():
    reader = load_motion_encoder("flow:farneback+objects").reader
    assert MotionReader(**json.loads(json.dumps(asdict(reader)))) == reader


def test_nothing_moves_in_sound_or_in_a_single_picture(tmp_path):
    frames = sample_frames(render_clip(tmp_path / "one.mp4", seconds=1 / 12))
    reader = MotionEncoder().reader
    assert reader.read(Clip(frames, None, 0, 83)) == {}
    assert reader.read(Clip(None, np.zeros(8, dtype=np.float32), 8, 1000)) == {}


def test_objects_add_their_own_directions_and_leave_the_rest_alone(tmp_path):
    frames = sample_frames(render_clip(tmp_path / "clip.mp4", seconds=1.0), num_pairs=3)
    plain, more = MotionEncoder(), MotionEncoder(objects=True)
    old, new = plain.tokens(frames), more.tokens(frames)
    added = new.shape[1] - old.shape[1]
    border = plain.reader.whole_width
    assert added == 9
    assert np.array_equal(np.delete(new, slice(border, border + added), axis=1), old)
    assert more.width == plain.width + 3 * added


def test_settings_that_came_later_do_not_change_the_fingerprint_of_the_default():
    assert MotionEncoder().fingerprint == fingerprint({"motion": 2, "grid": 3, "segments": (1,)})
    names = ("flow:dis", "flow:dis-fast", "flow:farneback", "flow:dis+objects")
    assert [load_motion_encoder(name).name for name in names] == list(names)
    assert len({load_motion_encoder(name).fingerprint for name in names}) == len(names)


def test_settings_decide_the_fingerprint():
    assert MotionEncoder().fingerprint == MotionEncoder(grid=3).fingerprint
    assert MotionEncoder().fingerprint != MotionEncoder(grid=4).fingerprint


def test_unknown_names_and_grids_are_refused():
    assert load_motion_encoder("flow:dis") == MotionEncoder()
    with pytest.raises(
        ConfigError, match=r"unknown motion encoder 'flow:raft'; known: flow:dis, .* each also with \+objects"
    ):
        load_motion_encoder("flow:raft")
    with pytest.raises(ConfigError, match=r"grid of the motion encoder must be in 1..8, got 9"):
        MotionEncoder(grid=9)
    with pytest.raises(ConfigError, match=r"unknown flow method 'raft'; known: dis, dis-fast, farneback"):
        MotionReader(method="raft")
    with pytest.raises(ConfigError, match=r"num_pairs of the motion encoder must be >= 1, got 0"):
        MotionReader(num_pairs=0)
