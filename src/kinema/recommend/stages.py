"""The stages of a request, each a function that writes its row of the trace.

Shape suffixes: V items, K candidates, S places of the slate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.ranking.fusion import fuse_ranks
from kinema.ranking.rescoring import Rescoring
from kinema.ranking.scale import on_model_scale
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.coldstart import Footing
from kinema.recommend.explain import Reason
from kinema.recommend.fallback import OFFSETS, TRUST
from kinema.recommend.filters import Eligible, eligible
from kinema.recommend.parts import Parts
from kinema.recommend.trace import Trace
from kinema.reranking.duplicates import first_of_each
from kinema.reranking.mmr import diversify
from kinema.reranking.newcomers import with_newcomers
from kinema.retrieval.content import ContentRetriever
from kinema.retrieval.exact import ExactRetriever
from kinema.retrieval.fresh import FreshRetriever, ages_ms
from kinema.retrieval.memory import MemoryRetriever
from kinema.retrieval.merge import Merged, merge
from kinema.retrieval.popularity import PopularityRetriever
from kinema.retrieval.query import Query, Retriever
from kinema.schema import SlateItem

POOL: Final = 50
"""Candidates that re-ranking looks at: at least this many and four slates. What lies below could only enter a slate for
its distance, not for its value."""
FEW_EVENTS: Final = 5.0
"""Interactions, counted with their decay, from which an item makes its own way."""
BEST_SHARE: Final = 0.1
"""Of the catalogue, by nearness to the user's vector: what is in it fits the user."""


@dataclass(frozen=True)
class Ranked:
    """Candidates with one score each, best first.

    Attributes:
        items_K: int64, item numbers; equal scores by item number.
        scores_K: float64, finite, descending.
        relevance_K: float64, what re-ranking weighs against distance: the scores, or the logarithm of fused ranks. A fused
            rank falls like 1/place, so without the logarithm everything below the first places would seem equal.
        sources_K: Who proposed each.
        logits_V: The model's score of every item; None where it was not asked.
    """

    items_K: NDArray[np.int64]
    scores_K: NDArray[np.float64]
    relevance_K: NDArray[np.float64]
    sources_K: tuple[tuple[str, ...], ...]
    logits_V: NDArray[np.float32] | None = None

    def take(self, places: NDArray[np.integer]) -> "Ranked":
        """The given places, in that order."""
        sources = tuple(self.sources_K[place] for place in places.tolist())
        return replace(
            self,
            items_K=self.items_K[places],
            scores_K=self.scores_K[places],
            relevance_K=self.relevance_K[places],
            sources_K=sources,
        )


def retrievers_of(parts: Parts) -> tuple[Retriever, ...]:
    """The retrievers that the parts can feed. Popularity and freshness need nothing and are always there."""
    found: list[Retriever] = []
    if parts.item_vectors_VD is not None:
        found.append(ExactRetriever(parts.item_vectors_VD))
    if parts.memory is not None:
        found.append(MemoryRetriever(parts.memory))
    if parts.joint_VD is not None:
        found.append(ContentRetriever(parts.joint_VD))
    found.append(PopularityRetriever(parts.popularity_V, parts.segments))
    found.append(FreshRetriever(parts.catalogue.published_ms_V, parts.fresh_ms))
    return tuple(found)


def filter_items(
    catalogue: Catalogue,
    *,
    seen: NDArray[np.integer],
    exclude: Sequence[str],
    now_ms: int,
    trace: Trace,
    **detail: str | None,
) -> Eligible:
    """What may appear at all. Ids to exclude that the catalogue does not know are counted, not refused."""
    numbers = [catalogue.numbers[one] for one in exclude if one in catalogue.numbers]
    left = eligible(catalogue, now_ms=now_ms, seen=seen, excluded=np.array(numbers, dtype=np.int64))
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


def retrieve(catalogue: Catalogue, retrievers: Sequence[Retriever], query: Query, *, num: int, trace: Trace) -> Merged:
    """Ask every retriever for ``num`` candidates and join the answers."""
    num_allowed = int(query.allowed_V.sum())
    found = {}
    for retriever in retrievers:
        candidates = retriever(query, num)
        found[retriever.name] = candidates
        trace.step(
            f"retrieve:{retriever.name}",
            num_allowed,
            len(candidates),
            removed={"not proposed": num_allowed - len(candidates)},
            first=[catalogue.ids[one.item] for one in candidates[:3]],
        )
    merged = merge(found)
    num_in = sum(len(candidates) for candidates in found.values())
    trace.step(
        "merge",
        num_in,
        len(merged.items_K),
        removed={"proposed by several": num_in - len(merged.items_K)},
        only={name: int(alone) for name, alone in _alone(merged).items() if alone},
    )
    return merged


def _alone(merged: Merged) -> dict[str, int]:
    proposed_SK = merged.ranks_SK >= 0
    single_SK = proposed_SK & (proposed_SK.sum(axis=0) == 1)
    return dict(zip(merged.sources, single_SK.sum(axis=1).tolist(), strict=True))


def rank(
    parts: Parts,
    merged: Merged,
    query: Query,
    *,
    footing: Footing,
    trace: Trace,
    rescoring: Rescoring | None = None,
) -> Ranked:
    """One score per candidate: the model's where it can read a history, moved by a second opinion; fused ranks elsewhere."""
    weights = [TRUST[footing][source] for source in merged.sources]
    scores_K = fuse_ranks(merged.ranks_SK, weights, offset=OFFSETS[footing])
    logits_V, num_unscored, by = None, len(scores_K), "fused ranks"
    if parts.scorer is not None and footing is Footing.HISTORY:
        profiles = None if query.profile_P is None else query.profile_P[None]
        logits_V = parts.scorer.score(query.history, profiles, moments_C=np.array([query.now_ms]))[0]
        scores_K, num_unscored = on_model_scale(logits_V, merged.items_K, scores_K)
    if num_unscored < len(scores_K):
        by = "model"
        if rescoring is not None:
            scores_K, by = rescoring.blend(scores_K, merged.items_K, query.now_ms), f"model+{rescoring.name}"
        relevance_K = scores_K
    else:
        relevance_K = np.log(scores_K)
    order_K = np.lexsort((merged.items_K, -scores_K))
    sources = tuple(merged.sources_of(column) for column in order_K.tolist())
    trace.step("rank", len(scores_K), len(scores_K), by=by, without_model_score=num_unscored)
    return Ranked(merged.items_K[order_K], scores_K[order_K], relevance_K[order_K], sources, logits_V)


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


@dataclass(frozen=True)
class Arrangement:
    """What makes a slate of the best candidates.

    Attributes:
        diversity: Share of the trade-off that distance to the items above has, in [0, 1].
        max_per_category: Places one first category may take; None sets no limit.
        fresh_share: Of the places, kept for new items that fit, in [0, 1]; none where categories are limited.
    """

    diversity: float
    max_per_category: int | None
    fresh_share: float


def rerank(
    parts: Parts, ranked: Ranked, query: Query, *, num_items: int, arrangement: Arrangement, trace: Trace
) -> Ranked:
    """Choose the slate among the best candidates so that it is varied and new items have a chance; the best stays first."""
    size = min(len(ranked.items_K), max(POOL, 4 * num_items))
    pool_K = ranked.items_K[:size]
    varied_S = diversify(
        ranked.relevance_K[:size],
        None if parts.joint_VD is None else parts.joint_VD[pool_K],
        num_items,
        diversity=arrangement.diversity,
        groups_K=parts.catalogue.groups[pool_K],
        max_per_group=arrangement.max_per_category,
    )
    newcomers = _newcomers(parts, ranked, query)
    places_S = varied_S
    if arrangement.max_per_category is None:
        places_S = with_newcomers(varied_S, newcomers, share=arrangement.fresh_share, num_items=num_items)
    lifted = varied_S[varied_S >= num_items]
    trace.step(
        "rerank",
        len(ranked.items_K),
        len(places_S),
        removed={"below the slate": len(ranked.items_K) - len(places_S)},
        lifted_in=[parts.catalogue.ids[item] for item in ranked.items_K[lifted].tolist()],
        let_in_new=[parts.catalogue.ids[ranked.items_K[one]] for one in places_S if one not in varied_S],
        diversity=arrangement.diversity,
    )
    return ranked.take(places_S)


def _newcomers(parts: Parts, ranked: Ranked, query: Query) -> list[int]:
    """Candidates published lately and hardly watched whose vectors are among the user's best tenth; best first.

    Vectors, not scores: a score also knows that new items are watched less, which is what is to be made up for. Nobody is
    shown what does not fit for being new.
    """
    if parts.item_vectors_VD is None or query.user_vector_D is None:
        return []
    age_K = ages_ms(parts.catalogue.published_ms_V[ranked.items_K], query.now_ms)
    is_new_K = (age_K >= 0) & (age_K <= parts.fresh_ms) & (parts.popularity_V[ranked.items_K] < FEW_EVENTS)
    if not is_new_K.any():
        return []
    cosines_V = parts.item_vectors_VD @ query.user_vector_D
    cosines_K = cosines_V[ranked.items_K]
    fits_K = cosines_K >= np.quantile(cosines_V[query.allowed_V], 1 - BEST_SHARE)
    places = np.flatnonzero(is_new_K & fits_K)
    return [int(place) for place in places[np.argsort(-cosines_K[places], kind="stable")]]


def explain(parts: Parts, ranked: Ranked, query: Query, *, footing: Footing, trace: Trace) -> tuple[SlateItem, ...]:
    """The finished places of the slate, each with its reason."""
    segment = None
    if parts.segments is not None and query.profile_P is not None:
        names = [parts.segments.names[one] for one in parts.segments.of(query.profile_P).tolist()]
        segment = (parts.segments.shares(query.profile_P, parts.popularity_V) * parts.popularity_V.sum(), names)
    model = None
    if ranked.logits_V is not None:
        model = ("model", ranked.logits_V)
    elif footing is Footing.PROFILE and query.user_vector_D is not None and parts.item_vectors_VD is not None:
        model = ("profile", parts.item_vectors_VD @ query.user_vector_D)
    reasons = parts.explainer.reasons(
        ranked.items_K, history=query.history, now_ms=query.now_ms, segment=segment, model=model
    )
    items = slate_items(parts.catalogue, ranked, reasons)
    trace.step("explain", len(items), len(items))
    return items


def slate_items(catalogue: Catalogue, ranked: Ranked, reasons: Sequence[Reason]) -> tuple[SlateItem, ...]:
    """Items, scores, sources and reasons as the places of a slate, in the order given."""
    rows = zip(ranked.items_K.tolist(), ranked.scores_K.tolist(), ranked.sources_K, reasons, strict=True)
    return tuple(
        SlateItem(
            id=catalogue.ids[item],
            title=catalogue.titles[item],
            position=position,
            score=score,
            sources=sources,
            reason=reason.text,
            evidence=reason.evidence,
        )
        for position, (item, score, sources, reason) in enumerate(rows)
    )
