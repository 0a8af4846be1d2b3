"""What goes over the wire to those who run the service: models, keys, scenarios, experiments."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from kinema.serving.keys import Scope
from kinema.serving.wire import NO_CONTROL, Answer, Mark, NoticeOut, Wire, plain


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Known = Annotated[float | None, BeforeValidator(_finite)]
"""A number, or null where nothing can be said."""


class Shown(Answer):
    """An answer that is read from an object of ours."""

    model_config = ConfigDict(frozen=True, protected_namespaces=(), from_attributes=True)


class ModelOut(Shown):
    """A version of the model."""

    id: str
    made_at: str = Field(description="ISO 8601, UTC")
    published: bool = Field(description="it is the one that is to answer")
    command: str = Field(description="what made it")
    seed: int | None
    training_seconds: Known
    validation: Mapping[str, Known] = Field(description="NDCG@10 by branch on the cases it was chosen on")
    data: Mapping[str, Any] = Field(description="counts of what was learnt from")
    parent: str | None = Field(description="the version that was published before")
    notes: Mapping[str, Any]


class ModelsOut(Answer):
    """The versions that are kept."""

    answering: str = Field(description="version that this process answers with; 'none' without a model")
    trouble: str | None = Field(description="why the newest could not be taken up")
    models: list[ModelOut] = Field(description="newest first")


class RollbackIn(Wire):
    """Which version is to answer."""

    version: Mark | None = Field(
        default=None, description="its id, or a beginning or an end of it; left out: the one before"
    )


class RollbackOut(Answer):
    """What a roll-back did."""

    version: str = Field(description="published now; other processes follow within a second or so")
    before: str | None
    answering: bool = Field(description="this process answers with it already")
    notices: list[NoticeOut]


class KeyIn(Wire):
    """A key to be made."""

    name: Annotated[str, Field(min_length=1, max_length=100, json_schema_extra=NO_CONTROL), AfterValidator(plain)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)] = Field(description="none brings another with it")
    expires_days: Annotated[float, Field(gt=0, le=36_500, allow_inf_nan=False)] | None = Field(
        default=None, description="after which it is refused; left out: never"
    )


class KeyOut(Shown):
    """A key without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    state: str = Field(description="active, expired or revoked")
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None
    last_used_ms: int | None = Field(description="to the hour")


class KeyMadeOut(KeyOut):
    """A key that was made just now."""

    key: str = Field(description="the whole key; it is not shown again")


class KeysOut(Answer):
    """All keys, oldest first."""

    keys: list[KeyOut]


class VariantOut(Shown):
    """A variant of a scenario."""

    variant: str
    share: float = Field(description="of the users")
    rules: Mapping[str, Any] = Field(description="what is different")


class ScenarioOut(Shown):
    """A scenario: a placement with its rules."""

    scenario: str
    rules: Mapping[str, Any] = Field(description="keys of kinema.toml that are not as usual")
    experiment: str = Field(description="name that decides who gets which variant")
    variants: list[VariantOut]
    origin: str = Field(description="where the rules come from that hold: built-in, file (kinema.toml) or store")
    version: int = Field(description="of what was changed while the service ran; 0 where nothing was")
    changed_ms: int | None = Field(description="when that was")
    changed_by: str = Field(description="who it was")


class ScenariosOut(Answer):
    """All scenarios."""

    scenarios: list[ScenarioOut]


class IntervalOut(Shown):
    """A value with its 95 % interval."""

    mean: Known
    low: Known
    high: Known


class VariantResultOut(Shown):
    """What happened in one variant."""

    variant: str
    share: float
    users: int
    slates: int
    impressions: int
    clicks: int
    likes: int
    watch_seconds: float
    measures: Mapping[str, IntervalOut]


class DifferenceOut(Shown):
    """How far a variant is from the control."""

    interval: IntervalOut
    relative: Known
    p_value: Known
    detectable: Known = Field(description="the difference that would be found with a probability of .8")
    users_needed: int | None = Field(description="users of both for which the difference found would be so")


class ComparisonOut(Shown):
    """A variant against the control in one measure."""

    variant: str
    measure: str
    found: DifferenceOut
    conclusion: str


class ExperimentOut(Shown):
    """What an experiment says."""

    scenario: str
    first_ms: int | None
    last_ms: int | None
    variants: list[VariantResultOut] = Field(description="the control first")
    comparisons: list[ComparisonOut]
    mismatch_prob: Known = Field(description="probability of a split as uneven as this one by chance")
    notices: list[NoticeOut]
    sentence: str = Field(default="", description="what may be concluded, in plain words")
    running: bool = Field(default=True, description="users are dealt out now")
    started_ms: int | None = Field(default=None, description="null where it was not started over the API")
    ended_ms: int | None = Field(default=None, description="when it was stopped")
