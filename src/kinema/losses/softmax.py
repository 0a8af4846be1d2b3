"""Which item comes next, as a softmax over all items or over shared negatives; loss and gradient in one chunked pass.

Logits of a whole step, their exponentials and their gradient are several copies of the largest array of training. Here
a few rows at a time go from logits to gradients and nothing of size N x K
outlives its chunk.

Shape suffixes: N predictions, C those of a chunk, K candidates, R rows of item vectors, D width.
"""

from typing import Any, Final

import torch
from torch import Tensor

_CHUNK_CELLS: Final = 1 << 20
"""Logits of a chunk: 4 MB in float32. Measured from 0.25 to 16 MB: less costs products of thin matrices, more memory."""
_SPREAD: Final = 60.0
"""Between the largest logit and the smallest, so that exponentials and their inverses stay far inside float32."""


def next_item_loss(
    states_ND: Tensor,
    vectors_RD: Tensor,
    targets_N: Tensor,
    *,
    candidates_K: Tensor | None,
    temperature: float,
    bias_R: Tensor | None = None,
    log_rate_K: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of the right item against candidates that all predictions share.

    Sharing makes the logits one matrix product instead of a gather per position. A candidate that is the target of a
    prediction is left out there, or the model would be taught to avoid the right answer.

    Args:
        states_ND: User states, unit rows.
        vectors_RD: Item vectors, unit rows.
        targets_N: int64, row of the right item, 0..R-1.
        candidates_K: int64, rows of the negatives, each at most once; None takes every row: the full softmax.
        temperature: Cosines are divided by it, > 0.
        bias_R: Log-odds that an item has whoever asks; None for none.
        log_rate_K: Logarithm of how often each negative is expected to be drawn in a step (logQ correction); with it
            the sampled sum estimates the full one. None for none.

    Returns:
        Scalar, mean over N; 0 for no prediction. With every row as candidate and no rate it is the full softmax.

    Source: sampled softmax with shared negatives; logQ of Bengio and Senecal 2003, Yi et al. 2019. The fused pass follows
    what linear cross-entropy kernels do for language models.

    Example:
        >>> same = torch.tensor([[1.0, 0.0]]).repeat(4, 1)
        >>> next_item_loss(same[:1], same, torch.tensor([2]), candidates_K=None, temperature=0.05)
        tensor(1.3863)
    """
    bias = vectors_RD.new_zeros(len(vectors_RD)) if bias_R is None else bias_R
    loss: Tensor = _FusedSoftmax.apply(  # type: ignore[no-untyped-call]  # torch leaves it untyped
        states_ND, vectors_RD, bias, targets_N, candidates_K, log_rate_K, temperature
    )
    return loss


class _FusedSoftmax(torch.autograd.Function):
    """Computes the gradient with the loss; the backward pass only scales it."""

    @staticmethod
    def forward(  # noqa: PLR0917  # torch hands the arguments over by position
        ctx: Any,
        states_ND: Tensor,
        vectors_RD: Tensor,
        bias_R: Tensor,
        targets_N: Tensor,
        candidates_K: Tensor | None,
        log_rate_K: Tensor | None,
        temperature: float,
    ) -> Tensor:
        """See `next_item_loss`."""
        vectors_KD = vectors_RD if candidates_K is None else vectors_RD.index_select(0, candidates_K)
        offsets_K = bias_R if candidates_K is None else bias_R.index_select(0, candidates_K)
        if log_rate_K is not None:
            offsets_K = offsets_K - log_rate_K
        num_rows, num_candidates = len(states_ND), len(vectors_KD)
        slots_R = _slots(candidates_K, len(vectors_RD))
        scaled_ND, right_ND = states_ND / temperature, vectors_RD.index_select(0, targets_N)
        right_N = (scaled_ND * right_ND).sum(dim=1) + bias_R.index_select(0, targets_N)
        level = _level(scaled_ND, vectors_RD, right_N, offsets_K)
        if level is not None:
            right_N, offsets_K = right_N - level, offsets_K - level
        grad_states_ND = torch.empty_like(states_ND)
        grad_vectors_RD, grad_bias_R = torch.zeros_like(vectors_RD), torch.zeros_like(bias_R)
        # Products with the long side last are the faster ones.
        grad_vectors_DK, grad_offsets_K = vectors_KD.new_zeros(vectors_KD.shape[::-1]), torch.zeros_like(offsets_K)
        total = states_ND.new_zeros(())
        size = max(1, _CHUNK_CELLS // max(num_candidates, 1))
        for start in range(0, num_rows, size):
            chunk = slice(start, start + size)
            targets_C, scaled_CD, right_CD, right_C = (one[chunk] for one in (targets_N, scaled_ND, right_ND, right_N))
            logits_CK = torch.addmm(offsets_K, scaled_CD, vectors_KD.T)
            logits_CK[_hits(slots_R, targets_C)] = -torch.inf
            if level is None and num_candidates:
                top_C = torch.maximum(logits_CK.amax(dim=1), right_C)
                logits_CK, right_C = logits_CK.sub_(top_C.unsqueeze(1)), right_C - top_C
            likely_CK, likely_right_C = logits_CK.exp_(), right_C.exp()
            sums_C = likely_CK.sum(dim=1) + likely_right_C
            total += (sums_C.log() - right_C).sum()
            # What each row counts goes to the narrow side of the products, not over all logits.
            share_C1 = (1 / (sums_C * num_rows)).unsqueeze(1)
            pull_C1 = likely_right_C.unsqueeze(1) * share_C1 - 1 / num_rows
            pushed_CD = (likely_CK @ vectors_KD).mul_(share_C1)
            grad_states_ND[chunk] = pushed_CD.addcmul_(pull_C1, right_CD).div_(temperature)
            grad_vectors_DK.addmm_((scaled_CD * share_C1).T, likely_CK)
            grad_offsets_K.addmv_(likely_CK.T, share_C1.squeeze(1))
            grad_vectors_RD.index_add_(0, targets_C, pull_C1 * scaled_CD)
            grad_bias_R.index_add_(0, targets_C, pull_C1.squeeze(1))
        if candidates_K is None:
            grad_vectors_RD += grad_vectors_DK.T
            grad_bias_R += grad_offsets_K
        else:
            grad_vectors_RD.index_add_(0, candidates_K, grad_vectors_DK.T)
            grad_bias_R.index_add_(0, candidates_K, grad_offsets_K)
        ctx.save_for_backward(grad_states_ND, grad_vectors_RD, grad_bias_R)
        return total / max(num_rows, 1)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients that `forward` found, times what the loss counts."""
        grad_states_ND, grad_vectors_RD, grad_bias_R = ctx.saved_tensors
        return (upstream * grad_states_ND, upstream * grad_vectors_RD, upstream * grad_bias_R, None, None, None, None)


def _level(scaled_ND: Tensor, vectors_RD: Tensor, right_N: Tensor, offsets_K: Tensor) -> Tensor | None:
    """A number that no logit passes and none stays far below, to be taken off all of them; None where there is none.

    Logits of unit vectors lie within 1 / temperature of their offsets. Their largest number per row, which keeps
    exponentials in range wherever they lie, costs two more passes over the largest array of training.
    """
    if not len(scaled_ND) or not len(offsets_K):
        return None
    reach = scaled_ND.norm(dim=1).max() * vectors_RD.norm(dim=1).max()
    level = torch.maximum(reach + offsets_K.max(), right_N.max())
    least = torch.minimum(offsets_K.min() - reach, right_N.min())
    return level if float(level - least) < _SPREAD else None


def _slots(candidates_K: Tensor | None, num_rows: int) -> Tensor | None:
    """Place of each row among the candidates, -1 where it is none; None where every row is its own place."""
    if candidates_K is None:
        return None
    slots_R = torch.full((num_rows,), -1, dtype=torch.int64)
    slots_R[candidates_K] = torch.arange(len(candidates_K))
    return slots_R


def _hits(slots_R: Tensor | None, targets_C: Tensor) -> tuple[Tensor, Tensor]:
    """Predictions whose target is a candidate, and its place."""
    if slots_R is None:
        return torch.arange(len(targets_C)), targets_C
    slots_C = slots_R[targets_C]
    hit_C = torch.nonzero(slots_C >= 0).squeeze(1)
    return hit_C, slots_C[hit_C]
