"""Clips as browsers play them."""

import av
import numpy as np
import pytest

from kinema.errors import DataError, MissingExtraError
from kinema.media import playable
from kinema.media.playable import MP4, WEBM, playable_suffix, write_playable, written_suffix
from kinema.media.probe import probe
from kinema.testing.clips import render_clip, write_clip


def with_sound(path, *, video="mpeg4", audio="pcm_s16le", seconds=1.0, options=None):
    with av.open(str(path), "w", options=options or {}) as out:
        picture, sound = out.add_stream(video, rate=12), out.add_stream(audio, rate=16_000, layout="mono")
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        for number in range(round(12 * seconds)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number % 255, np.uint8), format="rgb24")
            out.mux(picture.encode(frame))
        wave = (np.sin(np.arange(round(16_000 * seconds)) / 20) * 9000).astype(np.int16)[None]
        heard = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        heard.sample_rate, heard.pts = 16_000, 0
        resampler = av.AudioResampler(format=sound.codec_context.format, layout="mono", rate=16_000, frame_size=1024)
        for piece in (*resampler.resample(heard), *resampler.resample(None)):
            out.mux(sound.encode(piece))
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))
    return path


def sounds(path):
    with av.open(str(path)) as found:
        return [
            (one.codec_context.name, round(sum(frame.samples for frame in found.decode(one)) / one.rate, 1))
            for one in found.streams.audio
        ]


@pytest.mark.parametrize("suffix", [".avi", ".flv", ".mpg", ".wmv", ".mkv", ".mov", ".ts", ".ogv", ".webm", ".mp4"])
def test_every_container_becomes_one_that_browsers_play(tmp_path, suffix):
    path = render_clip(tmp_path / f"clip{suffix}", seconds=1.0)
    target = tmp_path / f"played{written_suffix()}"
    if suffix == ".webm":
        assert playable_suffix(path, name="clip") == WEBM
        return
    assert playable_suffix(path, name="clip") is None
    write_playable(path, target, name="clip")
    assert playable_suffix(target, name="played") == MP4
    before, after = probe(path), probe(target)
    assert (after.codec, after.width, after.height) == ("h264", before.width, before.height)
    assert abs(after.duration_ms - {".mpg": 500, ".ts": 480}.get(suffix, 1000)) <= 200  # of a fixed rate
    assert not list(tmp_path.glob(".*"))


def test_sound_is_kept(tmp_path):
    path = with_sound(tmp_path / "clip.avi")
    write_playable(path, tmp_path / "played.mp4", name="clip")
    ((codec, seconds),) = sounds(tmp_path / "played.mp4")
    assert codec == "aac"
    assert abs(seconds - 1.0) <= 0.1


def test_packets_are_copied_where_only_the_container_is_foreign(tmp_path):
    path = with_sound(tmp_path / "clip.flv", video="libx264", audio="aac")
    assert playable_suffix(path, name="clip") is None
    write_playable(path, tmp_path / "played.mp4", name="clip")
    assert playable_suffix(tmp_path / "played.mp4", name="played") == MP4
    with av.open(str(path)) as one, av.open(str(tmp_path / "played.mp4")) as other:
        sizes = [[packet.size for packet in found.demux(video=0) if packet.size] for found in (one, other)]
    assert len(sizes[0]) == len(sizes[1]) == 12


def test_without_the_first_encoder_another_form_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(playable, "_FORMS", playable._FORMS[1:])
    path = with_sound(tmp_path / "clip.avi")
    assert written_suffix() == WEBM
    write_playable(path, tmp_path / "played.webm", name="clip")
    assert playable_suffix(tmp_path / "played.webm", name="played") == WEBM
    assert [name for name, _ in sounds(tmp_path / "played.webm")] == ["opus"]


def test_without_any_encoder_it_is_said_what_is_missing(monkeypatch):
    monkeypatch.setattr(playable, "_FORMS", ())
    with pytest.raises(MissingExtraError, match="converting clips for browsers needs"):
        written_suffix()


def test_large_pictures_are_made_smaller_and_a_single_one_has_a_length(tmp_path):
    path = write_clip(tmp_path / "clip.avi", [np.full((90, 300, 3), 128, np.uint8)])
    write_playable(path, tmp_path / "played.mp4", name="clip", max_side=100)
    found = probe(tmp_path / "played.mp4")
    assert (found.width, found.height) == (100, 30)
    assert found.duration_ms >= 1000


def test_what_cannot_be_converted_is_said(tmp_path):
    path = render_clip(tmp_path / "clip.avi", seconds=1.0)
    with pytest.raises(DataError, match="'clip' must have at most 0 MB once it is converted for browsers, has more"):
        write_playable(path, tmp_path / "played.mp4", name="clip", max_bytes=1000)
    damaged = tmp_path / "damaged.avi"
    content = bytearray(path.read_bytes())
    start = content.index(b"movi") + 4
    content[start + 8 :: 2] = b"\0" * len(content[start + 8 :: 2])
    damaged.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot (convert|decode) 'clip'"):
        write_playable(damaged, tmp_path / "played.mp4", name="clip")
    assert not list(tmp_path.glob("*played*"))
