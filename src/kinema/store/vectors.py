"""Vector shards: a cache of vectors on disk that only grows, keyed by the content they were made from.

Each call of `append` writes one file, beside its place and then renamed, so that a process killed at any moment leaves
whole shards only. Vectors are read when asked for; only the keys are kept in memory.

Shape suffixes: N keys, D width.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psutil
from numpy.typing import NDArray

from kinema.errors import DataError, StaleArtifactError
from kinema.extras import require
from kinema.logs import get_logger

_SUFFIX: Final = ".safetensors"
_DAMAGED: Final = ".damaged"
_REMEDY: Final = "its vectors are made again by: kinema extract"


@dataclass(frozen=True)
class _Place:
    """Where a vector lies, and its quality."""

    shard: str
    row: int
    quality: float


class VectorShards:
    """The shards of one folder.

    A shard that cannot be read is set aside (its name ends in ``.damaged``) and its keys count as absent, so that the
    next extraction makes them again.

    Attributes:
        folder: The folder.
        width: D; None while there is no vector.
        damaged: Names of the shards that were set aside when the folder was opened.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     shards = VectorShards(Path(place))
        ...     added = shards.append(["a"], np.ones((1, 2), dtype=np.float32), [0.5])
        ...     shards.get(["b", "a"])
        (array([[0., 0.], [1., 1.]], dtype=float32), array([False,  True]), array([0. , 0.5], dtype=float32))
    """

    def __init__(self, folder: Path) -> None:
        require("safetensors")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.width: int | None = None
        self._places: dict[str, _Place] = {}
        self._remove_drafts()
        self.damaged = tuple(
            name for name in sorted(p.name for p in folder.glob(f"*{_SUFFIX}")) if not self._index(name)
        )

    def keys(self) -> set[str]:
        """All keys that have a vector."""
        return set(self._places)

    def __contains__(self, key: object) -> bool:
        """Whether a key has a vector."""
        return key in self._places

    def __len__(self) -> int:
        """Number of vectors."""
        return len(self._places)

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
        first = {key: row for row, key in reversed(list(enumerate(keys))) if key not in self._places}
        rows = sorted(first.values())
        if rows:
            names = [keys[row] for row in rows]
            self._write(names, vectors[rows], [round(float(quality_N[row]), 6) for row in rows])
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
        places = [self._places.get(key) for key in keys]
        vectors_ND = np.zeros((len(keys), self.width or 0), dtype=np.float32)
        by_shard: dict[str, list[int]] = {}
        for row, place in enumerate(places):
            if place is not None:
                by_shard.setdefault(place.shard, []).append(row)
        for shard, rows in by_shard.items():
            vectors = self._read(shard)
            vectors_ND[rows] = vectors[[place.row for row in rows if (place := places[row]) is not None]]
        present_N = np.array([place is not None for place in places], dtype=np.bool_)
        return vectors_ND, present_N, self.quality(keys)

    def quality(self, keys: Sequence[str]) -> NDArray[np.float32]:
        """float32 [N], quality of each key, 0 where absent; reads nothing from disk."""
        places = (self._places.get(key) for key in keys)
        return np.array([0.0 if place is None else place.quality for place in places], dtype=np.float32)

    def _write(self, keys: list[str], vectors: NDArray[np.float32], quality: list[float]) -> None:
        """One shard, named by its keys: two processes that did the same work write the same file."""
        saver = require("safetensors.numpy")
        name = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:20] + _SUFFIX
        metadata = {
            "keys": json.dumps(keys),
            "quality": json.dumps(quality),
            "crc32": str(zlib.crc32(vectors.tobytes())),
        }
        draft = self.folder / f".{name}.{os.getpid()}.draft"
        with draft.open("wb") as stream:
            stream.write(saver.save({"vectors": vectors}, metadata=metadata))
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self.folder / name)
        self._remember(name, keys, quality, vectors.shape[1])

    def _remember(self, shard: str, keys: Sequence[str], quality: Sequence[float], width: int) -> None:
        """Enter a shard's keys; a key that an earlier shard has stays there."""
        self.width = width
        for row, (key, value) in enumerate(zip(keys, quality, strict=True)):
            self._places.setdefault(key, _Place(shard, row, value))

    def _index(self, shard: str) -> bool:
        """Read the keys of a shard; False when it is damaged and was set aside."""
        try:
            with require("safetensors").safe_open(self.folder / shard, framework="numpy") as file:
                metadata = file.metadata()
                keys, quality = json.loads(metadata["keys"]), json.loads(metadata["quality"])
                rows, width = file.get_slice("vectors").get_shape()
            if len(keys) != rows or len(quality) != rows or self.width not in (None, width):
                raise ValueError(f"{len(keys)} keys and {len(quality)} qualities for {rows} vectors of width {width}")  # noqa: TRY301  # one way out for every kind of damage
        except Exception as error:  # noqa: BLE001  # safetensors raises classes of its own for each kind of damage
            self._set_aside(shard, str(error))
            return False
        self._remember(shard, keys, quality, width)
        return True

    def _read(self, shard: str) -> NDArray[np.float32]:
        """The vectors of a shard, compared with their checksum."""
        try:
            with require("safetensors").safe_open(self.folder / shard, framework="numpy") as file:
                vectors = np.asarray(file.get_tensor("vectors"), dtype=np.float32)
                expected = int(file.metadata()["crc32"])
            why = "" if zlib.crc32(vectors.tobytes()) == expected else "its checksum differs"
        except Exception as error:  # noqa: BLE001  # the same
            vectors, why = np.zeros((0, 0), dtype=np.float32), str(error)
        if why:
            self._set_aside(shard, why)
            self._places = {key: place for key, place in self._places.items() if place.shard != shard}
            raise StaleArtifactError(
                f"vector shard '{shard}' of '{self.folder.name}' must be as it was written, {why}; it was set aside, {_REMEDY}"
            )
        return vectors

    def _set_aside(self, shard: str, why: str) -> None:
        """Rename a damaged shard, so that it is neither read again nor lost for a look."""
        get_logger("store").warning(
            "vector shard set aside", shard=shard, folder=self.folder.name, why=why, remedy=_REMEDY
        )
        path = self.folder / shard
        if path.exists():
            path.replace(path.with_name(shard + _DAMAGED))

    def _remove_drafts(self) -> None:
        """Drop half-written files of processes that are gone."""
        for draft in self.folder.glob(".*.draft"):
            writer = draft.name.split(".")[-2]
            if not writer.isdigit() or not psutil.pid_exists(int(writer)):
                draft.unlink(missing_ok=True)
