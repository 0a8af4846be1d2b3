"""The rules of one placement: who is asked for candidates, what may appear, what counts more, what stands where.

Plain values. `kinema.service_settings` reads them from `kinema.toml`; the pipeline takes them with each request.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from kinema.errors import ConfigError, DataError, did_you_mean
from kinema.recommend.facets import Scalar

BUILT_IN: Final = ("home", "related", "search")
"""Scenarios that are there without being configured."""
Source = Literal["model", "memory", "content", "popularity", "fresh"]
SOURCES: Final[tuple[Source, ...]] = ("model", "memory", "content", "popularity", "fresh")
CATEGORY: Final = "category"
"""Name under which `Scenario.caps` limits the first category; every other name is an attribute."""

LIFTED: Final = "lifted"
"""The source of an item that is a candidate because somebody wants to see it higher."""
PINNED: Final = "pinned"
"""The source of an item that stands where it stands because it was pinned there."""


@dataclass(frozen=True)
class Condition:
    """Which items are meant: those for which everything holds that is said. Nothing said means every item.

    Attributes:
        categories: It has one of these, at whatever level, in any case.
        not_categories: It has none of these.
        tags: It has one of these, in any case.
        not_tags: It has none of these.
        languages: It is in one of these; ``en`` stands for ``en-GB`` too.
        published_since_ms: Published then or later, UTC ms; an item without a date was not.
        max_age_days: Published at most so long before the request; likewise.
        min_duration_ms: At least so long; an item of unknown length is not.
        max_duration_ms: At most so long; likewise.
        attributes: Name and allowed values, pair by pair.
        available_until: Attribute that says until when an item may be shown (UTC ms or an ISO date); an item without it may
            always, one whose date cannot be read may not.
    """

    categories: tuple[str, ...] = ()
    not_categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    published_since_ms: int | None = None
    max_age_days: float | None = None
    min_duration_ms: int | None = None
    max_duration_ms: int | None = None
    attributes: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()
    available_until: str = ""


@dataclass(frozen=True)
class Boost:
    """Items that count more, or less, than their relevance.

    The scale: relevance moved to [0, 1] over the candidates of the request, 1 the best and 0 the last. It becomes
    ``relevance * multiply + add``, boost by boost in order. So ``add = 1`` puts the last candidate level with the best, and
    ``multiply = 0`` puts an item level with the last.

    Attributes:
        where: Which items.
        multiply: >= 0.
        add: In [-1, 1].
    """

    where: Condition
    multiply: float = 1.0
    add: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """The rules of one placement; what is left out is as the recommender does it.

    Attributes:
        name: ``home``, ``related``, ``search`` or one of the user's own.
        variant: Of an experiment; empty without one.
        sources: Source -> weight, > 0, of those that are asked. The strongest is asked for all the candidates there may be, the
            others for their share of that; where no model ranks, the ranks in each list count by it. Empty asks all as usual.
        rank_by: ``model`` where it can read a history, or always ``sources``: their lists fused, such as what is popular in
            order of popularity.
        ranker: Whether the second opinion that the project has is heard.
        filter: What may appear.
        exclude_seen: Whether what the user has met stays out.
        boosts: What counts more or less.
        lifts: Item id -> what is added to its relevance on the scale of `Boost`, in [-1, 1]; one that is lifted is always a candidate.
        modalities: Modality -> how much likeness in it to what the user watched counts, >= 0, see `kinema.recommend.leaning`;
            one that is not named counts as it does.
        pins: Position, from 0 -> item id. An item that may not appear leaves its place to the others.
        caps: ``category`` or an attribute's name -> places that one value of it may take while others are left, pins included.
        diversity: In [0, 1].
        fresh_share: Of the places, kept for new items that fit, in [0, 1]; none where there are caps.
        exploration: Probability with which a place goes to a candidate drawn by chance, in [0, 1].
        max_items: Longest slate.

    Raises:
        ConfigError: A value is out of range or a source is unknown.
    """

    name: str
    variant: str = ""
    sources: Mapping[str, float] = field(default_factory=dict)
    rank_by: Literal["model", "sources"] = "model"
    ranker: bool = True
    filter: Condition = Condition()
    exclude_seen: bool = True
    boosts: tuple[Boost, ...] = ()
    lifts: Mapping[str, float] = field(default_factory=dict)
    modalities: Mapping[str, float] = field(default_factory=dict)
    pins: Mapping[int, str] = field(default_factory=dict)
    caps: Mapping[str, int] = field(default_factory=dict)
    diversity: float | None = None
    fresh_share: float | None = None
    exploration: float = 0.0
    max_items: int | None = None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Those of the filter and of each boost."""
        return self.filter, *(boost.where for boost in self.boosts)

    def __post_init__(self) -> None:
        """Refuse rules that cannot work."""
        for source, weight in self.sources.items():
            if source not in SOURCES:
                raise ConfigError(_with_hint(f"unknown source '{source}' in scenario '{self.name}'", source, SOURCES))
            self._must(0 < weight <= 1000, f"sources.{source}", "in (0, 1000]", weight)
        for name, share in (
            ("diversity", self.diversity),
            ("fresh_share", self.fresh_share),
            ("exploration", self.exploration),
        ):
            self._must(share is None or 0 <= share <= 1, name, "in [0, 1]", share)
        for boost in self.boosts:
            self._must(0 <= boost.multiply <= 1000, "multiply of a boost", "in [0, 1000]", boost.multiply)
            self._must(-1 <= boost.add <= 1, "add of a boost", "in [-1, 1]", boost.add)
        for lift in self.lifts.values():
            self._must(-1 <= lift <= 1, "lift of an item", "in [-1, 1]", lift)
        for name, weight in self.modalities.items():
            self._must(0 <= weight <= 1000, f"weight of {name}", "in [0, 1000]", weight)
        for position in self.pins:
            self._must(0 <= position < 1000, "position of a pin", "in 0..999", position)
        for name, most in self.caps.items():
            self._must(most >= 1, f"caps.{name}", ">= 1", most)
        self._must(self.max_items is None or 1 <= self.max_items <= 1000, "max_items", "in 1..1000", self.max_items)

    def _must(self, holds: bool, name: str, rule: str, value: object) -> None:  # noqa: FBT001  # what is to hold
        if not holds:
            raise ConfigError(f"{name} must be {rule}, is {value} in scenario '{self.name}'")


def check_scenario(name: str, known: Iterable[str]) -> None:
    """A scenario that is asked for must be there.

    Raises:
        DataError: It is not; the message has the nearest.
    """
    names = tuple(known)
    if name not in names:
        raise DataError(_with_hint(f"unknown scenario '{name[:80]}'", name, names))


def _with_hint(subject: str, given: str, known: tuple[str, ...]) -> str:
    return f"{subject}{did_you_mean(given, known)} known: {', '.join(known)}"
