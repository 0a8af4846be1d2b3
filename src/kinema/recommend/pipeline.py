"""A request becomes a slate: filter, retrieve, merge, rank, re-rank, explain.

Shape suffixes: V items, U users, D width, P profile columns.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.notices import Notice, in_words
from kinema.ranking.rescoring import Rescoring
from kinema.recommend.arranging import Arrangement, boost, chance, rerank, set_aside_pins, with_pins
from kinema.recommend.audience import Audience, find_audience
from kinema.recommend.branches import answer_alone
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.checks import check_count, check_request, check_settings, one_row
from kinema.recommend.coldstart import Footing, footing_of, read_user, user_vector
from kinema.recommend.fallback import length_notices, user_notices
from kinema.recommend.leaning import lean
from kinema.recommend.model import Memory, Reading, Scorer
from kinema.recommend.parts import Parts
from kinema.recommend.scenario import BUILT_IN, CATEGORY, Scenario, check_scenario
from kinema.recommend.similar import find_similar
from kinema.recommend.sources import retrieve, retrievers_of
from kinema.recommend.stages import Ranked, drop_copies, explain, filter_items, rank
from kinema.recommend.trace import Trace
from kinema.retrieval.ivf import Indexing
from kinema.retrieval.popularity import Segments
from kinema.retrieval.query import Query
from kinema.schema import Branch, Request, Slate, SlateItem
from kinema.store.histories import Histories

COLD_DIVERSITY: Final = 0.3
"""Least diversity of a slate for a user without history: a broad choice tells most about a new taste."""


def wall_clock_ms() -> int:
    """Now, UTC milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class _Case:
    """One request on its way: who asks, by which rules, on what footing, how many, what is pinned, what chance hangs on."""

    user: str
    scenario: Scenario
    footing: Footing
    num_items: int
    pinned: Mapping[int, int]
    draw: str
    reasons: bool


class Recommender:
    """Answers requests from plain parts. With fewer parts it gives weaker answers and says so in the slate's notice.

    Args:
        catalogue: The items.
        scorer: The model bound to this catalogue; None answers from content, transitions and popularity.
        content: Modality -> unit rows [V, D] (see `kinema.retrieval.content.content_of`); None takes the model's.
        memory: Item-item transitions; None takes the model's.
        popularity_V: Decayed interactions per item (see `kinema.retrieval.popularity.decayed_counts`); None takes the
            model's.
        segments: Popularity by profile attribute; None recommends the same to every unknown user.
        num_candidates: Asked of each source, >= 1; at least twice the slate.
        diversity: Share of the trade-off that distance to the items above has, in [0, 1].
        max_per_category: Places one first category may take in a slate; None sets no limit.
        fresh_days: Items published within this many days are candidates of their own and are called new.
        fresh_share: Places of a slate kept for new items that hardly anybody has watched, in [0, 1]: one in ten unless said
            otherwise. They go to those that are among the nearest tenth of the catalogue to the user's vector.
        copies_V: Group of each item among copies of one clip, -1 for none (see `kinema.steps.duplicates`); a slate shows
            one of each group. None knows of no copies.
        now_ms: The clock for requests without a time of their own.
        seed: What a scenario leaves to chance follows from it.
        indexing: Whether near items are found by an index; None compares with all.

    Raises:
        ConfigError: A setting is out of range.
        StaleArtifactError: Model or vectors do not fit the catalogue.
        DataError: Popularity does not fit the catalogue.

    Example:
        >>> from kinema.schema import Item
        >>> recommender = Recommender(
        ...     catalogue=Catalogue.of([Item("v1", title="Otters"), Item("v2", title="Kites")]),
        ...     popularity_V=np.array([1.0, 5.0]),
        ... )
        >>> slate = recommender.recommend(Request("u1", num_items=2))
        >>> [(item.position, item.title, item.reason) for item in slate.items]
        [(0, 'Kites', 'popular now'), (1, 'Otters', 'from the rest of the catalogue')]
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        scorer: Scorer | None = None,
        content: Mapping[str, NDArray[np.float32]] | None = None,
        memory: Memory | None = None,
        popularity_V: NDArray[np.floating] | None = None,
        segments: Segments | None = None,
        num_candidates: int = 200,
        diversity: float = 0.1,
        max_per_category: int | None = None,
        fresh_days: float = 14.0,
        fresh_share: float = 0.1,
        copies_V: NDArray[np.integer] | None = None,
        now_ms: Callable[[], int] = wall_clock_ms,
        seed: int = 0,
        indexing: Indexing | None = None,
    ) -> None:
        check_settings(
            num_candidates=num_candidates,
            diversity=diversity,
            max_per_category=max_per_category,
            fresh_days=fresh_days,
            fresh_share=fresh_share,
        )
        self.parts = Parts.of(
            catalogue=catalogue,
            scorer=scorer,
            content=content,
            memory=memory,
            popularity_V=popularity_V,
            segments=segments,
            fresh_days=fresh_days,
            copies_V=copies_V,
        )
        self.num_candidates = num_candidates
        self.diversity = diversity
        self.max_per_category = max_per_category
        self.fresh_share = fresh_share
        self.now_ms = now_ms
        self.seed = seed
        self.retrievers = retrievers_of(self.parts, indexing or Indexing())

    def recommend(
        self,
        request: Request,
        *,
        history: Histories | None = None,
        profile_P: NDArray[np.float32] | None = None,
        rescoring: Rescoring | None = None,
        scenario: Scenario | None = None,
        draw: str = "",
        reasons: bool = True,
    ) -> Slate:
        """Answer one request.

        Args:
            request: Who asks, how many items, what to leave out.
            history: The user's interactions, one row; an empty row for a known user without any, None for a user
                that the store does not know.
            profile_P: The user's profile row; None where there is none.
            rescoring: A second opinion on the candidates of a user with a history; None for none.
            scenario: The rules of the placement; None takes the request's name without any rule.
            draw: What chance depends on beside seed, scenario and user, such as the recommendation's id; empty takes the
                moment of the request.
            reasons: Whether each item gets its reason, which takes a fifth of a request; what is shown is the same without.

        Returns:
            At most ``request.num_items`` items, fewer only if fewer are eligible. The same request on the same parts
            gives the same slate.

        Raises:
            DataError: The request or the history is not what it must be, or its scenario is unknown.
        """
        check_request(request)
        if scenario is None:
            check_scenario(request.scenario, BUILT_IN)
            scenario = Scenario(request.scenario)
        parts = self.parts
        trace = Trace()
        if not len(parts.catalogue):
            trace.step("filter", 0, 0)
            empty = Notice("catalogue_empty", "the catalogue is empty; run: kinema ingest")
            return Slate(request.user, (), trace.steps, empty.text, (empty,))
        past = one_row(history, len(parts.catalogue))
        profile = profile_P if profile_P is not None and np.isfinite(profile_P).all() else None
        now_ms = self.now_ms() if request.timestamp_ms is None else request.timestamp_ms
        num_items = min(request.num_items, scenario.max_items or request.num_items)
        seen = past.items if scenario.exclude_seen else past.items[:0]
        left = filter_items(
            parts.catalogue,
            seen=seen,
            exclude=request.exclude,
            now_ms=now_ms,
            trace=trace,
            condition=scenario.filter,
            scenario=scenario.name,
            **({"variant": scenario.variant} if scenario.variant else {}),
        )
        left, pinned = set_aside_pins(parts, left, scenario, num_items=num_items, trace=trace)
        case = _Case(request.user, scenario, footing_of(past, profile), num_items, pinned, draw or str(now_ms), reasons)
        reading = read_user(parts.scorer, past, profile, now_ms)
        query = Query(past, left.allowed_V, now_ms, user_vector(reading), profile)
        ranked = self._ranked(case, query, reading, rescoring, trace)
        shown = np.concatenate([seen, np.array(list(pinned.values()), dtype=np.int64)])
        single, num_copies = drop_copies(parts, ranked, shown=shown, trace=trace)
        items = self._arranged(case, single, query, trace)
        notices = (
            *user_notices(request.user, case.footing, known=history is not None),
            *parts.notices,
            *length_notices(found=len(items), wanted=num_items, removed={**left.removed, "copies": num_copies}),
        )
        return Slate(request.user, items, trace.steps, in_words(notices), notices)

    def _ranked(
        self, case: _Case, query: Query, reading: Reading | None, rescoring: Rescoring | None, trace: Trace
    ) -> Ranked:
        """Candidates with their scores."""
        scenario = case.scenario
        merged, weights = retrieve(
            self.parts.catalogue,
            self.retrievers,
            query,
            scenario=scenario,
            footing=case.footing,
            num=max(self.num_candidates, 2 * case.num_items),
            least=case.num_items,
            trace=trace,
        )
        ranked = rank(
            merged,
            query,
            footing=case.footing,
            weights=weights,
            trace=trace,
            reading=reading if scenario.rank_by == "model" else None,
            rescoring=rescoring if scenario.ranker else None,
        )
        leant = lean(self.parts, ranked, query, scenario.modalities, trace=trace)
        return boost(self.parts, leant, scenario, now_ms=query.now_ms, trace=trace)

    def _arranged(self, case: _Case, ranked: Ranked, query: Query, trace: Trace) -> tuple[SlateItem, ...]:
        """The places of the slate."""
        scenario, diversity = case.scenario, case.scenario.diversity
        if diversity is None:
            diversity = self.diversity if case.footing is Footing.HISTORY else max(self.diversity, COLD_DIVERSITY)
        limited = {} if self.max_per_category is None else {CATEGORY: self.max_per_category}
        arrangement = Arrangement(
            diversity=diversity,
            caps=scenario.caps or limited,
            fresh_share=self.fresh_share if scenario.fresh_share is None else scenario.fresh_share,
            exploration=scenario.exploration,
            draw=chance(self.seed, scenario, user=case.user, draw=case.draw),
            pinned=tuple(case.pinned.values()),
        )
        num_free = case.num_items - len(case.pinned)
        ordered = rerank(self.parts, ranked, query, num_items=num_free, arrangement=arrangement, trace=trace)
        slate = with_pins(ordered, case.pinned, num_items=case.num_items)
        return explain(self.parts, slate, query, footing=case.footing, trace=trace, reasons=case.reasons)

    def recommend_alone(
        self,
        request: Request,
        branch: Branch,
        *,
        history: Histories | None = None,
        profile_P: NDArray[np.float32] | None = None,
    ) -> Slate:
        """Answer one request by one side of the model alone, without retrieval and re-ranking.

        Args:
            request: Who asks, how many items, what to leave out.
            branch: ``content``, ``collaborative``, ``sequential``, ``memory`` or ``popularity``.
            history: See `recommend`.
            profile_P: See `recommend`.

        Raises:
            DataError: See `recommend`; or the model has not learnt that branch, or it needs a history.
            NotBuiltError: There is no model.
        """
        check_request(request)
        profile = profile_P if profile_P is not None and np.isfinite(profile_P).all() else None
        return answer_alone(
            self.parts,
            request,
            branch,
            history=one_row(history, len(self.parts.catalogue)),
            profile_P=profile,
            now_ms=self.now_ms() if request.timestamp_ms is None else request.timestamp_ms,
        )

    def similar(
        self,
        item: str,
        num_items: int = 10,
        *,
        modality: str | None = None,
        exclude: Sequence[str] = (),
        timestamp_ms: int | None = None,
        learned_V: NDArray[np.float32] | None = None,
        scenario: Scenario | None = None,
        draw: str = "",
    ) -> Slate:
        """Items like one item.

        Args:
            item: Item id.
            num_items: How many, 1..1000.
            modality: Compare this modality only; None compares content and behaviour together.
            exclude: Item ids to leave out.
            timestamp_ms: The moment of the question; None means now.
            learned_V: Learnt nearness of every item, cosines, in place of content; None for none.
            scenario: The rules of the placement, ``related`` as a rule; its sources, new items and second opinion have no meaning
                here, and without a diversity of its own there is none. None for no rules.
            draw: See `recommend`; the item takes the place of the user.

        Returns:
            A slate without a user, nearest first unless the rules have it otherwise.

        Raises:
            DataError: The item or the modality is unknown, or the item lacks it.
        """
        check_count("num_items", num_items, where=f"the question what is similar to '{item}'")
        now_ms = self.now_ms() if timestamp_ms is None else timestamp_ms
        rules = Scenario("related") if scenario is None else scenario
        return find_similar(
            self.parts,
            item=item,
            num_items=num_items,
            modality=modality,
            exclude=exclude,
            now_ms=now_ms,
            learned_V=learned_V,
            scenario=rules,
            draw=chance(self.seed, rules, user=item, draw=draw or str(now_ms)),
        )

    def audience(
        self,
        item: str,
        num_users: int = 10,
        *,
        user_ids: Sequence[str],
        histories: Histories,
        profiles_UP: NDArray[np.float32] | None = None,
        user_vectors_UD: NDArray[np.float32] | None = None,
    ) -> Audience:
        """Who should see an item, above all a new one.

        Args:
            item: Item id.
            num_users: How many users, 1..1000.
            user_ids: Id of each user.
            histories: Their interactions, row = user.
            profiles_UP: Their profiles, row = user; None without.
            user_vectors_UD: The model's user vectors; None computes them here, which takes a pass over all histories.

        Returns:
            Users who have not seen the item, the most interested first.

        Raises:
            DataError: The item is unknown, or the users do not fit together.
            NotBuiltError: There is neither a model nor content to compare with.
        """
        check_count("num_users", num_users, where=f"the question who should see '{item}'")
        return find_audience(
            self.parts,
            item=item,
            num_users=num_users,
            user_ids=user_ids,
            histories=histories,
            profiles_UP=profiles_UP,
            user_vectors_UD=user_vectors_UD,
            now_ms=self.now_ms(),
        )
