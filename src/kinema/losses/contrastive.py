"""Two views of the same item belong together, against the other items at hand.

Shape suffixes: N items, D width.
"""

import torch
from torch import Tensor
from torch.nn import functional


def info_nce(anchors_ND: Tensor, partners_ND: Tensor, *, temperature: float) -> Tensor:
    """Cross-entropy of picking each anchor's partner out of all partners.

    Args:
        anchors_ND: One view, unit rows.
        partners_ND: The other view of the same items, unit rows.
        temperature: Cosines are divided by it, > 0.

    Returns:
        Scalar, mean over N; 0 for fewer than two rows, which have nothing to be told apart from.

    Source: van den Oord et al. 2018, "Representation Learning with Contrastive Predictive Coding".

    Example:
        >>> rows = torch.eye(3)
        >>> info_nce(rows, rows, temperature=0.05) < info_nce(rows, rows.roll(1, 0), temperature=0.05)
        tensor(True)
    """
    if len(anchors_ND) < 2:
        return anchors_ND.sum() * 0
    logits_NN = (anchors_ND / temperature) @ partners_ND.T
    return functional.cross_entropy(logits_NN, torch.arange(len(anchors_ND)))


def symmetric_info_nce(left_ND: Tensor, right_ND: Tensor, *, temperature: float) -> Tensor:
    """`info_nce` in both directions, averaged. Source: Radford et al. 2021 (CLIP)."""
    forward = info_nce(left_ND, right_ND, temperature=temperature)
    return 0.5 * (forward + info_nce(right_ND, left_ND, temperature=temperature))
