"""Drawn clips: a wide scene seen through a window that may move, be cropped, begin later or run faster."""

import cv2
import numpy as np
import pytest

from kinema.encoders.picture_hash import SIDE, PictureHash
from kinema.retrieval.same_pictures import LEAST_ALIKE, Prints, align, is_same

MOMENTS = 16


def drawing(seed, side=400):
    rng = np.random.default_rng(seed)
    cells = cv2.resize(rng.random((14, 14)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    return (40 + 160 * np.clip(cells, 0, 1)).astype(np.float32)


def prints(pictures, times_ms=None):
    small = [cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for one in pictures]
    times = (np.arange(len(pictures)) + 0.5) * 1000 if times_ms is None else np.asarray(times_ms)
    return Prints(PictureHash().encode([{"grey": np.stack(small), "times_ms": times}])[0])


def pan(seed, moments_ms):
    """A slow pan: 6 pixels of 200 a second."""
    canvas = drawing(seed)
    return [canvas[80:280, round(ms * 0.006) : round(ms * 0.006) + 200] for ms in moments_ms]


def moments(length_ms, begin_ms=0):
    return begin_ms + (np.arange(MOMENTS) + 0.5) * length_ms / MOMENTS


def whole(seed=0):
    return prints(pan(seed, moments(16000)), moments(16000))


def faced(seed, talk):
    """One picture that never moves, with a small part, four patches, that changes at every moment as `talk` draws it."""
    canvas = drawing(seed)[:200, :200]
    rng = np.random.default_rng(talk)
    pictures = []
    for _ in range(MOMENTS):
        picture = canvas.copy()
        picture[80:130, 80:130] = np.kron(rng.uniform(40, 200, (2, 2)), np.ones((25, 25)))
        pictures.append(picture)
    return pictures


def test_a_clip_is_the_same_as_itself():
    found = align(whole(), whole())
    assert (found.alike, found.change, found.overlap) == pytest.approx((1, 1, 1), abs=1e-3)


@pytest.mark.parametrize(
    ("rows", "columns"), [((10, 190), (10, 190)), ((0, 180), (20, 200)), ((20, 200), (0, 200)), ((15, 185), (15, 185))]
)
def test_a_crop_is_found_from_either_side(rows, columns):
    cropped = prints([one[slice(*rows), slice(*columns)] for one in pan(0, moments(16000))])
    for found in (align(whole(), cropped), align(cropped, whole())):
        assert found.alike > 0.95
        assert is_same(found)


@pytest.mark.parametrize(("begin", "end"), [(1600, 16000), (0, 14400), (800, 15200)])
def test_a_tenth_less_at_the_ends_is_still_the_same(begin, end):
    times = moments(end - begin, begin)
    trimmed = prints(pan(0, times), times - begin)
    assert is_same(align(whole(), trimmed))
    assert is_same(align(trimmed, whole()))


def test_a_faster_copy_is_the_same():
    faster = prints(pan(0, moments(16000)), moments(16000) / 1.15)
    assert is_same(align(whole(), faster))


def test_an_excerpt_is_a_clip_of_its_own():
    times = moments(8000)
    assert not is_same(align(whole(), prints(pan(0, times), times)))


@pytest.mark.parametrize("seed", range(1, 6))
def test_another_scene_is_another_clip(seed):
    assert align(whole(), whole(seed)).alike < LEAST_ALIKE


@pytest.mark.parametrize("talk", range(2, 6))
def test_two_recordings_of_one_fixed_camera_differ_by_what_changes(talk):
    one, again, other = prints(faced(3, 1)), prints(faced(3, 1)), prints(faced(3, talk))
    assert is_same(align(one, again))
    found = align(one, other)
    assert found.alike > LEAST_ALIKE
    assert not is_same(found)


def test_a_still_clip_is_not_the_same_as_one_with_a_change():
    still = prints([drawing(3)[:200, :200]] * MOMENTS)
    assert is_same(align(still, still))
    assert not is_same(align(still, prints(faced(3, 1))))


@pytest.mark.parametrize(("seconds", "expected"), [(16.1, True), (17, False), (13, False)])
def test_still_clips_are_the_same_only_at_the_same_length(seconds, expected):
    cover = [drawing(3)[:200, :200]] * MOMENTS
    other = prints(cover, moments(seconds * 1000))
    assert is_same(align(prints(cover, moments(16000)), other)) is expected


def test_black_moments_do_not_hide_a_copy():
    times = moments(16000)
    noise = np.random.default_rng(0).normal(0, 0.3, (2, 5, 200, 200)).astype(np.float32)
    one, other = (prints([*dark, *pan(0, times)[5:]], times) for dark in noise)
    found = align(one, other)
    assert found.change > 0.95
    assert is_same(found)


def test_black_in_one_where_the_other_shows_something_is_no_match():
    pictures = pan(0, moments(16000))
    half_black = [*pictures[:8], *[np.zeros((200, 200), dtype=np.float32)] * 8]
    assert not is_same(align(prints(pictures), prints(half_black)))


def test_still_pictures_are_compared_and_never_with_clips():
    picture = prints([drawing(4)[:200, :200]])
    assert is_same(align(picture, prints([drawing(4)[10:190, 10:190]])))
    assert not is_same(align(picture, prints([drawing(5)[:200, :200]])))
    assert not is_same(align(picture, prints([drawing(4)[:200, :200]] * MOMENTS)))


def test_black_clips_are_not_the_same():
    black = prints([np.zeros((200, 200), dtype=np.float32)] * MOMENTS)
    assert align(black, black).alike == 0


def test_black_moments_at_the_ends_do_not_make_copies():
    black = [np.zeros((200, 200), dtype=np.float32)] * 12
    one, other = (prints([*black, *pan(seed, [1000, 2000, 3000, 4000])]) for seed in (0, 1))
    assert is_same(align(one, one))
    assert not is_same(align(one, other))
