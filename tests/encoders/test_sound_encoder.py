"""Sound statistics on real clips and on sounds at other volumes."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from kinema.encoders.modality import Clip, Wants
from kinema.encoders.sound import SoundEncoder, SoundReader, load_sound_encoder
from kinema.errors import ConfigError
from kinema.media.sound import Sound, read_sound

CONTAINERS = ("avi", "flv", "mkv", "mov", "mp4", "mpg", "webm", "wmv")
OTHERS = ("real/bigbuckbunny.mp4", "real/shot_change.mp4", "real/single_face.mp4", "microvideo/archery.mp4")
HZ = 16_000


@pytest.fixture(scope="module")
def encoder():
    return load_sound_encoder("mel:stats")


def clip_of(samples, hz=HZ):
    length_ms = len(samples) * 1000 / hz
    sound = Sound((samples.astype(np.float32),), (0.0,), hz=hz, duration_ms=length_ms, partial=False)
    return Clip(frames=None, sound=sound, sound_hz=hz, duration_ms=round(length_ms))


def vector(encoder, clip):
    return encoder.pool(encoder.encode([encoder.reader.read(clip)])[0])


def cosines(vectors):
    units = np.stack(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units @ units.T


def test_eight_containers_give_one_vector_and_other_clips_others(data_dir, encoder):
    names = [f"containers/demo.{suffix}" for suffix in CONTAINERS] + list(OTHERS)
    wants = encoder.reader.wants
    vectors = []
    for name in names:
        sound = read_sound(
            data_dir / "clips" / name, hz=wants.sound_hz, num_windows=wants.num_windows, window_ms=wants.window_ms
        )
        vectors.append(vector(encoder, Clip(frames=None, sound=sound, sound_hz=sound.hz, duration_ms=1)))
    raw = cosines(vectors)
    assert raw[:8, :8].min() > 0.995
    assert raw[:8, 8:].max() < 0.95
    others = np.stack([vectors[4], *vectors[8:]])
    standardised = cosines(list((np.stack(vectors) - others.mean(axis=0)) / (others.std(axis=0) + 1e-3)))
    assert standardised[:8, :8].min() > 0.97
    assert standardised[:8, 8:].max() < 0.6


def test_volume_changes_nothing_but_the_loudness(encoder):
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.05, 5 * HZ) * (1 + np.sin(np.arange(5 * HZ) / 3000))
    quiet, loud = (encoder.encode([encoder.reader.read(clip_of(samples * gain))])[0] for gain in (0.25, 2.0))
    assert quiet.tokens_TD[:, :-1] == pytest.approx(loud.tokens_TD[:, :-1], abs=1e-4)
    assert (quiet.tokens_TD[:, -1] < loud.tokens_TD[:, -1]).all()
    assert np.ptp(loud.tokens_TD[:, -1]) == 0
    assert cosines([encoder.pool(quiet), encoder.pool(loud)])[0, 1] > 0.97


def test_tokens_follow_the_clip(encoder):
    times = np.arange(20 * HZ) / HZ
    samples = np.sin(2 * np.pi * np.where(times < 10, 300, 3000) * times) * 0.2
    reading = encoder.reader.read(clip_of(samples))
    (tokens,) = encoder.encode([reading])
    assert tokens.tokens_TD.shape == (10, encoder.token_width)
    assert tokens.tokens_TD.dtype == np.float32
    assert tokens.times_ms_T.tolist() == list(range(1000, 20_000, 2000))
    bands = tokens.tokens_TD[:, :32].argmax(axis=1)
    assert (bands[:5] < 10).all()
    assert (bands[5:] > 18).all()
    assert encoder.pool(tokens).shape == (encoder.width,) == (3 * encoder.token_width,)


def test_silence_is_something_and_no_sound_is_nothing(encoder):
    silent = vector(encoder, clip_of(np.zeros(HZ)))
    assert np.isfinite(silent).all()
    assert silent[encoder.token_width - 1] == -1
    assert vector(encoder, clip_of(np.full(300, 0.1))).shape == silent.shape
    assert encoder.reader.read(Clip(frames=None, sound=None, sound_hz=0, duration_ms=1)) == {}
    assert encoder.encode([]) == []


def test_another_sampling_rate_gives_nearly_the_same(encoder):
    times = np.arange(4 * 48_000) / 48_000
    samples = np.sin(2 * np.pi * 500 * times) * (0.3 + 0.2 * np.sin(2 * np.pi * 3 * times))
    vectors = [vector(encoder, clip_of(samples, 48_000)), vector(encoder, clip_of(samples[::3]))]
    assert cosines(vectors)[0, 1] > 0.999


def test_the_reader_can_be_sent_and_says_what_it_wants():
    reader = SoundReader(num_bands=24)
    assert SoundReader(**json.loads(json.dumps(asdict(reader)))) == reader
    assert reader.wants.join(Wants(num_frames=8, num_windows=3, window_ms=10_240)) == Wants(
        num_frames=8, sound_hz=16_000, num_windows=10, window_ms=10_240
    )
    assert SoundEncoder(reader).fingerprint == SoundEncoder(replace(reader)).fingerprint
    assert SoundEncoder(reader).fingerprint != SoundEncoder(SoundReader()).fingerprint


def test_settings_and_names_that_do_not_exist_are_refused():
    with pytest.raises(ConfigError, match="needs num_windows >= 1 and window_ms >= 100, got 0 and 2000"):
        SoundReader(num_windows=0)
    with pytest.raises(ConfigError, match=r"num_bands of the mel spectrum must be in 1\.\.40, got 0"):
        SoundReader(num_bands=0)
    with pytest.raises(
        ConfigError, match="unknown sound encoder 'mel:nice'; known: mel:stats, or a hub name or a folder"
    ):
        load_sound_encoder("mel:nice")
