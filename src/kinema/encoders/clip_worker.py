"""A decoding process: it reads one request per line on standard input and answers on standard output.

It runs apart from the models, so that a decoder that crashes, hangs or swallows memory on a hostile file takes one clip
with it and not the run. It never imports torch: it starts in a fraction of a second and stays small.

An answer is a line of JSON followed by the bytes of the arrays that the line names.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil
from numpy.typing import NDArray

from kinema.encoders.clip_passes import decode, plan_passes
from kinema.encoders.clip_pictures import LEAST_FRAMES, draw, draw_alone, is_drawn
from kinema.encoders.modality import Reader
from kinema.errors import ConfigError, KinemaError
from kinema.extras import require
from kinema.media.limits import DECODE_SECONDS, MAX_BYTES
from kinema.media.sampling import Frames, Mode

TAIL = "the item keeps its text features"
"""At the end of a reason."""
_MB = 1 << 20
_LEAST_SECONDS = 1.0
"""For a further pass over a clip that took all the time before."""


@dataclass(frozen=True)
class ClipRequest:
    """What is wanted of one clip.

    Attributes:
        path: The file.
        name: How errors call it.
        readers: Modality -> what takes its arrays from the decoded clip.
        max_seconds: Only so much of the beginning is looked at.
        max_pixels: Largest frame that is decoded.
        decode_seconds: Processor time after which what there is by then is taken; a pass gets what those before left.
        pictures: Where a poster and a preview strip are written, and what their names begin with; None for none.
        sampling: Which frames are taken.
    """

    path: str
    name: str
    readers: Mapping[str, Reader]
    max_seconds: float
    max_pixels: int
    decode_seconds: float = DECODE_SECONDS
    pictures: tuple[str, str] | None = None
    sampling: Mode = "even"


@dataclass(frozen=True)
class ClipReading:
    """What was read of one clip.

    Attributes:
        reasons: Modality -> why there is nothing of it.
        quality: Modality -> share of what it was taken from that is there and decodes, in (0, 1].
        arrays: Modality -> its reader's arrays; empty where the clip has nothing for it, as a single picture for motion.
        undrawn: Why there is no poster, empty for a clip without pictures; None where there is one, or none was wanted.
    """

    reasons: dict[str, str] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    undrawn: str | None = None


def unread(request: ClipRequest, why: str) -> ClipReading:
    """The reading of a clip of which nothing can be had."""
    reason = f"cannot decode '{request.name}': {why}; {TAIL}"
    return ClipReading(dict.fromkeys(request.readers, reason), undrawn=None if request.pictures is None else reason)


def read_clip(request: ClipRequest, *, max_bytes: int = MAX_BYTES) -> ClipReading:
    """Decode a clip and give it to its readers; whatever goes wrong becomes a reason, for those it concerns.

    Args:
        request: What is wanted of which clip.
        max_bytes: Memory that decoding may need, as estimated from the header.

    Returns:
        What could be read.
    """
    require("cv2").setNumThreads(1)
    reading, lost, started = ClipReading(), "", time.thread_time()

    def left() -> float:
        return max(_LEAST_SECONDS, request.decode_seconds - (time.thread_time() - started))

    for joined, names in plan_passes(request.readers):
        try:
            decoded = decode(
                Path(request.path),
                joined,
                mode=request.sampling,
                name=request.name,
                max_seconds=request.max_seconds,
                max_pixels=request.max_pixels,
                max_bytes=max_bytes,
                decode_seconds=left(),
            )
        except Exception as error:  # noqa: BLE001  # a surprise in one clip must not end the others
            lost = _reason(request, error)
            reading.reasons.update(dict.fromkeys(names, lost))
            continue
        lost = lost or decoded.no_pictures
        if request.pictures is not None and decoded.clip.frames is not None and joined.num_frames >= LEAST_FRAMES:
            _draw(decoded.clip.frames, *request.pictures)
        for name in names:
            wants = request.readers[name].wants
            why = decoded.reason(wants)
            try:
                arrays = {} if why else request.readers[name].read(decoded.clip)
            except Exception as error:  # noqa: BLE001  # the same
                why = _reason(request, error)
            if why:
                reading.reasons[name] = why
            else:
                reading.arrays[name], reading.quality[name] = arrays, decoded.quality(wants)
    return replace(reading, undrawn=_undrawn(request, lost, max_bytes=max_bytes, decode_seconds=left()))


def _undrawn(request: ClipRequest, lost: str, *, max_bytes: int, decode_seconds: float) -> str | None:
    """Draw the poster if no pass has; see `ClipReading.undrawn`. `lost` says why the pictures cannot be read."""
    if request.pictures is None or is_drawn(*request.pictures):
        return None
    try:
        return lost or draw_alone(
            Path(request.path),
            *request.pictures,
            mode=request.sampling,
            name=request.name,
            max_seconds=request.max_seconds,
            max_pixels=request.max_pixels,
            max_bytes=max_bytes,
            decode_seconds=decode_seconds,
        )
    except Exception as error:  # noqa: BLE001  # a surprise in one clip must not end the others
        return _reason(request, error)


def _reason(request: ClipRequest, error: Exception) -> str:
    """What a person is told."""
    if isinstance(error, KinemaError):
        return str(error)
    if isinstance(error, MemoryError) or "nsufficient memory" in str(error):
        return (
            f"cannot decode '{request.name}': it takes more memory than a clip may; {TAIL}; "
            "raise clip_memory_mb in [limits] of kinema.toml"
        )
    return f"cannot read '{request.name}': {type(error).__name__}: {error}; {TAIL}"


def _draw(frames: Frames, folder: str, stem: str) -> None:
    """Poster and strip, once per clip; a clip whose pictures cannot be written is none the worse for recommending."""
    if not is_drawn(folder, stem):
        with suppress(OSError, KinemaError):
            draw(frames, folder, stem)


def write_request(stream: IO[bytes], request: ClipRequest) -> None:
    """Send a request."""
    content = {**vars(request), "readers": {name: _sent(name, one) for name, one in request.readers.items()}}
    stream.write(json.dumps(content).encode() + b"\n")
    stream.flush()


def read_request(stream: IO[bytes]) -> ClipRequest | None:
    """Receive a request; None at the end of the stream."""
    line = stream.readline()
    if not line:
        return None
    content = json.loads(line)
    return ClipRequest(**{**content, "readers": {name: _received(one) for name, one in content["readers"].items()}})


def check_sendable(modality: str, reader: Reader) -> None:
    """Refuse a reader that a decoding process cannot be given.

    Raises:
        ConfigError: It is no dataclass of JSON values, or its class cannot be imported there.
    """
    remedy = "make it a frozen dataclass of JSON values at the top of a module, or decode with workers = 0"
    module = type(reader).__module__
    if module == "__main__" or "<" in type(reader).__qualname__:
        raise ConfigError(
            f"reader of modality '{modality}' must be importable by name, is {type(reader).__qualname__} of {module}; {remedy}"
        )
    try:
        same = _received(json.loads(json.dumps(_sent(modality, reader)))) == reader
    except TypeError as error:
        raise ConfigError(f"reader of modality '{modality}' must be made of JSON values: {error}; {remedy}") from error
    if not same:
        raise ConfigError(f"reader of modality '{modality}' must be equal to itself after a trip as JSON; {remedy}")


def _sent(modality: str, reader: Reader) -> list[Any]:
    """A reader as JSON values: module, class, fields."""
    kind: Any = type(reader)
    if not hasattr(kind, "__dataclass_fields__"):
        raise TypeError(f"reader of '{modality}' is a {kind.__qualname__}, no dataclass")
    return [kind.__module__, kind.__qualname__, {one.name: getattr(reader, one.name) for one in fields(kind)}]


def _received(sent: list[Any]) -> Reader:
    """The reader again; JSON's lists were tuples."""
    module, qualified, values = sent
    kind: Any = importlib.import_module(module)
    for name in qualified.split("."):
        kind = getattr(kind, name)
    reader: Reader = kind(**{name: _tuples(value) for name, value in values.items()})
    return reader


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def write_reading(stream: IO[bytes], reading: ClipReading) -> None:
    """Send a reading."""
    entries = {
        modality: [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
        for modality, arrays in reading.arrays.items()
    }
    head = {"reasons": reading.reasons, "quality": reading.quality, "arrays": entries, "undrawn": reading.undrawn}
    stream.write(json.dumps(head).encode() + b"\n")
    for arrays in reading.arrays.values():
        stream.writelines(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    stream.flush()


def read_reading(stream: IO[bytes]) -> ClipReading | None:
    """Receive a reading; None when the stream ended within or before it."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    head = json.loads(line)
    reading = ClipReading(reasons=head["reasons"], quality=head["quality"], undrawn=head["undrawn"])
    for modality, entries in head["arrays"].items():
        arrays = reading.arrays.setdefault(modality, {})
        for name, dtype, shape in entries:
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            content = stream.read(size)
            if len(content) < size:
                return None
            arrays[name] = np.frombuffer(content, dtype=dtype).reshape(shape)
    return reading


def decoding_share(memory_mb: int) -> int:
    """Bytes that decoding may need by a clip's header, of the memory of a process: half, for what is decoded is worked on there."""
    return memory_mb * _MB // 2


def limit_memory(memory_mb: int) -> None:
    """Let this process take so much memory beyond what it has now; where the system cannot (macOS, Windows) nothing happens."""
    for module in ("av", "cv2"):
        require(module)
    with suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415  # not everywhere

        limit = psutil.Process().memory_info().vms + memory_mb * _MB
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def serve(memory_mb: int) -> None:
    """Answer requests until standard input ends; whatever libraries print goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    limit_memory(memory_mb)
    while (request := read_request(sys.stdin.buffer)) is not None:
        write_reading(answers, read_clip(request, max_bytes=decoding_share(memory_mb)))


if __name__ == "__main__":
    serve(int(sys.argv[1]))
