"""Clips become vectors: processes decode and measure motion, this one runs the frame encoder and fills the cache.

Shape suffixes: T frames, D width.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.clip_readers import read_clips
from kinema.encoders.clip_worker import ClipReading, ClipRequest
from kinema.encoders.motion import MotionEncoder
from kinema.encoders.pooling import pool_segments
from kinema.encoders.vision import FrameEncoder
from kinema.extras import require
from kinema.media.sampling import PAIR_MS, SAMPLING_VERSION
from kinema.progress import Progress
from kinema.store.vectors import VectorShards

NUM_PAIRS: Final = 8
"""Pairs of frames that motion is measured on."""
_FLUSH_CLIPS: Final = 32
"""Clips between two writes to disk: what a crash can cost."""


@dataclass(frozen=True)
class ClipSettings:
    """How clips are read.

    Attributes:
        num_frames: Frames per clip.
        max_seconds: Only so much of the beginning is looked at, seconds.
        max_pixels: Largest frame that is decoded.
        timeout_s: A clip that takes longer is given up, seconds.
        workers: Decoding processes; 0 decodes in this process.
        batch_size: Pictures per forward pass of the frame encoder.
    """

    num_frames: int
    max_seconds: float
    max_pixels: int
    timeout_s: float
    workers: int
    batch_size: int


def frames_fingerprint(encoder: FrameEncoder, settings: ClipSettings) -> str:
    """Equal for equal frame vectors."""
    return fingerprint(
        {
            "encoder": encoder.fingerprint,
            "num_frames": settings.num_frames,
            "max_seconds": settings.max_seconds,
            "sampling": SAMPLING_VERSION,
            "pooling": "mean",
        }
    )


def motion_fingerprint(encoder: MotionEncoder, settings: ClipSettings) -> str:
    """Equal for equal motion vectors."""
    return fingerprint(
        {
            "encoder": encoder.fingerprint,
            "num_pairs": NUM_PAIRS,
            "pair_ms": PAIR_MS,
            "max_seconds": settings.max_seconds,
            "sampling": SAMPLING_VERSION,
        }
    )


def pool_frames(tokens_TD: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [D], one clip's frame vectors over time. The maximum beside the mean doubled the width and told nothing more."""
    return pool_segments(tokens_TD, segments=(1,), statistics=("mean",))


class ClipRun:
    """One pass over the clips that lack a vector.

    Args:
        frames: The frame encoder and its cache, None to leave frames out.
        motion: The motion encoder and its cache, None to leave motion out.
        settings: How clips are read.
    """

    def __init__(
        self,
        *,
        frames: tuple[FrameEncoder, VectorShards] | None,
        motion: tuple[MotionEncoder, VectorShards] | None,
        settings: ClipSettings,
    ) -> None:
        self._frames = frames
        self._motion = motion
        self._settings = settings
        self._pending: list[tuple[str, ClipReading]] = []

    def lacking(self, files: Mapping[str, tuple[str, Path]]) -> list[tuple[str, ClipRequest]]:
        """Requests for the clips that lack something.

        Args:
            files: Content key -> (name for errors, file).

        Returns:
            (key, request) in the order given.
        """
        requests = []
        for key, (name, path) in files.items():
            no_frames = self._frames is not None and key not in self._frames[1]
            no_motion = self._motion is not None and key not in self._motion[1]
            if no_frames or no_motion:
                request = ClipRequest(
                    path=str(path),
                    name=name,
                    num_frames=self._settings.num_frames if no_frames else 1,
                    num_pairs=NUM_PAIRS,
                    frame_side=self._frames[0].frame_side if self._frames and no_frames else None,
                    motion=self._motion[0] if self._motion and no_motion else None,
                    max_seconds=self._settings.max_seconds,
                    max_pixels=self._settings.max_pixels,
                )
                requests.append((key, request))
        return requests

    def run(self, requests: Sequence[tuple[str, ClipRequest]], *, progress: Progress) -> dict[str, str]:
        """Read, encode and store clips.

        Args:
            requests: From `lacking`.
            progress: Told after each clip.

        Returns:
            Content key -> reason, for the clips that failed.
        """
        failed: dict[str, str] = {}
        readings = read_clips(
            [request for _, request in requests], num_workers=self._settings.workers, timeout_s=self._settings.timeout_s
        )
        with _torch_threads(self._settings.workers) if self._frames else nullcontext():
            for done, ((key, _), reading) in enumerate(zip(requests, readings, strict=True), start=1):
                if reading.reason:
                    failed[key] = reading.reason
                else:
                    self._pending.append((key, reading))
                if len(self._pending) >= _FLUSH_CLIPS or done == len(requests):
                    self._flush()
                progress(done, len(requests), "clips")
        return failed

    def _flush(self) -> None:
        """Encode and write the waiting clips. A single picture gets motion of quality 0: looked at, nothing to see."""
        if self._frames is not None:
            waiting = [(key, reading) for key, reading in self._pending if "frames" in reading.arrays]
            if waiting:
                vectors = self._encode([reading.arrays["frames"] for _, reading in waiting])
                self._frames[1].append([key for key, _ in waiting], vectors, [one.quality for _, one in waiting])
        if self._motion is not None and self._pending:
            encoder, shards = self._motion
            nothing = np.zeros(encoder.width, dtype=np.float32)
            vectors = np.stack([reading.arrays.get("motion", nothing) for _, reading in self._pending])
            quality = [reading.quality if "motion" in reading.arrays else 0.0 for _, reading in self._pending]
            shards.append([key for key, _ in self._pending], vectors, quality)
        self._pending.clear()

    def _encode(self, clips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """float32 [clips, D]; pictures of several clips share a forward pass."""
        assert self._frames is not None
        encoder = self._frames[0]
        pictures = np.concatenate(clips)
        size = self._settings.batch_size
        tokens = np.concatenate([encoder.encode(pictures[at : at + size]) for at in range(0, len(pictures), size)])
        ends = np.cumsum([len(clip) for clip in clips])
        return np.stack([pool_frames(part) for part in np.split(tokens, ends[:-1])])


@contextmanager
def _torch_threads(workers: int) -> Iterator[None]:
    """Leave the decoding processes their cores while the frame encoder runs."""
    torch = require("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, max(1, (os.cpu_count() or 1) - workers)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
