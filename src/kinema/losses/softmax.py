"""Which item comes next, as a softmax over all items or over shared negatives.

Shape suffixes: N predictions, K candidates, V catalogue, D width.
"""

import torch
from torch import Tensor
from torch.nn import functional


def full_softmax(
    states_ND: Tensor, items_VD: Tensor, targets_N: Tensor, *, temperature: float, bias_V: Tensor | None = None
) -> Tensor:
    """Cross-entropy of the next item against the whole catalogue.

    Args:
        states_ND: User states, unit rows.
        items_VD: Item vectors of the catalogue, unit rows.
        targets_N: int64, the items that came next, 0..V-1.
        temperature: Cosines are divided by it, > 0.
        bias_V: Log-odds that an item has whoever asks; None for none.

    Returns:
        Scalar, mean over N.

    Example:
        >>> same = torch.tensor([[1.0, 0.0]]).repeat(4, 1)
        >>> full_softmax(same[:1], same, torch.tensor([2]), temperature=0.05)
        tensor(1.3863)
    """
    scaled_ND = states_ND / temperature
    logits_NV = scaled_ND @ items_VD.T if bias_V is None else torch.addmm(bias_V, scaled_ND, items_VD.T)
    return functional.cross_entropy(logits_NV, targets_N)


def sampled_softmax(
    states_ND: Tensor,
    positives_ND: Tensor,
    targets_N: Tensor,
    *,
    negatives_KD: Tensor,
    negative_items_K: Tensor,
    temperature: float,
    positive_bias_N: Tensor | None = None,
    negative_bias_K: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of the next item against negatives that the whole step shares.

    Sharing makes the logits one matrix product instead of a gather per position. A negative that is the target of a
    position is masked there, or the model would be taught to avoid the right answer.

    Args:
        states_ND: User states, unit rows.
        positives_ND: Vectors of the right items, unit rows.
        targets_N: int64, their numbers.
        negatives_KD: Vectors of the negatives, unit rows.
        negative_items_K: int64, their numbers, each at most once.
        temperature: Cosines are divided by it, > 0.
        positive_bias_N: Log-odds that the right items have whoever asks; None for none.
        negative_bias_K: The same of the negatives.

    Returns:
        Scalar, mean over N; equal to `full_softmax` when the negatives are the whole catalogue.
    """
    scaled_ND = states_ND / temperature
    positive_N1 = (scaled_ND * positives_ND).sum(dim=1, keepdim=True)
    logits_NK = scaled_ND @ negatives_KD.T
    if positive_bias_N is not None and negative_bias_K is not None:
        positive_N1 = positive_N1 + positive_bias_N.unsqueeze(1)
        logits_NK = logits_NK + negative_bias_K
    logits_NK = logits_NK.masked_fill(targets_N.unsqueeze(1) == negative_items_K, -torch.inf)
    return (torch.logsumexp(torch.cat([positive_N1, logits_NK], dim=1), dim=1) - positive_N1.squeeze(1)).mean()
