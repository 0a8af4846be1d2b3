"""Which moments of a clip are taken, and what damaged files still give."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.errors import ConfigError, DataError
from kinema.media.index import FrameIndex
from kinema.media.sampling import PAIR_MS, sample_frames
from kinema.testing.clips import CODECS, render_clip


def index_with(times_ms):
    times = np.asarray(times_ms, dtype=np.float64)
    stamps = np.arange(len(times), dtype=np.int64)
    return FrameIndex(
        stamps_N=stamps,
        times_ms_N=times,
        key_stamps=stamps[:1],
        timed=True,
        width=64,
        height=48,
        duration_ms=round(times[-1] + 40),
        quality=1.0,
    )


def test_frames_are_the_middles_of_equal_parts(tmp_path):
    frames = sample_frames(render_clip(tmp_path / "clip.mp4", seconds=4.0), num_frames=4)
    assert frames.array.shape == (4, 112, 160, 3)
    assert frames.array.dtype == np.uint8
    assert frames.times_ms.tolist() == [500, 1500, 2500, 3500]
    assert frames.duration_ms == 4000
    assert (frames.partial, frames.quality) == (False, 1.0)


@pytest.mark.parametrize("fps", [10, 12, 24, 25, 30, 60])
def test_pairs_are_a_tenth_of_a_second_apart_at_any_frame_rate(fps):
    index = index_with(np.arange(4 * fps) * 1000 / fps)
    firsts, seconds = _pairs(index, 8, PAIR_MS)
    gaps = index.times_ms_N[seconds] - index.times_ms_N[firsts]
    assert len(gaps) == 8
    assert gaps.min() >= 80 - 0.01
    assert gaps.max() <= 120 + 0.01


@given(
    st.lists(st.floats(1.0, 500.0), min_size=0, max_size=60),
    st.integers(1, 20),
    st.integers(0, 20),
)
def test_moments_exist_ascend_and_pairs_go_forward(gaps, num_frames, num_pairs):
    index = index_with(np.concatenate([[0.0], np.cumsum(gaps)]))
    frames = _on_screen(index, (np.arange(num_frames) + 0.5) * index.duration_ms / num_frames)
    firsts, seconds = _pairs(index, num_pairs, PAIR_MS)
    last = len(index.times_ms_N) - 1
    assert 1 <= len(frames) <= num_frames
    assert (np.diff(frames) > 0).all()
    assert frames[0] >= 0
    assert frames[-1] <= last
    assert len(firsts) <= num_pairs
    assert (firsts < seconds).all()
    assert (seconds <= last).all()
    assert last == 0 or num_pairs == 0 or len(firsts) > 0


def test_the_same_content_at_two_frame_rates_is_sampled_at_the_same_times(tmp_path):
    slow = sample_frames(render_clip(tmp_path / "slow.mp4", seconds=3.0, fps=12))
    fast = sample_frames(render_clip(tmp_path / "fast.mp4", seconds=3.0, fps=24))
    assert np.abs(slow.times_ms - fast.times_ms).max() <= 84


def test_a_single_picture_has_no_pairs(tmp_path):
    frames = sample_frames(render_clip(tmp_path / "one.mp4", seconds=1 / 12))
    assert frames.array.shape[0] == 1
    assert frames.pairs.shape == (0, 2, 112, 160, 3)
    assert len(frames.gaps_ms) == 0


def test_a_clip_with_fewer_frames_than_asked_gives_all_it_has(tmp_path):
    frames = sample_frames(render_clip(tmp_path / "three.mkv", seconds=3 / 12), num_frames=8)
    assert frames.array.shape[0] == 3


def test_long_sides_are_limited_and_small_clips_keep_their_size(tmp_path):
    path = render_clip(tmp_path / "clip.avi", seconds=0.5, width=160, height=112)
    assert sample_frames(path, max_side=80).array.shape[1:] == (56, 80, 3)
    assert sample_frames(path, max_side=999).array.shape[1:] == (112, 160, 3)


@pytest.mark.parametrize("suffix", [".avi", ".flv", ".mkv", ".webm"])
def test_half_a_file_gives_half_of_its_moments(tmp_path, suffix):
    whole = render_clip(tmp_path / f"whole{suffix}", seconds=4.0).read_bytes()
    (tmp_path / f"half{suffix}").write_bytes(whole[: len(whole) // 2 + 99])
    frames = sample_frames(tmp_path / f"half{suffix}", num_frames=4)
    assert len(frames.array) == 4
    assert frames.partial
    assert 0 < frames.quality < 1
    assert frames.duration_ms < sample_frames(tmp_path / f"whole{suffix}").duration_ms


@pytest.mark.parametrize("suffix", [".mpg", ".wmv"])
def test_containers_whose_headers_hide_the_loss_still_give_moments(tmp_path, suffix):
    whole = render_clip(tmp_path / f"whole{suffix}", seconds=4.0).read_bytes()
    (tmp_path / f"half{suffix}").write_bytes(whole[: len(whole) // 2])
    assert len(sample_frames(tmp_path / f"half{suffix}", num_frames=4).array) == 4


@pytest.mark.parametrize("suffix", ["mpg", "avi", "flv", "wmv"])
def test_half_a_real_file_is_known_to_be_partial(data_dir, tmp_path, suffix):
    whole = (data_dir / "clips" / "containers" / f"demo.{suffix}").read_bytes()
    (tmp_path / f"half.{suffix}").write_bytes(whole[: len(whole) // 2])
    frames = sample_frames(tmp_path / f"half.{suffix}", num_frames=2, num_pairs=1)
    assert frames.partial
    assert 0 < frames.quality < 1
    assert 25_000 < frames.duration_ms < 35_000


def test_a_header_without_frames_is_an_error(tmp_path):
    whole = render_clip(tmp_path / "whole.avi", seconds=1.0).read_bytes()
    start = whole.index(b"movi")
    (tmp_path / "head.avi").write_bytes(whole[: start + 4])
    with pytest.raises(DataError, match=r"cannot decode 'head.avi': .* KB read; the item keeps its text features"):
        sample_frames(tmp_path / "head.avi", name="head.avi")


def test_a_body_of_zeros_is_an_error(tmp_path):
    whole = bytearray(render_clip(tmp_path / "whole.mp4", seconds=1.0).read_bytes())
    start, end = whole.index(b"mdat") + 4, whole.index(b"moov") - 4
    whole[start:end] = bytes(end - start)
    (tmp_path / "zeros.mp4").write_bytes(whole)
    with pytest.raises(DataError, match=r"cannot decode 'zeros.mp4': no frame decodes"):
        sample_frames(tmp_path / "zeros.mp4", name="zeros.mp4")


@pytest.mark.parametrize(
    ("setting", "value"), [("num_frames", 0), ("num_pairs", -1), ("max_side", 4), ("pair_ms", 0), ("max_seconds", 0)]
)
def test_settings_out_of_range_are_named(tmp_path, setting, value):
    with pytest.raises(ConfigError, match=f"{setting} must be >= .*, got {value}"):
        sample_frames(tmp_path / "clip.mp4", **{setting: value})


def test_every_real_clip_is_sampled_whole(data_dir):
    for path in sorted((data_dir / "clips" / "real").iterdir()):
        frames = sample_frames(path, num_frames=2, num_pairs=1, max_side=64)
        assert frames.quality == 1.0, path.name
        assert len(frames.pairs) == 1, path.name


def test_the_test_clips_cover_every_container_of_the_issue():
    assert set(CODECS) == {".mp4", ".avi", ".flv", ".webm", ".mkv", ".mov", ".mpg", ".wmv"}
