"""A sample that stands for the catalogue where only its spread matters: how far up an item is, not which item is where.

Shape suffixes: V items, S sampled items.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.seeds import generator

SAMPLE: Final = 4096
"""Items of a sample; a catalogue of no more is its own sample. A tenth of the catalogue is met to half a percent of it."""
_LEAST: Final = 256


@lru_cache(maxsize=8)
def sample(num_items: int) -> NDArray[np.int64]:
    """The sample of a catalogue, int64 [S], ascending: always the same.

    Example:
        >>> sample(3).tolist(), len(sample(1_000_000))
        ([0, 1, 2], 4096)
    """
    if num_items <= SAMPLE:
        return np.arange(num_items)
    chosen = generator(0, f"sample of {num_items}").choice(num_items, SAMPLE, replace=False, shuffle=False)
    return np.sort(chosen).astype(np.int64)


def allowed_sample(allowed_V: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The allowed items of the sample; all that are allowed, or a part of them, where the sample has few."""
    sampled_S = sample(len(allowed_V))
    found = sampled_S[allowed_V[sampled_S]]
    if len(found) >= _LEAST or len(sampled_S) == len(allowed_V):
        return found
    allowed = np.flatnonzero(allowed_V)
    return allowed[sample(len(allowed))]
