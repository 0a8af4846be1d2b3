"""The poster is sharp, bright and like the clip; a strip shows it in small."""

import numpy as np
import pytest
from PIL import Image

from kinema.errors import ConfigError
from kinema.media.poster import choose_poster, poster_scores, preview_strip, write_pictures
from kinema.media.sampling import Frames, sample_frames


def frames_of(pictures, shots_ms=()):
    return Frames(
        array=np.stack(pictures),
        times_ms=np.arange(len(pictures), dtype=np.int64) * 1000,
        pairs=np.zeros((0, 2, *pictures[0].shape), dtype=np.uint8),
        gaps_ms=np.zeros(0, dtype=np.float32),
        pair_times_ms=np.zeros(0, dtype=np.int64),
        duration_ms=1000 * len(pictures),
        partial=False,
        quality=1.0,
        shots_ms=np.array(shots_ms, dtype=np.int64),
    )


def checks(size=4, dark=60, light=200):
    row, column = np.mgrid[:64, :96] // size
    return np.repeat(np.where((row + column) % 2, light, dark).astype(np.uint8)[..., None], 3, axis=2)


def blurred(picture):
    return np.full_like(picture, round(picture.mean())) // 2 + picture // 8 + 60


BLACK = np.zeros((64, 96, 3), dtype=np.uint8)


def test_the_sharp_frame_wins_over_blurred_black_and_white_ones():
    frames = frames_of([BLACK, blurred(checks()), checks(), BLACK + 255, checks(dark=0, light=30)])
    assert choose_poster(frames) == 2
    scores = poster_scores(frames)
    assert scores[[0, 3]].max() < scores[[1, 2, 4]].min()


def test_a_frame_like_the_rest_wins_over_a_stray_one():
    stray = checks()
    stray[..., 1:] = 0
    assert choose_poster(frames_of([stray, checks(), checks(), checks()])) == 1


def test_a_frame_at_a_cut_is_avoided():
    pictures = [checks()] * 3
    assert choose_poster(frames_of(pictures)) == 0
    assert choose_poster(frames_of(pictures, shots_ms=[0, 100])) == 1


def test_a_clip_of_black_frames_still_has_a_poster():
    assert choose_poster(frames_of([BLACK, BLACK])) == 0


def test_a_strip_shows_the_clip_from_left_to_right():
    pictures = [np.full((64, 96, 3), 10 * number, dtype=np.uint8) for number in range(16)]
    strip = preview_strip(frames_of(pictures), num_pictures=4, height=32)
    assert strip.shape == (32, 4 * 48, 3)
    assert strip[0, ::48, 0].tolist() == [20, 60, 100, 140]
    assert preview_strip(frames_of(pictures[:3])).shape == (72, 3 * 108, 3)


@pytest.mark.parametrize(("file_format", "kind"), [("webp", "WEBP"), ("jpg", "JPEG")])
def test_both_pictures_are_written(tmp_path, file_format, kind):
    frames = frames_of([BLACK, checks(), checks()])
    pictures = write_pictures(frames, tmp_path / "new", "item 1", file_format=file_format, height=40)
    assert pictures.poster_ms == 1000
    assert sorted(one.name for one in (tmp_path / "new").iterdir()) == sorted(
        [f"item 1.poster.{file_format}", f"item 1.strip.{file_format}"]
    )
    with Image.open(pictures.poster) as poster, Image.open(pictures.strip) as strip:
        assert (poster.format, poster.size) == (kind, (96, 64))
        assert strip.size == (3 * 60, 40)
        assert np.abs(np.asarray(poster).astype(int) - checks()).mean() < 12


@pytest.mark.parametrize(
    ("setting", "value", "text"),
    [
        ("file_format", "bmp", "file_format must be one of webp, jpg, got 'bmp'"),
        ("quality", 0, "quality must be from 1 to 100, got 0"),
        ("num_pictures", 0, "num_pictures must be >= 1, got 0"),
        ("height", 4, "height must be >= 8, got 4"),
    ],
)
def test_settings_of_pictures_out_of_range_are_named(tmp_path, setting, value, text):
    with pytest.raises(ConfigError, match=text):
        write_pictures(frames_of([checks()]), tmp_path, "a", **{setting: value})


def test_real_clips_get_small_pictures(data_dir, tmp_path):
    frames = sample_frames(data_dir / "clips" / "real" / "shot_change.mp4", num_pairs=0, mode="key")
    pictures = write_pictures(frames, tmp_path, "clip")
    assert 1_000 < pictures.poster.stat().st_size < 60_000
    assert 1_000 < pictures.strip.stat().st_size < 60_000
