"""Sound of real containers and of files whose frequency tells the time."""

import av
import numpy as np
import pytest

from kinema.errors import ConfigError, DataError
from kinema.media.probe import open_file
from kinema.media.sound import SOUND_FORMATS, plan_windows, read_sound
from kinema.media.sound_walk import Budget, decode_spans, find_track

CONTAINERS = ("avi", "flv", "mkv", "mov", "mp4", "mpg", "webm", "wmv")
HZ = 16_000
LOW, PER_SECOND = 300.0, 40.0
CODECS = {"wav": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame", "m4a": "aac", "mkv": "libopus", "avi": "mp2"}


def write_sound(path, samples, *, hz, codec, options=None):
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=hz, layout="mono")
        size = stream.codec_context.frame_size or 4096
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=hz, frame_size=size)
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="flt", layout="mono")
        frame.sample_rate = hz
        for one in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(one))
        container.mux(stream.encode(None))
    return path


def rising(seconds, hz):
    """A tone that rises steadily, so that its frequency tells the time."""
    times = np.arange(int(seconds * hz)) / hz
    return 0.5 * np.sin(2 * np.pi * (LOW * times + PER_SECOND * times**2 / 2)).astype(np.float32)


def time_of(samples, hz):
    """Milliseconds into `rising` at which the middle of some samples lies."""
    middle = samples[len(samples) // 2 - hz // 20 : len(samples) // 2 + hz // 20]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 16))
    return (np.argmax(spectrum) * hz / (1 << 16) - LOW) / PER_SECOND * 1000


@pytest.fixture(scope="module")
def sounds(data_dir):
    folder = data_dir / "clips" / "containers"
    return {suffix: read_sound(folder / f"demo.{suffix}") for suffix in CONTAINERS}


@pytest.mark.parametrize("suffix", CODECS)
def test_windows_hold_the_sound_of_their_time(tmp_path, suffix):
    hz = 48_000 if suffix == "mkv" else 44_100
    path = write_sound(tmp_path / f"rising.{suffix}", rising(60, hz), hz=hz, codec=CODECS[suffix])
    sound = read_sound(path, num_windows=4, window_ms=500)
    assert sound.hz == HZ
    assert not sound.partial
    assert sound.duration_ms == pytest.approx(60_000, abs=100)
    windows = sound.windows(4, 500)
    assert len(sound.pieces) == len(windows) == 4
    for time_ms, samples in windows:
        assert len(samples) == HZ // 2
        assert samples.dtype == np.float32
        assert time_of(samples, HZ) == pytest.approx(time_ms, abs=60)


def test_eight_containers_give_the_same_sound(sounds):
    def envelope(sound):
        _, samples = sound.windows(10, 2000)[4]
        return np.sqrt(np.convolve(samples**2, np.hanning(800) / 400, mode="valid")[::80])

    reference = envelope(sounds["mp4"])
    for suffix, sound in sounds.items():
        assert not sound.partial, suffix
        assert [len(piece) for piece in sound.pieces] == [2 * HZ] * 10, suffix
        assert sound.duration_ms == pytest.approx(60_150, abs=80)
        found = envelope(sound)
        lags = [np.corrcoef(reference[30:-30], np.roll(found, lag)[30:-30])[0, 1] for lag in range(-30, 31)]
        assert max(lags) > 0.97, suffix


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_seeking_and_walking_give_the_same_samples(data_dir, suffix):
    path = data_dir / "clips" / "containers" / f"demo.{suffix}"
    spans = [(9000.0, 9500.0), (33_000.0, 33_500.0), (55_000.0, 55_500.0)]
    found = []
    for seek in (True, False):
        with open_file(path, name=path.name, formats=SOUND_FORMATS) as container:
            track = find_track(container, Budget(float("inf"), 1 << 30))
            found.append(decode_spans(track, spans, hz=HZ, seek=seek))
    sought, walked = found
    assert len(walked) == 3
    for one, other in zip(sought, walked, strict=bool(sought)):
        assert one[0] == pytest.approx(other[0], abs=2)
        assert np.corrcoef(one[1], other[1])[0, 1] > 0.99


def test_a_short_clip_is_heard_wholly(data_dir):
    sound = read_sound(data_dir / "clips" / "real" / "shot_change.mp4")
    assert len(sound.pieces) == 1
    windows = sound.windows(10, 2000)
    assert [time_ms for time_ms, _ in windows] == pytest.approx([822, 2467, 4111], abs=5)
    assert sum(len(samples) for _, samples in windows) == pytest.approx(len(sound.pieces[0]), abs=3)


def test_a_clip_without_a_sound_track_has_none(data_dir):
    assert read_sound(data_dir / "clips" / "real" / "bikes.mp4") is None


def test_a_truncated_file_gives_what_is_there(tmp_path, data_dir):
    whole = (data_dir / "clips" / "containers" / "demo.avi").read_bytes()
    path = tmp_path / "half.avi"
    path.write_bytes(whole[: len(whole) // 2])
    sound = read_sound(path)
    assert 20_000 < sound.duration_ms < 40_000
    assert len(sound.windows(10, 2000)) == 10
    options = {"movflags": "faststart"}
    path = write_sound(tmp_path / "a.m4a", rising(20, 44_100), hz=44_100, codec="aac", options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    sound = read_sound(path)
    assert sound.partial
    assert 5000 < sound.duration_ms < 15_000


def test_damaged_packets_are_left_out_and_the_rest_keeps_its_time(tmp_path):
    path = write_sound(tmp_path / "rising.m4a", rising(16, 44_100), hz=44_100, codec="aac")
    content = bytearray(path.read_bytes())
    begin = len(content) // 3
    content[begin : begin + len(content) // 10] = bytes(len(content) // 10)
    path.write_bytes(content)
    sound = read_sound(path, num_windows=4, window_ms=4000)
    time_ms, samples = sound.windows(4, 4000)[-1]
    assert time_of(samples, HZ) == pytest.approx(time_ms, abs=60)
    assert sound.partial
    assert len(sound.pieces) > 1


def test_limits_end_the_work_with_what_is_there(tmp_path):
    path = write_sound(tmp_path / "rising.wav", rising(20, HZ), hz=HZ, codec="pcm_s16le")
    assert not read_sound(path).partial
    cut = read_sound(path, max_bytes=HZ * 2 * 30)
    assert not cut.partial
    cut = read_sound(path, max_bytes=HZ * 2 * 5)
    assert cut is None or cut.partial
    assert read_sound(path, deadline_s=1e-9) is None
    short = read_sound(path, max_seconds=4.0)
    assert short.duration_ms == 4000
    assert len(short.pieces[0]) == 4 * HZ


def test_the_length_is_measured_where_no_header_declares_it(tmp_path):
    path = write_sound(tmp_path / "rising.aac", rising(9, 44_100), hz=44_100, codec="aac")
    sound = read_sound(path, num_windows=2, window_ms=1000)
    assert sound.duration_ms == pytest.approx(9000, rel=0.1)
    assert [time_of(samples, HZ) for _, samples in sound.windows(2, 1000)] == pytest.approx([2250, 6750], rel=0.1)


def test_what_another_modality_asked_for_does_not_change_the_windows(tmp_path):
    path = write_sound(tmp_path / "rising.wav", rising(40, HZ), hz=HZ, codec="pcm_s16le")
    own = read_sound(path, num_windows=10, window_ms=1000)
    joint = read_sound(path, num_windows=10, window_ms=2500)
    for (time_ms, samples), (other_ms, others) in zip(own.windows(10, 1000), joint.windows(10, 1000), strict=True):
        assert time_ms == other_ms
        assert np.abs(others - samples).max() < 1e-4
    assert len(own.windows(40, 1000)) == 10


def test_windows_follow_each_other_until_there_are_enough():
    assert plan_windows(2100, num_windows=10, window_ms=2000) == [(50.0, 2000.0)]
    assert plan_windows(20_000, num_windows=10, window_ms=2000)[-1] == (18_000.0, 2000.0)
    assert plan_windows(200_000, num_windows=10, window_ms=2000)[0] == (9000.0, 2000.0)


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"cannot decode 'no.mp3': there is no such file"):
        read_sound(tmp_path / "no.mp3", name="no.mp3")
    (tmp_path / "text.mp3").write_text("nothing to hear here " * 100)
    with pytest.raises(DataError, match=r"cannot decode 'text.mp3': .*; the item keeps its text features"):
        read_sound(tmp_path / "text.mp3", name="text.mp3")


def test_numbers_out_of_range_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="needs num_windows >= 1, window_ms > 0 and a length > 0, got 0, 2000, 9"):
        plan_windows(9, num_windows=0, window_ms=2000)
    with pytest.raises(
        ConfigError, match="sound needs hz >= 1000 and max_seconds, deadline_s and max_bytes > 0, got 1"
    ):
        read_sound(tmp_path, hz=1)
