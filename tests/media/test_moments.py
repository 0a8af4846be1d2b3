"""Which moments of a clip are taken."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.media.index import FrameIndex
from kinema.media.moments import cover_shots, nearest_keys, on_screen, plan_pairs, spread_pairs
from kinema.media.sampling import PAIR_MS


def index_with(times_ms, keys=None):
    times = np.asarray(times_ms, dtype=np.float64)
    stamps = np.arange(len(times), dtype=np.int64)
    return FrameIndex(
        stamps_N=stamps,
        times_ms_N=times,
        sizes_N=np.full(len(times), 100),
        key_stamps=stamps[:1] if keys is None else np.asarray(keys),
        timed=True,
        width=64,
        height=48,
        stored=(64, 48),
        pixel_format="yuv420p",
        duration_ms=round(times[-1] + 40),
        quality=1.0,
    )


@pytest.mark.parametrize("fps", [10, 12, 24, 25, 30, 60])
def test_pairs_are_a_tenth_of_a_second_apart_at_any_frame_rate(fps):
    index = index_with(np.arange(4 * fps) * 1000 / fps)
    firsts, seconds = spread_pairs(index, 8, PAIR_MS)
    gaps = index.times_ms_N[seconds] - index.times_ms_N[firsts]
    assert len(gaps) == 8
    assert gaps.min() >= 80 - 0.01
    assert gaps.max() <= 120 + 0.01


@settings(deadline=None)
@given(
    st.lists(st.floats(1.0, 500.0), min_size=0, max_size=60),
    st.integers(1, 20),
    st.integers(0, 20),
)
def test_moments_exist_ascend_and_pairs_go_forward(gaps, num_frames, num_pairs):
    index = index_with(np.concatenate([[0.0], np.cumsum(gaps)]))
    frames = on_screen(index, (np.arange(num_frames) + 0.5) * index.duration_ms / num_frames)
    firsts, seconds = spread_pairs(index, num_pairs, PAIR_MS)
    last = len(index.times_ms_N) - 1
    assert 1 <= len(frames) <= num_frames
    assert (np.diff(frames) > 0).all()
    assert frames[0] >= 0
    assert frames[-1] <= last
    assert len(firsts) <= num_pairs
    assert (firsts < seconds).all()
    assert (seconds <= last).all()
    assert last == 0 or num_pairs == 0 or len(firsts) > 0


def test_the_nearest_key_frames_are_taken_once():
    index = index_with(np.arange(100) * 40.0, keys=[0, 30, 60, 90])
    assert nearest_keys(index.keys, np.array([10, 20, 50, 58, 99]), index).tolist() == [0, 30, 60, 90]
    assert nearest_keys(index.keys[:0], np.array([10, 20]), index).tolist() == [10]


def test_pairs_may_begin_at_key_frames():
    index = index_with(np.arange(100) * 40.0, keys=[0, 50])
    firsts, seconds = plan_pairs(index, 4, PAIR_MS, at_keys=True)
    assert firsts.tolist() == [0, 50]
    assert (seconds - firsts).tolist() == [2, 2]


def test_frames_move_to_shots_without_one():
    index = index_with(np.arange(100) * 40.0, keys=[0, 41, 60])
    cuts = np.array([40, 44, 60])
    none = np.zeros(0, dtype=np.int64)
    assert cover_shots(np.array([12, 37, 62, 87]), none, index).tolist() == [12, 37, 62, 87]
    assert cover_shots(np.array([12, 37, 62, 87]), cuts, index).tolist() == [12, 41, 52, 62]
    assert cover_shots(np.array([25, 75]), cuts, index).tolist() == [25, 75]


@settings(deadline=None)
@given(st.lists(st.integers(1, 99), unique=True, max_size=30), st.integers(1, 20))
def test_as_many_shots_are_seen_as_there_are_frames(cuts, num_frames):
    index = index_with(np.arange(100) * 40.0, keys=[0, 25, 50, 75])
    frames = on_screen(index, (np.arange(num_frames) + 0.5) * index.duration_ms / num_frames)
    starts = np.array(sorted(cuts), dtype=np.int64)
    covered = cover_shots(frames, starts, index)
    assert len(covered) == len(frames)
    assert len(np.unique(covered)) == len(covered)
    seen_before, seen = (len(set(np.searchsorted(starts, one, side="right"))) for one in (frames, covered))
    assert seen >= seen_before
    assert seen == min(len(covered), len(cuts) + 1)
