"""A map of the catalogue in two dimensions, one for each version of the model, kept as an artefact.

Large catalogues are sampled: t-SNE of 3,000 items takes half a minute of one core, and more points than that are a cloud. Items that came
after the map was drawn are laid beside the mapped ones that they are most like, until the next version has a map of its own.

Shape suffixes: V catalogue, D width, S mapped items, N new ones.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import MANIFEST, read_manifest, write_artifact
from kinema.errors import KinemaError, NotBuiltError, StaleArtifactError
from kinema.extras import is_installed, require
from kinema.logs import get_logger
from kinema.seeds import generator
from kinema.serving.administration import CatalogueMap, MapState
from kinema.steps.locking import only_one
from kinema.steps.map_worker import PERPLEXITY, WIDTH

KIND: Final = "map"
FORMAT_VERSION: Final = 1
MOST_ITEMS: Final = 3000
MOST_NEW: Final = 500
MOST_MAPS: Final = 10
_NEAREST: Final = 3
_PAUSE_SECONDS: Final = 60.0
_WORKER_SECONDS: Final = 900.0
_LOG = get_logger("map")


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A map as it is kept: ids and positions of the mapped items, and how many items there were."""

    ids: tuple[str, ...]
    plane_S2: NDArray[np.float32]
    num_items: int


class MapDesk:
    """Draws maps in the background, one at a time, and keeps them.

    Args:
        artifacts: Of the project.
        seed: Of samples and maps.
        draw: Draws one; a process of its own unless a test says otherwise.
    """

    def __init__(
        self,
        artifacts: Path,
        *,
        seed: int,
        draw: Callable[[NDArray[np.float32], int], NDArray[np.float32]] | None = None,
    ) -> None:
        self._folder, self._seed, self._draw = artifacts / KIND, seed, draw or _drawn_elsewhere
        self._lock = threading.Lock()
        self._kept: tuple[str, _Drawn] | None = None
        self._thread: threading.Thread | None = None
        self._trouble: tuple[str, str, float] = ("", "", 0.0)

    def read(self, version: str, ids: Sequence[str], vectors_VD: NDArray[np.float32]) -> CatalogueMap:
        """The map of a version, or how far it is; one that is not there is begun.

        Args:
            version: Of the model.
            ids: Of every item.
            vectors_VD: Of every item, unit rows; zero rows where nothing is known.
        """
        drawn = self._load(version)
        if drawn is not None:
            numbers, plane_S2 = _placed(drawn, ids, vectors_VD)
            return CatalogueMap("ready", version, numbers, plane_S2)
        with self._lock:
            about, trouble, at = self._trouble
            if about == version and time.monotonic() - at < _PAUSE_SECONDS:
                return CatalogueMap("failed", version, trouble=trouble)
            if self._thread is None or not self._thread.is_alive():
                given = (version, tuple(ids), vectors_VD)
                self._thread = threading.Thread(target=self._make, args=given, name="kinema-map", daemon=True)
                self._thread.start()
        state: MapState = "computing"
        return CatalogueMap(state, version)

    def wait(self, seconds: float) -> None:
        """Until what was begun is done."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _load(self, version: str) -> _Drawn | None:
        if self._kept is not None and self._kept[0] == version:
            return self._kept[1]
        folder = self._folder / version
        try:
            manifest = read_manifest(folder, kind=KIND, format_version=FORMAT_VERSION, remedy="kinema serve")
            ids = tuple(json.loads((folder / "items.json").read_text(encoding="utf-8")))
            drawn = _Drawn(ids, np.load(folder / "plane.npy", allow_pickle=False), int(manifest.config["num_items"]))
        except (NotBuiltError, StaleArtifactError, OSError, ValueError, KeyError):
            return None
        self._kept = (version, drawn)
        return drawn

    def _make(self, version: str, ids: Sequence[str], vectors_VD: NDArray[np.float32]) -> None:
        try:
            with only_one(self._folder / ".lock", wait=True):
                if self._load(version) is None:
                    self._write(version, ids, vectors_VD)
        except Exception as error:  # noqa: BLE001  # a map that cannot be drawn ends no service
            told = str(error) if isinstance(error, KinemaError) else type(error).__name__
            _LOG.warning("the map of the catalogue could not be drawn", error=told)
            self._trouble = (version, told, time.monotonic())

    def _write(self, version: str, ids: Sequence[str], vectors_VD: NDArray[np.float32]) -> None:
        usable = np.flatnonzero(np.isfinite(vectors_VD).all(axis=1) & vectors_VD.any(axis=1))
        if len(usable) > MOST_ITEMS:
            usable = np.sort(generator(self._seed, "map").choice(usable, MOST_ITEMS, replace=False))
        plane_S2 = self._draw(np.ascontiguousarray(vectors_VD[usable], dtype=np.float32), self._seed)
        config = {"num_items": len(ids), "most_items": MOST_ITEMS, "width": WIDTH, "perplexity": PERPLEXITY}
        how = {"kind": KIND, "format_version": FORMAT_VERSION, "seed": self._seed, "parents": {"model": version}}
        with write_artifact(self._folder / version, config=config, **how) as draft:  # type: ignore[arg-type]  # named above
            (draft / "items.json").write_text(json.dumps([ids[one] for one in usable.tolist()]), encoding="utf-8")
            np.save(draft / "plane.npy", plane_S2, allow_pickle=False)
        kept = sorted(self._folder.glob(f"*/{MANIFEST}"), key=lambda path: path.stat().st_mtime_ns)
        for old in kept[:-MOST_MAPS]:
            shutil.rmtree(old.parent, ignore_errors=True)


def _placed(
    drawn: _Drawn, ids: Sequence[str], vectors_VD: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Numbers and positions of the mapped items, and of those that came later."""
    numbers = {name: number for number, name in enumerate(ids)}
    places = [place for place, name in enumerate(drawn.ids) if name in numbers]
    mapped = np.array([numbers[drawn.ids[place]] for place in places], dtype=np.int64)
    plane_S2 = drawn.plane_S2[places]
    new = np.arange(drawn.num_items, len(ids), dtype=np.int64)[-MOST_NEW:]
    new = new[vectors_VD[new].any(axis=1)]
    if not len(new) or not len(mapped):
        return mapped, plane_S2
    likeness_NS = vectors_VD[new] @ vectors_VD[mapped].T
    num = min(_NEAREST, len(mapped))
    nearest = np.argpartition(-likeness_NS, num - 1, axis=1)[:, :num]
    return np.concatenate([mapped, new]), np.concatenate([plane_S2, plane_S2[nearest].mean(axis=1)])


def _drawn_elsewhere(vectors_SD: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """`kinema.steps.map_worker.draw` in a process of its own, on one thread, so that answers do not wait for it."""
    if not is_installed("sklearn"):
        require("sklearn")
    with tempfile.TemporaryDirectory(prefix="kinema-map-") as place:
        source, target = Path(place) / "vectors.npy", Path(place) / "plane.npy"
        np.save(source, vectors_SD, allow_pickle=False)
        command = [sys.executable, "-m", "kinema.steps.map_worker", str(source), str(target), str(seed)]
        subprocess.run(  # noqa: S603  # our own command
            command,
            check=True,
            timeout=_WORKER_SECONDS,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        plane_S2: NDArray[np.float32] = np.load(target, allow_pickle=False)
        return plane_S2
