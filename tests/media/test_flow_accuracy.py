"""Flow against pictures that were moved by known fractions of a pixel, and what is left when the camera is taken away."""

import cv2
import numpy as np
import pytest

from kinema.errors import ConfigError
from kinema.media.flow import (
    FLOW_METHODS,
    FLOW_WIDTH,
    NUM_DIRECTIONS,
    camera_flow,
    camera_statistics,
    dense_flow,
    object_statistics,
)

HEIGHT = 96
MIDDLE = np.array([(FLOW_WIDTH - 1) / 2, (HEIGHT - 1) / 2])
BORDER = 6
MOVES = {
    "a quarter of a pixel": {"shift": (0.25, 0.0)},
    "a slanted shift": {"shift": (1.3, -0.7)},
    "a large shift": {"shift": (-6.4, 2.5)},
    "zoom in": {"zoom": 1.04},
    "zoom out": {"zoom": 0.96},
    "a turn": {"turn": 0.03},
    "all at once": {"shift": (2.0, 0.0), "zoom": 1.03, "turn": 0.02},
}


def texture(seed, side=384):
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.random((side // n, side // n)), (side, side), interpolation=cv2.INTER_CUBIC) for n in (8, 16, 32)
    ]
    whole = sum(layers)
    return ((whole - whole.min()) / np.ptp(whole) * 255).astype(np.float32)


def seen(canvas, *, shift=(0.0, 0.0), zoom=1.0, turn=0.0):
    """uint8 [H, W, 3], the canvas' middle, moved; and the matrix that moves a point around the middle."""
    matrix = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    offset = MIDDLE + shift - matrix @ np.array(canvas.shape[::-1]) / 2
    size = (FLOW_WIDTH, HEIGHT)
    view = cv2.warpAffine(canvas, np.column_stack([matrix, offset]), size, flags=cv2.INTER_CUBIC)
    return np.repeat(np.clip(view, 0, 255).astype(np.uint8)[..., None], 3, axis=2), matrix


@pytest.mark.parametrize("method", FLOW_METHODS)
@pytest.mark.parametrize("move", MOVES)
def test_known_shifts_zooms_and_turns_give_the_known_flow_within_a_tenth_of_a_pixel(method, move):
    for seed in range(2):
        canvas = texture(seed)
        first, _ = seen(canvas)
        second, matrix = seen(canvas, **MOVES[move])
        y, x = np.mgrid[:HEIGHT:2, :FLOW_WIDTH:2]
        points = np.stack([x, y], axis=-1) - MIDDLE
        truth = points @ matrix.T - points + MOVES[move].get("shift", (0.0, 0.0))
        error = np.linalg.norm(dense_flow(first, second, method=method) * FLOW_WIDTH - truth, axis=-1)
        assert np.median(error[BORDER:-BORDER, BORDER:-BORDER]) < 0.1


@pytest.mark.parametrize("method", FLOW_METHODS)
def test_the_camera_of_a_zoom_and_a_turn_is_recovered_from_pictures(method):
    canvas = texture(3)
    first, second = seen(canvas)[0], seen(canvas, zoom=1.03, turn=0.02)[0]
    pan, tilt, zoom, spin, rest, _ = camera_statistics(dense_flow(first, second, method=method))
    assert (pan, tilt) == pytest.approx((0, 0), abs=1e-3)
    assert (zoom, spin) == pytest.approx((0.03 * np.cos(0.02), 0.02), abs=3e-3)
    assert rest < 3e-3


@pytest.mark.parametrize("direction", range(NUM_DIRECTIONS))
def test_an_object_keeps_its_direction_while_the_camera_pans_and_zooms(direction):
    angle = direction * 2 * np.pi / NUM_DIRECTIONS
    field = camera_flow(np.array([0.4, -0.2, 0.3, 0.1]), shape=(45, 80))
    field[12:24, 20:44] += (0.3 * np.cos(angle), 0.3 * np.sin(angle))
    objects = object_statistics(field, camera_statistics(field))
    assert objects[:NUM_DIRECTIONS].argmax() == direction
    assert objects[direction] == pytest.approx(0.3 * 288 / 3600, rel=0.15)
    assert np.delete(objects[:NUM_DIRECTIONS], direction).max() < 0.1 * objects[direction]
    assert objects[-1] == pytest.approx(288 / 3600, abs=0.02)


def test_a_camera_alone_moves_no_object():
    canvas = texture(4)
    flow = dense_flow(seen(canvas)[0], seen(canvas, shift=(3.0, 1.0), zoom=1.02)[0]) * 10
    inner = flow[BORDER:-BORDER, BORDER:-BORDER]
    assert object_statistics(inner, camera_statistics(inner))[-1] < 0.05


def test_a_single_object_in_front_of_a_still_camera_is_found_in_pictures():
    canvas = texture(5)
    first = seen(canvas)[0]
    second = first.copy()
    patch = texture(6)[:36, :36, None].repeat(3, axis=2).astype(np.uint8)
    first[30:66, 40:76], second[32:68, 43:79] = patch, patch
    flow = dense_flow(first, second) * 10
    objects = object_statistics(flow, camera_statistics(flow))
    assert objects[:NUM_DIRECTIONS].argmax() == 1
    assert 0.08 < objects[-1] < 0.25


def test_an_unknown_method_is_refused():
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    with pytest.raises(ConfigError, match="unknown flow method 'raft'; known: dis, dis-fast, farneback"):
        dense_flow(picture, picture, method="raft")
