"""Vector shards: a cache of vectors on disk that only grows, keyed by the content they were made from.

Vectors are memory-mapped and read when asked for.

Shape suffixes: N keys, D width.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.store.shard_files import Shard, ShardFolder

_VECTORS = "vectors"
_CRC = "crc32"


class VectorShards:
    """The vectors of one folder; damaged shards are treated as `kinema.store.shard_files.ShardFolder` says.

    Attributes:
        folder: The folder.
        index: Which keys are there, and of what quality; after its `refresh` also those that other processes added.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     shards = VectorShards(Path(place))
        ...     added = shards.append(["a"], np.ones((1, 2), dtype=np.float32), [0.5])
        ...     shards.get(["b", "a"])
        (array([[0., 0.], [1., 1.]], dtype=float32), array([False,  True]), array([0. , 0.5], dtype=float32))
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._verified: set[str] = set()
        self.index = ShardFolder(folder, check=self._check)

    @property
    def width(self) -> int | None:
        """D; None while there is no vector."""
        return self.index.width

    def append(
        self, keys: Sequence[str], vectors_ND: NDArray[np.float32], quality_N: Sequence[float] | NDArray[np.floating]
    ) -> int:
        """Add vectors as one shard; when it returns they are durable. Keys that are known are left as they are.

        Args:
            keys: N keys.
            vectors_ND: float32 [N, D].
            quality_N: N numbers in [0, 1].

        Returns:
            How many were new.

        Raises:
            DataError: Lengths differ, the width is not that of the folder, or a number is not finite.
        """
        vectors = np.ascontiguousarray(vectors_ND, dtype=np.float32)
        if vectors.ndim != 2 or not len(keys) == len(vectors) == len(quality_N):
            raise DataError(
                f"vectors must have one row and one quality per key, got {len(keys)} keys, vectors {list(vectors.shape)}, "
                f"{len(quality_N)} qualities"
            )
        if self.width not in (None, vectors.shape[1]):
            raise DataError(f"vectors of '{self.folder.name}' must have width {self.width}, got {vectors.shape[1]}")
        if not np.isfinite(vectors).all():
            row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise DataError(f"vectors must be finite, the one of key '{keys[row]}' in row {row} is not")
        first = {key: row for row, key in reversed(list(enumerate(keys))) if key not in self.index}
        rows = sorted(first.values())
        if rows:
            chosen = np.ascontiguousarray(vectors[rows])
            self.index.write(
                [keys[row] for row in rows],
                [round(float(quality_N[row]), 6) for row in rows],
                {_VECTORS: chosen},
                width=vectors.shape[1],
                **{_CRC: str(zlib.crc32(chosen.tobytes()))},
            )
        return len(rows)

    def get(self, keys: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
        """Read vectors.

        Args:
            keys: N keys, in any order, known or not, repeated or not.

        Returns:
            float32 [N, D] with zero rows where absent (D is 0 in an empty folder), bool [N] whether present, and
            float32 [N] quality, 0 where absent.

        Raises:
            StaleArtifactError: A shard turned out to be damaged; it has been set aside.
        """
        vectors_ND = np.zeros((len(keys), self.width or 0), dtype=np.float32)
        present_N = np.zeros(len(keys), dtype=np.bool_)
        for name, (numbers, rows) in self.index.by_shard(keys).items():
            vectors_ND[numbers], present_N[numbers] = self._read(name)[rows], True
        return vectors_ND, present_N, self.index.quality(keys)

    def _read(self, name: str) -> NDArray[np.float32]:
        """The vectors of a shard, mapped; compared with their checksum the first time."""
        shard = self.index.open(name)
        vectors_ND: NDArray[np.float32] = shard.arrays[_VECTORS]
        if name not in self._verified:
            if zlib.crc32(vectors_ND.data) != int(shard.metadata[_CRC]):
                raise self.index.set_aside(name, "its checksum differs")
            self._verified.add(name)
        return vectors_ND

    @staticmethod
    def _check(shard: Shard) -> int:
        """Width of a shard's vectors, of which there must be one per key."""
        rows, width = shard.arrays[_VECTORS].shape
        if len(shard.keys) != rows:
            raise ValueError(f"{len(shard.keys)} keys for {rows} vectors")
        return int(width)
