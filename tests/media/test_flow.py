"""Flow statistics against movements with known numbers."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.media.flow import (
    CAMERA_STATISTICS,
    CELL_STATISTICS,
    camera_statistics,
    cell_statistics,
    dense_flow,
    flow_trust,
    object_statistics,
)
from kinema.media.sampling import sample_frames
from kinema.testing.clips import render_clip


def field_of(*, pan=0.0, tilt=0.0, zoom=0.0, spin=0.0):
    height, width = 45, 80
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = (x - (width - 1) / 2) / width, (y - (height - 1) / 2) / width
    return np.stack([pan + zoom * x - spin * y, tilt + zoom * y + spin * x], axis=-1).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(*[st.floats(-1, 1)] * 4)
def test_the_camera_fit_recovers_any_similarity(pan, tilt, zoom, spin):
    fitted = camera_statistics(field_of(pan=pan, tilt=tilt, zoom=zoom, spin=spin))
    assert fitted[:5] == pytest.approx([pan, tilt, zoom, spin, 0.0], abs=2e-3)


def test_an_object_does_not_pass_for_a_camera_move():
    field = field_of()
    field[10:25, 20:45, 0] = 0.5
    pan, *_, rest, still = camera_statistics(field)
    assert abs(pan) < 0.01
    assert rest > 0.02
    assert 0.85 < still < 0.95


def test_cells_tell_direction_divergence_and_curl():
    names = {name: place for place, name in enumerate(CELL_STATISTICS)}
    down = cell_statistics(field_of(tilt=0.3), grid=2)
    assert down[..., names["direction_2"]] == pytest.approx(0.3, abs=1e-5)
    assert down[..., names["down"]] == pytest.approx(0.3, abs=1e-5)
    assert cell_statistics(field_of(zoom=0.4), grid=2)[..., names["spread"]] == pytest.approx(0.8, abs=1e-3)
    assert cell_statistics(field_of(spin=0.4), grid=2)[..., names["curl"]] == pytest.approx(0.8, abs=1e-3)
    left_half = field_of()
    left_half[:, :40, 0] = -1.0
    speed = cell_statistics(left_half, grid=2)[..., names["speed"]]
    assert speed[:, 0] == pytest.approx(1.0)
    assert speed[:, 1] == pytest.approx(0.0)


def speed_of(path):
    frames = sample_frames(path, num_frames=1, num_pairs=3)
    fields = [dense_flow(*pair) * (1000 / gap) for pair, gap in zip(frames.pairs, frames.gaps_ms, strict=True)]
    return np.mean([camera_statistics(field) for field in fields], axis=0)


@pytest.mark.parametrize(
    ("motion", "statistic", "value"),
    [
        ("pan_left", "pan", -0.2),
        ("pan_right", "pan", 0.2),
        ("pan_up", "tilt", -0.2),
        ("pan_down", "tilt", 0.2),
        ("zoom_in", "zoom", 0.25),
        ("zoom_out", "zoom", -0.25),
        ("spin", "spin", 0.6),
    ],
)
def test_rendered_camera_moves_are_measured_in_widths_per_second(tmp_path, motion, statistic, value):
    camera = speed_of(render_clip(tmp_path / "clip.mp4", motion=motion, seconds=1.5))
    place = CAMERA_STATISTICS.index(statistic)
    assert camera[place] == pytest.approx(value, rel=0.1)
    others = [abs(camera[n]) for n in range(4) if n != place]
    assert max(others) < 0.05


def test_size_and_frame_rate_do_not_change_the_speed(tmp_path):
    small = speed_of(render_clip(tmp_path / "small.mp4", seconds=1.5, fps=12, width=96, height=64))
    large = speed_of(render_clip(tmp_path / "large.avi", seconds=1.5, fps=30, width=320, height=224))
    assert small[0] == pytest.approx(large[0], rel=0.1)


def test_a_still_clip_stands_still(tmp_path):
    camera = speed_of(render_clip(tmp_path / "still.mp4", motion="still", seconds=1.0))
    assert camera[CAMERA_STATISTICS.index("still")] > 0.9
    assert np.abs(camera[:5]).max() < 0.02


def test_flow_is_repeatable_and_keeps_the_shape_of_the_picture():
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 256, (90, 160, 3), dtype=np.uint8) for _ in range(2))
    flow = dense_flow(first, second)
    assert flow.shape == (36, 64, 2)
    assert flow.dtype == np.float32
    assert np.array_equal(flow, dense_flow(first, second))


def patches(seed):
    cells = np.random.default_rng(seed).integers(20, 236, (24, 40, 3), dtype=np.uint8)
    return cv2.resize(cells, (320, 192), interpolation=cv2.INTER_CUBIC)


def trust_in(first, second):
    return flow_trust(first, second, dense_flow(first, second))


def test_a_pan_is_believed_and_a_dissolve_is_not():
    canvas = patches(1)
    first, moved = canvas[20:164, 20:276], canvas[22:166, 24:280]
    other = patches(2)[20:164, 20:276]
    dissolved = (first * 0.6 + other * 0.4).astype(np.uint8)
    pan, dissolve = trust_in(first, moved), trust_in(first, dissolved)
    assert pan.shape == (36, 64)
    assert pan.dtype == np.float32
    assert 0.0 <= pan.min() <= pan.max() <= 1.0
    assert pan.mean() > 5 * dissolve.mean()


def test_nothing_is_believed_where_there_is_nothing_to_follow():
    canvas = patches(3)
    first, second = canvas[20:164, 20:276].copy(), canvas[20:164, 24:280].copy()
    noise = np.random.default_rng(0)
    for picture in (first, second):
        picture[:, :128] = noise.integers(10, 13, (144, 128, 3), dtype=np.uint8)
    trust = trust_in(first, second)
    assert trust[:, :28].max() < 0.05
    assert trust[:, 36:].mean() > 0.2


def test_one_straight_edge_tells_only_half_of_a_movement_and_is_not_believed():
    bars = np.zeros((144, 256, 3), dtype=np.uint8)
    bars[:, 60:120] = bars[:, 180:220] = 200
    assert trust_in(bars, np.roll(bars, 3, axis=1)).max() < 0.05


def test_movement_that_is_not_believed_changes_no_statistic():
    field = field_of(pan=0.3, zoom=0.2)
    trust = np.ones(field.shape[:2], dtype=np.float32)
    spoilt = field.copy()
    spoilt[:, :20] = np.random.default_rng(0).normal(0, 2, (45, 20, 2))
    trust[:, :20] = 0
    camera = camera_statistics(spoilt, trust_HW=trust)
    assert camera[:5] == pytest.approx([0.3, 0.0, 0.2, 0.0, 0.0], abs=2e-3)
    assert object_statistics(spoilt, camera, trust_HW=trust)[-1] == 0
    whole, rest = cell_statistics(field, grid=2), cell_statistics(spoilt, grid=2, trust_HW=trust)
    assert rest[:, 1] == pytest.approx(whole[:, 1])
    slopes = [CELL_STATISTICS.index(name) for name in ("spread", "curl")]
    assert rest[:, 0, slopes] == pytest.approx(whole[:, 0, slopes], abs=1e-3)


def test_equal_trust_is_as_good_as_none_until_there_is_hardly_any():
    field = field_of(pan=0.3, tilt=-0.1, zoom=0.2, spin=0.1)
    measures = (camera_statistics, lambda one, **trust: cell_statistics(one, grid=3, **trust))
    for measure in measures:
        alike = measure(field, trust_HW=np.full(field.shape[:2], 0.4, dtype=np.float32))
        assert alike == pytest.approx(measure(field), abs=1e-5)
    hardly = np.full(field.shape[:2], 1e-4, dtype=np.float32)
    camera = camera_statistics(field, trust_HW=hardly)
    assert np.abs(camera[:5]).max() < 1e-3
    assert camera[5] > 0.99
    assert np.abs(cell_statistics(field, grid=3, trust_HW=hardly)).max() < 1e-2
    nothing = np.zeros(field.shape[:2], dtype=np.float32)
    assert camera_statistics(field, trust_HW=nothing).tolist() == [0, 0, 0, 0, 0, 1]
    assert not cell_statistics(field, grid=3, trust_HW=nothing).any()
