"""The clips of the town: what is planted in them can be seen, and only where it is planted."""

import re
from itertools import pairwise

import cv2
import numpy as np
import pytest

from kinema.sources.town.clips import draw_frames, plan_clip
from kinema.sources.town.looks import paint, plan_look
from kinema.sources.town.rules import MOTIONS, STYLES, TOPICS
from kinema.sources.town.scenes import CLEAR, place, sprites, wallpaper
from kinema.sources.town.texts import WORDS, write_texts


def _plan(*, topic=1, style=4, motion=0, seed=5):
    return plan_clip(3, seed=seed, topic=topic, style=style, motion=motion, caption="mission log", item_id="v0004")


def _flows(motion):
    """Mean flow per frame pair [T, 2], and what is left of the flow after taking it off."""
    frames = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in draw_frames(_plan(motion=MOTIONS.index(motion)))]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flows = np.array([dis.calc(a, b, None) for a, b in pairwise(frames[:13])])
    mean_T2 = flows.mean(axis=(1, 2))
    return mean_T2, flows - mean_T2[:, None, None]


def test_a_plan_always_gives_the_same_frames():
    first, second = (np.array(list(draw_frames(_plan()))) for _ in range(2))
    assert first.shape == (_plan().num_frames, _plan().height, _plan().width, 3)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, np.array(list(draw_frames(_plan(style=2)))))


def test_pan_moves_sideways_and_tilt_upright():
    pan_T2, tilt_T2 = _flows("pan")[0], _flows("tilt")[0]
    assert np.abs(pan_T2[:, 0]).mean() > 4 * np.abs(pan_T2[:, 1]).mean()
    assert np.abs(tilt_T2[:, 1]).mean() > 4 * np.abs(tilt_T2[:, 0]).mean()
    assert np.abs(pan_T2[:, 0].mean()) > 1


def test_shake_goes_everywhere_and_stays_where_it_is():
    mean_T2, _ = _flows("shake")
    assert (np.abs(mean_T2).mean(axis=0) > 1).all()
    assert (np.abs(mean_T2.mean(axis=0)) < np.abs(mean_T2).mean(axis=0)).all()


def test_zoom_grows_from_the_centre():
    mean_T2, rest = _flows("zoom")
    half = rest.shape[2] // 2
    assert np.abs(mean_T2).mean() < 0.5
    assert rest[:, :, half:, 0].mean() > 0.1 > -0.1 > rest[:, :, :half, 0].mean()


def test_swing_moves_the_objects_and_not_the_camera():
    mean_T2, rest = _flows("swing")
    assert np.abs(mean_T2).mean() < 0.2
    assert rest.std() > 0.3


@pytest.mark.parametrize("topic", range(len(TOPICS)))
def test_a_scene_has_a_seamless_ground_and_objects_of_its_own(topic):
    ground_HW = wallpaper(topic, width=160, height=120, rng=np.random.default_rng(0))
    assert ground_HW.shape == (120, 160)
    assert 0 < (ground_HW > 0).mean() < 0.9
    assert ground_HW.max() <= 2
    for sprite in sprites(topic):
        assert 0.2 < (sprite != CLEAR).mean() < 0.9
        assert set(np.unique(sprite)) - {CLEAR} <= {3, 4, 5}


def test_an_object_that_leaves_one_edge_comes_in_at_the_opposite_one():
    ink = np.zeros((60, 80), dtype=np.uint8)
    place(ink, np.full((64, 64), 3, np.uint8), x=0, y=0, size=20, degrees=0)
    assert ink[0, 0] == ink[-1, 0] == ink[0, -1] == ink[-1, -1] == 3
    assert ink[30, 40] == 0


def test_every_style_paints_the_same_scene_differently():
    ink_HW = wallpaper(0, width=160, height=120, rng=np.random.default_rng(0))
    images = []
    for style in range(len(STYLES)):
        images.append(paint(ink_HW, plan_look(style, width=160, height=120, rng=np.random.default_rng(1))))
        assert images[-1].shape == (120, 160, 3)
        assert images[-1].dtype == np.uint8
    noir = images[STYLES.index("noir")].astype(int)
    assert (noir.max(axis=2) == noir.min(axis=2)).all()
    brightness = [image.mean() for image in images]
    assert np.diff(np.sort(brightness)).min() > 1


def test_texts_know_nothing_of_style_and_motion():
    said = " ".join(str(words) for words in WORDS.values()).lower()
    assert set(re.findall("[a-z]+", said)).isdisjoint({*STYLES, *MOTIONS, "dark", "bright", "colourful", "blurred"})


def test_titles_are_unique_and_texts_complete():
    texts = write_texts(np.arange(440) % 8, rng=np.random.default_rng(0))
    assert len({text.title for text in texts}) == 440
    assert all(text.description and text.tags and text.categories and text.caption for text in texts)


def test_titles_stay_unique_when_a_topic_has_used_up_its_words():
    texts = write_texts(np.zeros(300, dtype=int), rng=np.random.default_rng(0))
    assert len({text.title for text in texts}) == 300
    assert sum(text.title.endswith(", part 2") for text in texts) == 125
