"""Cuts are found; movement, shaking and flashes are none."""

import av
import numpy as np
import pytest

from kinema.media.index import read_index
from kinema.media.probe import ClipFile
from kinema.media.sampling import sample_frames
from kinema.media.shots import ShotTrack, looks_of, points_of, steps
from kinema.testing.clips import MOTIONS, render_clip, write_clip


def picture(hue, shift=0, bright=1.0):
    """Stripes whose colour and pattern depend on the hue."""
    column = np.arange(96)[None] + shift
    row = np.arange(64)[:, None]
    wave = 0.5 + 0.5 * np.sin(column * (0.1 + 0.3 * hue) + row * 0.2 * hue)
    tint = np.array([hue, 1 - hue, 0.5])
    return np.clip(255 * wave[..., None] * tint * bright, 0, 255).astype(np.uint8)


def cuts_of(path):
    return sample_frames(path, mode="shots", num_frames=4, num_pairs=2, max_side=64).shots_ms[1:].tolist()


@pytest.mark.parametrize("gop", [5, 12, 250])
def test_cuts_are_found_wherever_the_key_frames_are(tmp_path, gop):
    scenes = [picture(0.1, n // 4) for n in range(40)] + [picture(0.9, n // 4) for n in range(33)] + [picture(0.4)] * 27
    path = write_clip(tmp_path / "clip.mkv", scenes, fps=25, gop=gop)
    assert cuts_of(path) == pytest.approx([1600, 2920], abs=100)


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])
def test_cuts_are_found_in_other_codecs(tmp_path, codec):
    scenes = [picture(0.1, n) for n in range(60)] + [picture(0.9, n) for n in range(40)]
    path = write_clip(tmp_path / "clip.mkv", scenes, fps=25, gop=250, codec=codec)
    assert cuts_of(path) == pytest.approx([2400], abs=100)


def test_a_flash_is_no_cut(tmp_path):
    scenes = [picture(0.3, n // 9, bright=3.0 if n in (30, 31) else 1.0) for n in range(75)]
    assert cuts_of(write_clip(tmp_path / "clip.mkv", scenes, fps=25)) == []


def test_a_fade_is_no_cut(tmp_path):
    scenes = [picture(0.3, 0, bright=1 - n / 75) for n in range(75)]
    assert cuts_of(write_clip(tmp_path / "clip.mkv", scenes, fps=25)) == []


@pytest.mark.parametrize("motion", sorted(MOTIONS))
def test_movement_is_no_cut(tmp_path, motion):
    path = render_clip(tmp_path / "clip.mp4", motion=motion, seconds=2.0, width=96, height=64)
    assert cuts_of(path) == []


def test_looks_of_other_pixel_formats_are_alike():
    plain = av.VideoFrame.from_ndarray(picture(0.7), format="rgb24")
    looks = [
        looks_of(points_of(plain.reformat(format=name))[None])
        for name in ("yuv420p", "yuv444p", "yuv420p10le", "rgb24")
    ]
    assert all(steps(looks[0], look)[0] < 0.1 for look in looks[1:])
    other = looks_of(points_of(av.VideoFrame.from_ndarray(picture(0.1), format="rgb24"))[None])
    assert steps(looks[0], other)[0] > 0.35


def test_pictures_of_a_few_pixels_have_looks():
    tiny = av.VideoFrame.from_ndarray(np.zeros((2, 2, 3), dtype=np.uint8), format="rgb24").reformat(format="yuv420p")
    assert points_of(tiny).shape == (3456,)


def test_frames_that_come_very_close_are_not_all_kept(tmp_path):
    path = write_clip(tmp_path / "clip.mkv", [picture(0.1)] * 30, fps=120)
    index = read_index(ClipFile(path), max_ms=10_000)
    track = ShotTrack(index)
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            track.see(number, frame)
    assert len(track._seen()[0]) <= 16
    assert track.cuts().size == 0


def test_a_track_that_saw_nothing_asks_for_key_frames(tmp_path):
    path = write_clip(tmp_path / "clip.mkv", [picture(0.1)] * 75, fps=25, gop=10)
    track = ShotTrack(read_index(ClipFile(path), max_ms=10_000))
    assert track.unseen_keys().tolist() == [0, 20, 40, 60]
    assert track.doubtful().size == track.cuts().size == 0
