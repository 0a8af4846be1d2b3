"""One modality of clips with its cache: what an encoder says of each moment, and one vector per clip made of that.

The two are kept apart. Tokens belong to the encoder; vectors to the encoder and the way its tokens are pooled, so that
another pooling makes new vectors without decoding anything.

Shape suffixes: T moments, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.clip_passes import wants_pictures
from kinema.encoders.modality import ClipEncoder, Tokens
from kinema.encoders.pooling import Pooling
from kinema.media.sampling import SAMPLING_VERSION, Mode
from kinema.store.tokens import TokenShards
from kinema.store.vectors import VectorShards

_PLAIN = "plain"


@dataclass(frozen=True)
class Pooled:
    """One clip in one modality, ready for the cache.

    Attributes:
        tokens_TD: float16; T is 0 where the clip has nothing for the modality.
        times_ms_T: int64.
        vector: float32 [D of the vector], zeros where T is 0.
        quality: In [0, 1], 0 where T is 0.
    """

    tokens_TD: NDArray[np.float16]
    times_ms_T: NDArray[np.int64]
    vector: NDArray[np.float32]
    quality: float


class ClipModality:
    """An encoder, its pooling and its cache.

    Args:
        folder: Of the features; the modality gets a folder in it for each encoder.
        modality: Its name.
        encoder: The encoder.
        pooling: Another way to the vector than the encoder's own.
        max_seconds: How much of each clip is looked at: part of what tokens depend on.
        sampling: Which frames are taken; the same, for modalities of pictures.

    Attributes:
        encoder: The encoder.
        encoder_fingerprint: Equal for equal tokens.
        fingerprint: Equal for equal vectors.
        tokens: Their cache.
        vectors: Their cache.
    """

    def __init__(
        self,
        folder: Path,
        modality: str,
        encoder: ClipEncoder,
        *,
        pooling: Pooling | None,
        max_seconds: float,
        sampling: Mode = "even",
    ) -> None:
        self.encoder = encoder
        self.encoder_fingerprint = _token_fingerprint(encoder, max_seconds=max_seconds, sampling=sampling)
        pooled = _PLAIN if pooling is None else pooling.fingerprint
        self.fingerprint = fingerprint({"tokens": self.encoder_fingerprint, "pooling": pooled})
        place = folder / f"{modality}-{self.encoder_fingerprint}"
        self.tokens = TokenShards(place / "tokens")
        self.vectors = VectorShards(place / f"vectors-{pooled}")
        self._modality = modality
        self._pool = encoder.pool if pooling is None else pooling.pool
        nothing = Tokens(np.zeros((1, encoder.token_width), np.float32), np.zeros(1, np.int64))
        self._width = encoder.width if pooling is None else len(pooling.pool(nothing))

    def refresh(self) -> None:
        """See what other processes have written."""
        self.tokens.index.refresh()
        self.vectors.index.refresh()

    def encode(
        self, names: Sequence[str], arrays: Sequence[Mapping[str, NDArray[Any]]], quality: Sequence[float]
    ) -> list[Pooled | str]:
        """Encode clips together; where that fails each alone, so that a clip that cannot be encoded costs itself.

        Args:
            names: How errors call them.
            arrays: From the encoder's reader.
            quality: Of each.

        Returns:
            What goes into the cache, or the reason why nothing can.
        """
        there = [row for row, one in enumerate(arrays) if one]
        outcomes: list[Pooled | str] = [self._nothing() for _ in arrays]
        try:
            tokens = self.encoder.encode([dict(arrays[row]) for row in there]) if there else []
            for row, one in zip(there, tokens, strict=True):
                outcomes[row] = self._pooled(names[row], one, quality[row])
        except Exception as error:  # noqa: BLE001  # encoders are anybody's code, and the other clips go on
            if len(there) == 1:
                outcomes[there[0]] = self._reason(names[there[0]], f"{type(error).__name__}: {error}")
            else:
                for row in there:
                    outcomes[row] = self.encode([names[row]], [arrays[row]], [quality[row]])[0]
        return outcomes

    def pool_kept(
        self, name: str, tokens_TD: NDArray[np.float16], times_ms_T: NDArray[np.int64], *, quality: float
    ) -> Pooled | str:
        """The vector of tokens from the cache, or the reason why there is none."""
        if not len(times_ms_T):
            return self._nothing()
        try:
            return self._pooled(name, Tokens(tokens_TD.astype(np.float32), times_ms_T), quality)
        except Exception as error:  # noqa: BLE001  # the same
            return self._reason(name, f"{type(error).__name__}: {error}")

    def append(self, rows: Sequence[tuple[str, Pooled]], *, only_vectors: bool = False) -> None:
        """Write clips to disk, under their keys."""
        if not only_vectors:
            fresh = [(key, one) for key, one in rows if key not in self.tokens.index]
            self.tokens.append(
                [key for key, _ in fresh],
                [one.tokens_TD for _, one in fresh],
                [one.times_ms_T for _, one in fresh],
                [one.quality for _, one in fresh],
            )
        vectors = np.stack([one.vector for _, one in rows])
        self.vectors.append([key for key, _ in rows], vectors, [one.quality for _, one in rows])

    def _pooled(self, name: str, tokens: Tokens, quality: float) -> Pooled | str:
        """Round the tokens as they are kept, then pool: vectors made again from the cache are the same bit for bit."""
        shape = tokens.tokens_TD.shape
        if len(shape) != 2 or not 0 < shape[0] == len(tokens.times_ms_T) or shape[1] != self.encoder.token_width:
            return self._reason(
                name,
                f"tokens must be [T, {self.encoder.token_width}] for {len(tokens.times_ms_T)} times, are {list(shape)}",
            )
        with np.errstate(over="ignore"):
            kept_TD = tokens.tokens_TD.astype(np.float16)
        if not np.isfinite(kept_TD).all():
            return self._reason(name, "tokens must be finite in half precision, are not")
        times_ms_T = np.asarray(tokens.times_ms_T, dtype=np.int64)
        vector = np.asarray(self._pool(Tokens(kept_TD.astype(np.float32), times_ms_T)), dtype=np.float32)
        if vector.shape != (self._width,) or not np.isfinite(vector).all():
            return self._reason(name, f"its vector must be {self._width} finite numbers, is {list(vector.shape)}")
        return Pooled(kept_TD, times_ms_T, vector, quality)

    def _nothing(self) -> Pooled:
        """Looked at, nothing to see: kept, so that the clip is not decoded again for it."""
        tokens = np.zeros((0, self.encoder.token_width), dtype=np.float16)
        return Pooled(tokens, np.zeros(0, np.int64), np.zeros(self._width, np.float32), 0.0)

    def _reason(self, name: str, why: str) -> str:
        return f"cannot encode '{name}' ({self._modality}): {why}"


def _token_fingerprint(encoder: ClipEncoder, *, max_seconds: float, sampling: Mode) -> str:
    """Equal for equal tokens of equal files; even sampling is not named, for it was the only one once."""
    reader: Any = encoder.reader
    frames = SAMPLING_VERSION if sampling == "even" else [SAMPLING_VERSION, sampling]
    return fingerprint(
        {
            "encoder": encoder.fingerprint,
            "reader": [
                type(reader).__qualname__,
                asdict(reader) if is_dataclass(reader) and not isinstance(reader, type) else None,
            ],
            "max_seconds": max_seconds,
            "sampling": frames if wants_pictures(reader.wants) else None,
        }
    )
