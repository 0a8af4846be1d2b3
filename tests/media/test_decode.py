"""Exact frames: each picture carries its number as its bright column."""

from itertools import pairwise

import av
import numpy as np
import pytest

from kinema.media.decode import LONGEST_GAP_MS, _painter, _Run, decode_frames
from kinema.media.index import read_index
from kinema.media.limits import Deadline
from kinema.media.probe import ClipFile
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
    with ClipFile(path) as file:
        return read_index(file, max_ms=max_ms)


def pictures_of(path, wanted, max_side=160):
    return decode_frames(ClipFile(path), index_of(path), np.array(wanted), max_side=max_side).pictures


def run_over(path):
    index = index_of(path)
    return _Run(ClipFile(path), index, paint=_painter(index, 160), deadline=None, watch=None)


@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_every_container_gives_exactly_the_frames_asked_for(tmp_path, suffix):
    path = write_clip(tmp_path / f"clip{suffix}", numbered(), gop=10)
    index = index_of(path)
    assert len(index.stamps_N) == NUM_FRAMES
    assert index.quality == 1.0
    found = pictures_of(path, [0, 3, 19, 20, 39])
    assert {number: number_of(picture) for number, (_, picture) in found.items()} == {n: n for n in (0, 3, 19, 20, 39)}
    assert found[39][1].shape == (48, 160, 3)


CODEC_CLIPS = {
    "h264.mp4": ("libx264", {"bf": "7", "b_strategy": "0", "x264-params": "keyint=20:scenecut=0"}),
    "h264.ts": ("libx264", {"bf": "2"}),
    "hevc.mkv": ("libx265", {"x265-params": "log-level=none:keyint=20:bframes=4"}),
    "av1.mp4": ("libsvtav1", {"preset": "13"}),
    "vp9.webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "mpeg4_b.mkv": ("mpeg4", {"bf": "2"}),
}


@pytest.mark.parametrize("name", sorted(CODEC_CLIPS))
def test_frames_are_the_same_with_and_without_leaving_out_what_nothing_depends_on(tmp_path, name):
    codec, options = CODEC_CLIPS[name]
    path = write_clip(tmp_path / name, numbered(height=64), fps=25, gop=20, codec=codec, options=options)
    wanted = [2, 7, 23, 31, 38]
    sought, in_order = run_over(path), run_over(path)
    sought.by_seeking(np.array(wanted), keep=set(wanted))
    in_order.in_order(wanted, only_keys=False)
    assert sought.result.pictures.keys() == set(wanted)
    assert all(number_of(sought.result.pictures[n][1]) == n for n in wanted)
    assert all(np.array_equal(sought.result.pictures[n][1], in_order.result.pictures[n][1]) for n in wanted)
    assert sought.result.num_damaged == in_order.result.num_damaged == 0


def test_frames_that_nothing_depends_on_are_left_out(tmp_path):
    codec, options = CODEC_CLIPS["h264.mp4"]
    path = write_clip(tmp_path / "clip.mp4", numbered(), fps=20, codec=codec, options=options)
    wanted = np.array([19, 39])
    run = decode_frames(ClipFile(path), index_of(path), wanted, max_side=64)
    assert run.num_seen < 30
    seen = []
    decode_frames(ClipFile(path), index_of(path), wanted, max_side=64, watch=lambda number, _: seen.append(number))
    assert len(seen) >= run.num_seen
    # What comes after the last wanted packet of a group is not decoded for the watcher.
    gaps = [second - first for first, second in pairwise(sorted(seen)) if second not in wanted]
    assert max(gaps) * 50 <= LONGEST_GAP_MS


def test_a_key_frame_costs_one_decoded_frame(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", numbered(), gop=10)
    index = index_of(path)
    run = decode_frames(ClipFile(path), index, index.keys, max_side=64, only_keys=True)
    assert index.keys.tolist() == [0, 10, 20, 30]
    assert sorted(run.pictures) == [0, 10, 20, 30]
    assert run.num_seen == 4


def test_real_files_give_the_same_pictures_by_seeking_and_in_order(data_dir):
    for name in ("containers/demo.webm", "containers/demo.flv", "containers/demo.mpg", "real/bikes.mp4"):
        path = data_dir / "clips" / name
        wanted = np.linspace(0, len(index_of(path).stamps_N) // 8, 3).astype(np.int64).tolist()
        sought, in_order = run_over(path), run_over(path)
        sought.by_seeking(np.array(wanted), keep=set(wanted))
        in_order.in_order(wanted, only_keys=False)
        assert all(np.array_equal(sought.result.pictures[n][1], in_order.result.pictures[n][1]) for n in wanted)


def test_decoding_ends_when_time_is_over(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", numbered())
    wanted = np.array([0, 39])
    run = decode_frames(ClipFile(path), index_of(path), wanted, max_side=64, deadline=Deadline(-1.0))
    assert run.late
    assert run.pictures == {}


def test_avi_with_reordered_frames_is_counted(tmp_path):
    path = tmp_path / "b_frames.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 160, 48, "yuv420p"
        for picture in numbered():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    found = pictures_of(path, [5, 21])
    assert {n: number_of(picture) for n, (_, picture) in found.items()} == {5: 5, 21: 21}


def test_a_damaged_frame_is_replaced_by_the_next_good_one(tmp_path):
    path = write_clip(tmp_path / "clip.avi", numbered(), gop=10)
    index = index_of(path)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][20]
        start, size = packet.pos, packet.size
    content[start + 8 : start + 8 + size] = bytes(size)
    path.write_bytes(content)
    run = decode_frames(ClipFile(path), index, np.array([5, 20]), max_side=160)
    found = run.pictures
    assert run.num_damaged > 0
    assert number_of(found[5][1]) == 5
    assert 20 in found
    assert found[20][0] >= index.times_ms_N[20]


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
    upright = pictures_of(path, [0])[0][1]
    assert upright.shape[:2] == ((48, 64) if degrees == 180 else (64, 48))
    # The white corner goes where turning the picture counter-clockwise by the declared angle puts it.
    assert abs(rotation) == abs(degrees)
    y, x = corner if degrees in (180, rotation) else (-1 - corner[0], -1 - corner[1])
    assert upright[y, x].mean() > 200
    assert upright.mean() < 100


def test_odd_sizes_and_extreme_shapes_are_fitted(tmp_path):
    path = write_clip(tmp_path / "wide.mp4", [np.full((6, 322, 3), 90, dtype=np.uint8)] * 2)
    picture = pictures_of(path, [0], max_side=101)[0][1]
    assert picture.shape == (8, 101, 3)
