"""Token shards: what an encoder said of each moment of a clip, kept so that another pooling needs no decoding.

Clips have different numbers of moments; their tokens lie one after the other (ragged), as float16, which halves the
space and is finer than what encoders agree on between machines.

Shape suffixes: N keys, M moments of all of them, T moments of one, D width of a token.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.store.shard_files import Shard, ShardFolder

_TOKENS: Final = "tokens"
_TIMES: Final = "times_ms"
_OFFSETS: Final = "offsets"
_CRC: Final = "crc32"


@dataclass(frozen=True)
class RaggedTokens:
    """The moments of several clips, one clip after the other.

    Attributes:
        tokens_MD: float16 [M, D]; D is 0 where nothing is known.
        times_ms_M: int64 [M], from the beginning of each clip.
        offsets: int64 [N + 1]; clip n has the moments offsets[n] to offsets[n + 1], none where absent.
        quality_N: float32 [N] in [0, 1], 0 where absent.
    """

    tokens_MD: NDArray[np.float16]
    times_ms_M: NDArray[np.int64]
    offsets: NDArray[np.int64]
    quality_N: NDArray[np.float32]

    def __len__(self) -> int:
        """N."""
        return len(self.offsets) - 1

    def of(self, clip: int) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
        """[T, D] tokens and [T] times of one clip."""
        part = slice(int(self.offsets[clip]), int(self.offsets[clip + 1]))
        return self.tokens_MD[part], self.times_ms_M[part]

    def padded(self) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
        """One block for attention.

        Returns:
            float32 [N, T, D], int64 [N, T] times, and bool [N, T], True where there is a moment; zeros elsewhere. T is
            that of the longest clip, at least 1.

        Example:
            >>> two = RaggedTokens(np.ones((3, 2), np.float16), np.arange(3), np.array([0, 1, 3]), np.ones(2, np.float32))
            >>> two.padded()[2]
            array([[ True, False], [ True,  True]])
        """
        lengths = np.diff(self.offsets)
        there_NT = np.arange(max(1, int(lengths.max(initial=0)))) < lengths[:, None]
        tokens_NTD = np.zeros((*there_NT.shape, self.tokens_MD.shape[1]), dtype=np.float32)
        times_NT = np.zeros(there_NT.shape, dtype=np.int64)
        tokens_NTD[there_NT], times_NT[there_NT] = self.tokens_MD, self.times_ms_M
        return tokens_NTD, times_NT, there_NT


class TokenShards:
    """The tokens of one folder; damaged shards are treated as `kinema.store.shard_files.ShardFolder` says.

    The folder is opened when something of it is first asked for: most who get tokens never look at them.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def index(self) -> ShardFolder:
        """Which keys are there, and of what quality; after its `refresh` also those that other processes added.

        A key without a moment was looked at, too.
        """
        return ShardFolder(self.folder, check=self._check)

    @property
    def width(self) -> int | None:
        """D; None while there is no token."""
        return self.index.width

    def append(
        self,
        keys: Sequence[str],
        tokens: Sequence[NDArray[np.float16]],
        times_ms: Sequence[NDArray[np.int64]],
        quality_N: Sequence[float],
    ) -> None:
        """Add clips as one shard; when it returns they are durable.

        Args:
            keys: N keys, not known yet, without repeats.
            tokens: float16 [T, D] each; T is 0 for a clip that has nothing for this modality.
            times_ms: int64 [T] each.
            quality_N: N numbers in [0, 1].

        Raises:
            DataError: Lengths differ, the width is not that of the folder, or a number is not finite.
        """
        if not len(keys) == len(tokens) == len(times_ms) == len(quality_N):
            raise DataError(
                f"tokens must be one array with times and a quality per key, got {len(keys)} keys, {len(tokens)} arrays, "
                f"{len(times_ms)} times, {len(quality_N)} qualities"
            )
        if not keys:
            return
        width = self.width or tokens[0].shape[1]
        for key, one, times in zip(keys, tokens, times_ms, strict=True):
            if one.shape != (len(times), width):
                raise DataError(
                    f"tokens of key '{key}' must have shape [{len(times)}, {width}], have {list(one.shape)}"
                )
            if not np.isfinite(one).all():
                raise DataError(f"tokens must be finite in half precision, those of key '{key}' are not")
        arrays: dict[str, NDArray[Any]] = {
            _TOKENS: np.ascontiguousarray(np.concatenate(tokens), dtype=np.float16),
            _TIMES: np.concatenate(times_ms).astype(np.int64),
            _OFFSETS: np.cumsum([0, *(len(one) for one in times_ms)], dtype=np.int64),
        }
        arrays[_CRC] = np.array([_crc(arrays, row) for row in range(len(keys))], dtype=np.int64)
        self.index.write(keys, [round(float(one), 6) for one in quality_N], arrays, width=width)

    def get(self, keys: Sequence[str]) -> RaggedTokens:
        """Read tokens; only the rows of these keys are touched.

        Args:
            keys: N keys, in any order, known or not, repeated or not.

        Returns:
            Their tokens, in this order.

        Raises:
            StaleArtifactError: A shard turned out to be damaged; it has been set aside.
        """
        nothing = np.zeros((0, self.width or 0), dtype=np.float16), np.zeros(0, dtype=np.int64)
        parts = [nothing if place is None else self._row(place.shard, place.row) for place in self.index.places(keys)]
        return RaggedTokens(
            tokens_MD=np.concatenate([nothing[0], *(tokens for tokens, _ in parts)]),
            times_ms_M=np.concatenate([nothing[1], *(times for _, times in parts)]),
            offsets=np.cumsum([0, *(len(times) for _, times in parts)], dtype=np.int64),
            quality_N=self.index.quality(keys),
        )

    def lengths(self, keys: Sequence[str]) -> NDArray[np.int64]:
        """int64 [N], number of moments of each key, 0 where absent; reads no tokens."""
        found = np.zeros(len(keys), dtype=np.int64)
        for name, (numbers, rows) in self.index.by_shard(keys).items():
            found[numbers] = np.diff(self.index.open(name).arrays[_OFFSETS])[rows]
        return found

    def _row(self, name: str, row: int) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
        """One clip of a shard, compared with its checksum."""
        arrays = self.index.open(name).arrays
        if _crc(arrays, row) != int(arrays[_CRC][row]):
            raise self.index.set_aside(name, "its checksum differs")
        part = slice(int(arrays[_OFFSETS][row]), int(arrays[_OFFSETS][row + 1]))
        return arrays[_TOKENS][part], arrays[_TIMES][part]

    @staticmethod
    def _check(shard: Shard) -> int:
        """Width of a shard's tokens; its arrays must belong together."""
        arrays, clips = shard.arrays, len(shard.keys)
        moments, width = arrays[_TOKENS].shape
        whole = len(arrays[_TIMES]) == moments and len(arrays[_OFFSETS]) == clips + 1 and len(arrays[_CRC]) == clips
        if not whole or arrays[_OFFSETS][-1] != moments:
            raise ValueError(f"{clips} keys for {moments} tokens, which do not fit")
        return int(width)


def _crc(arrays: Mapping[str, NDArray[Any]], row: int) -> int:
    """Checksum of one clip's tokens and times."""
    part = slice(int(arrays[_OFFSETS][row]), int(arrays[_OFFSETS][row + 1]))
    return zlib.crc32(arrays[_TIMES][part].tobytes(), zlib.crc32(arrays[_TOKENS][part].tobytes()))
