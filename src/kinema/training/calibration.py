"""How items that nobody has watched are to be scored, found by pretending that warm items are cold.

Imputed vectors point the right way, but the mean of ten vectors, brought to unit length, is more typical than any one
of them, and imputed transitions are flatter than counted ones. Validation has few cold targets or none, so some warm
items are served as if nobody had watched them, and each branch gets the weight that makes the right answers most likely.
How often a cold item is the right answer at all is a fact of the log, which pretence cannot tell: where validation has
such cases, they decide the level of the cold items.

Shape suffixes: C cases, V catalogue, A branches, K cold items.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize

from kinema.flm.memory import ItemMemory
from kinema.flm.mixture import Mixture
from kinema.seeds import generator
from kinema.store.splits import Cases

_PULL: Final = 1e-3
_BONUSES: Final = np.arange(-3.0, 6.25, 0.25)
_STEP: Final = 0.05


def pretended_cold(
    counts_V: NDArray[np.int64], described_V: NDArray[np.bool_], *, share: float, seed: int
) -> NDArray[np.bool_]:
    """A random share of the items that have events and content.

    Returns:
        bool [V].
    """
    pool = np.flatnonzero((counts_V > 0) & described_V)
    chosen_V = np.zeros(len(counts_V), dtype=bool)
    chosen_V[generator(seed, "pretended-cold").choice(pool, round(share * len(pool)), replace=False)] = True
    return chosen_V


def forget(memory: ItemMemory, forgotten_V: NDArray[np.bool_]) -> ItemMemory:
    """A copy of a memory in which some items have never been seen."""
    keep_VV = sparse.diags((~forgotten_V).astype(np.float32))
    return memory.replaced((keep_VV @ memory.counts @ keep_VV).tocsr(), memory.totals * ~forgotten_V)


def best_bonus(value: Callable[[float], float]) -> float:
    """What is added to the scores of cold items for the best value on validation.

    Args:
        value: Bonus -> what is to be as large as possible.

    Returns:
        The best of a grid of quarter logits in [-3, 6]; the smallest of equal ones.

    Example:
        >>> best_bonus(lambda bonus: -abs(bonus - 1.3))
        1.25
    """
    return float(max(_BONUSES, key=lambda bonus: (value(bonus), -bonus)))


def even_bonus(rates: Callable[[float], tuple[float, float]], *, share: float, least: float) -> float:
    """What is added to the scores of cold items so that they are found as well, when they are right, as warm ones.

    Args:
        rates: Bonus -> how well right warm and right cold items are found; the first falls, the second rises.
        share: Of the warm rate that the cold one is to reach.
        least: Smallest bonus.

    Returns:
        ``least`` where that is enough; else the smallest of a grid of twentieths of a logit up to 6 that is, or 6.

    Example:
        >>> round(even_bonus(lambda bonus: (0.3 - 0.02 * bonus, 0.1 * bonus), share=0.9, least=0.0), 2)
        2.3
    """

    def enough(bonus: float) -> bool:
        warm, cold = rates(bonus)
        return cold >= share * warm

    grid = np.arange(least + _STEP, _BONUSES[-1] + _STEP / 2, _STEP)
    if enough(least) or not len(grid):
        return least
    return float(grid[min(bisect_left(grid, x=True, key=enough), len(grid) - 1)])


def affordable(value: Callable[[float], float], *, least: float, wanted: float, most_lost: float) -> float:
    """The largest bonus up to the wanted one that does not cost too much.

    Args:
        value: Bonus -> what is not to fall too far; it falls from ``least`` on, but for small wiggles.
        least: Smallest bonus.
        wanted: Largest bonus.
        most_lost: Share of the value at ``least`` that may be lost.

    Returns:
        A bonus between the two, to a twentieth of a logit.

    Example:
        >>> round(affordable(lambda bonus: 1.0 - 0.1 * bonus, least=0.0, wanted=3.0, most_lost=0.2), 1)
        2.0
    """
    floor = value(least) * (1 - most_lost)
    if value(wanted) >= floor:
        return wanted
    low, high = least, wanted
    while high - low > _STEP:
        middle = (low + high) / 2
        low, high = (middle, high) if value(middle) >= floor else (low, middle)
    return low


@dataclass(frozen=True)
class Pretence:
    """What the branches say when some items are served as cold ones.

    Attributes:
        logits: Branch -> float32 [C, V].
        cold_V: bool, the items that are cold in it.
    """

    logits: Mapping[str, NDArray[np.float32]]
    cold_V: NDArray[np.bool_]


def fit_cold(mixture: Mixture, pretences: Sequence[Pretence], cases: Cases, blocked_CV: NDArray[np.bool_]) -> Mixture:
    """Weigh the branches for cold items so that the right items are most likely under a softmax over all candidates.

    Args:
        mixture: Its weights for warm items stay as they are.
        pretences: Several draws: one leaves too few cold targets to fit on.
        cases: Validation cases, each with at least one target.
        blocked_CV: Items that are no candidates.

    Returns:
        The mixture with ratios and bonus for cold items.
    """
    rows_T = np.repeat(np.arange(len(cases)), cases.targets.lengths)
    items_T = cases.targets.items
    share_T = 1.0 / cases.targets.lengths[rows_T] / max(len(cases), 1) / len(pretences)
    lengths_C = cases.histories.lengths
    weights_CA = mixture.weights(lengths_C)
    prepared = []
    for one in pretences:
        cold_K = np.flatnonzero(one.cold_V)
        place_V = np.full(len(one.cold_V), -1)
        place_V[cold_K] = np.arange(len(cold_K))
        scores_CV = np.where(blocked_CV, -np.inf, mixture.blend(one.logits, lengths_C))
        parts_ACK = np.stack(
            [weights_CA[:, a, None] * one.logits[name][:, cold_K] for a, name in enumerate(mixture.branches)]
        )
        prepared.append((cold_K, place_V[items_T], scores_CV, parts_ACK))

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        ratios_A, bonus = np.exp(parameters[:-1]), parameters[-1]
        value = _PULL * float((parameters**2).sum())
        gradient = 2 * _PULL * parameters
        for cold_K, places_T, warm_CV, parts_ACK in prepared:
            cold_CK = np.tensordot(ratios_A.astype(np.float32), parts_ACK, axes=1) + np.float32(bonus)
            scores_CV = warm_CV.copy()
            scores_CV[:, cold_K] = np.where(np.isneginf(warm_CV[:, cold_K]), -np.inf, cold_CK)
            scores_CV -= scores_CV.max(axis=1, keepdims=True)
            likely_CV = np.exp(scores_CV)
            totals_C = likely_CV.sum(axis=1)
            value += float(share_T @ (np.log(totals_C[rows_T]) - scores_CV[rows_T, items_T]))
            case_share_C = np.bincount(rows_T, share_T, minlength=len(cases))
            excess_CK = likely_CV[:, cold_K] * (case_share_C / totals_C)[:, None]
            cold_T = places_T >= 0
            np.subtract.at(excess_CK, (rows_T[cold_T], places_T[cold_T]), share_T[cold_T])
            gradient[:-1] += ratios_A * np.einsum("ack,ck->a", parts_ACK, excess_CK)
            gradient[-1] += excess_CK.sum()
        return value, gradient

    found = minimize(loss, np.zeros(len(mixture.branches) + 1), jac=True, method="L-BFGS-B", options={"maxiter": 60})
    return replace(mixture, cold_ratios_A=np.exp(found.x[:-1]), cold_bonus=float(found.x[-1]))
