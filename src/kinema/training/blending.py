"""Choosing, on validation, how far each branch counts: a softmax regression with two numbers per branch.

Shape suffixes: C cases, V catalogue, A branches.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from kinema.flm.mixture import Mixture, inverse_softplus, weighted_sum
from kinema.store.splits import Cases

_PULL = 1e-3
_SCALE_STEP = 1e-3


def fit_mixture(
    logits: Mapping[str, NDArray[np.float32]],
    cases: Cases,
    blocked_CV: NDArray[np.bool_],
    *,
    start: Mapping[str, float],
) -> Mixture:
    """Weights that make the right items most likely under a softmax over all candidates.

    The likelihood is smooth where NDCG is not, and two numbers per branch cannot fit the noise of a few hundred cases;
    a weak pull towards the start keeps a branch that tells nothing where it was.

    Args:
        logits: Branch -> float32 [C, V].
        cases: Validation cases; each counts through its targets.
        blocked_CV: Items that are no candidates.
        start: Branch -> weight to start from; its order is the mixture's.

    Returns:
        The mixture.
    """
    branches = tuple(start)
    rows_T = np.repeat(np.arange(len(cases)), cases.targets.lengths)
    items_T = cases.targets.items
    known_C = np.log1p(cases.histories.lengths.astype(np.float64))
    centre = float(known_C.mean()) if len(known_C) else 0.0
    share_T = 1.0 / cases.targets.lengths[rows_T] / max(len(cases), 1)
    begin = np.concatenate([inverse_softplus(np.array(list(start.values()))), np.zeros(len(branches))])

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        offsets_A, slopes_A = np.split(parameters, 2)
        gates_CA = offsets_A + slopes_A * (known_C[:, None] - centre)
        weights_CA = np.logaddexp(0, gates_CA).astype(np.float32)
        likely_CV = weighted_sum(logits, branches, weights_CA)
        likely_CV[blocked_CV] = -np.inf
        likely_CV -= likely_CV.max(axis=1, keepdims=True)
        right_T = likely_CV[rows_T, items_T]
        np.exp(likely_CV, out=likely_CV)
        totals_C = likely_CV.sum(axis=1)
        likely_CV /= totals_C[:, None]
        value = float(share_T @ (np.log(totals_C[rows_T]) - right_T))
        case_share_C = np.bincount(rows_T, share_T, minlength=len(cases))
        gradient_CA = np.stack(
            [
                case_share_C * np.einsum("cv,cv->c", likely_CV, logits[name])
                - np.bincount(rows_T, share_T * logits[name][rows_T, items_T], minlength=len(cases))
                for name in branches
            ],
            axis=1,
        )
        gradient_CA *= 1 / (1 + np.exp(-gates_CA))
        slope_A = (gradient_CA * (known_C[:, None] - centre)).sum(axis=0)
        gradient = np.concatenate([gradient_CA.sum(axis=0), slope_A]) + 2 * _PULL * (parameters - begin)
        return value + _PULL * float(((parameters - begin) ** 2).sum()), gradient

    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    offsets_A, slopes_A = np.split(found.x, 2)
    return Mixture(branches, offsets_A - slopes_A * centre, slopes_A)


def likeliest_scale(scores_CV: NDArray[np.float32], cases: Cases, blocked_CV: NDArray[np.bool_]) -> float:
    """The factor on all scores that makes the right items most likely.

    It changes no order; but what is added to scores afterwards, for cold items, needs them on the scale of log-odds.

    Args:
        scores_CV: Higher is better.
        cases: Validation cases, each with at least one target.
        blocked_CV: Items that are no candidates.

    Returns:
        The factor, in [1/16, 16].
    """
    rows_T = np.repeat(np.arange(len(cases)), cases.targets.lengths)
    items_T = cases.targets.items
    open_CV = np.where(blocked_CV, -np.inf, scores_CV)
    open_CV -= open_CV.max(axis=1, keepdims=True)

    scaled_CV = np.empty_like(open_CV)

    def loss(log_scale: float) -> float:
        np.multiply(open_CV, np.float32(np.exp(log_scale)), out=scaled_CV)
        right_T = scaled_CV[rows_T, items_T]
        np.exp(scaled_CV, out=scaled_CV)
        return float(np.mean(np.log(scaled_CV.sum(axis=1))[rows_T] - right_T))

    bounds = (-np.log(16), np.log(16))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": _SCALE_STEP}).x))
