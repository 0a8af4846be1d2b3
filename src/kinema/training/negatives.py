"""Negatives that a whole training step shares.

Shape suffixes: V items, K negatives.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from kinema.flm.batch import Negatives
from kinema.seeds import generator


def draw_negatives(
    *,
    num_items: int,
    num_negatives: int,
    popular_share: float = 0.0,
    chances_V: NDArray[np.float64] | None = None,
    seed: int,
    epoch: int,
    step: int,
) -> Negatives:
    """Items drawn uniformly, or a share of them by popularity; each at most once.

    In-batch negatives alone collapse (popular items are punished for being popular). Uniform ones need no correction;
    popular ones are harder to tell apart and come with the rate at which they are drawn. The draw depends on seed, epoch
    and step alone, so a resumed run draws what an uninterrupted one would.

    Args:
        num_items: V.
        num_negatives: K, at most V are drawn.
        popular_share: Share drawn by popularity, in [0, 1).
        chances_V: Popularity as probabilities; needed where the share is not 0.
        seed: The run's seed.
        epoch: From 0.
        step: In the epoch, from 0.

    Returns:
        At most K negatives: an item drawn both ways counts once.

    Source: mixed negative sampling, Yang et al. 2020; the correction is that of Bengio and Senecal 2003.

    Example:
        >>> sorted(draw_negatives(num_items=3, num_negatives=5, seed=0, epoch=0, step=0).items_K.tolist())
        [0, 1, 2]
    """
    random = generator(seed, f"negatives/{epoch}/{step}")
    wanted = min(num_negatives, num_items)
    if not popular_share or chances_V is None:
        return Negatives(torch.from_numpy(random.choice(num_items, wanted, replace=False, shuffle=False)))
    num_popular = min(round(popular_share * wanted), int(np.count_nonzero(chances_V)))
    popular = random.choice(num_items, num_popular, replace=False, p=chances_V, shuffle=False)
    uniform = random.choice(num_items, wanted - num_popular, replace=False, shuffle=False)
    items_K = np.union1d(popular, uniform)
    rate_K = 1 - (1 - (wanted - num_popular) / num_items) * (1 - chances_V[items_K]) ** num_popular
    return Negatives(torch.from_numpy(items_K), torch.from_numpy(np.log(rate_K)).float())
