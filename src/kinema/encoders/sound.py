"""Sound: statistics of the log-mel spectrum of a few windows of a clip. Nothing here is learned.

The numbers tell speech from music from noise, bright from dull and calm from busy, whatever the volume: the clip is
brought to one level first, and how loud it was is kept as one number of each token.

Shape suffixes: T windows, D width of a token, S samples.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.modality import Clip, ClipEncoder, Reader, Tokens, Wants
from kinema.encoders.pooling import pool_segments
from kinema.errors import ConfigError
from kinema.media.sound import SOUND_VERSION
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

DEFAULT_SOUND: Final = "mel:stats"
_VERSION: Final = 1
_LOUDEST_GAIN: Final = 3.0
"""log10 of the gain a silent clip gets, so that its loudness is -1."""


@dataclass(frozen=True)
class SoundReader:
    """The half that runs where clips are decoded.

    Attributes:
        num_bands: Mel bands, 1..40.
        num_windows: T at most; windows are spread over the clip, >= 1.
        window_ms: Longest window, milliseconds; two seconds are enough to hear a rhythm, >= 100.
    """

    num_bands: int = 32
    num_windows: int = 10
    window_ms: int = 2000

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if self.num_windows < 1 or self.window_ms < 100:
            raise ConfigError(
                f"the sound reader needs num_windows >= 1 and window_ms >= 100, got {self.num_windows} and {self.window_ms}"
            )
        mel_filters(self.num_bands)

    @property
    def wants(self) -> Wants:
        """Sound, and no frames."""
        return Wants(sound_hz=SPECTRUM_HZ, num_windows=self.num_windows, window_ms=self.window_ms)

    @property
    def token_width(self) -> int:
        """D: mean and deviation of each band, the statistics, the loudness."""
        return 2 * self.num_bands + len(SOUND_STATISTICS) + 1

    def read(self, clip: Clip) -> dict[str, NDArray[Any]]:
        """Measure a clip's sound.

        Args:
            clip: The decoded clip.

        Returns:
            ``tokens`` float32 [T, D] and ``times_ms`` int64 [T], the windows' middles; empty for a clip without sound. A
            silent track is not without sound: that nothing is heard tells something.
        """
        if clip.sound is None:
            return {}
        windows = clip.sound.windows(self.num_windows, self.window_ms)
        heard = [resample(samples, from_hz=clip.sound.hz, to_hz=SPECTRUM_HZ) for _, samples in windows]
        gain = level_gain(np.concatenate(heard))
        loudness = 1.0 - 2.0 * (np.log10(gain) + 1.0) / (_LOUDEST_GAIN + 1.0)
        return {
            "tokens": np.stack([self._token(samples * np.float32(gain), loudness) for samples in heard]),
            "times_ms": np.array([time_ms for time_ms, _ in windows], dtype=np.int64),
        }

    def _token(self, samples_S: NDArray[np.float32], loudness: float) -> NDArray[np.float32]:
        """float32 [D]. Bands are taken against their mean, so that they say what a sound is and not how loud."""
        power_FK = power_spectrum(samples_S)
        bands_FB = log_mel(power_FK, num_bands=self.num_bands)
        mean_B = bands_FB.mean(axis=0)
        parts = [
            mean_B - mean_B.mean(),
            bands_FB.std(axis=0),
            sound_statistics(samples_S, power_FK, bands_FB),
            [loudness],
        ]
        return np.concatenate(parts).astype(np.float32)


class SoundEncoder:
    """Sound statistics as a modality; the work is done by the reader.

    Attributes:
        name: As in the configuration.
        fingerprint: Equal for equal vectors.
        token_width: D.
        width: Three times D: mean, deviation, maximum over time.
        reader: The half that measures.
    """

    def __init__(self, reader: SoundReader) -> None:
        self.name = DEFAULT_SOUND
        self.fingerprint = fingerprint({"sound": _VERSION, "decoding": SOUND_VERSION, **asdict(reader)})
        self.token_width = reader.token_width
        self.width = 3 * reader.token_width
        self.reader: Reader = reader

    def encode(self, readings: Sequence[dict[str, NDArray[Any]]]) -> list[Tokens]:
        """Tokens of clips that have sound.

        Args:
            readings: What the reader gave for each clip; none empty.

        Returns:
            One per clip, in order.
        """
        return [Tokens(reading["tokens"], reading["times_ms"]) for reading in readings]

    def pool(self, tokens: Tokens) -> NDArray[np.float32]:
        """float32 [width]: what lasts, how much it changes, what is strongest."""
        return pool_segments(tokens.tokens_TD, segments=(1,), statistics=("mean", "std", "max"))


def load_sound_encoder(name: str, *, device: str = "cpu", cache: Path | None = None) -> ClipEncoder:
    """The sound encoder of a name.

    Args:
        name: ``mel:stats``, or a folder or hub name of an Audio Spectrogram Transformer.
        device: A torch device, for a transformer.
        cache: Where hub downloads are kept; the hub's default where None.

    Returns:
        The encoder.

    Raises:
        ConfigError: The name leads to no checkpoint, or to one that does not hear.
        MissingExtraError: torch or transformers is not installed.
    """
    if name == DEFAULT_SOUND:
        return SoundEncoder(SoundReader())
    if name.startswith("mel:"):
        raise ConfigError(f"unknown sound encoder '{name}'; known: {DEFAULT_SOUND}, or a hub name or a folder")
    from kinema.encoders.audio_transformer import AudioTransformerEncoder  # noqa: PLC0415  # torch only where it is used

    return AudioTransformerEncoder.load(name, device=device, cache=cache)
