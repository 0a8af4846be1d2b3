"""Whether another encoder is better for this catalogue, asked of items that took no part in making it.

The question is what vectors are for here: do the neighbours of an item by content go together with it? The log says
what goes together; where there is none, the texts do. Each held-out item gives one number before and one after, so the
difference is paired and its interval comes from drawing items again.

Shape suffixes: V items, C held-out items that are asked, D width, T right answers of all cases one after another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.evaluation.bootstrap import Interval, percentile_interval, resampled_means
from kinema.flm.memory import ItemMemory
from kinema.metrics.ranking import ndcg, reciprocal_rank
from kinema.metrics.ranks import target_ranks
from kinema.seeds import generator
from kinema.store.histories import Histories

LEAST_CASES: Final = 10
"""Fewer held-out items than this decide nothing."""
_HELD_OUT_SHARE: Final = 0.1
_FEWEST_HELD_OUT, _MOST_HELD_OUT = 20, 2_000
_LEAST_INTERACTIONS: Final = 5
_NUM_NEIGHBOURS: Final = 10
_BLOCK: Final = 256
_RESAMPLES: Final = 2_000


@dataclass(frozen=True)
class Cases:
    """Held-out items with the items that go with them.

    Attributes:
        items_C: int64, the item of each case.
        offsets: int64 [C + 1], case c owns ``targets_T[offsets[c]:offsets[c + 1]]``.
        targets_T: int64, right answers.
    """

    items_C: NDArray[np.int64]
    offsets: NDArray[np.int64]
    targets_T: NDArray[np.int64]


@dataclass(frozen=True)
class Comparison:
    """Two encoders on the same cases.

    Attributes:
        num_cases: C.
        before: Mean of the first.
        after: Mean of the second.
        gain: Mean paired difference with its 95 % interval.
    """

    num_cases: int
    before: float
    after: float
    gain: Interval

    @property
    def better(self) -> bool:
        """Whether the whole interval of the gain lies above 0."""
        return self.gain.low > 0


def hold_out(rows: NDArray[np.int64], *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split items into those an encoder may learn from and those it is asked about.

    A tenth is held out; at least 20, since fewer cannot tell a gain from noise, but never more than a third; at most 2,000.

    Args:
        rows: Item numbers.
        seed: Of the draw.

    Returns:
        Items to learn from and items held out, each ascending.

    Raises:
        DataError: There are too few items.

    Example:
        >>> [len(part) for part in hold_out(np.arange(500), seed=0)]
        [450, 50]
    """
    wanted = min(max(round(_HELD_OUT_SHARE * len(rows)), _FEWEST_HELD_OUT), len(rows) // 3, _MOST_HELD_OUT)
    if wanted < LEAST_CASES:
        raise DataError(
            f"adaptation needs >= {3 * LEAST_CASES} items with content, of which a part is held out, has {len(rows)}"
        )
    shuffled = generator(seed, "adaptation/held out").permutation(rows)
    return np.sort(shuffled[wanted:]), np.sort(shuffled[:wanted])


def watched_together(histories: Histories, *, held_out: NDArray[np.int64], candidates_V: NDArray[np.bool_]) -> Cases:
    """The strongest companions of held-out items in the log.

    Args:
        histories: The log.
        held_out: Items to ask about; those with fewer than 5 interactions are left out.
        candidates_V: bool, items that may be right answers.

    Returns:
        Cases with up to 10 right answers each, by `kinema.flm.memory.ItemMemory`; there may be none.
    """
    memory, counts_V = ItemMemory.fit(histories), histories.item_counts()
    items, answers = [], []
    for item in held_out.tolist():
        if counts_V[item] >= _LEAST_INTERACTIONS:
            companions = memory.neighbours(item, memory.num_neighbours)[0]
            companions = companions[candidates_V[companions] & (companions != item)][:_NUM_NEIGHBOURS]
            if len(companions):
                items.append(item)
                answers.append(companions)
    return _cases(items, answers)


def nearest_by(
    vectors_VD: NDArray[np.float32], *, held_out: NDArray[np.int64], candidates_V: NDArray[np.bool_]
) -> Cases:
    """The nearest items of held-out ones by vectors that stay as they are.

    Args:
        vectors_VD: Zero rows for absent ones.
        held_out: Items to ask about.
        candidates_V: bool, items that may be right answers; held-out items must be among them.

    Returns:
        Cases with up to 10 right answers each.
    """
    standard_VD = standardised(vectors_VD, candidates_V)
    answers = []
    for item in held_out.tolist():
        cosines_V = np.where(candidates_V, standard_VD @ standard_VD[item], -np.inf)
        cosines_V[item] = -np.inf
        order = np.argsort(-cosines_V, kind="stable")[:_NUM_NEIGHBOURS]
        answers.append(order[np.isfinite(cosines_V[order])])
    return _cases(held_out.tolist(), answers)


def neighbour_ndcg(
    vectors_VD: NDArray[np.float32], cases: Cases, *, candidates_V: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """How well the nearest items by content are the right ones.

    Columns are standardised first, as the model whitens them: raw encoder output shares directions in which all items
    look alike.

    Args:
        vectors_VD: One row per item, zero rows for absent ones.
        cases: What is right.
        candidates_V: bool, items that are ranked; an item is no candidate of its own.

    Returns:
        float64 [C], NDCG@10.
    """
    standard_VD = standardised(vectors_VD, candidates_V)
    values = [np.zeros(0)]
    for start in range(0, len(cases.items_C), _BLOCK):
        asked = cases.items_C[start : start + _BLOCK]
        offsets = cases.offsets[start : start + len(asked) + 1]
        blocked_CV = np.repeat(~candidates_V[None], len(asked), axis=0)
        blocked_CV[np.arange(len(asked)), asked] = True
        ranks_T = target_ranks(
            standard_VD[asked] @ standard_VD.T,
            rows_T=np.repeat(np.arange(len(asked)), np.diff(offsets)),
            items_T=cases.targets_T[offsets[0] : offsets[-1]],
            blocked_CV=blocked_CV,
        )
        values.append(ndcg(ranks_T, offsets - offsets[0], k=10))
    return np.concatenate(values)


def matching_rank(
    questions_CD: NDArray[np.float32], answers_VD: NDArray[np.float32], right_C: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Reciprocal rank of the one right answer by dot product: a title's own description among all descriptions.

    Args:
        questions_CD: Unit rows.
        answers_VD: Unit rows.
        right_C: Row of the right answer.

    Returns:
        float64 [C] in (0, 1].

    Example:
        >>> matching_rank(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), np.array([0, 0])).tolist()
        [1.0, 0.5]
    """
    values = [np.zeros(0)]
    for start in range(0, len(right_C), _BLOCK):
        right = right_C[start : start + _BLOCK]
        scores_CV = questions_CD[start : start + _BLOCK] @ answers_VD.T
        ranks_T = target_ranks(scores_CV, rows_T=np.arange(len(right)), items_T=right)
        values.append(reciprocal_rank(ranks_T, np.arange(len(right) + 1), k=len(answers_VD)))
    return np.concatenate(values)


def compare(before_C: NDArray[np.float64], after_C: NDArray[np.float64], *, seed: int) -> Comparison:
    """Paired difference of two encoders, with its interval by drawing the held-out items again.

    Args:
        before_C: One number per held-out item, higher is better.
        after_C: The same items.
        seed: Of the draws.

    Returns:
        Means, gain and interval.

    Raises:
        DataError: Too few cases, or not the same ones.

    Example:
        >>> compare(np.zeros(20), np.full(20, 0.1), seed=0).better
        True
    """
    if len(before_C) != len(after_C) or len(before_C) < LEAST_CASES:
        raise DataError(
            f"a comparison needs >= {LEAST_CASES} cases, the same for both, has {len(before_C)} and {len(after_C)}"
        )
    gains_C = after_C - before_C
    samples_B = resampled_means(gains_C[:, None], np.arange(len(gains_C)), num_resamples=_RESAMPLES, seed=seed)[:, 0]
    gain = percentile_interval(float(gains_C.mean()), samples_B)
    return Comparison(len(gains_C), float(before_C.mean()), float(after_C.mean()), gain)


def standardised(vectors_VD: NDArray[np.float32], candidates_V: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Columns of mean 0 and deviation 1 over the candidates, then rows of length 1; zero rows for all others."""
    some = vectors_VD[candidates_V].astype(np.float64)
    mean_D, spread_D = some.mean(axis=0), some.std(axis=0)
    scale_D = np.where(spread_D > 1e-6 * max(float(spread_D.max(initial=0)), 1e-12), 1 / np.maximum(spread_D, 1e-12), 0)
    rows_VD = np.where(candidates_V[:, None], (vectors_VD - mean_D) * scale_D, 0)
    lengths_V1 = np.linalg.norm(rows_VD, axis=1, keepdims=True)
    return np.asarray(rows_VD / np.where(lengths_V1 > 0, lengths_V1, 1), dtype=np.float32)


def _cases(items: Sequence[int], answers: Sequence[NDArray[np.int64]]) -> Cases:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in answers], dtype=np.int64)]).astype(np.int64)
    targets_T = np.concatenate([np.zeros(0, dtype=np.int64), *answers])
    return Cases(np.array(items, dtype=np.int64), offsets, targets_T)
