"""Reasons in plain words, each backed by a number.

A reason names the contribution that is strongest on the scale of `evidence`, never one that the item does not have. It
states a fact about the item (it looks like what you watched); it is not a derivation of the model's score, and
the text never claims to be one.

Shape suffixes: V items, K items to explain.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kinema.recommend.catalogue import Catalogue
from kinema.recommend.evidence import ContentSpace, Contribution, Leading, ScoresOf, connections, standing
from kinema.recommend.model import Memory
from kinema.recommend.sampling import sample
from kinema.retrieval.fresh import ages_ms
from kinema.retrieval.kept import Changes, KeptWhile, patience
from kinema.retrieval.popularity import DAY_MS
from kinema.retrieval.query import Transitions
from kinema.store.histories import Histories

Segment = tuple[NDArray[np.float64], Sequence[str]]
"""Share of each item [V] in what people like the user watch, and the names of their segments."""
POPULAR_SHARE: Final = 0.05
LIKENESS: Final[Mapping[str, str]] = {
    "text": "about the same subject as {}",
    "frames": "looks like {}",
    "visual": "shows a moment like {}",
    "motion": "moves like {}",
    "sound": "sounds like {}",
    "transcript": "talks about the same things as {}",
}


class Reason(NamedTuple):
    """Why an item is where it is.

    Attributes:
        text: For the person who looks at the slate.
        evidence: ``kind``, ``strength`` (z-score), what the kind brings (``modality`` and ``cosine``, ``weight``,
            ``rank`` and ``out_of``, ``lift`` over everybody), the watched item as ``item`` and ``title``, ``days_old`` for a new item, and
            ``also``: the other kinds with their strengths.
    """

    text: str
    evidence: Mapping[str, Any]


def likeness(modality: str, name: str) -> str:
    """The words for "near in this modality".

    Example:
        >>> likeness("motion", "'Otters'"), likeness("depth", "'Otters'")
        ("moves like 'Otters'", "close to 'Otters' in depth")
        >>> likeness("transcript", "'Otters'")
        "talks about the same things as 'Otters'"
    """
    return LIKENESS.get(modality, "close to {} in " + modality).format(name)


@dataclass(frozen=True)
class Explainer:
    """Finds and words the reasons for a catalogue.

    Attributes:
        catalogue: Names and dates.
        spaces: One per modality.
        memory: Item-item transitions; None without.
        popularity_V: Decayed interactions per item.
        fresh_ms: Items published within this time are called new.
        changes: Told when a count changes.
    """

    catalogue: Catalogue
    spaces: Sequence[ContentSpace]
    memory: Memory | None
    popularity_V: NDArray[np.float64]
    fresh_ms: float
    changes: Changes = field(default_factory=Changes, compare=False)
    _totals: KeptWhile[float] = field(default_factory=KeptWhile, init=False, repr=False, compare=False)
    _leading: KeptWhile[Leading] = field(default_factory=KeptWhile, init=False, repr=False, compare=False)

    def reasons(
        self,
        items_K: NDArray[np.integer],
        *,
        history: Histories,
        now_ms: int,
        watched: str = ", which you watched",
        segment: Segment | None = None,
        model: tuple[str, ScoresOf] | None = None,
        transitions: Transitions | None = None,
        about_item: bool = True,
        modality: str | None = None,
        otherwise: str = "from the rest of the catalogue",
    ) -> list[Reason]:
        """One reason per item.

        Args:
            items_K: The slate.
            history: One row: what the items are compared with.
            now_ms: The moment of the request.
            watched: What follows the name of an item of the history.
            segment: Share of each item [V] in what people like the user watch, and the names of the user's segments.
            model: ``model`` or ``profile`` and the model's score of any items; named only if nothing plainer speaks for an
                item.
            transitions: What the memory says of the history, where it was asked before.
            about_item: Popularity and freshness count as reasons. They say nothing about one user.
            modality: Only likeness in this modality counts as a reason; None allows every kind.
            otherwise: The words where nothing speaks for an item.

        Returns:
            K reasons, in the order given.
        """
        rows = [space.nearest(items_K, history.of(0)) for space in self.spaces if modality in {None, space.name}]
        if self.memory is not None and len(history.items) and modality is None:
            rows.append(
                connections(self.memory, items_K, history, num_items=len(self.catalogue), transitions=transitions)
            )
        if about_item:
            rows.append(self._popular(items_K))
        if segment is not None and segment[1]:
            rows.append(self._preferred(segment, items_K))
        ages = ages_ms(self.catalogue.published_ms_V[items_K], now_ms) / DAY_MS
        clear: list[list[Contribution]] = [
            [one for row in rows if (one := row[k]) is not None and one.is_clear] for k in range(len(items_K))
        ]
        bare = [k for k, strong in enumerate(clear) if not strong]
        if model is not None and bare:
            kind, scores_of = model
            size = len(self.catalogue)
            found = standing(kind, scores_of(sample(size)), scores_of(np.asarray(items_K)[bare]), num_items=size)
            for k, spare in zip(bare, found, strict=True):
                clear[k] = [spare] if spare is not None and spare.is_clear else []
        reasons = []
        for k, strong in enumerate(clear):
            new = float(ages[k]) if about_item and 0 <= ages[k] * DAY_MS <= self.fresh_ms else None
            reasons.append(self._word(strong, watched, () if segment is None else segment[1], new, otherwise))
        return reasons

    def _popular(self, items_K: NDArray[np.integer]) -> list[Contribution | None]:
        leading = self._first((), lambda: self.popularity_V)
        return leading.contributions("popularity", self.popularity_V[items_K])

    def _preferred(self, segment: Segment, items_K: NDArray[np.integer]) -> list[Contribution | None]:
        """Popular with people like the user, and more so than with everybody: else it is just popular."""
        shares_V, names = segment
        waiting = patience(len(self.catalogue))
        total = self._totals.get(self.changes, (), lambda: float(self.popularity_V.sum()), waiting=waiting)
        leading = self._first(tuple(names), lambda: shares_V * total)
        expected_K, overall_K = shares_V[items_K] * total, self.popularity_V[items_K]
        found: list[Contribution | None] = []
        contributions = leading.contributions("segment", expected_K)
        for one, expected, overall in zip(contributions, expected_K.tolist(), overall_K.tolist(), strict=True):
            if one is None or expected <= overall:
                found.append(None)
            else:
                lift = expected / max(overall, 1e-9)
                found.append(one._replace(facts={**one.facts, "lift": round(lift, 3)}))
        return found

    def _first(self, name: tuple[str, ...], counts: Callable[[], NDArray[np.float64]]) -> Leading:
        size = len(self.catalogue)
        most = max(10, int(POPULAR_SHARE * size))
        return self._leading.get(self.changes, name, lambda: Leading.of(counts(), most), waiting=patience(size))

    def _word(
        self,
        strong: Sequence[Contribution],
        watched: str,
        segments: Sequence[str],
        days_old: float | None,
        otherwise: str,
    ) -> Reason:
        evidence: dict[str, Any] = {} if days_old is None else {"days_old": round(days_old, 2)}
        if not strong:
            fresh = days_old is not None
            return Reason("new here" if fresh else otherwise, {"kind": "fresh" if fresh else "rest", **evidence})
        first, *others = sorted(strong, key=lambda one: -one.strength)
        evidence |= {"kind": first.kind, "strength": round(first.strength, 2), **first.facts}
        if first.watched is not None:
            evidence |= {"item": self.catalogue.ids[first.watched], "title": self.catalogue.name(first.watched)}
        if first.kind == "segment":
            evidence["segments"] = list(segments)
        if others:
            evidence["also"] = {str(one.facts.get("modality", one.kind)): round(one.strength, 2) for one in others}
        return Reason(("new: " if days_old is not None else "") + self._sentence(first, watched), evidence)

    def _sentence(self, one: Contribution, watched: str) -> str:
        if one.watched is not None:
            name = f"'{self.catalogue.name(one.watched)}'"
            if one.kind == "content":
                return likeness(one.facts["modality"], name) + watched
            return f"people who watched {name} also watched this"
        return {
            "popularity": "popular now",
            "segment": "popular with people like you",
            "profile": "suits your profile",
            "model": "fits what you watched lately",
        }[one.kind]
