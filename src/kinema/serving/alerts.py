"""The alert rules of `deploy/prometheus/alerts.yaml`, asked of the process's own numbers, so that the console shows them without Prometheus.

A test holds both to the same names, severities, times and words. What Prometheus knows of several processes this one cannot: each asks
for itself alone. A rule that compares with yesterday or last week says nothing before the process has run so long.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from kinema.serving.health_points import Point

DAY: Final = 86_400.0
WEEK: Final = 7 * DAY
State = Literal["firing", "pending", "inactive", "unknown"]
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Past:
    """What was counted, oldest first.

    Attributes:
        points: Of the last hour; at least one.
        coarse: Fewer, of the last days.
    """

    points: Sequence[Point]
    coarse: Sequence[Point] = ()

    @property
    def now(self) -> Point:
        """The newest."""
        return self.points[-1]

    def back(self, seconds: float) -> Point:
        """The moment so long ago; of a younger process, its first."""
        since = self.now.at - seconds
        return next((one for one in reversed(self.points) if one.at <= since), self.points[0])

    def coarsely(self, at: float) -> Point | None:
        """The last moment up to one that is days ago; None where the process is younger."""
        return next((one for one in reversed(self.coarse) if one.at <= at), None)

    def then(self, ago: float, span: float) -> tuple[Point, Point] | None:
        """Two moments so long ago, the later first, at least as far apart; None where the process is younger."""
        later = self.coarsely(self.now.at - ago)
        earlier = None if later is None else self.coarsely(later.at - span)
        return None if later is None or earlier is None else (later, earlier)


@dataclass(frozen=True)
class Found:
    """That a rule holds now: its value, and of what."""

    value: float
    labels: Labels = ()


Find = Callable[[Past], "list[Found] | None"]
"""What holds now; None where nothing can be said yet."""


@dataclass(frozen=True)
class AlertRule:
    """One rule.

    Attributes:
        name: As in the file.
        severity: ``critical``, ``warning`` or ``info``.
        hold_seconds: It fires once it has held so long.
        summary: As in the file.
        find: See `Find`.
        tell: What it says of a value.
    """

    name: str
    severity: str
    hold_seconds: float
    summary: str
    find: Find
    tell: Callable[[Found], str]


@dataclass(frozen=True)
class Alert:
    """What a rule says now.

    Attributes:
        rule: Which one.
        state: ``pending`` holds, but not for long enough yet; ``unknown`` has nothing to compare with yet.
        value: The number it is about; None where it does not hold.
        labels: Of what.
        since: Seconds since the epoch from when on it has held; None where it does not.
    """

    rule: AlertRule
    state: State
    value: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    since: float | None = None

    @property
    def description(self) -> str:
        """What it says of its value; empty where it does not hold."""
        return "" if self.value is None else self.rule.tell(Found(self.value, tuple(self.labels.items())))


class Alarms:
    """Asks the rules at every point, and remembers since when which one holds.

    Args:
        rules: Which ones.
    """

    def __init__(self, rules: Sequence[AlertRule] | None = None) -> None:
        self._rules = RULES if rules is None else rules
        self._since: dict[tuple[str, Labels], float] = {}
        self._alerts: tuple[Alert, ...] = tuple(Alert(one, "unknown") for one in self._rules)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """As they were found last, those that fire first."""
        return self._alerts

    def ask(self, past: Past) -> None:
        """Ask all rules of what was counted up to now."""
        since: dict[tuple[str, Labels], float] = {}
        alerts: list[Alert] = []
        for rule in self._rules:
            found = rule.find(past)
            for one in found or ():
                began = self._since.get((rule.name, one.labels), past.now.at)
                since[rule.name, one.labels] = began
                state: State = "firing" if past.now.at - began >= rule.hold_seconds else "pending"
                alerts.append(Alert(rule, state, one.value, dict(one.labels), began))
            if not found:
                alerts.append(Alert(rule, "unknown" if found is None else "inactive"))
        self._since = since
        self._alerts = tuple(
            sorted(alerts, key=lambda one: (_STATES.index(one.state), _SEVERITIES.index(one.rule.severity)))
        )


_STATES: Final = ("firing", "pending", "unknown", "inactive")
_SEVERITIES: Final = ("critical", "warning", "info")


def in_time(seconds: float) -> str:
    """A span of time for people.

    Example:
        >>> in_time(0.235), in_time(1800), in_time(691_200)
        ('235 ms', '30 min', '8.0 days')
    """
    for most, unit, size in ((1, "ms", 0.001), (120, "s", 1), (7200, "min", 60), (2 * DAY, "h", 3600)):
        if seconds < most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / DAY:.1f} days"


def _rate(now: float, before: float, seconds: float) -> float:
    return (now - before) / seconds if seconds > 0 else 0.0


def _when(holds: bool, value: float, labels: Labels = ()) -> list[Found]:  # noqa: FBT001  # what is to hold
    return [Found(value, labels)] if holds else []


def _down(past: Past) -> list[Found]:
    return _when(not past.now.is_ready, 0.0)


def _errors(past: Past) -> list[Found]:
    before = past.back(300)
    total = past.now.num_requests - before.num_requests
    share = (past.now.requests.get("5", 0.0) - before.requests.get("5", 0.0)) / total if total else 0.0
    return _when(share > 0.01, share)


def _slow(past: Past) -> list[Found]:
    slowest = past.now.recommendations.since(past.back(300).recommendations).quantile(0.99)
    return _when(slowest > 0.1, slowest)


def _event_lag(past: Past) -> list[Found]:
    arrived = past.now.events.get("accepted", 0.0) - past.back(300).events.get("accepted", 0.0)
    return _when(past.now.event_lag > 300 and arrived > 0, past.now.event_lag)


def _model_stale(past: Past) -> list[Found]:
    return _when(past.now.model_age > WEEK, past.now.model_age)


def _index_stale(past: Past) -> list[Found]:
    return _when(past.now.index_age > past.now.model_age + 3600, past.now.index_age)


def _queue_grows(past: Past) -> list[Found]:
    before = past.back(600).queues
    return [
        Found(length, (("queue", name),))
        for name, length in past.now.queues.items()
        if length > 1000 and length > before.get(name, 0.0)
    ]


def _no_traffic(past: Past) -> list[Found] | None:
    then = past.then(DAY, 300)
    if then is None:
        return None
    is_quiet = past.now.num_requests == past.back(300).num_requests
    return _when(is_quiet and then[0].num_requests > then[1].num_requests, 0.0)


def _events_rejected(past: Past) -> list[Found]:
    before = past.back(900)
    total = sum(past.now.events.values()) - sum(before.events.values())
    share = (past.now.events.get("rejected", 0.0) - before.events.get("rejected", 0.0)) / total if total else 0.0
    return _when(share > 0.1, share)


def _wrong_keys(past: Past) -> list[Found]:
    before = past.back(300)
    often = _rate(past.now.wrong_keys, before.wrong_keys, past.now.at - before.at)
    return _when(often > 1, often)


def _rate_limited(past: Past) -> list[Found]:
    before = past.back(300)
    rates = {
        name: _rate(number, before.limited.get(name, 0.0), past.now.at - before.at)
        for name, number in past.now.limited.items()
    }
    return [Found(rate, (("scope", name),)) for name, rate in rates.items() if rate > 1]


def _click_rate_fell(past: Past) -> list[Found] | None:
    then = past.then(WEEK, 3600)
    if then is None:
        return None
    old, new = dict(_click_rates(*then)), _click_rates(past.now, past.back(3600))
    return [
        Found(rate, (("scenario", place[0]), ("variant", place[1])))
        for place, rate in new
        if rate < 0.5 * old.get(place, -math.inf)
    ]


def _click_rates(now: Point, before: Point) -> Iterator[tuple[tuple[str, str], float]]:
    for place, (shown, clicks) in now.seen.items():
        shown_before, clicks_before = before.seen.get(place, (0.0, 0.0))
        if shown > shown_before:
            yield place, (clicks - clicks_before) / (shown - shown_before)


def _label(found: Found, name: str) -> str:
    return dict(found.labels).get(name, "")


RULES: Final[tuple[AlertRule, ...]] = (
    AlertRule(
        "KinemaDown",
        "critical",
        120,
        "The service is not reached",
        _down,
        lambda _: "This process answers, but has nothing to answer from: it starts, or it is stopping.",
    ),
    AlertRule(
        "KinemaErrors",
        "critical",
        300,
        "More than 1 % of the requests fail",
        _errors,
        lambda found: f"{found.value:.2%} of the requests ended in 5xx; the log has their request ids.",
    ),
    AlertRule(
        "KinemaSlow",
        "warning",
        600,
        "One in a hundred recommendations takes longer than 100 ms",
        _slow,
        lambda found: f"p99 is {in_time(found.value)}; the plot of stages tells which one takes it.",
    ),
    AlertRule(
        "KinemaEventLag",
        "warning",
        300,
        "Events arrive, and recommendations do not know of new ones",
        _event_lag,
        lambda found: f"The newest event that counts is {in_time(found.value)} old.",
    ),
    AlertRule(
        "KinemaModelStale",
        "warning",
        3600,
        "The model was not refreshed for a week",
        _model_stale,
        lambda found: f"It was trained {in_time(found.value)} ago; look at the job of kinema refresh.",
    ),
    AlertRule(
        "KinemaIndexStale",
        "warning",
        900,
        "The vectors that are searched are older than the model",
        _index_stale,
        lambda found: f"They were computed {in_time(found.value)} ago, before the model that answers was trained.",
    ),
    AlertRule(
        "KinemaQueueGrows",
        "warning",
        600,
        "Work arrives faster than it is done",
        _queue_grows,
        lambda found: f"{found.value:.0f} wait in the queue {_label(found, 'queue')}.",
    ),
    AlertRule(
        "KinemaNoTraffic",
        "warning",
        900,
        "Nobody asks, and at this time yesterday somebody did",
        _no_traffic,
        lambda _: "This process has answered nobody for five minutes.",
    ),
    AlertRule(
        "KinemaEventsRejected",
        "warning",
        900,
        "More than a tenth of the events is rejected",
        _events_rejected,
        lambda found: f"{found.value:.1%} are refused; a sender has likely changed its form.",
    ),
    AlertRule(
        "KinemaAuthFailures",
        "warning",
        600,
        "Somebody sends wrong keys",
        _wrong_keys,
        lambda found: f"{found.value:.1f} a second: a key that expired or was revoked, or somebody who guesses.",
    ),
    AlertRule(
        "KinemaRateLimited",
        "info",
        600,
        "A key asks more often than it may",
        _rate_limited,
        lambda found: f"{found.value:.1f} requests a second with the scope {_label(found, 'scope')} are refused.",
    ),
    AlertRule(
        "KinemaClickRateFell",
        "warning",
        7200,
        "Slates are clicked half as often as a week ago",
        _click_rate_fell,
        lambda found: f"{_label(found, 'scenario')} {_label(found, 'variant')}: {found.value:.2%}.",
    ),
)
