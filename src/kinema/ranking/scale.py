"""Candidates scored by the model, and what happens to those it cannot score.

Shape suffixes: K candidates.
"""

import numpy as np
from numpy.typing import NDArray


def on_model_scale(logits_K: NDArray[np.floating], fused_K: NDArray[np.floating]) -> tuple[NDArray[np.float64], int]:
    """The model's score of each candidate; those without a finite one follow behind all others, by their fused rank.

    A NaN would otherwise sort anywhere, and dropping the item would leave a hole where the other sources had an answer.

    Args:
        logits_K: The model's score of each candidate; not finite where it has none.
        fused_K: Their rank fusion, in [0, 1].

    Returns:
        float64 [K], all finite, and how many candidates the model could not score. With no finite logit at all the
        scores are the fused ones.

    Example:
        >>> on_model_scale(np.array([2.0, np.nan, 1.0, np.nan]), np.array([0.2, 0.4, 0.9, 0.6]))
        (array([ 2. , -0.6,  1. , -0.4]), 2)
    """
    logits_K = np.asarray(logits_K, dtype=np.float64)
    finite_K = np.isfinite(logits_K)
    fused = np.asarray(fused_K, dtype=np.float64)
    if not finite_K.any():
        return fused, len(logits_K)
    floor = logits_K[finite_K].min()
    return np.where(finite_K, logits_K, floor - 2.0 + fused), int((~finite_K).sum())
