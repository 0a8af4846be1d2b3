"""The stages of a request around retrieval and arrangement, each a function that writes its row of the trace.

Shape suffixes: V items, K candidates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.ranking.fusion import fuse_ranks
from kinema.ranking.rescoring import Rescoring
from kinema.ranking.scale import on_model_scale
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.coldstart import Footing
from kinema.recommend.evidence import ScoresOf
from kinema.recommend.explain import Reason
from kinema.recommend.fallback import OFFSETS
from kinema.recommend.filters import Eligible, eligible
from kinema.recommend.model import Reading
from kinema.recommend.parts import Parts
from kinema.recommend.scenario import PINNED, Condition
from kinema.recommend.trace import Trace
from kinema.reranking.duplicates import first_of_each
from kinema.retrieval.merge import Merged, Proposed
from kinema.retrieval.query import Query
from kinema.schema import SlateItem

_MOST_LOG: Final = 700.0


@dataclass(frozen=True, eq=False)
class _NearnessOf:
    """Cosines of some items with the user's vector."""

    vectors_VD: NDArray[np.float32]
    user_vector_D: NDArray[np.float32]

    def __call__(self, items_K: NDArray[np.integer]) -> NDArray[np.float32]:
        return np.asarray(self.vectors_VD[items_K] @ self.user_vector_D)


@dataclass(frozen=True)
class Ranked:
    """Candidates with one score each, best first.

    Attributes:
        items_K: int64, item numbers; equal scores by item number.
        scores_K: float64, finite, descending.
        relevance_K: float64, what re-ranking weighs against distance: the scores, or the logarithm of fused ranks. A fused
            rank falls like 1/place, so without the logarithm everything below the first places would seem equal.
        proposed: Who proposed each.
        scores_of: The model's score of any items; None where it was not asked.
        propensities_K: float64, probability with which each took its place; None where nothing was left to chance.
    """

    items_K: NDArray[np.int64]
    scores_K: NDArray[np.float64]
    relevance_K: NDArray[np.float64]
    proposed: Proposed
    scores_of: ScoresOf | None = None
    propensities_K: NDArray[np.float64] | None = None

    def take(self, places: NDArray[np.integer]) -> "Ranked":
        """The given places, in that order."""
        return replace(
            self,
            items_K=self.items_K[places],
            scores_K=self.scores_K[places],
            relevance_K=self.relevance_K[places],
            proposed=self.proposed.take(places),
            propensities_K=None if self.propensities_K is None else self.propensities_K[places],
        )

    def moved(self, steps_K: NDArray[np.float64]) -> "Ranked":
        """Relevance moved by so much, best first again; scores follow."""
        relevance_K = self.relevance_K + steps_K
        scores_K = relevance_K
        if not np.array_equal(self.relevance_K, self.scores_K):  # logarithms of fused ranks
            scores_K = np.where(steps_K == 0, self.scores_K, np.exp(np.clip(relevance_K, -_MOST_LOG, _MOST_LOG)))
        order_K = np.lexsort((self.items_K, -relevance_K))
        return replace(self, scores_K=scores_K, relevance_K=relevance_K).take(order_K)


def filter_items(
    catalogue: Catalogue,
    *,
    seen: NDArray[np.integer],
    exclude: Sequence[str],
    now_ms: int,
    trace: Trace,
    condition: Condition | None = None,
    **detail: str | None,
) -> Eligible:
    """What may appear at all. Ids to exclude that the catalogue does not know are counted, not refused."""
    numbers = [catalogue.numbers[one] for one in exclude if one in catalogue.numbers]
    excluded = np.array(numbers, dtype=np.int64)
    left = eligible(catalogue, now_ms=now_ms, seen=seen, excluded=excluded, condition=condition)
    trace.step(
        "filter",
        len(catalogue),
        left.num,
        removed=left.removed,
        now_ms=now_ms,
        unknown_excludes=len(exclude) - len(numbers),
        **detail,
    )
    return left


def rank(
    merged: Merged,
    query: Query,
    *,
    footing: Footing,
    weights: Mapping[str, float],
    trace: Trace,
    reading: Reading | None = None,
    rescoring: Rescoring | None = None,
) -> Ranked:
    """One score per candidate: the model's where it can read a history, moved by a second opinion; fused ranks elsewhere.

    Args:
        merged: Candidates with their ranks.
        query: The user in numbers.
        footing: What is known of the user.
        weights: Trust in each source, > 0, where ranks are fused.
        trace: Told by what was ranked.
        reading: What the model makes of the user; None does not ask it.
        rescoring: The second opinion; None for none.
    """
    scores_K = fuse_ranks(merged.ranks_SK, [weights[source] for source in merged.sources], offset=OFFSETS[footing])
    scores_of, num_unscored, by = None, len(scores_K), "fused ranks"
    if reading is not None and footing is Footing.HISTORY:
        scores_of = reading.scores_of
        scores_K, num_unscored = on_model_scale(scores_of(merged.items_K), scores_K)
    if num_unscored < len(scores_K):
        by = "model"
        if rescoring is not None:
            scores_K, by = rescoring.blend(scores_K, merged.items_K, query.now_ms), f"model+{rescoring.name}"
        relevance_K = scores_K
    else:
        relevance_K = np.log(scores_K)
    order_K = np.lexsort((merged.items_K, -scores_K))
    trace.step("rank", len(scores_K), len(scores_K), by=by, without_model_score=num_unscored)
    return Ranked(
        merged.items_K[order_K], scores_K[order_K], relevance_K[order_K], merged.proposed.take(order_K), scores_of
    )


def drop_copies(parts: Parts, ranked: Ranked, *, shown: NDArray[np.integer], trace: Trace) -> tuple[Ranked, int]:
    """Keep of the copies of one clip the best, and none where the clip itself or a copy of it was shown before.

    Args:
        parts: With or without groups of copies; without, nothing happens and nothing is traced.
        ranked: Candidates, best first.
        shown: Numbers of items that count as shown: what the user has watched, or the item asked about.
        trace: Told the counts.

    Returns:
        What is left, and how many were dropped.
    """
    if parts.copies_V is None:
        return ranked, 0
    groups_K = parts.copies_V[ranked.items_K]
    taken = set(parts.copies_V[np.asarray(shown, dtype=np.int64)].tolist()) - {-1}
    places = first_of_each(groups_K, taken=taken)
    num_shown = int(np.isin(groups_K, list(taken)).sum())
    num_in, num_out = len(groups_K), len(places)
    removed = {"copies of what was shown": num_shown, "copies of one above": num_in - num_out - num_shown}
    trace.step("copies", num_in, num_out, removed=removed)
    return ranked.take(places), num_in - num_out


def explain(
    parts: Parts, ranked: Ranked, query: Query, *, footing: Footing, trace: Trace, reasons: bool = True
) -> tuple[SlateItem, ...]:
    """The finished places of the slate, each with its reason where reasons are wanted."""
    told = _reasons(parts, ranked, query, footing) if reasons else [Reason("", {})] * len(ranked.items_K)
    items = slate_items(parts.catalogue, ranked, told)
    trace.step("explain", len(items), len(items))
    return items


def _reasons(parts: Parts, ranked: Ranked, query: Query, footing: Footing) -> list[Reason]:
    segment = None
    if parts.segments is not None and query.profile_P is not None:
        names = [parts.segments.names[one] for one in parts.segments.of(query.profile_P).tolist()]
        segment = parts.segments.shares(query.profile_P, parts.popularity_V), names
    model: tuple[str, ScoresOf] | None = None
    if ranked.scores_of is not None:
        model = ("model", ranked.scores_of)
    elif footing is Footing.PROFILE and parts.item_vectors_VD is not None and query.user_vector_D is not None:
        model = ("profile", _NearnessOf(parts.item_vectors_VD, query.user_vector_D))
    return parts.explainer.reasons(
        ranked.items_K,
        history=query.history,
        now_ms=query.now_ms,
        segment=segment,
        model=model,
        transitions=None if parts.memory is None else query.transitions(parts.memory),
    )


def slate_items(catalogue: Catalogue, ranked: Ranked, reasons: Sequence[Reason]) -> tuple[SlateItem, ...]:
    """Items, scores, sources, reasons and propensities as the places of a slate, in the order given."""
    certain = [1.0] * len(ranked.items_K)
    propensities = certain if ranked.propensities_K is None else ranked.propensities_K.tolist()
    rows = zip(
        ranked.items_K.tolist(), ranked.scores_K.tolist(), ranked.proposed.of_each(), reasons, propensities, strict=True
    )
    return tuple(
        SlateItem(
            id=catalogue.ids[item],
            title=catalogue.titles[item],
            position=position,
            score=score,
            sources=sources,
            reason="pinned to this place" if sources == (PINNED,) else reason.text,
            evidence={**reason.evidence, "kind": PINNED} if sources == (PINNED,) else reason.evidence,
            propensity=propensity,
        )
        for position, (item, score, sources, reason, propensity) in enumerate(rows)
    )
