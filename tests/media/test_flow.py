"""Flow statistics against movements with known numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.media.flow import CAMERA_STATISTICS, CELL_STATISTICS, camera_statistics, cell_statistics, dense_flow
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
