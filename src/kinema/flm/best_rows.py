"""The rows of the highest scores.

Shape suffixes: N rows.
"""

import numpy as np
from numpy.typing import NDArray


def best(
    scores_N: NDArray[np.float32], allowed_N: NDArray[np.bool_], n: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The highest allowed scores.

    Example:
        >>> best(np.float32([0.5, 0.9, 0.9, 0.1]), np.array([True, True, True, False]), 2)[0].tolist()
        [1, 2]
    """
    places = np.flatnonzero(allowed_N)
    order = places[np.argsort(-scores_N[places], kind="stable")[:n]].astype(np.int64)
    return order, scores_N[order].astype(np.float32)
