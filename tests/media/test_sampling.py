"""Which moments of a clip are taken, and what damaged files still give."""

import av
import numpy as np
import pytest
from PIL import Image

from kinema.errors import ConfigError, DataError
from kinema.media.limits import Deadline
from kinema.media.sampling import sample_frames
from kinema.testing.clips import CODECS, render_clip, write_clip


def test_frames_are_the_middles_of_equal_parts(tmp_path):
    frames = sample_frames(render_clip(tmp_path / "clip.mp4", seconds=4.0), num_frames=4)
    assert frames.array.shape == (4, 112, 160, 3)
    assert frames.array.dtype == np.uint8
    assert frames.times_ms.tolist() == [500, 1500, 2500, 3500]
    assert frames.duration_ms == 4000
    assert (frames.partial, frames.quality) == (False, 1.0)


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
    ("setting", "value"),
    [("num_frames", 0), ("num_pairs", -1), ("max_side", 4), ("pair_ms", 0), ("max_seconds", 0), ("decode_seconds", 0)],
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
    names = "mp4 avi flv webm mkv mov mpg wmv m4v 3gp ts ogv"
    assert set(CODECS) == {f".{name}" for name in names.split()}


def test_an_unknown_mode_is_named(tmp_path):
    with pytest.raises(ConfigError, match="mode must be one of even, key, shots, got 'best'"):
        sample_frames(tmp_path / "clip.mp4", mode="best")


def test_key_mode_takes_the_key_frames_nearest_to_even_ones(tmp_path):
    path = render_clip(tmp_path / "clip.mp4", seconds=5.0)
    frames = sample_frames(path, mode="key", num_frames=3, num_pairs=2)
    assert frames.times_ms.tolist() == [1000, 2000, 4000]
    assert len(frames.pairs) == 2
    assert frames.gaps_ms.tolist() == pytest.approx([83.3, 83.3], abs=0.1)
    assert not frames.partial
    assert len(sample_frames(path, mode="key", num_frames=40, num_pairs=0).array) == 5


def two_scenes(folder, seconds=(1.0, 1.0)):
    scenes = []
    for number, length in enumerate(seconds):
        path = render_clip(
            folder / f"{number}.avi", seed=3 * number, seconds=length, motion="pan_left", hue=0.3 * number
        )
        with av.open(str(path)) as container:
            scenes += [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return scenes


def test_every_shot_is_seen_and_no_pair_lies_across_a_cut(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", two_scenes(tmp_path, (2.0, 0.5, 2.0)))
    even = sample_frames(path, num_frames=2, num_pairs=6)
    frames = sample_frames(path, num_frames=3, num_pairs=6, mode="shots")
    assert even.shots_ms.size == 0
    assert frames.shots_ms.tolist() == [0, 2000, 2500]
    assert np.searchsorted(frames.shots_ms, frames.times_ms, side="right").tolist() == [1, 2, 3]
    assert len(frames.pairs) <= 6
    assert np.abs(np.diff(frames.pairs.astype(int), axis=1)).mean(axis=(1, 2, 3, 4)).max() < 40


def test_a_clip_without_cuts_is_sampled_evenly_in_shots_mode(tmp_path):
    path = render_clip(tmp_path / "clip.mp4", seconds=3.0)
    even, shots = sample_frames(path), sample_frames(path, mode="shots")
    assert np.array_equal(even.array, shots.array)
    assert np.array_equal(even.pairs, shots.pairs)
    assert shots.shots_ms.tolist() == [0]


def test_a_picture_that_needs_too_much_memory_is_refused(tmp_path):
    path = render_clip(tmp_path / "clip.mp4", seconds=0.5)
    with pytest.raises(DataError, match=r"'clip': decoding needs about \d+ MB, at most 0 MB are allowed"):
        sample_frames(path, max_bytes=1000, name="clip")


def test_a_clip_that_takes_too_long_says_so(tmp_path, monkeypatch):
    path = render_clip(tmp_path / "clip.mp4", seconds=2.0)
    clock = iter(range(1, 10**6))
    monkeypatch.setattr(Deadline, "passed", property(lambda limit: next(clock) > limit.seconds))
    # Each look at the clock is a second later: reading the packets takes 24 of them, then decoding begins.
    with pytest.raises(DataError, match=r"'clip': no frame decoded within 24.5 s"):
        sample_frames(path, decode_seconds=24.5, name="clip")
    clock = iter(range(1, 10**6))
    frames = sample_frames(path, decode_seconds=40, name="clip")
    assert frames.partial
    assert 0 < frames.quality < 1
    assert len(frames.array) < 8


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_still_image_is_a_clip_of_one_frame(tmp_path, suffix):
    picture = np.zeros((40, 60, 3), dtype=np.uint8)
    picture[:20, :30] = 255
    Image.fromarray(picture).save(tmp_path / f"still{suffix}")
    for mode in ("even", "key", "shots"):
        frames = sample_frames(tmp_path / f"still{suffix}", mode=mode)
        assert frames.array.shape == (1, 40, 60, 3)
        assert np.abs(frames.array[0].astype(int) - picture).mean() < 4
        assert (len(frames.pairs), frames.partial) == (0, False)


def test_a_still_image_comes_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = np.zeros((40, 64, 3), dtype=np.uint8)
    picture[:16, :16] = 255
    Image.fromarray(picture).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    upright = sample_frames(tmp_path / "phone.jpg").array[0]
    assert upright.shape == (64, 40, 3)
    assert upright[2, -3].mean() > 200


def test_the_known_cut_is_found_and_single_shots_have_none(data_dir):
    folder = data_dir / "clips" / "real"
    frames = sample_frames(folder / "shot_change.mp4", mode="shots", num_frames=4, num_pairs=2, max_side=64)
    assert frames.shots_ms[1:].tolist() == pytest.approx([3200], abs=100)
    for name in ("b.avi", "carphone_pristine.mp4", "park.mp4", "single_face.mp4", "small.mp4"):
        assert sample_frames(folder / name, mode="shots", num_frames=4, num_pairs=2, max_side=64).shots_ms.tolist() == [
            0
        ]
