from dataclasses import replace

import numpy as np
import pytest

from kinema.encoders.modality import Clip, Wants
from kinema.encoders.picture_hash import COARSE, SIDE, VIEWS, PictureHash, PictureReader, content_box, substance
from kinema.media.sampling import Frames


def scene(seed=0, height=96, width=128, moments=3):
    """Soft patches of grey, a little other at every moment."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 180, (moments, height // 16, width // 16))
    return np.kron(coarse, np.ones((16, 16))).astype(np.uint8)


def clip_of(grey_THW):
    frames = Frames(
        array=np.repeat(grey_THW[..., None], 3, axis=-1),
        times_ms=np.arange(len(grey_THW), dtype=np.int64) * 500,
        pairs=np.zeros((0, 2, *grey_THW.shape[1:], 3), dtype=np.uint8),
        gaps_ms=np.zeros(0, dtype=np.float32),
        pair_times_ms=np.zeros(0, dtype=np.int64),
        duration_ms=500 * len(grey_THW),
        partial=False,
        quality=1.0,
    )
    return Clip(frames, None, 0, frames.duration_ms)


def tokens_of(grey_THW):
    encoder = PictureHash()
    return encoder.encode([encoder.reader.read(clip_of(grey_THW))])[0]


def test_the_reader_wants_what_frames_and_motion_want():
    assert PictureReader(num_frames=12).wants == Wants(num_frames=12, num_pairs=8, max_side=256)
    assert PictureReader().read(Clip(None, None, 0, 1000)) == {}


def test_the_first_of_each_pair_is_a_moment_too_unless_it_is_a_frame():
    clip = clip_of(scene())
    first_P = np.stack([clip.frames.array[[0, 1]], clip.frames.array[[1, 2]]])
    with_pairs = replace(
        clip.frames, pairs=first_P, gaps_ms=np.full(2, 250.0, np.float32), pair_times_ms=np.array([250, 500])
    )
    reading = PictureReader().read(replace(clip, frames=with_pairs))
    assert reading["times_ms"].tolist() == [0, 250, 500, 1000]
    plain = PictureReader().read(clip)["grey"]
    assert np.array_equal(reading["grey"], plain[[0, 0, 1, 2]])


def test_every_moment_becomes_one_token_with_its_time():
    tokens = tokens_of(scene())
    assert tokens.tokens_TD.shape == (3, SIDE * SIDE)
    assert tokens.tokens_TD.dtype == np.float32
    assert tokens.times_ms_T.tolist() == [0, 500, 1000]
    assert PictureHash().token_width == SIDE * SIDE
    assert PictureHash().pool(tokens).shape == (PictureHash().width,) == (len(VIEWS) * COARSE * COARSE,)


@pytest.mark.parametrize(("gain", "shift"), [(1.0, 40), (0.8, 0), (1.2, 10), (0.5, 30)])
def test_brightness_and_contrast_change_next_to_nothing(gain, shift):
    plain = scene()
    other = tokens_of(np.round(plain * gain + shift).astype(np.uint8))
    assert np.abs(other.tokens_TD - tokens_of(plain).tokens_TD).max() < 0.05


@pytest.mark.parametrize("colour", [0, 128, 255])
@pytest.mark.parametrize("bars", [(12, 12, 0, 0), (0, 0, 20, 20), (8, 20, 0, 0), (10, 10, 16, 16)])
def test_bars_of_one_colour_are_cut_off(bars, colour):
    top, bottom, left, right = bars
    plain = scene()
    framed = np.pad(plain, ((0, 0), (top, bottom), (left, right)), constant_values=colour)
    assert content_box(framed) == (top, top + 96, left, left + 128)
    assert np.allclose(tokens_of(framed).tokens_TD, tokens_of(plain).tokens_TD, atol=1e-5)


def test_something_on_the_bar_at_one_moment_keeps_it():
    framed = np.pad(scene(), ((0, 0), (12, 12), (0, 0)))
    framed[1, 88:118, 40:80] = 200
    assert content_box(framed)[1] == 118


def test_a_picture_of_one_colour_is_not_cut_away():
    assert content_box(np.full((2, 96, 128), 30, dtype=np.uint8)) == (0, 96, 0, 128)


def test_a_small_thing_on_a_plain_ground_is_cut_out_whatever_bars_the_ground_has():
    thing = np.random.default_rng(0).integers(0, 255, (2, 20, 40), dtype=np.uint8)
    ground = np.pad(thing, ((0, 0), (30, 40), (50, 60)), constant_values=90)
    barred = np.pad(ground, ((0, 0), (0, 0), (30, 30)))
    assert content_box(ground) == (30, 50, 50, 90)
    assert content_box(barred) == (30, 50, 80, 120)
    assert np.array_equal(tokens_of(ground).tokens_TD, tokens_of(barred).tokens_TD)


def test_what_is_only_a_few_pixels_large_is_not_cut_out():
    speck = np.full((2, 96, 128), 90, dtype=np.uint8)
    speck[:, 40:44, 50:54] = 255
    assert content_box(speck) == (0, 96, 0, 128)


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_clip_of_one_colour_shows_nothing_even_with_noise(level):
    noise = np.random.default_rng(1).integers(-2, 3, (3, 96, 128))
    tokens = tokens_of(np.clip(level + noise, 0, 255).astype(np.uint8))
    assert substance(tokens).max() < 0.1
    assert not PictureHash().pool(tokens).any()


def test_each_view_in_the_vector_has_length_one():
    views = PictureHash().pool(tokens_of(scene())).reshape(len(VIEWS), -1)
    assert np.linalg.norm(views, axis=1) == pytest.approx(np.ones(len(VIEWS)), abs=1e-5)


@pytest.mark.parametrize(("top", "left", "view"), [(6, 8, 1), (12, 16, 5), (0, 0, 2)])
def test_the_whole_of_a_crop_is_near_the_view_of_it(top, left, view):
    plain = scene(height=128, width=160)
    whole = PictureHash().pool(tokens_of(plain)).reshape(len(VIEWS), -1)
    cropped = PictureHash().pool(tokens_of(plain[:, top : top + 115, left : left + 144])).reshape(len(VIEWS), -1)
    assert whole[view] @ cropped[0] > 0.97


def test_tokens_of_one_clip_do_not_depend_on_others():
    encoder = PictureHash()
    readings = [encoder.reader.read(clip_of(scene(seed))) for seed in (0, 1)]
    both = encoder.encode(readings)
    assert np.array_equal(both[1].tokens_TD, encoder.encode(readings[1:])[0].tokens_TD)


def test_the_fingerprint_follows_the_settings():
    assert PictureHash().fingerprint == PictureHash().fingerprint
    assert PictureHash().fingerprint != PictureHash(PictureReader(num_frames=9)).fingerprint
