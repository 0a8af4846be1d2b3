"""A decoding process: it reads one request per line on standard input and answers on standard output.

It runs apart from the model, so that a decoder that crashes or hangs on a hostile file takes one clip with it and not
the run. It never imports torch: it starts in a fraction of a second and stays small.

An answer is a line of JSON followed by the bytes of the arrays that the line names.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from kinema.encoders.motion import MotionEncoder
from kinema.errors import KinemaError
from kinema.extras import require
from kinema.media.sampling import sample_frames


@dataclass(frozen=True)
class ClipRequest:
    """What is wanted of one clip.

    Attributes:
        path: The file.
        name: How errors call it.
        num_frames: Frames to sample.
        num_pairs: Pairs to sample for motion.
        frame_side: Side of the squares the frames are brought to, pixels; None when frames are not wanted.
        motion: Settings of the motion encoder; None when motion is not wanted.
        max_seconds: Only so much of the beginning is looked at.
        max_pixels: Largest frame that is decoded.
    """

    path: str
    name: str
    num_frames: int
    num_pairs: int
    frame_side: int | None
    motion: MotionEncoder | None
    max_seconds: float
    max_pixels: int


@dataclass(frozen=True)
class ClipReading:
    """What was read of one clip.

    Attributes:
        reason: Why there is nothing; empty when there is.
        quality: See `kinema.media.sampling.Frames`.
        arrays: ``frames`` uint8 [T, side, side, 3] and ``motion`` float32 [D], where wanted; motion is absent for a single
            picture.
    """

    reason: str = ""
    quality: float = 0.0
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


def read_clip(request: ClipRequest) -> ClipReading:
    """Decode a clip once and take from it what is wanted; whatever goes wrong becomes the reading's reason."""
    cv2 = require("cv2")
    cv2.setNumThreads(1)
    try:
        frames = sample_frames(
            Path(request.path),
            name=request.name,
            num_frames=request.num_frames,
            num_pairs=request.num_pairs if request.motion else 0,
            max_side=max(256, request.frame_side or 0),
            max_seconds=request.max_seconds,
            max_pixels=request.max_pixels,
        )
        arrays: dict[str, NDArray[Any]] = {}
        if request.frame_side is not None:
            size = (request.frame_side, request.frame_side)
            arrays["frames"] = np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in frames.array])
        if request.motion is not None and len(frames.pairs):
            arrays["motion"] = request.motion.pool(request.motion.tokens(frames))
        return ClipReading(quality=frames.quality, arrays=arrays)
    except KinemaError as error:
        return ClipReading(reason=str(error))
    except Exception as error:  # noqa: BLE001  # a surprise in one clip must not end the others
        return ClipReading(reason=f"cannot read '{request.name}': {type(error).__name__}: {error}")


def write_request(stream: IO[bytes], request: ClipRequest) -> None:
    """Send a request."""
    stream.write(json.dumps(asdict(request)).encode() + b"\n")
    stream.flush()


def read_request(stream: IO[bytes]) -> ClipRequest | None:
    """Receive a request; None at the end of the stream."""
    line = stream.readline()
    if not line:
        return None
    fields = json.loads(line)
    motion = fields.pop("motion")
    if motion is not None:
        motion = MotionEncoder(**{**motion, "segments": tuple(motion["segments"])})
    return ClipRequest(motion=motion, **fields)


def write_reading(stream: IO[bytes], reading: ClipReading) -> None:
    """Send a reading."""
    arrays = [(name, array.dtype.str, array.shape) for name, array in reading.arrays.items()]
    stream.write(json.dumps({"reason": reading.reason, "quality": reading.quality, "arrays": arrays}).encode() + b"\n")
    stream.writelines(np.ascontiguousarray(array).tobytes() for array in reading.arrays.values())
    stream.flush()


def read_reading(stream: IO[bytes]) -> ClipReading | None:
    """Receive a reading; None when the stream ended within or before it."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    fields = json.loads(line)
    arrays = {}
    for name, dtype, shape in fields["arrays"]:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        content = stream.read(size)
        if len(content) < size:
            return None
        arrays[name] = np.frombuffer(content, dtype=dtype).reshape(shape)
    return ClipReading(reason=fields["reason"], quality=fields["quality"], arrays=arrays)


def serve() -> None:
    """Answer requests until standard input ends; whatever libraries print goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while (request := read_request(sys.stdin.buffer)) is not None:
        write_reading(answers, read_clip(request))


if __name__ == "__main__":
    serve()
