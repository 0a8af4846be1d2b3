"""Tokens of clips as a network of clip classes reads them: projected, padded, and pooled at several time scales.

Unlike in FLM the projected tokens keep their length: how fast something moves is a part of what happens.

Shape suffixes: N clips, B of them in a batch, M moments of several, T moments of one, E token width, W projected width, S width of all scales.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from kinema.encoders.pooling import Statistic, pool_segments
from kinema.errors import DataError
from kinema.flm.pooling import Moments
from kinema.flm.whitening import Whitening
from kinema.store.features import ClipTokens
from kinema.store.tokens import RaggedTokens

SEGMENTS: Final = (1, 2)
STATISTICS: Final[tuple[Statistic, ...]] = ("mean", "std")
MAX_WIDTH: Final = 64
MAX_MOMENTS: Final = 32
_FIT_TOKENS: Final = 20_000
_BLOCK: Final = 1024


@dataclass(frozen=True)
class ClipInput:
    """One modality of some clips.

    Attributes:
        moments: Tokens [N, T, W], padded behind.
        scales_NS: float32, the whole and its halves, mean and deviation each; zeros where the clip has nothing.
    """

    moments: Moments
    scales_NS: Tensor

    @property
    def present(self) -> Tensor:
        """Whether each clip has any moment, bool [N]."""
        return self.moments.valid_VT.any(dim=1)

    def take(self, rows_B: Tensor) -> "ClipInput":
        """Some clips."""
        return ClipInput(self.moments.take(rows_B), self.scales_NS[rows_B])


def scales_width(width: int) -> int:
    """S of tokens projected to a width.

    Example:
        >>> scales_width(10)
        60
    """
    return sum(SEGMENTS) * len(STATISTICS) * width


def fit_projection(tokens: ClipTokens, rows: NDArray[np.int64], *, copies: Sequence[ClipTokens] = ()) -> Whitening:
    """The map of one modality, from clips that training sees.

    Args:
        tokens: Of all clips.
        rows: Those that are learnt from.
        copies: The same clips, changed; learnt from as well.

    Raises:
        DataError: None of them has a moment.
    """
    parts = []
    for one in (tokens, *copies):
        lengths = one.lengths()[rows]
        step = max(1, (1 + len(copies)) * int(lengths.sum()) // _FIT_TOKENS)
        parts.append(one.get(rows[lengths > 0][::step]).tokens_MD.astype(np.float32))
    found_ME = np.concatenate([one for one in parts if len(one)] or parts[:1])
    if not len(found_ME):
        raise DataError(f"clips to learn from must have moments, none of {len(rows)} has; run: kinema extract")
    return Whitening.fit(found_ME, max_width=MAX_WIDTH)


def read_inputs(
    tokens: Mapping[str, ClipTokens], projections: Mapping[str, Whitening], rows: Sequence[int] | NDArray[np.int64]
) -> dict[str, ClipInput]:
    """What a network reads of some clips.

    Args:
        tokens: Modality -> tokens of all clips.
        projections: Modality -> map; only these modalities are read.
        rows: Numbers of the clips.

    Returns:
        Modality -> input, in the order of ``rows``. Of a clip with more than 32 moments, as many evenly drawn ones.

    Raises:
        DataError: A modality is missing.
    """
    missing = [name for name in projections if name not in tokens]
    if missing:
        raise DataError(f"clips must have tokens of {missing[0]}, there are only {', '.join(tokens) or 'none'}")
    numbers = np.asarray(rows, dtype=np.int64)
    return {name: _read_input(tokens[name], one, numbers) for name, one in projections.items()}


def joined(parts: Sequence[ClipInput]) -> ClipInput:
    """The clips of several inputs of one modality, one after the other."""
    longest = max(one.moments.valid_VT.shape[1] for one in parts)
    rooms = [longest - one.moments.valid_VT.shape[1] for one in parts]
    tokens = [pad(one.moments.tokens_VTW, (0, 0, 0, room)) for one, room in zip(parts, rooms, strict=True)]
    valid = [pad(one.moments.valid_VT, (0, room)) for one, room in zip(parts, rooms, strict=True)]
    valid_NT = torch.cat(valid)
    return ClipInput(
        Moments(torch.cat(tokens), valid_NT, torch.zeros(valid_NT.shape)), torch.cat([one.scales_NS for one in parts])
    )


def _read_input(tokens: ClipTokens, projection: Whitening, rows_N: NDArray[np.int64]) -> ClipInput:
    kept_N = np.minimum(tokens.lengths()[rows_N], MAX_MOMENTS)
    longest = max(1, int(kept_N.max(initial=0)))
    valid_NT = np.arange(longest) < kept_N[:, None]
    white_NTW = np.zeros((len(rows_N), longest, projection.width), dtype=np.float32)
    scales_NS = np.zeros((len(rows_N), scales_width(projection.width)), dtype=np.float32)
    for start in range(0, len(rows_N), _BLOCK):
        found = tokens.get(rows_N[start : start + _BLOCK])
        for row in range(len(found)):
            white_TW = _projected(found, row, projection)
            if len(white_TW):
                white_NTW[start + row, : len(white_TW)] = white_TW
                scales_NS[start + row] = pool_segments(white_TW, segments=SEGMENTS, statistics=STATISTICS)
    moments = Moments(torch.from_numpy(white_NTW), torch.from_numpy(valid_NT), torch.zeros(valid_NT.shape))
    return ClipInput(moments, torch.from_numpy(scales_NS))


def _projected(found: RaggedTokens, row: int, projection: Whitening) -> NDArray[np.float32]:
    """[T, W] of one clip."""
    tokens_TE = found.of(row)[0]
    kept = min(len(tokens_TE), MAX_MOMENTS)
    chosen = np.arange(kept) * len(tokens_TE) // max(kept, 1)
    if kept and tokens_TE.shape[1] != len(projection.mean_E):
        raise DataError(
            f"tokens must be {len(projection.mean_E)} wide as in training, are {tokens_TE.shape[1]}; "
            "run: kinema finetune clips"
        )
    white_TW = (tokens_TE[chosen].astype(np.float32) - projection.mean_E) @ projection.matrix_EW if kept else tokens_TE
    return np.asarray(white_TW, dtype=np.float32)
