"""What goes over the wire about the health of a process."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from kinema.serving.wire import Answer

Numbers = list[float | None]
"""One for each moment; null where there was nothing to compute from."""


class LatencyOut(Answer):
    """How long something took between two moments, milliseconds."""

    mean: Numbers
    p50: Numbers
    p95: Numbers
    p99: Numbers


class ReactionsOut(Answer):
    """What came of the slates of one scenario between two moments, by the events that name them."""

    impressions_per_second: list[float]
    clicks_per_second: list[float]
    watch_seconds_per_second: list[float] = Field(description="time watched; 3 is three people at once")


class HealthSeriesOut(Answer):
    """What one process counted, moment by moment, oldest first. Percentiles are read off the buckets of `/metrics`."""

    process: int = Field(description="its number; another number means that another worker has answered")
    step_seconds: float = Field(description="between two moments")
    at_ms: list[int]
    requests_per_second: Mapping[str, list[float]] = Field(description="2xx, 3xx, 4xx, 5xx -> answers, probes left out")
    latency_ms: LatencyOut = Field(description="of all answers but probes")
    recommendation_ms: LatencyOut = Field(description="of recommendations")
    stages_ms: Mapping[str, LatencyOut] = Field(description="stage of the pipeline -> how long it took")
    events_per_second: Mapping[str, list[float]] = Field(description="accepted, rejected, known")
    event_lag_seconds: Numbers = Field(description="since the newest event that recommendations know of")
    model_age_seconds: Numbers = Field(description="since the model was trained")
    index_age_seconds: Numbers = Field(description="since the vectors were computed that are searched")
    coverage: Numbers = Field(description="share of the catalogue in the last slates")
    cold_share: Numbers = Field(description="share of items without events in the last slates")
    reactions: Mapping[str, ReactionsOut] = Field(description="scenario -> impressions, clicks and watch time")
    queues: Mapping[str, list[float]] = Field(description="what waits: events to be written, media to be understood")


class AlertOut(Answer):
    """What a rule says of this process."""

    name: str = Field(description="as in deploy/prometheus/alerts.yaml; docs/operations.md says what to do")
    severity: Literal["critical", "warning", "info"]
    state: Literal["firing", "pending", "inactive", "unknown"] = Field(
        description="pending: it holds, but not for long enough yet; unknown: there is nothing to compare with yet"
    )
    summary: str
    description: str = Field(description="what it says of its value; empty where it does not hold")
    labels: Mapping[str, str] = Field(description="of what")
    value: float | None
    since_ms: int | None = Field(description="from when on it has held")
    hold_seconds: float = Field(description="it fires once it has held so long")


class AlertsOut(Answer):
    """Every rule, those that fire first."""

    process: int
    alerts: list[AlertOut]
