"""The motion vector must tell moves apart, whatever is filmed and however it is stored."""

import numpy as np
import pytest

from kinema.encoders.motion import MotionEncoder, load_motion_encoder
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


def test_settings_decide_the_fingerprint():
    assert MotionEncoder().fingerprint == MotionEncoder(grid=3).fingerprint
    assert MotionEncoder().fingerprint != MotionEncoder(grid=4).fingerprint


def test_unknown_names_and_grids_are_refused():
    assert load_motion_encoder("flow:dis") == MotionEncoder()
    with pytest.raises(ConfigError, match="unknown motion encoder 'flow:raft'; known: flow:dis"):
        load_motion_encoder("flow:raft")
    with pytest.raises(ConfigError, match=r"grid of the motion encoder must be in 1..8, got 9"):
        MotionEncoder(grid=9)
