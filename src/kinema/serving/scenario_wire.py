"""What goes over the wire where scenarios are changed and tried out. The rules are those of `kinema.toml`, by the same models."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from kinema.scenario_settings import Name, ScenarioSettings, VariantSettings
from kinema.serving.admin_wire import ScenarioOut, Shown
from kinema.serving.wire import Answer, Count, Mark, NoticeOut, RecommendedItem, Wire

Version = Annotated[int, Field(ge=0, le=1 << 31)]


class ScenarioIn(Wire):
    """The rules that are to hold."""

    rules: ScenarioSettings = Field(
        description="all of them; what is left out is as usual, but a running experiment goes on unless variants are named"
    )
    expected_version: Version | None = Field(
        default=None,
        description="the version that was read before, so that nobody's change is lost; left out: whichever",
    )


class RulesVersionOut(Shown):
    """One version of a scenario's rules."""

    version: int
    at_ms: int
    by: str
    what: str
    rules: Mapping[str, Any] | None = Field(
        description="give them to PUT to have them back; null: those of kinema.toml"
    )


class ScenarioWithVersionsOut(ScenarioOut):
    """A scenario, and what its rules were."""

    versions: list[RulesVersionOut] = Field(description="newest first; the newest fifty are kept")


class ExperimentIn(Wire):
    """An experiment that is to start."""

    variants: Annotated[dict[Name, VariantSettings], Field(min_length=1, max_length=20)] = Field(
        description="name -> share of the users, and what is different; who is in none gets the scenario as it stands"
    )
    name: Mark = Field(default="", description="deals users out anew; empty takes the scenario's name")
    attribution_hours: Annotated[float, Field(gt=0, le=24 * 90)] = Field(
        default=24.0, description="an event counts for its slate so long after it was shown"
    )


class PreviewIn(Wire):
    """Rules that are to be tried."""

    scenario: Name
    rules: ScenarioSettings = Field(description="all of them, as they would be written")
    user_id: Mark = Field(default="", description="for whom; empty: a guest")
    item_id: Mark = Field(default="", description="in the scenario related: items like this one")
    n: Count = 10


class TraceOut(Shown):
    """What one stage did."""

    stage: str
    num_in: int
    num_out: int
    milliseconds: float
    detail: Mapping[str, Any]


class PreviewSlate(Answer):
    """A slate as it would be."""

    variant: str
    items: list[RecommendedItem]
    notice: str | None
    notices: list[NoticeOut]
    trace: list[TraceOut]


class PreviewOut(Answer):
    """Two slates of one moment, the same chance in both. Neither was shown, neither is logged."""

    scenario: str
    user_id: str
    model_version: str
    current: PreviewSlate | None = Field(description="by the rules that hold; null where there is no such scenario yet")
    proposed: PreviewSlate
    entered: list[str] = Field(description="items that the proposed one has more")
    left: list[str] = Field(description="items that it has no longer")
