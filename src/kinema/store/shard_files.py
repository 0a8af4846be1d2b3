"""Shard files: arrays keyed by content, in files that are written once, whole, and memory-mapped when they are read.

A shard is one safetensors file with the keys of its rows in its header. It is written beside its place and then renamed,
so that a process killed at any moment leaves whole shards only, and processes that share a folder see each other's.
"""

import hashlib
import json
import mmap
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, repeat
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kinema.drafts import own_draft, remove_left_drafts
from kinema.errors import StaleArtifactError
from kinema.extras import require
from kinema.logs import get_logger

_SUFFIX: Final = ".safetensors"
_DAMAGED: Final = ".damaged"
_DTYPES: Final = {"F32": np.float32, "F16": np.float16, "I64": np.int64}
_LENGTH_BYTES: Final = 8
_OPEN_MAPS: Final = 32
"""Shards kept mapped; each costs a file descriptor, of which a process has about a thousand."""
_CLOCK_NS: Final = 1_000_000_000
"""A folder that changed within this time may change again without a new time stamp."""
_REMEMBERED: Final = 8192
_REMEDY: Final = "its vectors are made again by: kinema extract"


class Place(NamedTuple):
    """Where the row of a key lies, and its quality in [0, 1]."""

    shard: str
    row: int
    quality: float


@dataclass(frozen=True)
class Shard:
    """A shard file as it lies in memory.

    Attributes:
        keys: One per row.
        quality: One number per row.
        arrays: Name -> array, read-only, backed by the file.
        metadata: What else the writer noted.
    """

    keys: tuple[str, ...]
    quality: tuple[float, ...]
    arrays: Mapping[str, NDArray[Any]]
    metadata: Mapping[str, str]


def map_shard(path: Path) -> Shard:
    """Map a shard file; only its header is read.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not a whole shard.
    """
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        start = _LENGTH_BYTES + length
        size = os.fstat(stream.fileno()).st_size
        if not 0 < length <= size - _LENGTH_BYTES:
            raise ValueError(f"a header of {length} bytes in a file of {size}")
        header: dict[str, Any] = json.loads(stream.read(length))
        metadata = header.pop("__metadata__")
        content = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))[start:]
    arrays, end = {}, 0
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        arrays[name] = np.frombuffer(content[first:last], dtype=_DTYPES[entry["dtype"]]).reshape(entry["shape"])
        end = max(end, last)
    if end != len(content):
        raise ValueError(f"{len(content)} bytes of arrays instead of {end}")
    keys, quality = tuple(json.loads(metadata.pop("keys"))), tuple(json.loads(metadata.pop("quality")))
    if len(keys) != len(quality):
        raise ValueError(f"{len(keys)} keys and {len(quality)} qualities")
    return Shard(keys, quality, arrays, metadata)


class _Entry(NamedTuple):
    """What is kept in memory of a shard."""

    keys: tuple[str, ...]
    quality: tuple[float, ...]
    width: int


_entries: dict[tuple[str, int, int], _Entry] = {}
"""Path, size and time of change -> what this process has read there before: a folder is opened more than once."""


class ShardFolder:
    """The shards of one folder and where each key lies; only the keys are kept in memory.

    A shard that cannot be read is set aside (its name ends in ``.damaged``) and its keys count as absent, so that the
    next extraction makes them again.

    Args:
        folder: Made if it is not there.
        check: Width of the rows of a shard; raises ValueError where its arrays do not belong together.

    Attributes:
        folder: The folder.
        width: Of the rows of all shards; None while there is none.
        damaged: Names of the shards that were set aside when the folder was opened.
    """

    def __init__(self, folder: Path, *, check: Callable[[Shard], int]) -> None:
        require("safetensors")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.width: int | None = None
        self.damaged: tuple[str, ...] = ()
        self._check = check
        self._places: dict[str, tuple[str, int, float]] = {}  # as a Place, but bare: there is one for each key
        self._known: set[str] = set()
        self._maps: OrderedDict[str, Shard] = OrderedDict()
        self._listed_ns = -1
        remove_left_drafts(folder)
        self.refresh()

    def keys(self) -> set[str]:
        """All keys that are there."""
        return set(self._places)

    def __contains__(self, key: object) -> bool:
        """Whether a key is there."""
        return key in self._places

    def __len__(self) -> int:
        """Number of keys."""
        return len(self._places)

    def places(self, keys: Sequence[str]) -> list[Place | None]:
        """Where keys lie, None where absent."""
        return [None if place is None else Place(*place) for place in map(self._places.get, keys)]

    def by_shard(self, keys: Sequence[str]) -> dict[str, tuple[list[int], list[int]]]:
        """Name of a shard -> places among the keys, and the rows of these in the shard; absent keys are left out."""
        found: dict[str, tuple[list[int], list[int]]] = {}
        for number, place in enumerate(map(self._places.get, keys)):
            if place is not None:
                shard, row, _ = place
                numbers, rows = found.setdefault(shard, ([], []))
                numbers.append(number)
                rows.append(row)
        return found

    def quality(self, keys: Sequence[str]) -> NDArray[np.float32]:
        """float32 [N], quality of each key, 0 where absent; reads nothing from disk."""
        found = map(self._places.get, keys)
        return np.array([0.0 if place is None else place[2] for place in found], dtype=np.float32)

    def refresh(self) -> None:
        """Enter the shards that other processes have written meanwhile."""
        changed_ns = self.folder.stat().st_mtime_ns
        if changed_ns == self._listed_ns:
            return
        self._listed_ns = changed_ns if time.time_ns() - changed_ns > _CLOCK_NS else -1
        names = {name for name in os.listdir(self.folder) if name.endswith(_SUFFIX)}  # noqa: PTH208  # ten times faster
        self.damaged += tuple(name for name in sorted(names - self._known) if not self._enter(name))

    def write(
        self,
        keys: Sequence[str],
        quality: Sequence[float],
        arrays: Mapping[str, NDArray[Any]],
        *,
        width: int,
        **metadata: str,
    ) -> None:
        """Add one shard of the folder's width; when this returns it is durable. It is named by its keys: who did the same writes the same file."""
        saver = require("safetensors.numpy")
        name = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:20] + _SUFFIX
        header = {"keys": json.dumps(list(keys)), "quality": json.dumps(list(quality)), **metadata}
        draft = own_draft(self.folder / name)
        with draft.open("wb") as stream:
            stream.write(saver.save(dict(arrays), metadata=header))
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self.folder / name)
        self._remember(name, _Entry(tuple(keys), tuple(quality), width))

    def open(self, name: str) -> Shard:
        """The shard of a name, mapped.

        Raises:
            StaleArtifactError: It cannot be read; it has been set aside.
        """
        if name in self._maps:
            self._maps.move_to_end(name)
            return self._maps[name]
        try:
            shard = map_shard(self.folder / name)
        except (OSError, ValueError, KeyError) as error:
            raise self.set_aside(name, str(error)) from error
        self._maps[name] = shard
        if len(self._maps) > _OPEN_MAPS:
            self._maps.popitem(last=False)
        return shard

    def set_aside(self, name: str, why: str) -> StaleArtifactError:
        """Rename a damaged shard, so that it is neither read again nor lost for a look; returns the error to raise."""
        get_logger("store").warning("shard set aside", shard=name, folder=self.folder.name, why=why, remedy=_REMEDY)
        path = self.folder / name
        if path.exists():
            path.replace(path.with_name(name + _DAMAGED))
        self._maps.pop(name, None)
        self._known.discard(name)
        self._places = {key: place for key, place in self._places.items() if place[0] != name}
        return StaleArtifactError(
            f"shard '{name}' of '{self.folder.name}' must be as it was written, {why}; it was set aside, {_REMEDY}"
        )

    def _enter(self, name: str) -> bool:
        """Read the keys of a shard; False when it is damaged and was set aside."""
        try:
            entry = self._read(self.folder / name)
        except (OSError, ValueError, KeyError) as error:
            self.set_aside(name, str(error))
            return False
        self._remember(name, entry)
        return True

    def _read(self, path: Path) -> _Entry:
        """What there is to know of a shard, which must have the width of the others."""
        facts = path.stat()
        mark = str(path), facts.st_size, facts.st_mtime_ns
        if mark not in _entries:
            if len(_entries) >= _REMEMBERED:
                _entries.clear()
            shard = map_shard(path)
            _entries[mark] = _Entry(shard.keys, shard.quality, self._check(shard))
        entry = _entries[mark]
        if self.width not in (None, entry.width):
            raise ValueError(f"rows of width {entry.width} among those of width {self.width}")
        return entry

    def _remember(self, name: str, entry: _Entry) -> None:
        """Enter a shard's keys; a key that an earlier shard has stays there."""
        self._known.add(name)
        self.width = entry.width
        entries = dict(zip(entry.keys, zip(repeat(name), count(), entry.quality), strict=True))
        for key in entries.keys() & self._places.keys():
            del entries[key]
        self._places.update(entries)
