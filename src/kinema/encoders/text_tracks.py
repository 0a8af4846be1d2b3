"""Subtitle tracks inside clips, read in processes of their own like everything else that opens a clip.

`python -m kinema.encoders.text_tracks MEGABYTES` is such a process; it speaks as `kinema.encoders.clip_worker` does.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.encoders.clip_readers import CLIP_MEMORY_MB, DECODE_SECONDS, read_clips
from kinema.encoders.clip_worker import ClipReading, ClipRequest, limit_memory, read_request, write_reading
from kinema.encoders.modality import Clip, Wants
from kinema.errors import KinemaError
from kinema.extras import require
from kinema.media.subtitles import Cue, Subtitles
from kinema.media.transcripts import read_tracks

_COMMAND: Final = (sys.executable, "-P", "-m", "kinema.encoders.text_tracks")
_NAME: Final = "transcript"


@dataclass(frozen=True)
class TrackReader:
    """Stands for the tracks in a request; the process reads them from the file itself."""

    @property
    def wants(self) -> Wants:
        """No picture and no sound."""
        return Wants()

    def read(self, clip: Clip) -> dict[str, NDArray[Any]]:
        """Nothing: decoded clips have no subtitles."""
        del clip
        return {}


def read_all_tracks(
    clips: Mapping[str, Path],
    *,
    max_seconds: float,
    max_pixels: int,
    num_workers: int = 1,
    timeout_s: float = DECODE_SECONDS,
    memory_mb: int = CLIP_MEMORY_MB,
) -> Iterator[tuple[str, list[Subtitles] | str]]:
    """Read the subtitle tracks of some clips.

    Args:
        clips: Name for errors -> file.
        max_seconds: Only so much of each clip's beginning is looked at.
        max_pixels: As for clips that are decoded.
        num_workers: Processes, >= 1.
        timeout_s: A clip that takes longer is given up, seconds.
        memory_mb: A clip that takes more is given up.

    Yields:
        Name and the tracks in which something is said, or why they cannot be read, in the order given.

    Raises:
        MissingExtraError: PyAV or OpenCV is not installed.
    """
    for module in ("av", "cv2"):
        require(module)
    requests = [
        ClipRequest(
            path=str(path),
            name=name,
            readers={_NAME: TrackReader()},
            max_seconds=max_seconds,
            max_pixels=max_pixels,
            decode_seconds=timeout_s / 2,
        )
        for name, path in clips.items()
    ]
    readings = read_clips(requests, num_workers=num_workers, timeout_s=timeout_s, memory_mb=memory_mb, command=_COMMAND)
    for name, reading in zip(clips, readings, strict=True):
        yield name, reading.reasons.get(_NAME) or _unpack(reading.arrays[_NAME]["tracks"])


def read_request_tracks(request: ClipRequest) -> ClipReading:
    """Answer one request; whatever goes wrong becomes its reason."""
    try:
        tracks = read_tracks(
            Path(request.path), name=request.name, max_seconds=request.max_seconds, deadline_s=request.decode_seconds
        )
    except KinemaError as error:
        return ClipReading(reasons={_NAME: str(error)})
    except Exception as error:  # noqa: BLE001  # a surprise in one clip must not end the others
        return ClipReading(reasons={_NAME: f"cannot read '{request.name}': {type(error).__name__}: {error}"})
    packed = np.frombuffer(json.dumps([asdict(one) for one in tracks]).encode(), dtype=np.uint8)
    return ClipReading(arrays={_NAME: {"tracks": packed}}, quality={_NAME: 1.0})


def _unpack(packed: NDArray[Any]) -> list[Subtitles]:
    """The tracks again."""
    return [
        Subtitles(**{**one, "cues": tuple(Cue(**cue) for cue in one["cues"])}) for one in json.loads(packed.tobytes())
    ]


def serve(memory_mb: int) -> None:
    """Answer requests until standard input ends; whatever libraries print goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    limit_memory(memory_mb)
    while (request := read_request(sys.stdin.buffer)) is not None:
        write_reading(answers, read_request_tracks(request))


if __name__ == "__main__":
    serve(int(sys.argv[1]))
