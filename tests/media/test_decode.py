"""Exact frames: each picture carries its number as its bright column."""

from fractions import Fraction

import av
import numpy as np
import pytest

from kinema.errors import DataError
from kinema.media import decode
from kinema.media.decode import decode_frames
from kinema.media.index import read_index
from kinema.testing.clips import CODECS, write_clip

NUM_FRAMES = 40


def numbered(count=NUM_FRAMES, width=160, height=48):
    pictures = np.full((count, height, width, 3), 40, dtype=np.uint8)
    for number, picture in enumerate(pictures):
        picture[:, 4 * number : 4 * number + 4] = 240
    return list(pictures)


def number_of(picture):
    return int(picture.mean(axis=(0, 2)).reshape(-1, 4).mean(axis=1).argmax())


def index_of(path, max_ms=600_000):
    return read_index(path, name=path.name, max_ms=max_ms, max_pixels=2**25)


@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_every_container_gives_exactly_the_frames_asked_for(tmp_path, suffix):
    path = write_clip(tmp_path / f"clip{suffix}", numbered(), gop=10)
    index = index_of(path)
    assert len(index.stamps_N) == NUM_FRAMES
    assert index.quality == 1.0
    wanted = np.array([0, 3, 19, 20, 39])
    found = decode_frames(path, index, wanted, name="clip", max_side=160)
    assert {number: number_of(picture) for number, (_, picture) in found.items()} == {int(n): int(n) for n in wanted}
    assert found[39][1].shape == (48, 160, 3)


def test_seeking_and_decoding_in_order_agree(tmp_path):
    path = write_clip(tmp_path / "clip.mkv", numbered(), gop=8)
    index = index_of(path)
    assert len(index.key_stamps) == 5
    wanted = np.array([2, 30, 33])
    jumped = decode._decode_by_seeking(path, index, wanted, name="clip", max_side=160)
    in_order = decode._decode_in_order(path, index, wanted, name="clip", max_side=160)
    assert jumped.keys() == in_order.keys() == {2, 30, 33}
    assert all(np.array_equal(jumped[n][1], in_order[n][1]) for n in jumped)


def test_real_files_seek_to_the_same_pictures(data_dir):
    for name in ("containers/demo.webm", "containers/demo.flv", "containers/demo.mpg", "real/bikes.mp4"):
        path = data_dir / "clips" / name
        index = index_of(path)
        wanted = np.linspace(0, len(index.stamps_N) - 1, 4).astype(np.int64)
        in_order = decode._decode_in_order(path, index, wanted, name=name, max_side=160)
        found = decode_frames(path, index, wanted, name=name, max_side=160)
        assert all(np.array_equal(found[n][1], in_order[n][1]) for n in wanted.tolist())


def test_avi_with_reordered_frames_is_counted(tmp_path):
    path = tmp_path / "b_frames.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 160, 48, "yuv420p"
        for picture in numbered():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    index = index_of(path)
    found = decode_frames(path, index, np.array([5, 21]), name="clip", max_side=160)
    assert {n: number_of(picture) for n, (_, picture) in found.items()} == {5: 5, 21: 21}


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


def test_only_the_beginning_is_indexed_when_asked(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", numbered())
    index = index_of(path, max_ms=1_000)
    assert 12 <= len(index.stamps_N) <= 15
    assert index.quality == 1.0


def test_a_damaged_frame_is_replaced_by_the_next_good_one(tmp_path):
    path = write_clip(tmp_path / "clip.avi", numbered(), gop=10)
    index = index_of(path)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][20]
        start, size = packet.pos, packet.size
    content[start + 8 : start + 8 + size] = bytes(size)
    path.write_bytes(content)
    found = decode_frames(path, index, np.array([5, 20]), name="clip", max_side=160)
    assert number_of(found[5][1]) == 5
    assert 20 in found
    assert found[20][0] >= index.times_ms_N[20]


def test_frames_beyond_the_limit_are_refused(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", numbered(2))
    with pytest.raises(DataError, match="a frame must have at most 1000 pixels, has 160 x 48"):
        read_index(path, name="clip.mp4", max_ms=1_000, max_pixels=1_000)


@pytest.mark.parametrize(("degrees", "corner"), [(90, (-1, 0)), (-90, (0, -1)), (180, (-1, -1))])
def test_pictures_come_upright(tmp_path, degrees, corner):
    picture = np.zeros((48, 160, 3), dtype=np.uint8)
    picture[:16, :16] = 255
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(degrees)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        rotation = next(container.decode(video=0)).rotation
    upright = decode_frames(path, index_of(path), np.array([0]), name="phone", max_side=160)[0][1]
    assert upright.shape[:2] == ((48, 64) if degrees == 180 else (64, 48))
    # The white corner goes where turning the picture counter-clockwise by the declared angle puts it.
    assert abs(rotation) == abs(degrees)
    y, x = corner if degrees in (180, rotation) else (-1 - corner[0], -1 - corner[1])
    assert upright[y, x].mean() > 200
    assert upright.mean() < 100


def test_odd_sizes_and_extreme_shapes_are_fitted(tmp_path):
    path = write_clip(tmp_path / "wide.mp4", [np.full((6, 322, 3), 90, dtype=np.uint8)] * 2)
    picture = decode_frames(path, index_of(path), np.array([0]), name="wide", max_side=101)[0][1]
    assert picture.shape == (8, 101, 3)
