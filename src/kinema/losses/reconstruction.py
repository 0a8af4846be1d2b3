"""A hidden modality is told from the others.

Shape suffixes: N items, W whitened width.
"""

from torch import Tensor
from torch.nn import functional


def cosine_reconstruction(predicted_NW: Tensor, actual_NW: Tensor) -> Tensor:
    """One minus the cosine between what was told and what is there.

    Cosine rather than squared error, because whitened rows are unit rows: their length says nothing.

    Args:
        predicted_NW: Any length.
        actual_NW: Unit rows.

    Returns:
        Scalar in [0, 2], mean over N; 0 for no row.

    Example:
        >>> import torch
        >>> cosine_reconstruction(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
        tensor(0.)
    """
    if not len(predicted_NW):
        return predicted_NW.sum()
    return (1 - functional.cosine_similarity(predicted_NW, actual_NW, dim=1)).mean()
