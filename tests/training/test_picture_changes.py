"""Pictures are changed as said, all frames alike, and the two mixtures share no kind of change."""

import numpy as np
import pytest

from kinema.training.picture_changes import (
    bend_frames,
    blur_frames,
    box_frames,
    compress_frames,
    fade_frames,
    noise_frames,
    shrink_frames,
    strange,
    tint_frames,
    turn_frames,
    unusual,
    usual,
)

CHANGES = (compress_frames, tint_frames, blur_frames, noise_frames, shrink_frames, box_frames, turn_frames, fade_frames)
MIXTURES = (bend_frames, usual, strange, unusual)


def frames(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (2, 40, 48, 3), dtype=np.uint8)


@pytest.mark.parametrize("change", CHANGES + MIXTURES)
def test_a_change_keeps_form_and_source_and_follows_from_its_draws(change):
    before = frames()
    kept = before.copy()
    after = change(before, np.random.default_rng(1))
    assert (before == kept).all()
    assert after.shape == before.shape
    assert after.dtype == np.uint8
    assert (after == change(before, np.random.default_rng(1))).all()
    assert not all((change(before, np.random.default_rng(seed)) == before).all() for seed in range(5))


@pytest.mark.parametrize("change", [blur_frames, shrink_frames])
def test_what_is_blurred_or_made_small_loses_detail(change):
    after = change(frames(), np.random.default_rng(1)).astype(float)
    assert np.abs(np.diff(after, axis=2)).mean() < 0.7 * np.abs(np.diff(frames().astype(float), axis=2)).mean()


def test_bars_lie_on_two_sides_and_leave_the_middle():
    before = frames()
    after = box_frames(before, np.random.default_rng(0))
    assert (after[:, 20, 24] == before[:, 20, 24]).all()
    across = (after[:, :, 0] == after[:, :1, :1, 0]).all()
    edges = (after[:, :, 0], after[:, :, -1]) if across else (after[:, 0], after[:, -1])
    assert all(set(np.unique(one).tolist()) in ({0}, {255}) for one in edges)


def test_a_tint_multiplies_each_colour_alone():
    grey = np.full((1, 4, 4, 3), 100, dtype=np.uint8)
    after = tint_frames(grey, np.random.default_rng(0), strength=0.2)
    assert len(np.unique(after.reshape(-1, 3), axis=0)) == 1
    assert (np.abs(after.astype(int) - 100) <= 20).all()
