"""Named seeds: one number from the user, an independent stream for each purpose.

Drawing everything from one stream would make the negatives change whenever the split draws one number more.
"""

import hashlib

import numpy as np


def derive_seed(seed: int, name: str) -> int:
    """The seed of one purpose.

    Args:
        seed: The run's seed, >= 0.
        name: The purpose, such as ``negatives``.

    Returns:
        An integer in [0, 2**63).

    Example:
        >>> derive_seed(7, "split") == derive_seed(7, "split")
        True
        >>> derive_seed(7, "split") == derive_seed(7, "negatives")
        False
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(seed: int, name: str) -> np.random.Generator:
    """A NumPy generator for one purpose (see `derive_seed`)."""
    return np.random.default_rng(derive_seed(seed, name))
