"""Tokens of clips as the model reads them: whitened, and padded to the longest clip.

Shape suffixes: V catalogue, B items of a block, M moments of several items, N clips, W whitened width, T moments of an item.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.flm.pooling import Moments
from kinema.flm.whitening import Whitening
from kinema.store.features import ClipTokens, ModalityFeatures
from kinema.store.tokens import RaggedTokens

MAX_WIDTH: Final = 64
MAX_MOMENTS: Final = 32
_LEAST_WIDTH: Final = 16
_FIT_TOKENS: Final = 20_000
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
        lengths_V = np.zeros(0, dtype=np.int64) if one.tokens is None else one.tokens.lengths()
        rows = np.flatnonzero(fitting[name] & (lengths_V > 0)) if len(lengths_V) else np.zeros(0, dtype=np.int64)
        if one.tokens is None or not (lengths_V[rows] > 1).any():
            continue
        step = max(1, int(lengths_V[rows].sum()) // _FIT_TOKENS)
        widest = min(MAX_WIDTH, max(_LEAST_WIDTH, len(rows) // 20))
        found[name] = Whitening.fit(one.tokens.get(rows[::step]).tokens_MD.astype(np.float32), max_width=widest)
    return found


def padded_moments(tokens: ClipTokens, whitening: Whitening, *, num_items: int) -> Moments:
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
    lengths_V = tokens.lengths()
    if len(lengths_V) != num_items:
        raise DataError(f"tokens must be of {num_items} items, are of {len(lengths_V)}; run: kinema extract")
    kept_V = np.minimum(lengths_V, MAX_MOMENTS)
    width = max(1, int(kept_V.max(initial=0)))
    valid_VT = np.arange(width) < kept_V[:, None]
    white_VTW = np.zeros((num_items, width, whitening.width), dtype=np.float16)
    places_VT = np.zeros((num_items, width), dtype=np.float32)
    for start in range(0, num_items, _BLOCK):
        part = slice(start, start + _BLOCK)
        found = tokens.get(np.arange(num_items)[part])
        inside_BT = valid_VT[part]
        if not inside_BT.any():
            continue
        rows_BT = found.offsets[:-1, None] + np.arange(width) * lengths_V[part, None] // np.maximum(
            kept_V[part, None], 1
        )
        rows_M = rows_BT[inside_BT]
        white_VTW[part][inside_BT] = whitening.apply(found.tokens_MD[rows_M].astype(np.float32))
        places_VT[part][inside_BT] = _places(found)[rows_M]
    return Moments(torch.from_numpy(white_VTW), torch.from_numpy(valid_VT), torch.from_numpy(places_VT))


def _places(tokens: RaggedTokens) -> NDArray[np.float32]:
    """Where in its clip each moment lies. Moments are the middles of equal parts, so first and last add up to the length."""
    lengths_N = np.diff(tokens.offsets)
    there = lengths_N > 0
    firsts, lasts = tokens.offsets[:-1][there], tokens.offsets[1:][there] - 1
    ends = np.maximum(tokens.times_ms_M[firsts] + tokens.times_ms_M[lasts], 1)
    return np.asarray(np.clip(tokens.times_ms_M / np.repeat(ends, lengths_N[there]), 0, 1), dtype=np.float32)
