"""An hour of what the service counts, in memory, for the plots of the console; and the alerts that follow from it.

Where several workers share a port, each looks at what all of them have counted.
"""

import math
import os
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Final

from kinema.logs import get_logger
from kinema.serving.alerts import Alarms, Alert, Past
from kinema.serving.health_points import Point, Spread, read_point
from kinema.serving.health_wire import HealthSeriesOut, LatencyOut, ReactionsOut
from kinema.serving.telemetry import Telemetry

STEP_SECONDS: Final = 10.0
KEPT_SECONDS: Final = 3600.0
COARSE_SECONDS: Final = 1800.0
_COARSE_KEPT_SECONDS: Final = 8 * 86_400.0
_STATUSES: Final = ("2", "3", "4", "5")
_OUTCOMES: Final = ("accepted", "rejected", "known")
_LOG = get_logger("serving")


class HealthRecorder:
    """Looks every few seconds at what is counted; a feed of the application.

    Args:
        telemetry: Of the service.
        ready: Whether requests can be answered.
        now: Seconds since the epoch.
    """

    def __init__(
        self, telemetry: Telemetry, *, ready: Callable[[], bool] = lambda: True, now: Callable[[], float] = time.time
    ) -> None:
        self._telemetry, self._ready, self._now = telemetry, ready, now
        self._points: deque[Point] = deque(maxlen=int(KEPT_SECONDS / STEP_SECONDS) + 1)
        self._coarse: deque[Point] = deque(maxlen=int(_COARSE_KEPT_SECONDS / COARSE_SECONDS))
        self._alarms = Alarms()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look, name="kinema-health", daemon=True)

    def start(self) -> None:
        """Look now, and from now on."""
        self.take()
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join()

    def take(self) -> None:
        """Look once."""
        point = read_point(self._telemetry, at=self._now(), is_ready=self._ready())
        self._points.append(point)
        if not self._coarse or point.at - self._coarse[-1].at >= COARSE_SECONDS:
            self._coarse.append(point)
        self._alarms.ask(Past(tuple(self._points), tuple(self._coarse)))

    def alerts(self) -> Sequence[Alert]:
        """What the rules say, those that fire first."""
        return self._alarms.alerts

    def series(self, *, since_ms: int = 0) -> HealthSeriesOut:
        """What was counted between one look and the next.

        Args:
            since_ms: Later looks alone, UTC milliseconds.
        """
        points = list(self._points)
        pairs = [(one, two) for one, two in pairwise(points) if round(two.at * 1000) > since_ms]
        later = [two for _, two in pairs]
        stages = dict.fromkeys(name for two in later for name in two.stages)
        queues = dict.fromkeys(name for two in later for name in two.queues)
        return HealthSeriesOut(
            process=os.getpid(),
            step_seconds=STEP_SECONDS,
            at_ms=[round(two.at * 1000) for two in later],
            requests_per_second={f"{digit}xx": _rates(pairs, attrgetter("requests"), digit) for digit in _STATUSES},
            latency_ms=_latency(two.answers.since(one.answers) for one, two in pairs),
            recommendation_ms=_latency(two.recommendations.since(one.recommendations) for one, two in pairs),
            stages_ms={
                name: _latency(
                    two.stages.get(name, Spread()).since(one.stages.get(name, Spread())) for one, two in pairs
                )
                for name in stages
            },
            events_per_second={name: _rates(pairs, attrgetter("events"), name) for name in _OUTCOMES},
            event_lag_seconds=[_known(two.event_lag) for two in later],
            model_age_seconds=[_known(two.model_age) for two in later],
            index_age_seconds=[_known(two.index_age) for two in later],
            coverage=[_known(two.coverage) for two in later],
            cold_share=[_known(two.cold_share) for two in later],
            reactions={name: _reactions(pairs, name) for name in _scenarios(later)},
            queues={name: [two.queues.get(name, 0.0) for two in later] for name in queues},
        )

    def _look(self) -> None:
        while not self._stopping.wait(STEP_SECONDS):
            try:
                self.take()
            except Exception as error:  # noqa: BLE001  # a plot with a gap ends no service
                _LOG.warning("what is counted could not be read", error=type(error).__name__)


def _latency(spreads: Iterable[Spread]) -> LatencyOut:
    found = list(spreads)
    return LatencyOut(
        mean=[_known(1000 * one.mean) for one in found],
        p50=[_known(1000 * one.quantile(0.5)) for one in found],
        p95=[_known(1000 * one.quantile(0.95)) for one in found],
        p99=[_known(1000 * one.quantile(0.99)) for one in found],
    )


def _scenarios(points: Iterable[Point]) -> Sequence[str]:
    """Of which something was seen or watched, in the order of their first event."""
    return list(dict.fromkeys(place[0] for one in points for place in (*one.seen, *one.watched)))


def _reactions(pairs: Sequence[tuple[Point, Point]], scenario: str) -> ReactionsOut:
    """All variants of a scenario in one."""
    return ReactionsOut(
        impressions_per_second=_rates(pairs, lambda point: _shown(point, 0), scenario),
        clicks_per_second=_rates(pairs, lambda point: _shown(point, 1), scenario),
        watch_seconds_per_second=_rates(pairs, lambda point: _by_scenario(point.watched.items()), scenario),
    )


def _shown(point: Point, part: int) -> Mapping[str, float]:
    """Scenario -> impressions (0) or clicks (1)."""
    return _by_scenario((place, counts[part]) for place, counts in point.seen.items())


def _by_scenario(counts: Iterable[tuple[tuple[str, str], float]]) -> Mapping[str, float]:
    found: dict[str, float] = defaultdict(float)
    for (scenario, _), number in counts:
        found[scenario] += number
    return found


def _rates(
    pairs: Sequence[tuple[Point, Point]], counts: Callable[[Point], Mapping[str, float]], name: str
) -> list[float]:
    """How often something happened a second between each two moments."""
    return [
        round((counts(two).get(name, 0.0) - counts(one).get(name, 0.0)) / max(two.at - one.at, 1e-9), 4)
        for one, two in pairs
    ]


def _known(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
