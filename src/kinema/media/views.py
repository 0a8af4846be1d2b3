"""What is shown of a clip beside the clip: its sampled frames as pictures, and how things move in it as a field of arrows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.extras import require
from kinema.media.flow import dense_flow, flow_trust
from kinema.media.sampling import Frames

_QUALITY: Final = 80
_DIGITS: Final = 4


@dataclass(frozen=True)
class FlowField:
    """Movement at one moment.

    Attributes:
        time_ms: From the first frame.
        right: Rows of cells from the top, frame widths per second.
        down: The same.
        trust: How far each cell can be believed, in [0, 1].
    """

    time_ms: int
    right: list[list[float]]
    down: list[list[float]]
    trust: list[list[float]]


def write_frames(frames: Frames, folder: Path, stem: str) -> list[str]:
    """Write sampled frames as pictures.

    Args:
        frames: Of a clip.
        folder: Where to; must be there.
        stem: The files are called ``<stem>.frame-<number>.webp``.

    Returns:
        Their names, oldest first.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    image: Any = require("PIL.Image")
    names = [f"{stem}.frame-{number}.webp" for number in range(len(frames.array))]
    for name, picture in zip(names, frames.array, strict=True):
        image.fromarray(picture).save(folder / name, format="WEBP", quality=_QUALITY)
    return names


def flow_fields(frames: Frames, *, columns: int = 16) -> list[FlowField]:
    """Movement in cells, one field per pair of frames.

    Args:
        frames: Of a clip, with pairs.
        columns: Cells from left to right; as many from top to bottom as make them square.

    Returns:
        Oldest first; nothing for a single picture. The movement of a cell is the mean of its points, each counting as far as it
        can be believed.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """
    height, width = frames.array.shape[1:3]
    rows = max(1, min(2 * columns, round(columns * height / width)))
    return [
        _field(pair, int(time_ms), 1000.0 / float(gap_ms), rows=rows, columns=columns)
        for pair, time_ms, gap_ms in zip(frames.pairs, frames.pair_times_ms, frames.gaps_ms, strict=True)
    ]


def _field(pair: NDArray[np.uint8], time_ms: int, per_second: float, *, rows: int, columns: int) -> FlowField:
    flow_HW2 = dense_flow(pair[0], pair[1])
    trust_HW = flow_trust(pair[0], pair[1], flow_HW2)
    weighted = [trust_HW * flow_HW2[..., axis] * np.float32(per_second) for axis in (0, 1)]
    belief = _cells(trust_HW, rows, columns)
    right, down = (_cells(one, rows, columns) / np.maximum(belief, 1e-6) for one in weighted)
    return FlowField(time_ms, _rounded(right), _rounded(down), _rounded(belief))


def _cells(field_HW: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """The mean of each cell."""
    bands: Sequence[NDArray[np.float32]] = np.array_split(field_HW, rows)
    return np.array([[float(cell.mean()) for cell in np.array_split(band, columns, axis=1)] for band in bands])


def _rounded(cells: NDArray[np.floating]) -> list[list[float]]:
    found: list[list[float]] = np.round(cells.astype(np.float64), _DIGITS).tolist()
    return found
