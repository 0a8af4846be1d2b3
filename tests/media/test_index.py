"""What reading the packets of a file tells."""

from fractions import Fraction

import av
import numpy as np
import pytest

from kinema.errors import DataError
from kinema.media.index import read_index
from kinema.media.limits import Deadline
from kinema.media.probe import ClipFile
from kinema.testing.clips import write_clip


def numbered(count=40):
    pictures = np.full((count, 48, 160, 3), 40, dtype=np.uint8)
    for number, picture in enumerate(pictures):
        picture[:, 4 * number : 4 * number + 4] = 240
    return list(pictures)


def index_of(path, max_ms=600_000, deadline=None):
    with ClipFile(path) as file:
        return read_index(file, max_ms=max_ms, deadline=deadline)


def test_variable_frame_rates_keep_their_times(tmp_path):
    times_ms = [0, 40, 500, 540, 2_000]
    path = tmp_path / "slides.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for picture, time_ms in zip(numbered(len(times_ms)), times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert index_of(path).times_ms_N.tolist() == pytest.approx(times_ms, abs=2)


@pytest.mark.parametrize("suffix", [".flv", ".wmv", ".mp4"])
def test_a_short_clip_is_whole_although_its_last_frame_does_not_say_how_long_it_stays(tmp_path, suffix):
    path = write_clip(tmp_path / f"clip{suffix}", numbered(8))
    assert index_of(path).quality == 1.0


def test_only_the_beginning_is_indexed_when_asked(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", numbered())
    index = index_of(path, max_ms=1_000)
    assert 12 <= len(index.stamps_N) <= 15
    assert index.quality == 1.0


def test_frames_beyond_the_limit_are_refused(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", numbered(2))
    message = "'clip.mp4': a frame must have at most 1000 pixels, has 160 x 48"
    with ClipFile(path, name="clip.mp4", max_pixels=1_000) as file, pytest.raises(DataError, match=message):
        read_index(file, max_ms=1_000)


def test_key_frames_and_packet_sizes_are_known(tmp_path):
    index = index_of(write_clip(tmp_path / "clip.mkv", numbered(), gop=8))
    assert index.keys.tolist() == [0, 8, 16, 24, 32]
    assert index.sizes_N.shape == index.stamps_N.shape
    assert index.sizes_N.min() > 0
    assert (index.stored, index.pixel_format) == ((160, 48), "yuv420p")


def test_reading_that_takes_too_long_ends_with_what_there_is(tmp_path):
    index = index_of(write_clip(tmp_path / "clip.mkv", numbered()), deadline=Deadline(-1.0))
    assert len(index.stamps_N) == 1
    assert index.quality < 1.0


def test_a_single_stamp_far_away_does_not_hide_the_rest(tmp_path):
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for picture, time_ms in zip(numbered(6), (0, 40, 80, 9_000_000, 9_000_040, 9_000_080), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert index_of(path).times_ms_N.tolist() == pytest.approx([0, 40, 80], abs=2)
