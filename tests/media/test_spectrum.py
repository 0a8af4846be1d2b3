"""The spectrum against the libraries' formulas, and statistics against sounds whose answer is known."""

import numpy as np
import pytest
import torch
from transformers.audio_utils import mel_filter_bank

from kinema.errors import ConfigError
from kinema.media.spectrum import (
    SOUND_STATISTICS,
    SPECTRUM_HZ,
    level_gain,
    log_mel,
    mel_filters,
    power_spectrum,
    resample,
    sound_statistics,
)

TIMES = np.arange(2 * SPECTRUM_HZ) / SPECTRUM_HZ


def tone(hz):
    return (0.1 * np.sqrt(2) * np.sin(2 * np.pi * hz * TIMES)).astype(np.float32)


def noise(seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, len(TIMES)).astype(np.float32)


def clicks(per_second):
    """Short bursts of noise at a steady beat."""
    since = (TIMES + 0.1) % (1 / per_second)
    return (noise() * np.exp(-since * 60) * 4).astype(np.float32)


def statistics(samples):
    samples = samples * np.float32(level_gain(samples))
    power = power_spectrum(samples)
    values = sound_statistics(samples, power, log_mel(power, num_bands=32))
    return dict(zip(SOUND_STATISTICS, values.tolist(), strict=True))


def test_the_spectrum_is_that_of_torch():
    samples = noise()
    window = torch.hann_window(512, periodic=True, dtype=torch.float64)
    spectrum = torch.stft(
        torch.from_numpy(samples).double(), 512, 256, window=window, center=False, return_complex=True
    )
    expected = (spectrum.abs() ** 2 / (window**2).sum()).T.numpy()
    assert power_spectrum(samples) == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert power_spectrum(samples[:100]).shape == (1, 257)


def test_the_filters_are_those_of_the_htk_formula():
    expected = mel_filter_bank(
        num_frequency_bins=257,
        num_mel_filters=32,
        min_frequency=60.0,
        max_frequency=7000.0,
        sampling_rate=16_000,
        norm=None,
        mel_scale="htk",
    )
    assert mel_filters(32) == pytest.approx(expected, abs=1e-9)


def test_a_tone_lands_in_its_band():
    bands = log_mel(power_spectrum(tone(1000)), num_bands=32)
    centres_hz = 16_000 / 2 * np.argmax(mel_filters(32), axis=0) / 256
    assert centres_hz[bands.mean(axis=0).argmax()] == pytest.approx(1000, rel=0.1)
    assert bands.min() >= 0


def test_statistics_say_what_is_heard():
    low, high, hiss = statistics(tone(200)), statistics(tone(4000)), statistics(noise())
    assert low["centre"] < hiss["centre"] < high["centre"]
    assert low["crossings"] < high["crossings"]
    assert hiss["spread"] > 3 * low["spread"]
    assert low["tilt"] > 0 > high["tilt"]
    assert low["onsets"] == low["pulse"] == 0
    slow, fast = statistics(clicks(2)), statistics(clicks(6))
    assert slow["onsets"] == pytest.approx(0.2, abs=0.05)
    assert fast["onsets"] == pytest.approx(0.6, abs=0.1)
    assert slow["pulse"] > 0.5 > hiss["pulse"]
    assert fast["syllables"] > 0.5
    half = noise() * (TIMES > 1)
    assert statistics(half)["silence"] == pytest.approx(0.5, abs=0.02)
    assert all(abs(value) <= 2 for value in (*slow.values(), *hiss.values(), *statistics(0 * half).values()))


def test_the_level_is_brought_to_one():
    assert level_gain(tone(500)) == pytest.approx(1.0, abs=1e-3)
    assert level_gain(tone(500) * 0.01) == pytest.approx(100, rel=1e-3)
    assert level_gain(np.zeros(9, dtype=np.float32)) == level_gain(np.zeros(0, dtype=np.float32)) == 1000


def test_resampling_keeps_the_tone():
    samples = resample(tone(440), from_hz=16_000, to_hz=8000)
    assert len(samples) == len(TIMES) // 2
    assert samples[1000:-1000] == pytest.approx(tone(440)[::2][1000:-1000], abs=2e-3)
    assert resample(samples, from_hz=8000, to_hz=8000) is samples


@pytest.mark.parametrize("num_bands", [0, 200])
def test_more_bands_than_bins_are_refused(num_bands):
    with pytest.raises(ConfigError, match=rf"num_bands of the mel spectrum must be in 1\.\.40, got {num_bands}"):
        mel_filters(num_bands)
