"""What the service counts at one moment, in as few numbers as plots and alerts need: an hour of them lies in memory."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kinema.serving.telemetry import Telemetry

Samples = Mapping[str, Sequence[tuple[Mapping[str, str], float]]]
_UNCOUNTED: Final = re.compile(r"/health/.*|/metrics")
_STAGE: Final = "kinema_stage_seconds"
_RECOMMEND: Final = re.compile(r".*recommend.*")


@dataclass(frozen=True)
class Spread:
    """A histogram.

    Attributes:
        edges: Upper ends of the buckets in seconds, the last infinite.
        counts: So many took at most as long, since the start.
        seconds: Their sum.
    """

    edges: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    seconds: float = 0.0

    @property
    def total(self) -> float:
        """How many there were."""
        return self.counts[-1] if self.counts else 0.0

    def since(self, earlier: "Spread") -> "Spread":
        """What came later."""
        if not earlier.counts:
            return self
        counts = tuple(one - other for one, other in zip(self.counts, earlier.counts, strict=True))
        return Spread(self.edges, counts, self.seconds - earlier.seconds)

    @property
    def mean(self) -> float:
        """Seconds on average; not a number where there was nothing."""
        return self.seconds / self.total if self.total else math.nan

    def quantile(self, share: float) -> float:
        """Seconds within which a share of them was done, as Prometheus computes it: evenly spread within a bucket.

        Example:
            >>> Spread((0.1, 0.2, math.inf), (50.0, 100.0, 100.0), 12.0).quantile(0.75)
            0.15000000000000002
        """
        wanted, below, before = share * self.total, 0.0, 0.0
        if not self.total:
            return math.nan
        for edge, count in zip(self.edges, self.counts, strict=True):
            if count >= wanted:
                inside = count - before
                if math.isinf(edge) or not inside:
                    return below
                return below + (edge - below) * (wanted - before) / inside
            below, before = edge, count
        return below


@dataclass(frozen=True)
class Point:
    """One moment.

    Attributes:
        at: Seconds since the epoch.
        is_ready: Whether requests could be answered.
        requests: First digit of the status -> answers since the start, probes and `/metrics` left out.
        answers: How long they took.
        recommendations: The same of recommendations alone.
        stages: Stage of the pipeline -> how long it took.
        events: Outcome -> events since the start.
        wrong_keys: Requests with a wrong key since the start.
        limited: Scope -> requests that came too often since the start.
        queues: Queue -> what waits.
        event_lag: Seconds since the newest event that counts; not a number without any. The same holds of the next four.
        model_age: Seconds since the model was trained.
        index_age: Seconds since the vectors were computed.
        coverage: Share of the catalogue in the last slates.
        cold_share: Share of items without events in them.
        items: That may be served.
        seen: Scenario and variant -> impressions and clicks since the start.
        watched: The same -> seconds that were watched since the start.
    """

    at: float
    is_ready: bool
    requests: Mapping[str, float]
    answers: Spread
    recommendations: Spread
    stages: Mapping[str, Spread]
    events: Mapping[str, float]
    wrong_keys: float
    limited: Mapping[str, float]
    queues: Mapping[str, float]
    event_lag: float
    model_age: float
    index_age: float
    coverage: float
    cold_share: float
    items: float
    seen: Mapping[tuple[str, str], tuple[float, float]]
    watched: Mapping[tuple[str, str], float]

    @property
    def num_requests(self) -> float:
        """All that were answered."""
        return sum(self.requests.values())


def read_point(telemetry: Telemetry, *, at: float, is_ready: bool) -> Point:
    """What is counted now.

    Args:
        telemetry: Of the service.
        at: Now, seconds since the epoch.
        is_ready: Whether requests can be answered.
    """
    told = telemetry.samples()
    requests: dict[str, float] = defaultdict(float)
    for labels, value in told.get("kinema_requests_total", ()):
        if not _UNCOUNTED.fullmatch(labels["route"]):
            requests[labels["status"][:1]] += value
    clicks = _by(told, "kinema_clicks_total", "scenario", "variant")
    shown = _by(told, "kinema_impressions_total", "scenario", "variant")
    return Point(
        at=at,
        is_ready=is_ready,
        requests=dict(requests),
        answers=_spread(told, "kinema_request_seconds", lambda labels: not _UNCOUNTED.fullmatch(labels["route"])),
        recommendations=_spread(
            told, "kinema_request_seconds", lambda labels: bool(_RECOMMEND.fullmatch(labels["route"]))
        ),
        stages=_stages(told),
        events={name: value for (name,), value in _by(told, "kinema_events_total", "outcome").items()},
        wrong_keys=_by(told, "kinema_auth_failures_total", "reason").get(("invalid",), 0.0),
        limited={name: value for (name,), value in _by(told, "kinema_rate_limited_total", "scope").items()},
        queues={name: value for (name,), value in _by(told, "kinema_queue_length", "queue").items()},
        event_lag=_one(told, "kinema_event_lag_seconds"),
        model_age=_one(told, "kinema_model_age_seconds"),
        index_age=_one(told, "kinema_index_age_seconds"),
        coverage=_one(told, "kinema_catalogue_coverage_ratio"),
        cold_share=_one(told, "kinema_cold_share_ratio"),
        items=_one(told, "kinema_catalogue_items"),
        seen={(place[0], place[1]): (number, clicks.get(place, 0.0)) for place, number in shown.items()},
        watched={
            (place[0], place[1]): seconds
            for place, seconds in _by(told, "kinema_watch_seconds_total", "scenario", "variant").items()
        },
    )


def _one(told: Samples, name: str) -> float:
    return next((value for _, value in told.get(name, ())), math.nan)


def _by(told: Samples, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    return {tuple(given[label] for label in labels): value for given, value in told.get(name, ())}


def _stages(told: Samples) -> dict[str, Spread]:
    kept: dict[str, dict[str, list[tuple[Mapping[str, str], float]]]] = {}
    for part in ("bucket", "sum"):
        for labels, value in told.get(f"{_STAGE}_{part}", ()):
            kept.setdefault(labels["stage"], {}).setdefault(f"{_STAGE}_{part}", []).append((labels, value))
    return {name: _spread(own, _STAGE, lambda _: True) for name, own in kept.items()}


def _spread(told: Samples, name: str, counts: Callable[[Mapping[str, str]], bool]) -> Spread:
    """All series of a histogram for which something holds, in one."""
    buckets: dict[float, float] = defaultdict(float)
    for labels, value in told.get(f"{name}_bucket", ()):
        if counts(labels):
            buckets[float(labels["le"])] += value
    seconds = sum(value for labels, value in told.get(f"{name}_sum", ()) if counts(labels))
    edges = tuple(sorted(buckets))
    return Spread(edges, tuple(buckets[edge] for edge in edges), seconds)
