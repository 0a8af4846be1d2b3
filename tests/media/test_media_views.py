"""Frames as pictures, and movement as a field of arrows."""

import numpy as np
from PIL import Image

from kinema.media.sampling import sample_frames
from kinema.media.views import flow_fields, write_frames
from kinema.testing.clips import render_clip, write_clip


def test_frames_are_written_one_by_one(tmp_path):
    frames = sample_frames(render_clip(tmp_path / "clip.avi"), num_frames=3, num_pairs=0)
    names = write_frames(frames, tmp_path, "key")
    assert names == ["key.frame-0.webp", "key.frame-1.webp", "key.frame-2.webp"]
    drawn = np.asarray(Image.open(tmp_path / names[1]).convert("RGB")).astype(float)
    assert np.abs(drawn - frames.array[1]).mean() < 12


def test_a_pan_is_a_field_of_equal_arrows(tmp_path):
    frames = sample_frames(render_clip(tmp_path / "clip.avi", motion="pan_right", seed=3), num_frames=1, num_pairs=4)
    fields = flow_fields(frames, columns=8)
    assert [one.time_ms for one in fields] == frames.pair_times_ms.tolist()
    for one in fields:
        right, down, trust = (np.array(part) for part in (one.right, one.down, one.trust))
        assert right.shape == down.shape == trust.shape == (6, 8)
        assert abs(np.average(right, weights=trust) - 0.2) < 0.05
        assert abs(np.average(down, weights=trust)) < 0.05
        assert ((trust >= 0) & (trust <= 1)).all()


def test_a_single_picture_does_not_move(tmp_path):
    path = write_clip(tmp_path / "clip.avi", [np.full((48, 64, 3), 99, np.uint8)])
    assert flow_fields(sample_frames(path, num_frames=1, num_pairs=4)) == []
