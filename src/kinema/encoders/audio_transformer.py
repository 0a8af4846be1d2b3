"""An Audio Spectrogram Transformer of the transformers library as a sound encoder: the heavy alternative to statistics.

Source:
    Gong, Chung, Glass: AST: Audio Spectrogram Transformer, Interspeech 2021. Ours brings each clip to one level first, and
    takes the network's summary (the mean of its two summary tokens) of each window as a token.

Shape suffixes: T windows, N windows of several clips, L frames of the spectrogram, M mel bands, S samples, D width.
"""

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.devices import check_device
from kinema.encoders.modality import Clip, Reader, Tokens, Wants
from kinema.encoders.pooling import pool_segments
from kinema.encoders.weights import load_pretrained, weights_digest
from kinema.errors import ConfigError
from kinema.extras import require
from kinema.media.sound import SOUND_VERSION
from kinema.media.spectrum import level_gain, resample
from kinema.threads import set_thread_policy

_VERSION: Final = 1
_KIND: Final = "audio-spectrogram-transformer"
_HOP_MS: Final = 10
_LEAST_MS: Final = 100
_BATCH: Final = 4
"""Windows per forward pass: the base model has 1,214 tokens per window, and larger batches are no faster on a CPU."""


@dataclass(frozen=True)
class WaveReader:
    """The half that runs where clips are decoded: windows of levelled samples.

    Attributes:
        hz: Sampling rate the model was trained at.
        num_windows: T at most; each costs a forward pass, >= 1.
        window_ms: Longest window, milliseconds: what the model was trained on.
    """

    hz: int = 16_000
    num_windows: int = 3
    window_ms: int = 10_240

    @property
    def wants(self) -> Wants:
        """Sound, and no frames."""
        return Wants(sound_hz=self.hz, num_windows=self.num_windows, window_ms=self.window_ms)

    def read(self, clip: Clip) -> dict[str, NDArray[Any]]:
        """Cut a clip's sound into windows.

        Args:
            clip: The decoded clip.

        Returns:
            ``samples`` float32 of all windows end to end, ``lengths`` int64 [T] and ``times_ms`` int64 [T], the windows'
            middles; empty for a clip without sound.
        """
        if clip.sound is None:
            return {}
        windows = clip.sound.windows(self.num_windows, self.window_ms)
        heard = [resample(samples, from_hz=clip.sound.hz, to_hz=self.hz) for _, samples in windows]
        samples_S = np.concatenate(heard)
        return {
            "samples": samples_S * np.float32(level_gain(samples_S)),
            "lengths": np.array([len(one) for one in heard], dtype=np.int64),
            "times_ms": np.array([time_ms for time_ms, _ in windows], dtype=np.int64),
        }


class AudioTransformerEncoder:
    """A loaded Audio Spectrogram Transformer; get one from `kinema.encoders.sound.load_sound_encoder`.

    Attributes:
        name: As in the configuration.
        fingerprint: Equal for equal vectors.
        token_width: D, the model's width.
        width: Twice D: mean and maximum over the windows.
        reader: The half that decodes.
    """

    def __init__(self, *, name: str, model: Any, extractor: Any, device: str, num_windows: int = 3) -> None:
        if model.config.model_type != _KIND:
            raise ConfigError(f"sound encoder '{name}' must be an {_KIND}, is {model.config.model_type}")
        expected = (model.config.max_length, model.config.num_mel_bins)
        given = (getattr(extractor, "max_length", None), getattr(extractor, "num_mel_bins", None))
        if given != expected:
            raise ConfigError(
                f"the feature extractor of sound encoder '{name}' must give {expected} frames and mel bands, gives {given}; "
                "save the model's own preprocessor_config.json there again"
            )
        reader = WaveReader(hz=int(extractor.sampling_rate), num_windows=num_windows, window_ms=expected[0] * _HOP_MS)
        self.name = name
        self.token_width = int(model.config.hidden_size)
        self.width = 2 * self.token_width
        self.reader: Reader = reader
        self.fingerprint = fingerprint(
            {
                "audio_transformer": _VERSION,
                "decoding": SOUND_VERSION,
                "weights": weights_digest(model.state_dict()),
                "extractor": extractor.to_dict(),
                **asdict(reader),
            }
        )
        self._model = model.eval().to(device)
        self._extractor = extractor
        self._device = device
        self._hz = reader.hz

    @classmethod
    def load(cls, name: str, *, device: str, cache: Path | None) -> "AudioTransformerEncoder":
        """Load a folder or hub name; see `kinema.encoders.sound.load_sound_encoder`."""
        set_thread_policy()
        check_device(device)
        transformers = require("transformers")
        model = load_pretrained(
            transformers.AutoModel.from_pretrained, name, dtype=torch.float32, role="sound", cache_dir=cache
        )
        with warnings.catch_warnings():
            # The published models have 128 mel bands of which the lowest hold no frequency; they were trained like that.
            warnings.filterwarnings("ignore", message="At least one mel filter has all zero values")
            extractor = load_pretrained(
                transformers.AutoFeatureExtractor.from_pretrained, name, role="sound", cache_dir=cache
            )
        return cls(name=name, model=model, extractor=extractor, device=device)

    def encode(self, readings: Sequence[dict[str, NDArray[Any]]]) -> list[Tokens]:
        """Encode the windows of several clips, in batches over all of them.

        Args:
            readings: What the reader gave for each clip; none empty.

        Returns:
            One per clip, in order. Tokens have length 1; they do not depend on the other clips (to 1e-5).
        """
        windows = [window for reading in readings for window in self._windows(reading)]
        parts = [self._forward(windows[start : start + _BATCH]) for start in range(0, len(windows), _BATCH)]
        tokens_ND = np.concatenate(parts) if parts else np.zeros((0, self.token_width), dtype=np.float32)
        counts = np.cumsum([0, *(len(reading["lengths"]) for reading in readings)])
        return [
            Tokens(tokens_ND[counts[place] : counts[place + 1]], reading["times_ms"])
            for place, reading in enumerate(readings)
        ]

    def _windows(self, reading: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """One clip's windows, float32 [S] each; the shortest are filled up with silence, a spectrogram needs a frame."""
        least = self._hz * _LEAST_MS // 1000
        parts = np.split(reading["samples"], np.cumsum(reading["lengths"])[:-1])
        return [np.pad(part, (0, max(0, least - len(part)))) for part in parts]

    def _forward(self, windows: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """float32 [N, D], unit rows."""
        values_NLM = self._extractor(windows, sampling_rate=self._hz, return_tensors="pt")["input_values"]
        with torch.inference_mode():
            summary_ND = self._model(values_NLM.to(self._device)).pooler_output.float()
            return np.asarray(torch.nn.functional.normalize(summary_ND, dim=1).cpu().numpy(), dtype=np.float32)

    def pool(self, tokens: Tokens) -> NDArray[np.float32]:
        """float32 [width]: what lasts and what is heard once. A deviation over three windows would be noise."""
        return pool_segments(tokens.tokens_TD, segments=(1,), statistics=("mean", "max"))
