"""Clips become tokens and vectors: processes decode and read, threads encode, this thread feeds both and fills the cache.

The three overlap. Bounded numbers of clips are on their way at any moment, so memory does not grow with the catalogue and
whoever is slowest, decoding or encoding, gets the processors. Each clip is claimed before it is decoded: several processes
can share one catalogue.

Shape suffixes: T moments, D width.
"""

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kinema.artifacts import fingerprint
from kinema.encoders.clip_modality import ClipModality, Pooled
from kinema.encoders.clip_passes import goes_along
from kinema.encoders.clip_pictures import PictureFolder
from kinema.encoders.clip_readers import BegunReading, ClipReaders
from kinema.encoders.clip_worker import TAIL, ClipReading, ClipRequest
from kinema.errors import StaleArtifactError
from kinema.media.sampling import Mode
from kinema.progress import Progress
from kinema.store.claims import Claims, SharedWork

_FLUSH_CLIPS: Final = 128
"""Clips between two writes to disk: what a crash can cost, some ten seconds. Fewer make many small files, and reading a large
catalogue slow."""
_POOL_CLIPS: Final = 256
NO_POSTER: Final = "no poster"
"""In the place of a modality, for the reason why there is no poster."""
_TAIL: Final = "the item keeps its vectors"
_AHEAD: Final = 4
"""Clips that wait for each decoding process."""


@dataclass(frozen=True)
class ClipSettings:
    """How clips are read and encoded.

    Attributes:
        max_seconds: Only so much of the beginning is looked at, seconds.
        max_pixels: Largest frame that is decoded.
        timeout_s: A clip that takes longer is given up, seconds.
        memory_mb: A clip that takes more is given up.
        workers: Decoding processes; 0 decodes in this process.
        batch_clips: Clips that are encoded together.
        encode_threads: Encoders that run at once.
        pictures: Folder of posters and preview strips; None for none.
        sampling: Which frames are taken.
        begun: A clip that is being read already; None for none.
    """

    max_seconds: float
    max_pixels: int
    timeout_s: float
    memory_mb: int
    workers: int
    batch_clips: int
    encode_threads: int
    pictures: Path | None = None
    sampling: Mode = "even"
    begun: BegunReading | None = None

    @property
    def most_on_the_way(self) -> int:
        """Clips that are decoded, wait, or are encoded."""
        return _AHEAD * max(1, self.workers) + 2 * self.batch_clips * self.encode_threads

    def picture_folder(self) -> PictureFolder | None:
        """Where posters lie, and which cannot be had under these limits."""
        if self.pictures is None:
            return None
        limits = [self.max_seconds, self.max_pixels, self.timeout_s, self.memory_mb]
        return PictureFolder(self.pictures, fingerprint(limits))


@dataclass
class ClipOutcome:
    """What became of the clips.

    Attributes:
        reasons: Content key -> modality -> why there is nothing.
        made: Modality -> keys whose vectors this run has made.
    """

    reasons: dict[str, dict[str, str]] = field(default_factory=dict)
    made: dict[str, set[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Done:
    """One clip after its encoders: what each modality made of it, and what went wrong."""

    key: str
    pooled: dict[str, Pooled] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    undrawn: str | None = None


class ClipRun:
    """One pass over the clips that lack something.

    Args:
        modalities: Name -> encoder and cache.
        settings: How clips are read.
        claims: Of this process, on the folder of the cache.
        along: Name -> what else is made of clips that are decoded for the modalities, where that needs no further pass over
            the file. A clip that has none of it lacks nothing, and one that cannot have it is none the worse.
    """

    def __init__(
        self,
        modalities: Mapping[str, ClipModality],
        *,
        settings: ClipSettings,
        claims: Claims,
        along: Mapping[str, ClipModality] | None = None,
    ) -> None:
        self._modalities = dict(modalities)
        self._along = dict(along or {})
        self._settings = settings
        self._claims = claims
        self._pictures = settings.picture_folder()
        self._outcome = ClipOutcome(made={name: set() for name in modalities})

    def run(self, files: Mapping[str, tuple[str, Path]], *, progress: Progress) -> ClipOutcome:
        """Bring the cache up to these clips; returns when each has its vectors or a reason, whoever made them.

        Args:
            files: Content key -> (name for errors, file).
            progress: Told after each group of clips.

        Returns:
            What became of them.
        """
        self._pool_again(files, progress=progress)
        lacking = [key for key in files if key not in self._outcome.reasons and not self._is_done(key)]
        work = SharedWork(lacking, claims=self._claims, is_done=self._is_done, refresh=self._refresh)
        if lacking:
            with _few_torch_threads(self._settings):
                self._run(work, files, progress=progress)
            self._pool_again(
                files, progress=progress
            )  # another process may have been killed between tokens and vectors
        self._tell_undrawn(files)
        return self._outcome

    def _is_done(self, key: str) -> bool:
        drawn = self._pictures is None or key in self._pictures
        return drawn and all(key in one.vectors.index for one in self._modalities.values())

    def _tell_undrawn(self, files: Mapping[str, tuple[str, Path]]) -> None:
        """A reason for each clip that has all but a poster."""
        if self._pictures is None:
            return
        for key in files:
            why = self._pictures.reason(key)
            if why and key not in self._outcome.reasons:
                self._outcome.reasons[key] = {NO_POSTER: f"no poster: {why.replace(TAIL, _TAIL)}"}

    def _refresh(self) -> None:
        for one in (*self._modalities.values(), *self._along.values()):
            one.refresh()

    def _pool_again(self, files: Mapping[str, tuple[str, Path]], *, progress: Progress) -> None:
        """Vectors from tokens that are there: the pooling is another, or a process ended between the two."""
        for name, one in self._modalities.items():
            again = [
                key
                for key in files
                if key in one.tokens.index
                and key not in one.vectors.index
                and name not in self._outcome.reasons.get(key, {})
            ]
            work = SharedWork(again, claims=self._claims, is_done=one.vectors.index.__contains__, refresh=one.refresh)
            while not work.finished:
                keys = work.take(_POOL_CLIPS)
                try:
                    kept = one.tokens.get(keys)
                except StaleArtifactError:
                    work.settle(keys)
                    break  # the damaged shard was set aside; its clips now lack tokens and are decoded again
                done = []
                for row, key in enumerate(keys):
                    outcome = one.pool_kept(files[key][0], *kept.of(row), quality=float(kept.quality_N[row]))
                    done.append(_done(key, name, outcome))
                self._write(done, only_vectors=True)
                work.settle(keys)
                progress(work.num_done, work.total, f"{name} pooled")
                if not keys and not work.finished:
                    work.wait()

    def _run(self, work: SharedWork, files: Mapping[str, tuple[str, Path]], *, progress: Progress) -> None:
        """Feed the readers, collect from the encoders, write."""
        settings, on_the_way = self._settings, 0
        ready: list[_Done] = []
        results: queue.SimpleQueue[Future[list[_Done]]] = queue.SimpleQueue()
        readers = ClipReaders(num_workers=settings.workers, timeout_s=settings.timeout_s, memory_mb=settings.memory_mb)
        with ThreadPoolExecutor(settings.encode_threads, "kinema-encode", _begin_thread(settings)) as encoders, readers:
            while not work.finished:
                while on_the_way + settings.batch_clips <= settings.most_on_the_way:
                    keys = work.take(settings.batch_clips)
                    if not keys:
                        break
                    self._start(keys, files, readers=readers, encoders=encoders, results=results)
                    on_the_way += len(keys)
                if on_the_way:
                    done = results.get().result()
                    on_the_way -= len(done)
                    ready.extend(done)
                if len(ready) >= _FLUSH_CLIPS or not on_the_way:
                    self._write(ready)
                    work.settle([one.key for one in ready])
                    ready.clear()
                progress(work.num_done + len(ready), work.total, "clips")
                if not on_the_way and not work.available and not work.finished:
                    work.wait()

    def _start(
        self,
        keys: Sequence[str],
        files: Mapping[str, tuple[str, Path]],
        *,
        readers: ClipReaders,
        encoders: ThreadPoolExecutor,
        results: "queue.SimpleQueue[Future[list[_Done]]]",
    ) -> None:
        """Have a group of clips read, and encoded when the last of them is there."""
        requests = [self._request(key, *files[key]) for key in keys]
        begun = self._settings.begun
        futures = [(begun and begun.answer(one)) or readers.submit(one) for one in requests]
        lock, missing = threading.Lock(), [len(futures)]

        def arrived(_: Future[ClipReading]) -> None:
            with lock:
                missing[0] -= 1
                if missing[0]:
                    return
            if not any(future.cancelled() for future in futures):
                readings = [future.result() for future in futures]
                encoders.submit(self._encode, keys, files, readings).add_done_callback(results.put)

        for future in futures:
            future.add_done_callback(arrived)

    def _request(self, key: str, name: str, path: Path) -> ClipRequest:
        """What is lacking of a clip."""
        readers = {
            modality: one.encoder.reader for modality, one in self._modalities.items() if key not in one.tokens.index
        }
        for beside, one in self._along.items():
            if key not in one.tokens.index and goes_along(one.encoder.reader, readers):
                readers[beside] = one.encoder.reader
        return ClipRequest(
            path=str(path),
            name=name,
            readers=readers,
            sampling=self._settings.sampling,
            max_seconds=self._settings.max_seconds,
            max_pixels=self._settings.max_pixels,
            decode_seconds=self._settings.timeout_s / 2,
            pictures=None if self._settings.pictures is None else (str(self._settings.pictures), key),
        )

    def _encode(
        self, keys: Sequence[str], files: Mapping[str, tuple[str, Path]], readings: Sequence[ClipReading]
    ) -> list[_Done]:
        """All that a group of clips lacks."""
        done = [
            _Done(key, reasons=dict(reading.reasons), undrawn=reading.undrawn)
            for key, reading in zip(keys, readings, strict=True)
        ]
        for modality, one in (self._modalities | self._along).items():
            rows = [row for row, reading in enumerate(readings) if modality in reading.arrays]
            names = [files[keys[row]][0] for row in rows]
            quality = [readings[row].quality[modality] for row in rows]
            outcomes = one.encode(names, [readings[row].arrays[modality] for row in rows], quality)
            for row, outcome in zip(rows, outcomes, strict=True):
                if isinstance(outcome, str):
                    done[row].reasons[modality] = outcome
                else:
                    done[row].pooled[modality] = outcome
        return done

    def _write(self, done: Sequence[_Done], *, only_vectors: bool = False) -> None:
        """Put clips into the caches, tokens first: vectors can be made again from them."""
        for one in done:
            reasons = {modality: why for modality, why in one.reasons.items() if modality not in self._along}
            if reasons:
                self._outcome.reasons.setdefault(one.key, {}).update(reasons)
            if self._pictures is not None and one.undrawn is not None:
                self._pictures.remember(one.key, one.undrawn)
        for modality, cache in (self._modalities | self._along).items():
            rows = [(one.key, one.pooled[modality]) for one in done if modality in one.pooled]
            if rows:
                cache.append(rows, only_vectors=only_vectors)
                self._outcome.made.setdefault(modality, set()).update(key for key, _ in rows)


def _done(key: str, modality: str, outcome: Pooled | str) -> _Done:
    if isinstance(outcome, str):
        return _Done(key, reasons={modality: outcome})
    return _Done(key, pooled={modality: outcome})


def _threads_each(settings: ClipSettings) -> int:
    """Threads of torch for each encoder that runs."""
    return max(1, (os.cpu_count() or 1) // settings.encode_threads)


def _begin_thread(settings: ClipSettings) -> Callable[[], None]:
    """What an encoding thread does first: torch keeps its number of threads for each thread apart."""

    def begin() -> None:
        torch: Any = sys.modules.get("torch")
        if torch is not None and settings.encode_threads > 1:
            torch.set_num_threads(_threads_each(settings))

    return begin


@contextmanager
def _few_torch_threads(settings: ClipSettings) -> Iterator[None]:
    """Give torch back the threads it had; encoders that need no torch do not load it."""
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 0
    try:
        yield
    finally:
        if torch is not None and settings.encode_threads > 1:
            torch.set_num_threads(before)
