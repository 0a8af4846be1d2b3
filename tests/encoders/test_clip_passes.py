"""Joining what readers want: one pass where that changes nothing for any of them."""

from dataclasses import dataclass

import numpy as np
import pytest

from kinema.encoders import clip_passes
from kinema.encoders.clip_passes import decode, plan_passes
from kinema.encoders.modality import Wants
from kinema.errors import DataError
from kinema.testing.clips import render_clip


@dataclass(frozen=True)
class Wanting:
    wants: Wants


@dataclass(frozen=True)
class Heard:
    """Stands for `kinema.media.sound.Sound`."""

    hz: int = 16_000
    duration_ms: float = 900.0
    partial: bool = False


def plan(**wants):
    return plan_passes({name: Wanting(one) for name, one in wants.items()})


def test_frames_motion_and_sound_share_one_pass():
    sound = Wants(sound_hz=16_000, num_windows=10, window_ms=500)
    ((joined, names),) = plan(frames=Wants(num_frames=8), motion=Wants(num_pairs=8), sound=sound)
    assert names == ("frames", "motion", "sound")
    assert joined == Wants(num_frames=8, num_pairs=8, max_side=256, sound_hz=16_000, num_windows=10, window_ms=500)


@pytest.mark.parametrize(
    "other",
    [
        Wants(num_frames=16),
        Wants(num_pairs=4, max_side=384),
        Wants(sound_hz=8_000),
        Wants(sound_hz=16_000, window_ms=9),
    ],
)
def test_readers_that_would_change_each_others_samples_have_passes_of_their_own(other):
    first = Wants(num_frames=8, sound_hz=16_000)
    passes = plan(first=first, other=other)
    assert [names for _, names in passes] == [("first",), ("other",)]
    assert [joined for joined, _ in passes] == [first, other]


def test_the_size_of_pictures_is_that_of_whoever_wants_pictures():
    ((joined, _),) = plan(sound=Wants(sound_hz=16_000), frames=Wants(num_frames=2, max_side=96))
    assert joined.max_side == 96


def test_a_reader_gets_the_same_samples_alone_and_in_company(tmp_path):
    path = render_clip(tmp_path / "clip.mp4", seconds=1.5)
    limits = {"name": "clip.mp4", "max_seconds": 60.0, "max_pixels": 2**20}
    together = decode(path, Wants(num_frames=3, num_pairs=4), **limits).clip.frames
    assert np.array_equal(together.array, decode(path, Wants(num_frames=3), **limits).clip.frames.array)
    assert np.array_equal(together.pairs, decode(path, Wants(num_pairs=4), **limits).clip.frames.pairs)


def decoded(monkeypatch, *, pictures, sound):
    def sample(*args, **settings):
        raise DataError(pictures)

    def listen(*args, **settings):
        if isinstance(sound, str):
            raise DataError(sound)
        return sound

    monkeypatch.setattr(clip_passes, "sample_frames", sample)
    monkeypatch.setattr(clip_passes, "_listen", listen)
    return decode("clip", Wants(num_frames=2, sound_hz=16_000), name="clip", max_seconds=9.0, max_pixels=99)


def test_damaged_pictures_do_not_keep_the_sound_back(monkeypatch):
    one = decoded(monkeypatch, pictures="no frame decodes", sound=Heard(partial=True))
    assert one.reason(Wants(num_frames=2)) == "no frame decodes"
    assert one.reason(Wants(sound_hz=16_000)) == ""
    assert 0 < one.quality(Wants(sound_hz=16_000)) < 1
    assert (one.clip.frames, one.clip.sound_hz, one.clip.duration_ms) == (None, 16_000, 900)


def test_a_file_with_sound_only_is_whole_without_pictures(monkeypatch):
    one = decoded(monkeypatch, pictures="no video stream that can be decoded (ogg with audio)", sound=Heard())
    assert one.reason(Wants(num_frames=2)) == ""
    assert one.quality(Wants(sound_hz=16_000)) == 1


def test_a_file_that_gives_neither_has_a_reason_for_both(monkeypatch):
    one = decoded(monkeypatch, pictures="the file is empty", sound="the file is empty")
    assert one.reason(Wants(num_frames=2)) == one.reason(Wants(sound_hz=16_000)) == "the file is empty"
