"""How a stretch of sound sounds, in numbers: log-mel bands, brightness, change, rhythm, silence. Nothing is learned.

All of it is computed on sound that was brought to one level first (`level_gain`), so that the same recording at another
volume gives the same numbers.

Shape suffixes: S samples, F frames of the spectrum, B mel bands, K frequency bins.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError

SPECTRUM_HZ: Final = 16_000
"""Sampling rate that the frame sizes below are made for."""
FRAME_SAMPLES: Final = 512
HOP_SAMPLES: Final = 256
LOW_HZ: Final = 60.0
HIGH_HZ: Final = 7000.0
"""Codecs at low bit rates cut what is above, each elsewhere."""
TARGET_RMS: Final = 0.1

SOUND_STATISTICS: Final = (
    "level",
    "silence",
    "centre",
    "spread",
    "tilt",
    "flux",
    "crossings",
    "onsets",
    "pulse",
    "beat_slow",
    "beat",
    "syllables",
    "roughness",
)
"""Names of what `sound_statistics` returns."""

_MAX_GAIN: Final = 1000.0
_FLOOR_POWER: Final = 1e-7
_SILENT_SHARE: Final = 1e-4
_ONSET_LEAST: Final = 0.1
_BEATS_HZ: Final = ((0.5, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 16.0))


def level_gain(samples_S: NDArray[np.float32]) -> float:
    """Factor that brings a clip's sound to one level.

    Args:
        samples_S: float32 [S], all of the clip that is looked at, so that loud and quiet moments keep their difference.

    Returns:
        > 0; at most 60 dB, so that the noise of a silent track does not become music.

    Example:
        >>> round(level_gain(np.full(100, 0.05, dtype=np.float32)), 3)
        2.0
    """
    rms = float(np.sqrt(np.mean(np.square(samples_S, dtype=np.float64)))) if len(samples_S) else 0.0
    return min(TARGET_RMS / rms, _MAX_GAIN) if rms > 0 else _MAX_GAIN


def resample(samples_S: NDArray[np.float32], *, from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """Bring sound to another sampling rate.

    Args:
        samples_S: float32 [S].
        from_hz: Its rate.
        to_hz: The wanted rate.

    Returns:
        float32 [S * to_hz / from_hz], rounded up; the same array where the rates are equal.
    """
    if from_hz == to_hz or len(samples_S) == 0:
        return samples_S
    from scipy.signal import resample_poly  # noqa: PLC0415  # half a second at the start of each decoding process

    divisor = int(np.gcd(from_hz, to_hz))
    return np.asarray(resample_poly(samples_S, to_hz // divisor, from_hz // divisor), dtype=np.float32)


@lru_cache(maxsize=4)
def mel_filters(num_bands: int) -> NDArray[np.float64]:
    """Triangular filters, evenly spaced on the mel scale, each with a peak of 1.

    Args:
        num_bands: B, >= 1; up to about 40 every band has a frequency bin of its own.

    Returns:
        float64 [K, B], not to be written to.

    Raises:
        ConfigError: There are more bands than the bins can tell apart.

    Source:
        The mel scale of O'Shaughnessy (1987), 2595 log10(1 + f / 700), as in HTK.
    """
    bins_K = np.fft.rfftfreq(FRAME_SAMPLES, 1.0 / SPECTRUM_HZ)
    edges = np.linspace(_mel(LOW_HZ), _mel(HIGH_HZ), num_bands + 2)
    edges_hz = 700.0 * (10.0 ** (edges / 2595.0) - 1.0)
    low, middle, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_K[:, None] - low) / (middle - low)
    falling = (high - bins_K[:, None]) / (high - middle)
    filters_KB = np.maximum(0.0, np.minimum(rising, falling))
    if num_bands < 1 or not filters_KB.any(axis=0).all():
        raise ConfigError(f"num_bands of the mel spectrum must be in 1..40, got {num_bands}")
    filters_KB.flags.writeable = False
    return filters_KB


def _mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))


def power_spectrum(samples_S: NDArray[np.float32]) -> NDArray[np.float64]:
    """Short-time power spectrum.

    Args:
        samples_S: float32 [S] at `SPECTRUM_HZ`; filled up with zeros to one frame.

    Returns:
        float64 [F, K], F = 1 + (S - 512) // 256, K = 257: Hann windows of 32 ms, 16 ms apart, |rfft|^2 divided by the sum
        of the squared window, so that a bin of white noise has the noise's mean power.
    """
    if len(samples_S) < FRAME_SAMPLES:
        samples_S = np.pad(samples_S, (0, FRAME_SAMPLES - len(samples_S)))
    frames = np.lib.stride_tricks.sliding_window_view(samples_S, FRAME_SAMPLES)[::HOP_SAMPLES]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES)
    spectrum_FK = np.fft.rfft(frames * window, axis=1)
    return np.asarray((spectrum_FK.real**2 + spectrum_FK.imag**2) / np.sum(window**2))


def log_mel(power_FK: NDArray[np.float64], *, num_bands: int) -> NDArray[np.float64]:
    """Log-mel spectrum.

    Args:
        power_FK: float64 [F, K] of `power_spectrum`.
        num_bands: B.

    Returns:
        float64 [F, B], in units of 10 dB, 0 for the floor: 50 dB under the level a clip is brought to. Lower powers are what codecs
        leave of silence, each in its own way.
    """
    filters_KB = mel_filters(num_bands)
    mean_FB = power_FK @ (filters_KB / filters_KB.sum(axis=0))
    return np.asarray(np.log10(np.maximum(mean_FB, _FLOOR_POWER) / _FLOOR_POWER))


def sound_statistics(
    samples_S: NDArray[np.float32], power_FK: NDArray[np.float64], log_mel_FB: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What one window sounds like beside its bands.

    Args:
        samples_S: float32 [S], levelled.
        power_FK: Its power spectrum.
        log_mel_FB: Its log-mel spectrum.

    Returns:
        float64 [len(SOUND_STATISTICS)], about -1..1 each: level against the whole clip, share of silence, centre of
        the spectrum and its spread in mel bands, low against high, flux, zero crossings, onsets per second, how regular they are, and the
        share of four ranges of rhythm: .5-2, 2-4, 4-8 (speech has its syllables there), 8-16 Hz.
    """
    power_F = power_FK.mean(axis=1)
    silent_F = power_F < _SILENT_SHARE * TARGET_RMS**2
    level = np.log10(max(float(power_F.mean()), _FLOOR_POWER) / TARGET_RMS**2) / 3
    share_B = np.maximum(10.0**log_mel_FB - 1.0, 0.0).mean(axis=0)
    place_B = np.linspace(-1.0, 1.0, log_mel_FB.shape[1])
    share_B = share_B / share_B.sum() if share_B.sum() > 0 else np.full(len(share_B), 1 / len(share_B))
    centre = float(share_B @ place_B)
    spread = float(np.sqrt(share_B @ (place_B - centre) ** 2))
    half = log_mel_FB.shape[1] // 2
    tilt = float(log_mel_FB[:, :half].mean() - log_mel_FB[:, half:].mean()) / 3
    rise_F = np.maximum(np.diff(log_mel_FB, axis=0), 0.0).mean(axis=1)
    flux = float(rise_F.mean()) if len(rise_F) else 0.0
    crossings = float(np.mean(np.diff(np.signbit(samples_S)))) if len(samples_S) > 1 else 0.0
    rhythm = _rhythm(rise_F)
    return np.array([level, silent_F.mean(), centre, spread, tilt, 4 * flux, 2 * crossings, *rhythm])


def _rhythm(rise_F: NDArray[np.float64]) -> list[float]:
    """Onsets, pulse, four shares; zeros where nothing moves."""
    if len(rise_F) < 8 or float(rise_F.max()) < _ONSET_LEAST:
        return [0.0] * (2 + len(_BEATS_HZ))
    per_second = SPECTRUM_HZ / HOP_SAMPLES
    limit = max(_ONSET_LEAST, float(rise_F.mean() + rise_F.std()))
    peaks = (rise_F[1:-1] > limit) & (rise_F[1:-1] >= rise_F[:-2]) & (rise_F[1:-1] > rise_F[2:])
    onsets = float(peaks.sum()) / len(rise_F) * per_second
    moving_F = rise_F - rise_F.mean()
    spectrum = np.abs(np.fft.rfft(moving_F * np.hanning(len(moving_F)))) ** 2
    rates_hz = np.fft.rfftfreq(len(moving_F), 1 / per_second)
    parts = [float(spectrum[(rates_hz >= low) & (rates_hz < high)].sum()) for low, high in _BEATS_HZ]
    return [onsets / 10, _pulse(moving_F, per_second), *(part / max(sum(parts), 1e-12) for part in parts)]


def _pulse(moving_F: NDArray[np.float64], per_second: float) -> float:
    """Highest autocorrelation at 60 to 240 beats per minute, 0..1."""
    whole = np.correlate(moving_F, moving_F, mode="full")[len(moving_F) - 1 :]
    lags = whole[int(per_second * 0.25) : int(per_second) + 1]
    return max(0.0, float(lags.max() / whole[0])) if len(lags) and whole[0] > 0 else 0.0
