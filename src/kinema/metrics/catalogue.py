"""What slates are like beyond being right: how much of the catalogue they show, how evenly, how new, how mixed.

Shape suffixes: C cases, K places of a slate (-1 where it is shorter), V items, D width of a content vector.
"""

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError

_BLOCK = 1024


def coverage(slates_CK: NDArray[np.integer], *, num_items: int) -> float:
    """Share of the catalogue that appears in at least one slate.

    Args:
        slates_CK: Item numbers, -1 for an empty place.
        num_items: Size of the catalogue that could have been shown, >= 1.

    Returns:
        A number in [0, 1].

    Raises:
        DataError: num_items < 1.

    Example:
        >>> coverage(np.array([[0, 1], [1, -1]]), num_items=4)
        0.5
    """
    if num_items < 1:
        raise DataError(f"num_items must be >= 1, is {num_items}")
    return len(np.unique(slates_CK[slates_CK >= 0])) / num_items


def gini(exposures_V: NDArray[np.number]) -> float:
    """Inequality of exposure: 0 when every item is shown equally often, towards 1 when one item is shown always.

    ``sum_i (2 i - V - 1) x_i / (V sum_i x_i)`` over exposures sorted upwards, i from 1; items never shown count.

    Args:
        exposures_V: How often each item of the catalogue was shown, >= 0.

    Returns:
        A number in [0, 1); NaN when nothing was shown.

    Raises:
        DataError: An exposure is negative.

    Example:
        >>> gini(np.array([0, 0, 0, 8])), gini(np.array([2, 2]))
        (0.75, 0.0)
    """
    if len(exposures_V) and exposures_V.min() < 0:
        raise DataError(f"exposures must be >= 0, got {exposures_V.min()}")
    total = float(exposures_V.sum())
    if total == 0:
        return float("nan")
    num_items = len(exposures_V)
    weights_V = 2 * np.arange(1, num_items + 1) - num_items - 1
    return float(weights_V @ np.sort(exposures_V).astype(np.float64)) / (num_items * total)


def novelty(slates_CK: NDArray[np.integer], counts_V: NDArray[np.integer]) -> float:
    """Mean self-information of the shown items, in bits: ``mean(-log2 p_i)``, ``p_i = (n_i + 1) / (N + V)``.

    One is added to every count so that an item nobody has watched has a finite novelty.

    Args:
        slates_CK: Item numbers, -1 for an empty place.
        counts_V: Training interactions per item, >= 0.

    Returns:
        Bits, > 0; NaN when nothing was shown.

    Source: Zhou et al., Solving the apparent diversity-accuracy dilemma, PNAS 2010; with add-one smoothing.

    Example:
        >>> novelty(np.array([[0, 1]]), np.array([5, 1]))
        1.2075...
    """
    shown = slates_CK[slates_CK >= 0]
    if not len(shown):
        return float("nan")
    prob_V = (counts_V + 1) / (counts_V.sum() + len(counts_V))
    return float(-np.log2(prob_V[shown]).mean())


def intra_list_diversity(slates_CK: NDArray[np.integer], content_VD: NDArray[np.floating]) -> NDArray[np.float64]:
    """How different the items of each slate are: 1 - mean cosine over all pairs of its items.

    Pairs with an item that has no content are left out: nothing is known about them.

    Args:
        slates_CK: Item numbers, -1 for an empty place.
        content_VD: Content vectors, of any length; zero rows where an item has none.

    Returns:
        float64 [C] in [0, 2]; NaN for a slate with fewer than two items with content.

    Source: Ziegler et al., Improving recommendation lists through topic diversification, WWW 2005.

    Example:
        >>> content = np.array([[1.0, 0.0], [0.0, 3.0], [2.0, 0.0]])
        >>> intra_list_diversity(np.array([[0, 1], [0, 2], [1, -1]]), content)
        array([ 1.,  0., nan])
    """
    norms_V = np.linalg.norm(content_VD, axis=1)
    unit_VD = content_VD / np.where(norms_V > 0, norms_V, 1)[:, None]
    diversity_C = np.full(len(slates_CK), np.nan)
    for start in range(0, len(slates_CK), _BLOCK):
        block_BK = slates_CK[start : start + _BLOCK]
        known_BK = (block_BK >= 0) & (norms_V[block_BK] > 0)
        num_B = known_BK.sum(axis=1)
        total_BD = (unit_VD[block_BK] * known_BK[:, :, None]).sum(axis=1, dtype=np.float64)
        # The squared length of a sum of n unit vectors is n plus twice the sum of the pairs' cosines.
        pairs_B = (num_B * (num_B - 1)).astype(np.float64)
        cosine_B = ((total_BD**2).sum(axis=1) - num_B) / np.where(pairs_B > 0, pairs_B, np.nan)
        diversity_C[start : start + _BLOCK] = np.clip(1 - cosine_B, 0, 2)
    return diversity_C
