"""Products of a few rows of a large matrix, without a copy of them.

Shape suffixes: V rows, D width, K rows asked about.
"""

import numpy as np
from numpy.typing import NDArray

from kinema.compiled import compiled_sums


@compiled_sums
def products(
    vectors_VD: NDArray[np.float32], items_K: NDArray[np.int64], state_D: NDArray[np.float32]
) -> NDArray[np.float32]:
    """float32 [K], inner products of some rows with one vector. Row numbers are not checked.

    Example:
        >>> products(np.eye(3, dtype=np.float32), np.array([2, 0]), np.float32([0.25, 0.5, 1.0])).tolist()
        [1.0, 0.25]
    """
    found_K = np.empty(len(items_K), dtype=np.float32)
    for k in range(len(items_K)):
        row, total = items_K[k], np.float32(0)
        for d in range(len(state_D)):
            total += vectors_VD[row, d] * state_D[d]
        found_K[k] = total
    return found_K
