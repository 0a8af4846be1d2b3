"""A request becomes a slate: filter, retrieve, merge, rank, re-rank, explain.

Shape suffixes: V items, U users, D width, P profile columns.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.ranking.rescoring import Rescoring
from kinema.recommend.audience import Audience, find_audience
from kinema.recommend.branches import answer_alone
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.checks import check_count, check_request, check_settings, one_row
from kinema.recommend.coldstart import Footing, footing_of, user_vector
from kinema.recommend.fallback import TRUST, length_notice, user_notice
from kinema.recommend.model import Memory, Scorer
from kinema.recommend.parts import Parts
from kinema.recommend.similar import find_similar
from kinema.recommend.stages import (
    Arrangement,
    drop_copies,
    explain,
    filter_items,
    rank,
    rerank,
    retrieve,
    retrievers_of,
)
from kinema.recommend.trace import Trace
from kinema.retrieval.popularity import Segments
from kinema.retrieval.query import Query
from kinema.schema import Branch, Request, Slate
from kinema.store.histories import Histories

COLD_DIVERSITY: Final = 0.3
"""Least diversity of a slate for a user without history: a broad choice tells most about a new taste."""


def wall_clock_ms() -> int:
    """Now, UTC milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


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
        self.retrievers = retrievers_of(self.parts)

    def recommend(
        self,
        request: Request,
        *,
        history: Histories | None = None,
        profile_P: NDArray[np.float32] | None = None,
        rescoring: Rescoring | None = None,
    ) -> Slate:
        """Answer one request.

        Args:
            request: Who asks, how many items, what to leave out.
            history: The user's interactions, one row; an empty row for a known user without any, None for a user
                that the store does not know.
            profile_P: The user's profile row; None where there is none.
            rescoring: A second opinion on the candidates of a user with a history; None for none.

        Returns:
            At most ``request.num_items`` items, fewer only if fewer are eligible. The same request on the same parts
            gives the same slate.

        Raises:
            DataError: The request or the history is not what it must be.
        """
        check_request(request)
        parts = self.parts
        trace = Trace()
        if not len(parts.catalogue):
            trace.step("filter", 0, 0)
            return Slate(request.user, (), trace.steps, "the catalogue is empty; run: kinema ingest")
        past = one_row(history, len(parts.catalogue))
        profile = profile_P if profile_P is not None and np.isfinite(profile_P).all() else None
        footing = footing_of(past, profile)
        now_ms = self.now_ms() if request.timestamp_ms is None else request.timestamp_ms
        left = filter_items(
            parts.catalogue,
            seen=past.items,
            exclude=request.exclude,
            now_ms=now_ms,
            trace=trace,
            scenario=request.scenario,
        )
        query = Query(past, left.allowed_V, now_ms, user_vector(parts.scorer, past, profile, now_ms), profile)
        retrievers = [one for one in self.retrievers if one.name in TRUST[footing]]
        merged = retrieve(
            parts.catalogue, retrievers, query, num=max(self.num_candidates, 2 * request.num_items), trace=trace
        )
        ranked = rank(parts, merged, query, footing=footing, trace=trace, rescoring=rescoring)
        single, num_copies = drop_copies(parts, ranked, shown=past.items, trace=trace)
        diversity = self.diversity if footing is Footing.HISTORY else max(self.diversity, COLD_DIVERSITY)
        arrangement = Arrangement(diversity, self.max_per_category, self.fresh_share)
        ordered = rerank(parts, single, query, num_items=request.num_items, arrangement=arrangement, trace=trace)
        items = explain(parts, ordered, query, footing=footing, trace=trace)
        notices = (
            user_notice(request.user, footing, known=history is not None),
            *parts.notices,
            length_notice(found=len(items), wanted=request.num_items, removed={**left.removed, "copies": num_copies}),
        )
        return Slate(request.user, items, trace.steps, "; ".join(filter(None, notices)))

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
    ) -> Slate:
        """Items like one item.

        Args:
            item: Item id.
            num_items: How many, 1..1000.
            modality: Compare this modality only; None compares content and behaviour together.
            exclude: Item ids to leave out.
            timestamp_ms: The moment of the question; None means now.
            learned_V: Learnt nearness of every item, cosines, in place of content; None for none.

        Returns:
            A slate without a user, nearest first.

        Raises:
            DataError: The item or the modality is unknown, or the item lacks it.
        """
        check_count("num_items", num_items, where=f"the question what is similar to '{item}'")
        return find_similar(
            self.parts,
            item=item,
            num_items=num_items,
            modality=modality,
            exclude=exclude,
            now_ms=self.now_ms() if timestamp_ms is None else timestamp_ms,
            learned_V=learned_V,
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
