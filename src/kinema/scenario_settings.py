"""``[scenarios.NAME]`` of `kinema.toml`: the rules of each placement, and its variants.

They become the plain values of `kinema.recommend.scenario`, which the pipeline takes with a request.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from kinema.errors import ConfigError
from kinema.recommend.facets import Scalar
from kinema.recommend.scenario import Boost, Condition, Scenario, Source
from kinema.recommend.variants import Placement, Scenarios
from kinema.service_settings import ServiceSection
from kinema.setting_errors import unknown_key

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Words = tuple[Annotated[str, StringConstraints(min_length=1)], ...]

SCENARIO_LINES: Final = (
    "",
    "# [scenarios.NAME]  # Rules of a placement: home, related, search, or a name of your own. Keys: sources, filter, boosts, pins,",
    "# caps, diversity, fresh_share, exploration, max_items, rank_by, ranker, exclude_seen, variants; see docs/scenarios.md.",
)


class ConditionSettings(ServiceSection):
    """Which items are meant."""

    categories: Words = Field(default=(), description="one of these, at any level")
    not_categories: Words = Field(default=(), description="none of these")
    tags: Words = Field(default=(), description="one of these")
    not_tags: Words = Field(default=(), description="none of these")
    languages: Words = Field(default=(), description="in one of these; en stands for en-GB too")
    published_since: int | datetime | date | None = Field(default=None, description="a date, or UTC milliseconds")
    max_age_days: float | None = Field(default=None, gt=0, le=36_500, description="published at most so long ago")
    min_seconds: float | None = Field(default=None, gt=0, description="at least so long")
    max_seconds: float | None = Field(default=None, gt=0, description="at most so long")
    attributes: dict[str, Scalar | tuple[Scalar, ...]] = Field(default={}, description="values an attribute may have")
    available_until: str = Field(default="", description="attribute that says until when an item may be shown")

    def condition(self) -> Condition:
        """The plain values."""
        return Condition(
            categories=self.categories,
            not_categories=self.not_categories,
            tags=self.tags,
            not_tags=self.not_tags,
            languages=self.languages,
            published_since_ms=_ms(self.published_since),
            max_age_days=self.max_age_days,
            min_duration_ms=None if self.min_seconds is None else round(self.min_seconds * 1000),
            max_duration_ms=None if self.max_seconds is None else round(self.max_seconds * 1000),
            attributes=tuple(
                (name, wanted if isinstance(wanted, tuple) else (wanted,)) for name, wanted in self.attributes.items()
            ),
            available_until=self.available_until,
        )


class BoostSettings(ConditionSettings):
    """Items that count more or less: relevance in 0..1 becomes relevance x multiply + add."""

    multiply: float = Field(default=1.0, ge=0, le=1000, description="factor of the relevance")
    add: float = Field(default=0.0, ge=-1, le=1, description="added to the relevance; 1 lifts the last to the best")


class RuleSettings(ServiceSection):
    """The rules of a placement."""

    sources: dict[Source, Annotated[float, Field(gt=0, le=1000)]] = Field(
        default={}, description="who is asked for candidates, and how far it counts; empty asks all as usual"
    )
    rank_by: Literal["model", "sources"] = Field(
        default="model", description="the model where it can read a history, or always the sources' own order"
    )
    ranker: bool = Field(default=True, description="whether the ranker of [recommend] is heard")
    filter: ConditionSettings = Field(default=ConditionSettings(), description="what may appear")
    exclude_seen: bool = Field(default=True, description="whether what the user has met stays out")
    boosts: tuple[BoostSettings, ...] = Field(default=(), description="what counts more or less")
    pins: dict[Annotated[int, Field(ge=0, lt=1000)], str] = Field(default={}, description="position, from 0 -> item id")
    caps: dict[str, Annotated[int, Field(ge=1, le=1000)]] = Field(
        default={}, description="category, or an attribute -> places one value may take"
    )
    diversity: float | None = Field(default=None, ge=0, le=1, description="in place of [recommend] diversity")
    fresh_share: float | None = Field(default=None, ge=0, le=1, description="in place of [recommend] fresh_share")
    exploration: float = Field(default=0.0, ge=0, le=1, description="probability with which a place is drawn by chance")
    max_items: int | None = Field(default=None, ge=1, le=1000, description="longest slate")

    def scenario(self, name: str, variant: str = "") -> Scenario:
        """The plain values."""
        boosts = tuple(Boost(one.condition(), one.multiply, one.add) for one in self.boosts)
        kept = ("rank_by", "ranker", "exclude_seen", "diversity", "fresh_share", "exploration", "max_items")
        plain: dict[str, Any] = {key: getattr(self, key) for key in kept}
        lists: dict[str, Any] = {"sources": dict(self.sources), "pins": dict(self.pins), "caps": dict(self.caps)}
        return Scenario(name, variant, filter=self.filter.condition(), boosts=boosts, **lists, **plain)


class VariantSettings(RuleSettings):
    """What a part of the users gets instead; keys that are left out are the scenario's."""

    share: float = Field(gt=0, le=1, description="of the users")


class ScenarioSettings(RuleSettings):
    """A placement and its experiment."""

    experiment: str = Field(default="", description="a name that deals users out anew; empty takes the scenario's")
    variants: dict[Name, VariantSettings] = Field(default={}, description="name -> share and what is different")
    attribution_hours: float = Field(
        default=24.0, gt=0, le=24 * 90, description="an event counts for its slate so long after it was shown"
    )

    def placement(self, name: str) -> Placement:
        """The plain values, each variant with the scenario's own where it says nothing."""
        variants = []
        for variant, given in self.variants.items():
            changed = {key: getattr(given, key) for key in given.model_fields_set - {"share"}}
            variants.append((self.model_copy(update=changed).scenario(name, variant), given.share))
        return Placement(self.scenario(name), tuple(variants), self.experiment)


def scenarios_of(tree: Mapping[str, ScenarioSettings]) -> Scenarios:
    """All scenarios of a project, the built-in ones among them.

    Raises:
        ConfigError: Rules or shares that cannot be.
    """
    return Scenarios.of(one.placement(name) for name, one in tree.items())


def check_scenarios(tree: Mapping[str, ScenarioSettings], weighted: Iterable[str]) -> None:
    """Refuse what cannot work before anybody asks.

    Args:
        tree: All that is said of scenarios.
        weighted: Scenarios that ``[recommend.scenario_weights]`` names.

    Raises:
        ConfigError: Rules or shares that cannot be, or weights of a scenario that is not there.
    """
    known = scenarios_of(tree).placements
    for name in weighted:
        if name not in known:
            raise ConfigError(unknown_key(f"recommend.scenario_weights.{name}", list(known), "kinema.toml"))


def _ms(moment: int | datetime | date | None) -> int | None:
    if moment is None or isinstance(moment, int):
        return moment
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
