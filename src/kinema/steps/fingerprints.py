"""The fingerprints of a project's clips: made once per file content, beside the vectors and by the same decoding processes.

An extraction makes them along with the vectors; what lacks, because the clips were encoded before or otherwise, is made
when copies are looked for.

Shape suffixes: N files, T moments, D width of a token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.encoders.clip_modality import ClipModality
from kinema.encoders.clip_vectors import ClipRun, ClipSettings
from kinema.encoders.modality import ClipEncoder, Tokens
from kinema.encoders.picture_hash import PictureHash, PictureReader
from kinema.extras import require
from kinema.media_settings import LimitSettings
from kinema.progress import Progress
from kinema.settings import Settings
from kinema.store.claims import Claims

NAME: Final = "picture_hash"
"""What the folder of the fingerprints begins with; no modality may be called so."""
_FRAMES: Final = (8, 16)
"""Fewest and most frames of a fingerprint."""
_NO_PICTURES: Final = "cannot compare '{}': it has no pictures"


def fingerprint_encoder(num_frames: int) -> PictureHash:
    """What makes the fingerprints of a project.

    It takes the frames that the frame encoder takes, so that both come from one pass over a clip, unless those are too few
    to tell copies by, or more than that needs.

    Args:
        num_frames: Frames sampled per clip for the frame encoder.

    Example:
        >>> [fingerprint_encoder(number).reader.num_frames for number in (2, 12, 64)]
        [8, 12, 8]
    """
    fewest, most = _FRAMES
    return PictureHash(PictureReader(num_frames=num_frames if fewest <= num_frames <= most else fewest))


def made_along(settings: Settings) -> dict[str, ClipEncoder]:
    """What an extraction makes along with the vectors; nothing where frames are not evenly spaced, as fingerprints need them.

    Args:
        settings: Of the project.

    Example:
        >>> list(made_along(Settings()))
        ['picture_hash']
    """
    return {NAME: fingerprint_encoder(settings.media.num_frames)} if settings.media.sampling == "even" else {}


@dataclass(frozen=True)
class Fingerprints:
    """A cache of fingerprints by content key.

    Attributes:
        folder: Of the features; content keys are kept there, too.
        limits: What one clip may cost.
        cache: Where they lie.
    """

    folder: Path
    limits: LimitSettings
    cache: ClipModality

    @classmethod
    def open(cls, folder: Path, limits: LimitSettings, *, num_frames: int = 8) -> "Fingerprints":
        """Those of a project's features.

        Args:
            folder: Of the features.
            limits: What one clip may cost.
            num_frames: Frames sampled per clip for the frame encoder.
        """
        encoder = fingerprint_encoder(num_frames)
        cache = ClipModality(folder, NAME, encoder, pooling=None, max_seconds=limits.max_clip_seconds)
        return cls(folder, limits, cache)

    def make(self, files: Mapping[str, tuple[str, Path]], *, workers: int, progress: Progress) -> dict[str, str]:
        """Make what is lacking; every few clips are written, so a run that is stopped goes on where it was.

        Args:
            files: Content key -> (name for errors, file).
            workers: Decoding processes.
            progress: Told after each group of clips.

        Returns:
            Content key -> reason, for the clips of which there is none.

        Raises:
            MissingExtraError: PyAV or OpenCV is not installed.
        """
        for module in ("av", "cv2"):
            require(module)
        settings = ClipSettings(
            max_seconds=self.limits.max_clip_seconds,
            max_pixels=self.limits.max_clip_pixels,
            timeout_s=self.limits.decode_seconds,
            memory_mb=self.limits.clip_memory_mb,
            workers=workers,
            batch_clips=1,
            encode_threads=1,
        )
        with Claims(self.folder) as claims:
            outcome = ClipRun({NAME: self.cache}, settings=settings, claims=claims).run(files, progress=progress)
        failed = {key: "; ".join(reasons.values()) for key, reasons in outcome.reasons.items()}
        empty = self.cache.vectors.index.quality(list(files)) == 0
        nothing = [key for key, is_empty in zip(files, empty.tolist(), strict=True) if is_empty and key not in failed]
        return failed | {key: _NO_PICTURES.format(files[key][0]) for key in nothing}

    def tokens(self, key: str) -> Tokens:
        """Read a fingerprint that is there."""
        tokens_TD, times_ms_T = self.cache.tokens.get([key]).of(0)
        return Tokens(tokens_TD.astype(np.float32), times_ms_T)

    def vectors(self, keys: Sequence[str]) -> NDArray[np.float32]:
        """float32 [N, D], the coarse vectors."""
        return self.cache.vectors.get(keys)[0]
