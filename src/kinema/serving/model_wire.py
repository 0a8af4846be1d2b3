"""What goes over the wire about versions of the model: how good they are, how they were learnt, how they see the catalogue."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from kinema.serving.admin_wire import Known, Shown
from kinema.serving.wire import Answer


class MeasuredOut(Shown):
    """A measure with its 95 % interval."""

    mean: Known
    low: Known
    high: Known


class RowOut(Shown):
    """A ranker on some of the cases."""

    num_cases: int
    num_users: int
    mean_candidates: Known
    metrics: Mapping[str, MeasuredOut] = Field(description="such as ndcg@10")


class RankerOut(Shown):
    """One ranker of an evaluation: the model, a baseline, or one that knows the right answers."""

    name: str
    rows: Mapping[str, RowOut] = Field(description="all, warm, cold, cold among cold; one without cases is left out")
    catalogue: Mapping[str, Known] = Field(description="coverage, gini, novelty, diversity of its slates")
    milliseconds_per_case: Known


class RankerDifferenceOut(Shown):
    """A ranker minus the reference, on the same cases."""

    ranker: str
    reference: str
    metric: str
    row: str
    mean: Known
    low: Known
    high: Known
    p_value: Known
    is_clear: bool = Field(description="the interval excludes zero")


class EvaluatedOut(Shown):
    """What one evaluation found."""

    protocol: str
    title: str
    date: str
    command: str
    same_recipe: bool = Field(description="what was measured was made as this version: same configuration, same seed")
    reference: str = Field(description="the ranker that it is about")
    ceiling: str = Field(description="the one that knows the right answers; empty where there is none")
    split: Mapping[str, Any]
    rankers: list[RankerOut]
    differences: list[RankerDifferenceOut]
    notes: list[str]


class ModelReportOut(Shown):
    """How good a version is."""

    version: str
    validation: Mapping[str, Known] = Field(description="NDCG@10 by branch on the cases it was chosen on")
    notes: Mapping[str, Any] = Field(description="such as the decision of a refresh")
    evaluations: list[EvaluatedOut] = Field(description="by protocol; empty before kinema evaluate")


class CurvePointOut(Shown):
    """One epoch."""

    epoch: int
    seconds: Known = Field(description="since the training began")
    losses: Mapping[str, Known] = {}
    validation: Mapping[str, Known] | None = Field(default=None, description="null where it was not looked at")


class TaskRunOut(Shown):
    """The last training of a task."""

    name: str
    points: list[Mapping[str, Known]] = Field(description="one per epoch; the columns of its epochs.csv")


class ModelCurveOut(Shown):
    """How a version was learnt."""

    version: str
    best_epoch: int | None = Field(description="whose parameters were kept")
    points: list[CurvePointOut]
    tasks: list[TaskRunOut]


class MapPointOut(Answer):
    """An item on the map."""

    item_id: str
    title: str
    category: str = Field(description="its most general one; empty without any")
    cold: bool = Field(description="the model has learnt from no interaction with it")
    x: float
    y: float


class MapOut(Answer):
    """The catalogue in two dimensions: what is alike to the model lies together."""

    state: Literal["ready", "computing", "failed"] = Field(description="ask again while it is being computed")
    version: str
    num_items: int = Field(description="of the catalogue; a large one is mapped by a sample of 3,000")
    points: list[MapPointOut]
    trouble: str | None = Field(description="why it could not be drawn")
