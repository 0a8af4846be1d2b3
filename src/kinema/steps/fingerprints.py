"""The fingerprints of a project's clips: made once per file content.

Shape suffixes: N files, T moments, D width of a token.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.modality import Clip, Tokens
from kinema.encoders.picture_hash import PictureHash
from kinema.errors import KinemaError, MissingExtraError
from kinema.extras import require
from kinema.media.sampling import SAMPLING_VERSION, sample_frames
from kinema.progress import Progress
from kinema.store.vectors import VectorShards

_FLUSH: Final = 32
_READ: Final = 512


@dataclass(frozen=True)
class Fingerprints:
    """A cache of fingerprints by content key.

    Attributes:
        folder: For content keys, and a folder for each kind of fingerprint.
        encoder: Makes them.
        max_seconds: Only so much of each clip's beginning is looked at.
        max_pixels: Largest frame that is decoded.
    """

    folder: Path
    encoder: PictureHash
    max_seconds: float
    max_pixels: int

    def shards(self) -> VectorShards:
        """Where they lie. One row is the number of moments, their times, and the tokens."""
        parts = {"encoder": self.encoder.fingerprint, "sampling": SAMPLING_VERSION, "max_seconds": self.max_seconds}
        return VectorShards(self.folder / f"{self.encoder.name}-{fingerprint(parts)}")

    def make(
        self, files: Mapping[str, tuple[str, Path]], shards: VectorShards, *, workers: int, progress: Progress
    ) -> dict[str, str]:
        """Make what is lacking; every few clips are written, so a run that is stopped goes on where it was.

        Args:
            files: Content key -> (name for errors, file).
            shards: From `shards`.
            workers: Clips decoded at once, >= 1.
            progress: Told after each clip.

        Returns:
            Content key -> reason, for the clips that cannot be read.

        Raises:
            MissingExtraError: PyAV or OpenCV is not installed.
        """
        for module in ("av", "cv2"):
            require(module)
        lacking = [key for key in files if key not in shards]
        failed: dict[str, str] = {}
        with ThreadPoolExecutor(workers, thread_name_prefix="kinema-fingerprints") as threads:
            for start in range(0, len(lacking), _FLUSH):
                some = lacking[start : start + _FLUSH]
                made: dict[str, tuple[NDArray[np.float32], float]] = {}
                for key, row in zip(some, threads.map(lambda key: self._row(*files[key]), some), strict=True):
                    if isinstance(row, str):
                        failed[key] = row
                    else:
                        made[key] = row
                    progress(start + len(made) + len(failed), len(lacking), "fingerprints")
                if made:
                    shards.append(
                        list(made), np.stack([row for row, _ in made.values()]), [q for _, q in made.values()]
                    )
        return failed

    def tokens(self, shards: VectorShards, keys: Sequence[str]) -> list[Tokens]:
        """Read fingerprints that are there."""
        most = self.encoder.reader.num_frames
        rows_NX = shards.get(keys)[0]
        return [
            Tokens(row[1 + most :].reshape(most, -1)[: int(row[0])], row[1 : 1 + int(row[0])].astype(np.int64))
            for row in rows_NX
        ]

    def vectors(self, shards: VectorShards, keys: Sequence[str]) -> NDArray[np.float32]:
        """float32 [N, width], the coarse vectors; fingerprints are read a few hundred at a time."""
        vectors_ND = np.zeros((len(keys), self.encoder.width), dtype=np.float32)
        for start in range(0, len(keys), _READ):
            some = self.tokens(shards, keys[start : start + _READ])
            vectors_ND[start : start + len(some)] = [self.encoder.pool(one) for one in some]
        return vectors_ND

    def _row(self, name: str, path: Path) -> tuple[NDArray[np.float32], float] | str:
        """One clip as a row and its quality, or why it cannot be read."""
        reader = self.encoder.reader
        try:
            frames = sample_frames(
                path,
                num_frames=reader.num_frames,
                num_pairs=0,
                max_side=reader.wants.max_side,
                max_seconds=self.max_seconds,
                max_pixels=self.max_pixels,
                name=name,
            )
            (tokens,) = self.encoder.encode([reader.read(Clip(frames, None, 0, frames.duration_ms))])
        except MissingExtraError:
            raise
        except KinemaError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  # a surprise in one clip must not end the others
            return f"cannot read '{name}': {type(error).__name__}: {error}"
        num, most = len(tokens.times_ms_T), reader.num_frames
        row = np.zeros(1 + most + most * self.encoder.token_width, dtype=np.float32)
        row[0], row[1 : 1 + num] = num, tokens.times_ms_T
        row[1 + most : 1 + most + tokens.tokens_TD.size] = tokens.tokens_TD.ravel()
        return row, frames.quality
