"""Moments are left out, cut and disturbed; what is left stays in its order, and labels with their clips."""

import numpy as np
import pytest
import torch

from kinema.encoders.pooling import pool_segments
from kinema.errors import ConfigError
from kinema.flm.draws import Draws
from kinema.flm.pooling import Moments
from kinema.tasks.clip_classes import ClipClassConfig, ClipClassLearner, LabelledClips
from kinema.tasks.clip_moments import SEGMENTS, STATISTICS, ClipInput, joined
from kinema.tasks.clip_variation import MOMENTS, keep_moments, scales_of, vary_moments
from planted_clips import clip_library, planted

LENGTHS = (5, 1, 0, 8, 2)


def clips(width=3):
    """Token t of clip b is 100 b + t in every column."""
    longest = max(LENGTHS)
    valid_BT = torch.arange(longest) < torch.tensor(LENGTHS)[:, None]
    values_BT = 100.0 * torch.arange(len(LENGTHS))[:, None] + torch.arange(longest)
    tokens = (values_BT[:, :, None] * valid_BT[:, :, None]).expand(-1, -1, width).contiguous()
    return ClipInput(Moments(tokens, valid_BT, torch.zeros(valid_BT.shape)), scales_of(tokens, valid_BT))


def test_time_scales_are_those_of_the_encoders_room():
    random = np.random.default_rng(0)
    tokens_BTW = random.normal(size=(4, 7, 5)).astype(np.float32)
    lengths = [7, 3, 2, 1]
    valid_BT = torch.arange(7) < torch.tensor(lengths)[:, None]
    found = scales_of(torch.from_numpy(tokens_BTW), valid_BT).numpy()
    for row, length in enumerate(lengths):
        expected = pool_segments(tokens_BTW[row, :length], segments=SEGMENTS, statistics=STATISTICS)
        np.testing.assert_allclose(found[row], expected, atol=1e-5)
    assert (scales_of(torch.zeros(1, 3, 5), torch.zeros(1, 3, dtype=torch.bool)) == 0).all()


@pytest.mark.parametrize("ways", [("drop",), ("span",), ("drop", "span")])
def test_what_is_left_stays_in_order_with_its_clip_and_never_all_goes(ways):
    given = clips()
    sizes = set()
    for seed in range(20):
        found = vary_moments({"frames": given}, ways, Draws(seed))["frames"]
        for row, length in enumerate(LENGTHS):
            left = found.moments.tokens_VTW[row][found.moments.valid_VT[row]][:, 0]
            assert (left // 100 == row).all()
            assert (left.diff() > 0).all()
            assert min(length, 1) <= len(left) <= length
            if ways == ("span",) and len(left) > 1:
                assert (left.diff() == 1).all()
            sizes.add((row, len(left)))
        np.testing.assert_allclose(found.scales_NS, scales_of(found.moments.tokens_VTW, found.moments.valid_VT))
        assert (found.moments.tokens_VTW[~found.moments.valid_VT] == 0).all()
    assert len([one for one in sizes if one[0] == 3]) > 1


def test_all_modalities_keep_the_same_stretch():
    for seed in range(10):
        found = vary_moments({"frames": clips(3), "motion": clips(2)}, ("span",), Draws(seed))
        assert (found["frames"].moments.valid_VT == found["motion"].moments.valid_VT).all()
        assert (found["frames"].moments.tokens_VTW[..., 0] == found["motion"].moments.tokens_VTW[..., 0]).all()


def test_noise_is_small_beside_the_tokens_and_nowhere_else():
    given = clips()
    found = vary_moments({"frames": given}, ("jitter",), Draws(0))["frames"]
    assert (found.moments.valid_VT == given.moments.valid_VT).all()
    change = (found.moments.tokens_VTW - given.moments.tokens_VTW)[given.moments.valid_VT]
    assert 0 < change.std() < 0.4 * given.moments.tokens_VTW[given.moments.valid_VT].std()
    assert (found.moments.tokens_VTW[~given.moments.valid_VT] == 0).all()


def test_ways_of_pictures_leave_moments_alone():
    given = {"frames": clips()}
    assert vary_moments(given, ("crop", "light"), Draws(0)) == given


def test_a_clip_that_would_lose_all_keeps_all():
    given = clips().moments
    found = keep_moments(given.tokens_VTW, given.valid_VT, torch.zeros(given.valid_VT.shape, dtype=torch.bool))
    assert (found.moments.tokens_VTW == given.tokens_VTW).all()


def test_inputs_are_joined_one_after_the_other_and_filled_up():
    first, second = clips().take(torch.tensor([0, 1])), clips().take(torch.tensor([3]))
    short = ClipInput(
        Moments(first.moments.tokens_VTW[:, :5], first.moments.valid_VT[:, :5], first.moments.places_VT[:, :5]),
        first.scales_NS,
    )
    both = joined([short, second])
    assert both.moments.valid_VT.sum(dim=1).tolist() == [5, 1, 8]
    assert both.moments.tokens_VTW.shape == (3, 8, 3)
    assert both.scales_NS.shape[0] == 3


def test_copies_are_seen_in_training_with_the_labels_of_their_clips(tmp_path):
    numbers, some = planted(40)
    library = clip_library(tmp_path / "plain", some)
    # A copy of clip n says only which clip it is of, so that it can be told what the network was shown.
    marked = [{name: np.full_like(one, row) for name, one in clip.items()} for row, clip in enumerate(some)]
    marked[5] = {}
    copies = clip_library(tmp_path / "copies", marked).tokens
    train = LabelledClips(np.arange(30), numbers[:30])
    valid = LabelledClips(np.arange(30, 40), numbers[30:])
    learner = ClipClassLearner(
        library.tokens, train, valid, num_classes=4, config=ClipClassConfig(width=8), copies=[copies, copies]
    )
    assert learner.num_copies == 2 * 29
    shown = []
    forward = learner.network.forward
    learner.network.forward = lambda inputs, draws=None: shown.append(inputs) or forward(inputs, draws)
    learner.loss(np.arange(30), None)
    plain = shown.pop()["frames"].scales_NS
    seen = []
    for seed in range(12):
        learner.loss(np.arange(30), Draws(seed))
        seen.append((shown.pop()["frames"].scales_NS != plain).any(dim=1).numpy())
    share = np.mean(seen, axis=0)
    assert share[5] == 0
    assert 0.5 < np.delete(share, 5).mean() < 0.8


def test_unknown_or_repeated_ways_and_no_copies_are_refused():
    with pytest.raises(ConfigError, match=r"augment must name some of crop, .*jitter, names 'rotate'"):
        ClipClassConfig(augment=("crop", "rotate"))
    with pytest.raises(ConfigError, match=r"augment must name each way once, names drop, drop"):
        ClipClassConfig(augment=("drop", "drop"))
    with pytest.raises(ConfigError, match=r"copies of a clip must be >= 1, are 0; leave augment empty"):
        ClipClassConfig(copies=0)
    assert ClipClassConfig(augment=("crop", *MOMENTS)).changes == ("crop",)
