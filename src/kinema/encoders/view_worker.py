"""A process that makes what people look at of clips: it reads one request per line on standard input and answers each with a line.

It runs apart from the service for the same reasons as `kinema.encoders.clip_worker`, and never imports torch either.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, Literal

from kinema.encoders.clip_pictures import draw_alone
from kinema.encoders.clip_worker import decoding_share, limit_memory
from kinema.errors import KinemaError
from kinema.extras import require
from kinema.media.limits import DECODE_SECONDS, MAX_BYTES, MAX_PIXELS, MAX_SECONDS
from kinema.media.playable import playable_suffix, write_playable, written_suffix
from kinema.media.sampling import Frames, Mode, sample_frames
from kinema.media.views import flow_fields, write_frames

View = Literal["media", "pictures", "frames", "motion"]
"""A file that browsers play; poster and strip; the frames that encoders see; fields of flow."""
_PAIRS: Final = 8


@dataclass(frozen=True)
class ViewRequest:
    """What is wanted of one clip.

    Attributes:
        view: What.
        path: The file.
        name: How errors call it.
        folder: Where it is written.
        stem: What the names of files begin with.
        max_seconds: Only so much of the beginning is looked at; a clip that is played is whole.
        max_pixels: Largest frame that is decoded.
        max_bytes: Largest file that is written.
        decoding_bytes: Memory that decoding may need, as estimated from the header; set by the process that makes the view.
        decode_seconds: Processor time after which what there is by then is taken.
        sampling: Which frames are taken.
        num_frames: How many.
    """

    view: View
    path: str
    name: str
    folder: str
    stem: str
    max_seconds: float = MAX_SECONDS
    max_pixels: int = MAX_PIXELS
    max_bytes: int = 2**29
    decoding_bytes: int = MAX_BYTES
    decode_seconds: float = DECODE_SECONDS
    sampling: Mode = "even"
    num_frames: int = 8


def make_view(request: ViewRequest) -> dict[str, Any]:
    """Make it.

    Returns:
        What is to be known of it, as JSON values: ``files``, the names of those that were written; ``reason`` where nothing can be
        had of the clip.
    """
    try:
        return _MAKERS[request.view](request)
    except KinemaError as error:
        return {"reason": str(error)}
    except Exception as error:  # noqa: BLE001  # a surprise in one clip must not end the others
        if isinstance(error, MemoryError) or "nsufficient memory" in str(error):
            why = "it takes more memory than a clip may; raise clip_memory_mb in [limits] of kinema.toml"
        else:
            why = f"{type(error).__name__}: {error}"
        return {"reason": f"cannot show '{request.name}': {why}"}


def _media(request: ViewRequest) -> dict[str, Any]:
    """The clip's own file where browsers play it (``files`` is not there), or another."""
    path = Path(request.path)
    how: dict[str, Any] = {"name": request.name, "max_pixels": request.max_pixels}
    suffix = playable_suffix(path, **how)
    if suffix is not None:
        return {"suffix": suffix}
    target = Path(request.folder) / f"{request.stem}{written_suffix()}"
    write_playable(path, target, max_bytes=request.max_bytes, **how)
    return {"suffix": target.suffix, "files": [target.name]}


def _pictures(request: ViewRequest) -> dict[str, Any]:
    require("cv2").setNumThreads(1)
    why = draw_alone(
        Path(request.path),
        request.folder,
        request.stem,
        mode=request.sampling,
        name=request.name,
        max_seconds=request.max_seconds,
        max_pixels=request.max_pixels,
        max_bytes=request.decoding_bytes,
        decode_seconds=request.decode_seconds,
    )
    if why is None:
        return {}
    return {"reason": why or f"'{request.name}' has sound and no pictures"}


def _frames(request: ViewRequest) -> dict[str, Any]:
    """The frames that the encoders saw: times and pictures."""
    frames = _sampled(request, num_frames=request.num_frames, num_pairs=0)
    names = write_frames(frames, Path(request.folder), request.stem)
    return {"times_ms": frames.times_ms.tolist(), "duration_ms": frames.duration_ms, "files": names}


def _motion(request: ViewRequest) -> dict[str, Any]:
    frames = _sampled(request, num_frames=1, num_pairs=_PAIRS)
    return {"duration_ms": frames.duration_ms, "fields": [asdict(one) for one in flow_fields(frames)]}


def _sampled(request: ViewRequest, *, num_frames: int, num_pairs: int) -> Frames:
    require("cv2").setNumThreads(1)
    return sample_frames(
        Path(request.path),
        num_frames=num_frames,
        num_pairs=num_pairs,
        mode=request.sampling,
        max_seconds=request.max_seconds,
        max_pixels=request.max_pixels,
        max_bytes=request.decoding_bytes,
        decode_seconds=request.decode_seconds,
        name=request.name,
    )


_MAKERS: Final[Mapping[str, Callable[[ViewRequest], dict[str, Any]]]] = {
    "media": _media,
    "pictures": _pictures,
    "frames": _frames,
    "motion": _motion,
}


def write_view_request(stream: IO[bytes], request: ViewRequest) -> None:
    """Send a request."""
    stream.write(json.dumps(asdict(request)).encode() + b"\n")
    stream.flush()


def read_view(stream: IO[bytes]) -> dict[str, Any] | None:
    """Receive an answer; None when the stream ended within or before it."""
    line = stream.readline()
    return json.loads(line) if line.endswith(b"\n") else None


def serve(memory_mb: int) -> None:
    """Answer requests until standard input ends; whatever libraries print goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    limit_memory(memory_mb)
    for line in sys.stdin.buffer:
        request = replace(ViewRequest(**json.loads(line)), decoding_bytes=decoding_share(memory_mb))
        answers.write(json.dumps(make_view(request)).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
