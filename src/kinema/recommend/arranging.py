"""The slate is made of ranked candidates: boosts, variety, caps, new items, chance, and what is pinned.

Shape suffixes: V items, K candidates, S places of the slate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.recommend.conditions import matching
from kinema.recommend.filters import Eligible
from kinema.recommend.parts import Parts
from kinema.recommend.sampling import allowed_sample
from kinema.recommend.scenario import CATEGORY, PINNED, Scenario
from kinema.recommend.stages import Ranked
from kinema.recommend.trace import Trace
from kinema.reranking.exploration import explore
from kinema.reranking.mmr import diversify, scaled
from kinema.reranking.newcomers import with_newcomers
from kinema.reranking.quotas import Quota, first_within
from kinema.retrieval.fresh import ages_ms
from kinema.retrieval.query import Query
from kinema.seeds import generator

POOL: Final = 50
"""Candidates that re-ranking looks at: at least this many and four slates. What lies below could only enter a slate for
its distance, not for its value."""
FEW_EVENTS: Final = 5.0
"""Interactions, counted with their decay, from which an item makes its own way."""
BEST_SHARE: Final = 0.1
"""Of the catalogue, by nearness to the user's vector: what is in it fits the user."""


def pool_size(num_items: int) -> int:
    """Candidates that a slate of this length is chosen from."""
    return max(POOL, 4 * num_items)


@dataclass(frozen=True)
class Arrangement:
    """What makes a slate of the best candidates.

    Attributes:
        diversity: Share of the trade-off that distance to the items above has, in [0, 1].
        caps: ``category`` or an attribute -> places that one value of it may take.
        fresh_share: Of the places, kept for new items that fit, in [0, 1]; none where there are caps.
        exploration: Probability with which a place is drawn by chance, in [0, 1].
        draw: Where chance comes from; None where nothing is left to it.
        pinned: Numbers of items that have places of their own and count for the caps.
    """

    diversity: float
    caps: Mapping[str, int] = field(default_factory=dict)
    fresh_share: float = 0.0
    exploration: float = 0.0
    draw: np.random.Generator | None = None
    pinned: tuple[int, ...] = ()


def chance(seed: int, scenario: Scenario, *, user: str, draw: str) -> np.random.Generator | None:
    """Where the draws of one request come from: the same request draws the same. None where nothing is left to chance."""
    if not scenario.exploration:
        return None
    return generator(seed, f"explore/{scenario.name}/{scenario.variant}/{user}/{draw}")


def set_aside_pins(
    parts: Parts, left: Eligible, scenario: Scenario, *, num_items: int, trace: Trace
) -> tuple[Eligible, dict[int, int]]:
    """Take the items that have fixed places out of what is searched.

    Args:
        parts: Of the recommender.
        left: What may appear.
        scenario: Has the pins.
        num_items: Length of the slate; a pin behind it is left out.
        trace: Told what is pinned, and why what is not.

    Returns:
        What is left without them, and position -> item number.
    """
    if not scenario.pins:
        return left, {}
    pinned: dict[int, int] = {}
    left_out: dict[str, str] = {}
    for position, one in sorted(scenario.pins.items()):
        number = parts.catalogue.numbers.get(one)
        if number is None:
            left_out[one] = "unknown"
        elif position >= num_items:
            left_out[one] = "behind the slate"
        elif not left.allowed_V[number]:
            left_out[one] = "may not appear"
        elif number in pinned.values():
            left_out[one] = "pinned above"
        else:
            pinned[position] = number
    allowed_V = left.allowed_V.copy()
    allowed_V[list(pinned.values())] = False
    names = {str(position): parts.catalogue.ids[item] for position, item in pinned.items()}
    num_out = left.num - len(pinned)
    trace.step("pin", left.num, num_out, removed={PINNED: len(pinned)}, pinned=names, left_out=left_out)
    return Eligible(allowed_V, left.removed), pinned


def boost(parts: Parts, ranked: Ranked, scenario: Scenario, *, now_ms: int, trace: Trace) -> Ranked:
    """Move the relevance of some candidates, on the scale that `Boost` describes; scores follow."""
    if not (scenario.boosts or scenario.lifts) or not len(ranked.items_K):
        return ranked
    plain_K = scaled(ranked.relevance_K)
    moved_K, counts = plain_K, []
    for one in scenario.boosts:
        means_K = matching(one.where, parts.catalogue, now_ms)[ranked.items_K]
        moved_K = np.where(means_K, moved_K * one.multiply + one.add, moved_K)
        counts.append(int(means_K.sum()))
    if scenario.lifts:
        lift_K = [scenario.lifts.get(parts.catalogue.ids[item], 0.0) for item in ranked.items_K.tolist()]
        moved_K = moved_K + np.array(lift_K)
        counts.append(int(np.count_nonzero(lift_K)))
    span = float(ranked.relevance_K.max() - ranked.relevance_K.min()) or 1.0
    boosted = ranked.moved(span * (moved_K - plain_K))
    num, num_moved = len(boosted.items_K), int((boosted.items_K != ranked.items_K).sum())
    trace.step("boost", num, num, boosted=counts, moved=num_moved)
    return boosted


def rerank(
    parts: Parts, ranked: Ranked, query: Query | None, *, num_items: int, arrangement: Arrangement, trace: Trace
) -> Ranked:
    """Choose the slate among the best candidates so that it is varied and new items have a chance.

    The best stays first unless chance has it otherwise.

    Args:
        parts: Of the recommender.
        ranked: Candidates, best first.
        query: The user in numbers; None lets no new item in.
        num_items: Places to fill.
        arrangement: How.
        trace: Told the counts.

    Returns:
        The slate, with propensities where chance had a hand in it.
    """
    quotas = _quotas(parts, ranked, arrangement)
    num_candidates = len(ranked.items_K)
    size = min(num_candidates, pool_size(num_items))
    pool_P = np.arange(size)
    if quotas:
        pool_P = first_within(quotas, size, num_candidates=num_candidates, least=num_items)
    pool_K = ranked.items_K[pool_P]
    varied_S = pool_P[
        diversify(
            ranked.relevance_K[pool_P],
            None if parts.joint_VD is None else parts.joint_VD[pool_K],
            num_items,
            diversity=arrangement.diversity,
            quotas=[quota.take(pool_P) for quota in quotas],
        )
    ]
    places_S = varied_S
    if not quotas and arrangement.fresh_share and query is not None:
        newcomers = _newcomers(parts, ranked, query)
        places_S = with_newcomers(varied_S, newcomers, share=arrangement.fresh_share, num_items=num_items)
    lifted = varied_S[varied_S >= num_items]
    chosen = set(varied_S.tolist())
    detail = {} if not quotas else {"capped": _num_capped(arrangement, quotas, places_S)}
    trace.step(
        "rerank",
        num_candidates,
        len(places_S),
        removed={"below the slate": num_candidates - len(places_S)},
        lifted_in=[parts.catalogue.ids[item] for item in ranked.items_K[lifted].tolist()],
        let_in_new=[parts.catalogue.ids[ranked.items_K[one]] for one in places_S.tolist() if one not in chosen],
        diversity=arrangement.diversity,
        **detail,
    )
    if arrangement.draw is None or not arrangement.exploration:
        return ranked.take(places_S)
    drawn_from = np.union1d(pool_P, places_S)
    planned_S = np.searchsorted(drawn_from, places_S)
    return _explored(parts, ranked.take(drawn_from), planned_S, arrangement=arrangement, trace=trace)


def _explored(
    parts: Parts, pool: Ranked, planned_S: NDArray[np.integer], *, arrangement: Arrangement, trace: Trace
) -> Ranked:
    """The slate of which some places are drawn, from the pool and the places in it that were planned."""
    assert arrangement.draw is not None
    explored = explore(
        planned_S,
        len(pool.items_K),
        share=arrangement.exploration,
        random=arrangement.draw,
        quotas=_quotas(parts, pool, arrangement),
    )
    slate = replace(pool.take(explored.places_S), propensities_K=explored.propensities_S)
    drawn = slate.items_K[explored.drawn_S].tolist()
    trace.step(
        "explore",
        len(planned_S),
        len(slate.items_K),
        share=arrangement.exploration,
        pool=len(pool.items_K),
        drawn=[parts.catalogue.ids[item] for item in drawn],
    )
    return slate


def with_pins(slate: Ranked, pinned: Mapping[int, int], *, num_items: int) -> Ranked:
    """The slate with the pinned items at their positions; what stands there moves down. In a slate that is too short they come last."""
    if not pinned:
        return slate
    items = np.array(list(pinned.values()), dtype=np.int64)
    worst = float(slate.scores_K.min(initial=0.0))
    known_K = np.full(len(items), worst) if slate.scores_of is None else slate.scores_of(items).astype(np.float64)
    scores_K = np.where(np.isfinite(known_K), known_K, worst)
    free = iter(range(len(slate.items_K)))
    order: list[int] = []
    for position in range(num_items):
        if position in pinned:
            order.append(len(slate.items_K) + list(pinned).index(position))
        else:
            place = next(free, None)
            order += [] if place is None else [place]
    certain_K = np.ones(len(slate.items_K)) if slate.propensities_K is None else slate.propensities_K
    joined = Ranked(
        np.concatenate([slate.items_K, items]),
        np.concatenate([slate.scores_K, scores_K]),
        np.concatenate([slate.relevance_K, scores_K]),
        slate.proposed.and_by(PINNED, len(items)),
        slate.scores_of,
        np.concatenate([certain_K, np.ones(len(items))]),
    )
    return joined.take(np.array(order, dtype=np.int64))


def _quotas(parts: Parts, ranked: Ranked, arrangement: Arrangement) -> list[Quota]:
    found = []
    for name, most in arrangement.caps.items():
        groups_V = parts.catalogue.groups if name == CATEGORY else parts.catalogue.facets.groups(name)
        groups, counts = np.unique(groups_V[list(arrangement.pinned)], return_counts=True)
        taken = {group: count for group, count in zip(groups.tolist(), counts.tolist(), strict=True) if group >= 0}
        found.append(Quota(groups_V[ranked.items_K], most, taken))
    return found


def _num_capped(arrangement: Arrangement, quotas: list[Quota], places_S: NDArray[np.int64]) -> dict[str, int]:
    """How many candidates better than the last of the slate found their category, their creator, full."""
    last = int(places_S.max(initial=-1))
    left_out = np.setdiff1d(np.arange(last + 1), places_S)
    counts = {}
    for name, quota in zip(arrangement.caps, quotas, strict=True):
        groups, sizes = np.unique(quota.groups_K[places_S], return_counts=True)
        totals = dict(quota.taken)
        for group, size in zip(groups.tolist(), sizes.tolist(), strict=True):
            totals[group] = totals.get(group, 0) + size
        full = [group for group, total in totals.items() if group >= 0 and total >= quota.most]
        counts[name] = int(np.isin(quota.groups_K[left_out], full).sum())
    return counts


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
    places = np.flatnonzero(is_new_K)
    cosines = parts.item_vectors_VD[ranked.items_K[places]] @ query.user_vector_D
    others = parts.item_vectors_VD[allowed_sample(query.allowed_V)] @ query.user_vector_D
    fits = cosines >= np.quantile(others, 1 - BEST_SHARE)
    places, cosines = places[fits], cosines[fits]
    return [int(place) for place in places[np.argsort(-cosines, kind="stable")]]
