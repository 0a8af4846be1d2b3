"""Two views of the same item belong together, against the other items at hand.

Shape suffixes: N items, D width.
"""

import torch
from torch import Tensor
from torch.nn import functional

from kinema.errors import ConfigError, DataError


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


def in_batch_softmax(
    queries_ND: Tensor,
    items_ND: Tensor,
    *,
    temperature: float,
    also_right_NN: Tensor | None = None,
    log_rate_N: Tensor | None = None,
    weights_N: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of picking each query's item out of the items of all queries at hand.

    Items that many queries ask for stand in many batches and would be pushed away more often than others; the logQ
    correction takes that back. An item that answers a query too is no wrong answer and is left out there.

    Args:
        queries_ND: One row per pair, unit rows.
        items_ND: The items of the same pairs, unit rows.
        temperature: Cosines are divided by it, > 0.
        also_right_NN: bool, True where the item of a column is another right answer to the query of a row; the diagonal does
            not count. None for none.
        log_rate_N: Logarithm of how often each item occurs among all pairs; None for no correction.
        weights_N: What each pair counts, >= 0, not all 0; None for all alike.

    Returns:
        Scalar, the weighted mean; 0 for fewer than two rows.

    Source: Yi et al. 2019, "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations".

    Example:
        >>> rows = torch.eye(2)
        >>> same = torch.ones(2, 2, dtype=torch.bool)
        >>> in_batch_softmax(rows, rows, temperature=0.5, also_right_NN=same)
        tensor(0.)
    """
    if len(queries_ND) < 2:
        return (queries_ND.sum() + items_ND.sum()) * 0
    logits_NN = (queries_ND / temperature) @ items_ND.T
    if log_rate_N is not None:
        logits_NN = logits_NN - log_rate_N
    if also_right_NN is not None:
        own_NN = torch.eye(len(logits_NN), dtype=torch.bool, device=logits_NN.device)
        logits_NN = logits_NN.masked_fill(also_right_NN & ~own_NN, -torch.inf)
    losses_N = functional.cross_entropy(logits_NN, torch.arange(len(logits_NN)), reduction="none")
    if weights_N is None:
        return losses_N.mean()
    return (losses_N * weights_N).sum() / weights_N.sum()


def margin_contrastive(left_ND: Tensor, right_ND: Tensor, same_N: Tensor, *, margin: float = 1.0) -> Tensor:
    """Pairs that belong together are drawn together, others pushed apart until they are a margin away.

    For pairs that come labelled (same clip or not); where only right pairs are known, `symmetric_info_nce` finds the
    wrong ones in the batch.

    Args:
        left_ND: One of each pair.
        right_ND: The other.
        same_N: 1 where they belong together, else 0; any number type.
        margin: Euclidean distance, > 0; unit rows are at most 2 apart.

    Returns:
        Scalar: mean of ``d^2`` over pairs that belong together and ``max(0, margin - d)^2`` over the others; 0 for no
        pair. Two equal rows that should differ have no direction to part in: their gradient is 0.

    Raises:
        ConfigError: margin is not > 0.
        DataError: The shapes do not fit.

    Source: Hadsell, Chopra, LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping"; without its 1/2.

    Example:
        >>> margin_contrastive(torch.zeros(2, 1), torch.tensor([[0.5], [0.5]]), torch.tensor([1, 0]))
        tensor(0.2500)
    """
    if not margin > 0:
        raise ConfigError(f"margin must be > 0, is {margin}")
    if left_ND.shape != right_ND.shape or left_ND.ndim != 2 or same_N.shape != left_ND.shape[:1]:
        raise DataError(
            f"pairs must be two tables of one shape and a label each, have shapes {tuple(left_ND.shape)}, "
            f"{tuple(right_ND.shape)} and {tuple(same_N.shape)}"
        )
    if not len(same_N):
        return left_ND.sum()
    squared_N = (left_ND - right_ND).square().sum(dim=1)
    apart_N = functional.relu(margin - squared_N.clamp(min=torch.finfo(squared_N.dtype).tiny).sqrt()).square()
    return torch.where(same_N > 0, squared_N, apart_N).mean()
