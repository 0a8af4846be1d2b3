"""What the service tells Prometheus about itself: requests, stages, what was served, how fresh it all is.

Every application has a registry of its own, so two in one process do not mix. Processes behind one port share what they count, see
`kinema.serving.shared_counts`.

Labels come from code and configuration only (route templates, stages, sources, scenarios, variants), never from ids.
"""

import math
import time
from collections import Counter as Counts
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, Metric, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kinema.schema import EventKind, Slate
from kinema.serving.shared_counts import SharedCounts
from kinema.serving.templates import route_of

WINDOW: Final = 10_000
"""Slates over which coverage and cold share are told."""
MOST_LABELS: Final = 200
"""Different pairs of scenario and variant that are told apart; what comes later is counted as ``other``."""
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_STAGE_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_RETRIEVE: Final = "retrieve:"


class _Children(dict[tuple[Any, ...], Any]):
    """Of a metric, by the values of its labels: finding one in the metric itself takes longer than counting."""

    def __init__(self, metric: Counter | Gauge | Histogram) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, labels: tuple[Any, ...]) -> Any:
        """One that is asked for the first time."""
        child = self[labels] = self._metric.labels(*labels)
        return child


class Telemetry:
    """Counters and clocks of one application.

    Args:
        now: Seconds since the epoch.
        process: Tell memory, processor time and open files of the process too.
    """

    def __init__(self, *, now: Callable[[], float] = time.time, process: bool = True) -> None:
        self._now = now
        self.registry = CollectorRegistry()
        self._online = _Online()
        self._window = _Window()
        self._newest_event_ms: int | None = None
        self._shared: SharedCounts | None = None
        self._build_metrics()
        if process:
            ProcessCollector(registry=self.registry)
            GCCollector(registry=self.registry)
        self.registry.register(self._online)

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a finished request."""
        self._requests[route, method, status].inc()
        self._request_seconds[route,].observe(seconds)

    def observe_slate(self, slate: Slate, *, scenario: str, variant: str = "", num_cold: int = 0) -> None:
        """Count a slate that was served.

        Args:
            slate: With its trace.
            scenario: Its placement.
            variant: Of the scenario; empty without an experiment.
            num_cold: How many of its items had no events yet.
        """
        self._slates[self._online.place(scenario, variant)].inc()
        self._served.inc(len(slate.items))
        self._served_cold.inc(num_cold)
        self._window.add(tuple(one.id for one in slate.items), num_cold)
        for step in slate.trace:
            self._stage_seconds[step.stage,].observe(step.milliseconds / 1000)
            if step.stage.startswith(_RETRIEVE):
                self._candidates[step.stage.removeprefix(_RETRIEVE),].inc(step.num_out)

    def observe_event(
        self, kind: EventKind, *, scenario: str = "", variant: str = "", watch_ms: int | None = None
    ) -> None:
        """Count what came of a slate: an impression, a click, time watched. Other kinds of events are not told by scenario.

        Args:
            kind: What happened.
            scenario: Of the slate that the event names; empty for an event that names none.
            variant: Of that slate.
            watch_ms: Time watched.
        """
        place = self._online.place(scenario, variant)
        if kind is EventKind.IMPRESSION:
            self._impressions[place].inc()
            self._online.add(place, impressions=1)
        elif kind is EventKind.CLICK:
            self._clicks[place].inc()
            self._online.add(place, clicks=1)
        if watch_ms:
            self._watch_seconds[place].inc(watch_ms / 1000)

    def count_events(self, *, accepted: int = 0, known: int = 0, rejected: int = 0) -> None:
        """Count events that arrived: new ones, ones that were there already, ones that were refused."""
        for outcome, number in (("accepted", accepted), ("known", known), ("rejected", rejected)):
            if number:
                self._events[outcome,].inc(number)

    def set_newest_event(self, timestamp_ms: int) -> None:
        """Tell when the newest event happened that recommendations know of, UTC milliseconds."""
        if self._newest_event_ms is None or timestamp_ms > self._newest_event_ms:
            self._newest_event_ms = timestamp_ms

    def set_model(self, version: str, built_ms: int) -> None:
        """Tell which model answers, and when it was trained, UTC milliseconds."""
        self._model.clear()
        self._model.labels(version).set(1)
        self._model_age.set_function(lambda: self._now() - built_ms / 1000)

    def set_index(self, built_ms: int) -> None:
        """Tell when the vectors that are searched were computed, UTC milliseconds."""
        self._index_age.set_function(lambda: self._now() - built_ms / 1000)

    def set_catalogue(self, num_items: int) -> None:
        """Tell how many items may be served."""
        self._catalogue.set(num_items)
        self._window.num_items = num_items

    def set_queue(self, name: str, length: int) -> None:
        """Tell how much waits: ``events`` to be written, ``media`` to be understood."""
        self._queue[name,].set(length)

    def count_auth_failure(self, reason: str) -> None:
        """Count a refusal: ``missing``, ``invalid`` or ``forbidden``."""
        self._auth_failures.labels(reason).inc()

    def count_rate_limited(self, scope: str) -> None:
        """Count a request that came too often."""
        self._rate_limited.labels(scope).inc()

    def share(self, folder: Path, *, process: int | None = None) -> SharedCounts:
        """From now on tell what all processes count that share a folder; the caller starts and stops it.

        Args:
            folder: Of all of them.
            process: Names this one; None takes its number.
        """
        self._shared = SharedCounts(folder, lambda: generate_latest(self.registry), process=process)
        return self._shared

    def text(self) -> bytes:
        """Everything, in the form that Prometheus reads."""
        return generate_latest(self.registry if self._shared is None else _Told(self._shared.all()))

    def samples(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Everything of ours, by the name of the sample: its labels and its value."""
        found: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in self.registry.collect() if self._shared is None else self._shared.all():
            if family.name.startswith("kinema_"):
                for one in family.samples:
                    found.setdefault(one.name, []).append((one.labels, one.value))
        return found

    def _build_metrics(self) -> None:
        own, place = self.registry, ("scenario", "variant")
        self._requests = _Children(
            Counter("kinema_requests", "Requests answered", ("route", "method", "status"), registry=own)
        )
        self._request_seconds = _Children(
            Histogram("kinema_request_seconds", "Time to answer", ("route",), registry=own, buckets=_REQUEST_SECONDS)
        )
        self._stage_seconds = _Children(
            Histogram(
                "kinema_stage_seconds",
                "Time in a stage of the pipeline",
                ("stage",),
                registry=own,
                buckets=_STAGE_SECONDS,
            )
        )
        self._candidates = _Children(Counter("kinema_candidates", "Candidates proposed", ("source",), registry=own))
        self._slates = _Children(Counter("kinema_slates", "Slates served", place, registry=own))
        self._served = Counter("kinema_served_items", "Places of slates served", registry=own)
        self._served_cold = Counter("kinema_served_cold_items", "The same, of items without events", registry=own)
        self._impressions = _Children(Counter("kinema_impressions", "Items seen in slates", place, registry=own))
        self._clicks = _Children(Counter("kinema_clicks", "Clicks on items of slates", place, registry=own))
        self._watch_seconds = _Children(
            Counter("kinema_watch_seconds", "Time watched out of slates", place, registry=own)
        )
        self._events = _Children(Counter("kinema_events", "Events that arrived", ("outcome",), registry=own))
        self._auth_failures = Counter("kinema_auth_failures", "Requests refused", ("reason",), registry=own)
        self._rate_limited = Counter("kinema_rate_limited", "Requests that came too often", ("scope",), registry=own)
        self._queue = _Children(Gauge("kinema_queue_length", "What waits", ("queue",), registry=own))
        self._catalogue = Gauge("kinema_catalogue_items", "Items that may be served", registry=own)
        self._model = Gauge("kinema_model_info", "The model that answers", ("version",), registry=own)
        self._model_age = self._clock("kinema_model_age_seconds", "Since the model was trained")
        self._index_age = self._clock("kinema_index_age_seconds", "Since the searched vectors were computed")
        lag = self._clock("kinema_event_lag_seconds", "Since the newest event that recommendations know of")
        lag.set_function(self._event_lag)
        coverage = self._clock("kinema_catalogue_coverage_ratio", "Share of the catalogue in the last slates")
        coverage.set_function(self._window.coverage)
        cold = self._clock("kinema_cold_share_ratio", "Share of items without events in the last slates")
        cold.set_function(self._window.cold_share)

    def _clock(self, name: str, text: str) -> Gauge:
        """A gauge that is computed when it is read; not a number until there is something to compute from."""
        gauge = Gauge(name, text, registry=self.registry)
        gauge.set(math.nan)
        return gauge

    def _event_lag(self) -> float:
        return math.nan if self._newest_event_ms is None else self._now() - self._newest_event_ms / 1000


class _Told(CollectorRegistry):
    """Metrics that were collected already."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        super().__init__()
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class RequestMeter:
    """Middleware that counts requests and times them."""

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry) -> None:
        self._app, self._telemetry = app, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count its answer; one that failed without an answer counts as 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._telemetry.observe_request(route_of(scope), method, status, time.perf_counter() - started)


_METHODS: Final = frozenset(("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"))


class _Window:
    """The last slates: which items were in them, how many of those were cold."""

    def __init__(self) -> None:
        self.num_items = 0
        self._slates: deque[tuple[tuple[str, ...], int]] = deque()
        self._times: Counts[str] = Counts()
        self._places = self._cold = 0
        self._lock = Lock()

    def add(self, ids: tuple[str, ...], num_cold: int) -> None:
        with self._lock:
            self._slates.append((ids, num_cold))
            self._count(ids, num_cold, 1)
            if len(self._slates) > WINDOW:
                self._count(*self._slates.popleft(), -1)

    def coverage(self) -> float:
        return len(self._times) / self.num_items if self.num_items else math.nan

    def cold_share(self) -> float:
        return self._cold / self._places if self._places else math.nan

    def _count(self, ids: tuple[str, ...], num_cold: int, sign: int) -> None:
        self._places += sign * len(ids)
        self._cold += sign * num_cold
        for one in ids:
            self._times[one] += sign
            if not self._times[one]:
                del self._times[one]


class _Online:
    """Click rate by scenario and variant since the start."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], list[int]] = {}
        self._lock = Lock()

    def place(self, scenario: str, variant: str) -> tuple[str, str]:
        """Labels of a placement; ``other`` once there are too many."""
        asked = (scenario, variant)
        if asked not in self._seen:
            with self._lock:
                if len(self._seen) >= MOST_LABELS:
                    asked = ("other", "other")
                self._seen.setdefault(asked, [0, 0])
        return asked

    def add(self, place: tuple[str, str], *, impressions: int = 0, clicks: int = 0) -> None:
        with self._lock:
            counts = self._seen[place]
            counts[0] += impressions
            counts[1] += clicks

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "kinema_click_rate_ratio", "Clicks by impressions since the start", labels=("scenario", "variant")
        )
        for place, (impressions, clicks) in list(self._seen.items()):
            if impressions:
                family.add_metric(place, clicks / impressions)
        yield family
