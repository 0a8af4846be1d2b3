"""Which moments of a clip the model looks at.

Shape suffixes: T moments, W whitened width.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch

from kinema.flm.moments import padded_moments
from kinema.flm.pooling import TemporalPooling
from kinema.store.features import ClipTokens, HeldTokens, MomentShares

if TYPE_CHECKING:
    from kinema.flm.model import FLM


@torch.inference_mode()
def moment_shares(model: "FLM | None", tokens: ClipTokens, modality: str, item: int) -> MomentShares | None:
    """The shares of one clip's moments.

    Args:
        model: As it serves; None where there is none.
        tokens: Of the catalogue, in this modality.
        modality: Such as ``frames``.
        item: Number of the item.

    Returns:
        None for an item without moments. Attention reads at most 32 moments, evenly drawn; the others have a share of 0.
    """
    found = tokens.get(np.array([item]))
    times_ms_T = found.times_ms_M.astype(np.int64)
    if not len(times_ms_T):
        return None
    pools = {} if model is None or model.liken is None else dict(model.liken.likeness.pools.items())
    pool = pools.get(modality)
    whitening = None if model is None or modality not in model.whitenings else model.whitenings[modality].tokens
    if not isinstance(pool, TemporalPooling) or whitening is None:
        even_T = np.full(len(times_ms_T), 1 / len(times_ms_T), dtype=np.float32)
        return MomentShares(times_ms_T, even_T, learnt=False)
    moments = padded_moments(HeldTokens(found), whitening, num_items=1).take(torch.tensor([0]))
    read_T = pool.attention(moments)[0].numpy()
    shares_T = np.zeros(len(times_ms_T), dtype=np.float32)
    shares_T[np.arange(len(read_T)) * len(times_ms_T) // len(read_T)] = read_T
    return MomentShares(times_ms_T, shares_T, learnt=True)
