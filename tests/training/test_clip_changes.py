"""Copies of clips are changed alike in all pictures, in their order, and by what the file shows."""

import cv2
import numpy as np
import pytest

from kinema.encoders.clip_worker import check_sendable
from kinema.encoders.frames import FrameReader
from kinema.encoders.modality import Clip
from kinema.encoders.motion import MotionEncoder, MotionReader
from kinema.media.flow import CELL_STATISTICS
from kinema.media.sampling import Frames
from kinema.tasks.clip_variation import PICTURES
from kinema.training.clip_changes import CHANGES, ChangedEncoder, ChangedReader, change_pictures

RIGHT = CELL_STATISTICS.index("right")
PANS = {"right": 1, "left": -1}


def sampled(step=3, seed=0):
    """A texture that is seen through a window which wanders; frame t is brighter than frame t - 1."""
    blocks = np.random.default_rng(seed).integers(0, 160, (12, 45, 3)).astype(np.uint8)
    wide = cv2.resize(blocks, (360, 96), interpolation=cv2.INTER_CUBIC)
    window = [np.clip(wide[:, 90 + step * t : 186 + step * t].astype(int) + 8 * t, 0, 255) for t in range(9)]
    array = np.stack(window[:8]).astype(np.uint8)
    pairs = np.stack([np.stack([window[0], window[1]]), np.stack([window[4], window[5]])]).astype(np.uint8)
    times = np.arange(8) * 100
    return Frames(
        array, times, pairs, np.full(2, 100.0, np.float32), np.array([0, 400]), 800, partial=False, quality=1.0
    )


def clip(**how):
    return Clip(sampled(**how), None, 0, 800)


def test_all_names_of_changes_are_those_that_can_be_asked_for():
    assert tuple(CHANGES) == PICTURES


@pytest.mark.parametrize("way", PICTURES)
def test_a_change_follows_from_its_seed_and_keeps_form_and_source(way):
    before = sampled().array
    kept = before.copy()
    after = [change_pictures(before, [way], seed=seed) for seed in range(6)]
    assert (before == kept).all()
    assert {one.shape for one in after} == {before.shape}
    assert (after[3] == change_pictures(before, [way], seed=3)).all()
    assert any((one != before).any() for one in after)


def test_frames_stay_in_their_order_and_times_stay():
    ways = [way for way in PICTURES if way != "light"]
    for seed in range(4):
        reader = ChangedReader.of(FrameReader(32, 8), ways, seed=seed, num_frames=8)
        reading = reader.read(clip(step=0))
        means = reading["frames"].mean(axis=(1, 2, 3))
        assert (np.diff(means) > 0).all()
        assert reading["times_ms"].tolist() == sampled().times_ms.tolist()


@pytest.mark.parametrize("direction", PANS)
def test_only_a_mirror_turns_left_into_right(direction):
    encoder, shown = MotionEncoder(), clip(step=3 * PANS[direction])
    plain = encoder.tokens(shown.frames).mean(axis=0)[RIGHT]
    unmirrored = [way for way in PICTURES if way != "flip"]
    for seed in range(4):
        found = ChangedReader.of(encoder.reader, unmirrored, seed=seed, num_frames=8).read(shown)["tokens"]
        assert np.sign(found.mean(axis=0)[RIGHT]) == np.sign(plain)
    signs = [
        np.sign(
            ChangedReader.of(encoder.reader, ["flip"], seed=seed, num_frames=8)
            .read(shown)["tokens"]
            .mean(axis=0)[RIGHT]
        )
        for seed in range(20)
    ]
    assert 4 <= signs.count(-np.sign(plain)) <= 16


def test_frames_and_movement_of_one_copy_are_changed_alike_and_other_clips_otherwise():
    shown = sampled().array
    for seed in range(5):
        every = change_pictures(shown, ["crop", "colour", "turn"], seed=seed)
        assert (change_pictures(shown[:2], ["crop", "colour", "turn"], seed=seed) == every[:2]).all()
    reader = ChangedReader.of(FrameReader(64, 8), ["crop"], seed=1, num_frames=8)
    one, other = (reader.read(clip(seed=seed))["frames"] for seed in (0, 1))
    assert (one != other).any()


def test_a_changed_reader_is_sent_to_a_decoding_process_and_wants_frames_to_draw_by():
    reader = ChangedReader.of(MotionReader(), ["crop"], seed=7, num_frames=8)
    check_sendable("motion", reader)
    assert (reader.wants.num_frames, reader.wants.num_pairs) == (8, 8)
    assert reader.other == MotionReader()
    assert reader.read(Clip(None, None, 0, 0)) == {}


def test_a_changed_encoder_has_tokens_of_its_own_and_the_widths_of_the_other():
    encoder = MotionEncoder()
    changed = ChangedEncoder(encoder, ChangedReader.of(encoder.reader, ["crop"], seed=7, num_frames=8))
    assert (changed.name, changed.width, changed.token_width) == (encoder.name, encoder.width, encoder.token_width)
    assert changed.fingerprint != encoder.fingerprint
    tokens = changed.encode([changed.reader.read(clip())])[0]
    assert changed.pool(tokens).shape == (encoder.width,)
