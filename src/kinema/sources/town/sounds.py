"""How a clip sounds: one of five timbres and rhythms, in a pitch, tempo and loudness of the clip's own, over hiss.

Nothing about a sound depends on what the clip shows, and nothing in the picture on what it sounds like.

Shape suffixes: N samples of a clip, M samples of one tone.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.sources.town.rules import SOUNDS

RATE_HZ: Final = 16_000

Tone = NDArray[np.float64]


def _times(seconds: float) -> Tone:
    """float64 [M], seconds from the beginning of a tone."""
    return np.arange(round(seconds * RATE_HZ)) / RATE_HZ


def _bell(pitch_hz: float, rng: np.random.Generator) -> Tone:
    """Struck metal: partials that are no multiples of each other, the high ones gone first."""
    times_M = _times(1.2)
    partials = ((1.0, 1.0, 2.5), (2.76, 0.6, 4.0), (5.4, 0.4, 7.0), (8.93, 0.2, 10.0))
    del rng
    return np.asarray(
        sum(
            share * np.exp(-fade * times_M) * np.sin(2 * np.pi * ratio * pitch_hz * times_M)
            for ratio, share, fade in partials
        )
    )


def _drum(pitch_hz: float, rng: np.random.Generator) -> Tone:
    """A falling thump and a burst of noise."""
    times_M = _times(0.25)
    fall_M = 0.35 * pitch_hz * np.exp(-18 * times_M)
    thump_M = np.sin(2 * np.pi * np.cumsum(fall_M) / RATE_HZ) * np.exp(-14 * times_M)
    return np.asarray(thump_M + 0.5 * rng.standard_normal(len(times_M)) * np.exp(-40 * times_M))


def _drone(pitch_hz: float, rng: np.random.Generator) -> Tone:
    """A low organ that never stops: a fifth over the ground, eight harmonics each, beating slowly."""
    times_M = _times(1.1)
    tone_M = np.zeros(len(times_M))
    for ground in (0.25, 0.3755):
        for harmonic in range(1, 9):
            phase = 2 * np.pi * rng.random()
            tone_M += np.sin(2 * np.pi * ground * pitch_hz * harmonic * times_M + phase) / harmonic
    return np.asarray(0.6 * tone_M * np.minimum(1.0, 12 * np.minimum(times_M, times_M[::-1])))


def _chirp(pitch_hz: float, rng: np.random.Generator) -> Tone:
    """A bird: a short rising whistle."""
    times_M = _times(float(rng.uniform(0.08, 0.16)))
    rise_M = 4.0 * pitch_hz * (1.0 + 0.8 * times_M / times_M[-1])
    return np.asarray(np.sin(2 * np.pi * np.cumsum(rise_M) / RATE_HZ) * np.hanning(len(times_M)))


def _pluck(pitch_hz: float, rng: np.random.Generator) -> Tone:
    """A string: harmonics that fade together, at the notes of a chord."""
    times_M = _times(0.5)
    note_hz = 0.6 * pitch_hz * float(rng.choice([1.0, 1.25, 1.5, 2.0]))
    return np.asarray(
        sum(
            np.exp(-(5 + harmonic) * times_M) * np.sin(2 * np.pi * harmonic * note_hz * times_M) / harmonic
            for harmonic in range(1, 11)
        )
    )


_PLAYED: Final[dict[str, tuple[Callable[[float, np.random.Generator], Tone], float, float]]] = {
    "bell": (_bell, 0.9, 0.1),
    "drum": (_drum, 0.4, 0.0),
    "drone": (_drone, 1.0, 0.0),
    "chirp": (_chirp, 0.3, 0.6),
    "pluck": (_pluck, 0.28, 0.05),
}
"""Sound -> its tone, seconds from one to the next, and how uneven these are."""


def draw_sound(sound: int, *, seconds: float, seed: int) -> NDArray[np.float32]:
    """Draw the sound track of a clip.

    Args:
        sound: Number in `SOUNDS`.
        seconds: Length.
        seed: Of pitch, tempo, loudness, hiss.

    Returns:
        float32 [N], mono, in [-1, 1], at `RATE_HZ`.
    """
    rng = np.random.default_rng(seed)
    tone, step, uneven = _PLAYED[SOUNDS[sound]]
    step *= rng.uniform(0.8, 1.25)
    pitch_hz = 440.0 * 2.0 ** rng.uniform(-0.5, 0.5)
    track_N = np.zeros(round(seconds * RATE_HZ))
    now = rng.random() * step - step
    while now < seconds:
        one_M = tone(pitch_hz * 2.0 ** rng.uniform(-0.1, 0.1), rng)
        start = round(now * RATE_HZ)
        first = max(start, 0)
        last = max(first, min(start + len(one_M), len(track_N)))
        track_N[first:last] += one_M[first - start : last - start]
        now += step * rng.uniform(1.0 - uneven, 1.0 + uneven)
    loudness = rng.uniform(0.15, 0.5) / max(float(np.abs(track_N).max()), 1e-9)
    hiss_N = rng.uniform(0.002, 0.02) * rng.standard_normal(len(track_N))
    return np.clip(loudness * track_N + hiss_N, -1.0, 1.0).astype(np.float32)
