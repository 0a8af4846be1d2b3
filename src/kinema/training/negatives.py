"""Negatives that a whole training step shares.

Shape suffixes: K negatives.
"""

import torch
from torch import Tensor

from kinema.seeds import generator


def uniform_negatives(*, num_items: int, num_negatives: int, seed: int, epoch: int, step: int) -> Tensor:
    """Items drawn uniformly, each at most once.

    In-batch negatives alone collapse (popular items are punished for being popular), and uniform ones need no correction.
    The draw depends on seed, epoch and step alone, so a resumed run draws what an uninterrupted one would.

    Args:
        num_items: V.
        num_negatives: K, at most V are drawn.
        seed: The run's seed.
        epoch: From 0.
        step: In the epoch, from 0.

    Returns:
        int64 [min(K, V)].

    Example:
        >>> sorted(uniform_negatives(num_items=3, num_negatives=5, seed=0, epoch=0, step=0).tolist())
        [0, 1, 2]
    """
    random = generator(seed, f"negatives/{epoch}/{step}")
    return torch.from_numpy(random.choice(num_items, min(num_negatives, num_items), replace=False, shuffle=False))
