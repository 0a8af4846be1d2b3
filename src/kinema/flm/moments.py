"""Tokens of clips as the model reads them: whitened, and padded to the longest clip.

Shape suffixes: V catalogue, N moments of all items, E encoder width, W whitened width, T moments of an item.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.flm.pooling import Moments
from kinema.flm.whitening import Whitening
from kinema.store.features import ModalityFeatures, ModalityTokens

MAX_WIDTH: Final = 64
MAX_MOMENTS: Final = 32
_LEAST_WIDTH: Final = 16
_FIT_TOKENS: Final = 50_000
_BLOCK: Final = 4096


def fit_moments(
    features: Mapping[str, ModalityFeatures], fitting: Mapping[str, NDArray[np.bool_]]
) -> dict[str, Whitening]:
    """Maps for the tokens of the modalities that have any.

    Args:
        features: Modality -> features.
        fitting: Modality -> bool [V], items that training sees.

    Returns:
        Modality -> map, of modalities where some clip has more than one moment; one moment is its own mean.
    """
    found = {}
    for name, one in features.items():
        if one.tokens is None or not (np.diff(one.tokens.offsets) > 1).any():
            continue
        lengths_V = np.diff(one.tokens.offsets)
        rows_N = np.flatnonzero(np.repeat(fitting[name], lengths_V))
        rows_N = rows_N[:: max(1, len(rows_N) // _FIT_TOKENS)]
        if len(rows_N):
            found[name] = Whitening.fit(
                one.tokens.tokens_ND[rows_N].astype(np.float32),
                max_width=min(MAX_WIDTH, max(_LEAST_WIDTH, int(fitting[name].sum()) // 20)),
            )
    return found


def padded_moments(tokens: ModalityTokens, whitening: Whitening, *, num_items: int) -> Moments:
    """Whiten and pad.

    Args:
        tokens: Of the catalogue.
        whitening: From `fit_moments`.
        num_items: V.

    Returns:
        Moments; of a clip with more than 32, as many evenly drawn ones.

    Raises:
        DataError: The tokens are of another number of items.
    """
    if len(tokens.offsets) != num_items + 1:
        raise DataError(f"tokens must be of {num_items} items, are of {len(tokens.offsets) - 1}; run: kinema extract")
    lengths_V = np.diff(tokens.offsets)
    kept_V = np.minimum(lengths_V, MAX_MOMENTS)
    width = max(1, int(kept_V.max(initial=0)))
    valid_VT = np.arange(width) < kept_V[:, None]
    steps_VT = np.minimum(np.arange(width) * (lengths_V / np.maximum(kept_V, 1))[:, None], (lengths_V - 1)[:, None])
    rows_VT = np.where(valid_VT, tokens.offsets[:-1, None] + steps_VT.clip(0).astype(np.int64), 0)
    white_VTW = np.zeros((num_items, width, whitening.width), dtype=np.float16)
    for start in range(0, num_items, _BLOCK):
        part = slice(start, start + _BLOCK)
        inside = valid_VT[part]
        white_VTW[part][inside] = whitening.apply(tokens.tokens_ND[rows_VT[part][inside]].astype(np.float32))
    return Moments(
        torch.from_numpy(white_VTW), torch.from_numpy(valid_VT), torch.from_numpy(_places(tokens, rows_VT, lengths_V))
    )


def _places(tokens: ModalityTokens, rows_VT: NDArray[np.int64], lengths_V: NDArray[np.int64]) -> NDArray[np.float32]:
    """Where in its clip each moment lies. Moments are the middles of equal parts, so first and last add up to the length."""
    if not len(tokens.times_ms_N):
        return np.zeros(rows_VT.shape, dtype=np.float32)
    last = len(tokens.times_ms_N) - 1
    firsts_V = tokens.times_ms_N[np.minimum(tokens.offsets[:-1], last)]
    ends_V = firsts_V + tokens.times_ms_N[np.clip(tokens.offsets[1:] - 1, 0, last)]
    ends_V = np.where(lengths_V > 0, np.maximum(ends_V, 1), 1)
    return np.clip(tokens.times_ms_N[rows_VT] / ends_V[:, None], 0, 1).astype(np.float32)
