"""Reading headers, and refusing what is no video."""

import av
import numpy as np
import pytest

from kinema.errors import DataError
from kinema.media.probe import FORMATS, packets_of, probe
from kinema.testing.clips import CODECS, render_clip


@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_the_header_of_every_container_is_read(tmp_path, suffix):
    info = probe(render_clip(tmp_path / f"clip{suffix}", seconds=1.0, width=96, height=64))
    assert (info.width, info.height) == (96, 64)
    rate = {".mpg": 24, ".ts": 25}.get(suffix, 12)
    assert info.fps == pytest.approx(rate, rel=0.02)
    assert info.duration_ms == pytest.approx(12_000 / rate, abs=120)
    assert not info.has_audio
    assert info.size_bytes == (tmp_path / f"clip{suffix}").stat().st_size


def write_sound(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        for start in range(0, 8_000, 1_000):
            tone = np.sin(np.arange(start, start + 1_000) * 0.1).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16_000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_file_with_sound_only_has_no_video_stream(tmp_path):
    with pytest.raises(DataError, match=r"cannot decode 'song': no video stream .*audio.* KB read; the item keeps"):
        probe(write_sound(tmp_path / "song.mp4"), name="song")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty, 0 KB read"),
        (b"a text that somebody renamed\n" * 400, "KB read; the item keeps its text features"),
        (bytes(np.random.default_rng(0).integers(0, 256, 50_000, dtype=np.uint8)), "49 KB read"),
    ],
)
def test_files_that_are_no_video_say_so(tmp_path, content, reason):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(DataError, match=f"cannot decode 'clips/a.mp4': .*{reason}"):
        probe(tmp_path / "a.mp4", name="clips/a.mp4")


def test_a_truncated_mp4_names_the_missing_index(tmp_path):
    whole = render_clip(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cannot decode 'half.mp4': moov atom not found, \d+ KB read"):
        probe(tmp_path / "half.mp4", name="half.mp4")


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        probe(tmp_path / "gone.mp4")


def test_a_play_list_cannot_reach_other_files(tmp_path):
    render_clip(tmp_path / "secret.mkv", seconds=0.5)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile secret.mkv\n")
    with pytest.raises(DataError, match=r"cannot decode 'list.mp4': concat is not a video container"):
        probe(tmp_path / "list.mp4", name="list.mp4")
    assert not {"hls", "dash", "concat"} & set(FORMATS.split(","))


def test_the_log_level_of_the_library_is_left_as_it_was(tmp_path):
    before = av.logging.get_level()
    with pytest.raises(DataError, match="no such file"):
        probe(tmp_path / "gone.mp4")
    probe(render_clip(tmp_path / "clip.mp4", seconds=0.5))
    assert av.logging.get_level() == before


def test_a_stream_that_turns_up_late_ends_the_packets_and_no_more():
    class Library:
        def demux(self, *streams):
            yield from streams
            raise IndexError("list index out of range")

    assert list(packets_of(Library(), "a", "b")) == ["a", "b"]
