"""Histories as sparse matrices: who watched what, and what to ask a neighbourhood model with.

Shape suffixes: U users, C cases, V items.
"""

from typing import Any

import numpy as np
from scipy import sparse

from kinema.errors import ConfigError
from kinema.store.histories import Histories


def interaction_matrix(histories: Histories) -> Any:
    """Who watched what.

    Args:
        histories: U rows.

    Returns:
        scipy CSR float32 [U, V] of zeros and ones; watching twice counts once.

    Example:
        >>> interaction_matrix(Histories.from_lists([[2, 0], [1]], num_items=3)).toarray()
        array([[1., 0., 1.],
               [0., 1., 0.]], dtype=float32)
    """
    ones = np.ones(len(histories.items), dtype=np.float32)
    matrix = sparse.csr_array(
        (ones, histories.items, histories.offsets), shape=(histories.num_users, histories.num_items)
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def query_matrix(histories: Histories, *, decay: float) -> Any:
    """Histories as weighted bags of items, newer items heavier.

    Args:
        histories: C rows, oldest first.
        decay: Weight of an item relative to the next newer one, in (0, 1]; 1 ignores the order.

    Returns:
        scipy CSR float32 [C, V]; the newest item of a row has weight 1.

    Raises:
        ConfigError: decay is out of range.

    Example:
        >>> query_matrix(Histories.from_lists([[2, 0]], num_items=3), decay=0.5).toarray()
        array([[1. , 0. , 0.5]], dtype=float32)
    """
    if not 0 < decay <= 1:
        raise ConfigError(f"decay must be in (0, 1], is {decay}")
    ages_N = np.repeat(histories.offsets[1:], histories.lengths) - 1 - np.arange(len(histories.items))
    weights_N = np.power(decay, ages_N, dtype=np.float64).astype(np.float32)
    matrix = sparse.csr_array(
        (weights_N, histories.items, histories.offsets), shape=(histories.num_users, histories.num_items)
    )
    matrix.sum_duplicates()
    return matrix
