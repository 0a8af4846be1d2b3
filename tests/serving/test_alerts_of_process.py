"""The alerts a process finds by itself, held to the rules that `deploy/` has for Prometheus."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from kinema.serving.alerts import RULES, Alarms, Past
from kinema.serving.health_points import Point, Spread

FILE = Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "alerts.yaml"
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load(FILE.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
HOUR, DAY, WEEK = 3600, 86_400, 7 * 86_400
CALM = Point(
    at=1_000_000.0,
    is_ready=True,
    requests={"2": 0.0},
    answers=Spread(),
    recommendations=Spread(),
    stages={},
    events={},
    wrong_keys=0.0,
    limited={},
    queues={"media": 3.0},
    event_lag=1.0,
    model_age=100.0,
    index_age=100.0,
    coverage=0.5,
    cold_share=0.1,
    items=10.0,
    seen={},
    watched={},
)


def test_every_rule_of_prometheus_has_its_twin():
    assert [one.name for one in RULES] == list(ALERTS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_twin_says_the_same_for_as_long_and_as_loud(rule):
    told = ALERTS[rule.name]
    number, unit = re.fullmatch(r"(\d+)([smhd])", told["for"]).groups()
    assert rule.hold_seconds == int(number) * UNITS[unit]
    assert rule.severity == told["labels"]["severity"]
    assert rule.summary == told["annotations"]["summary"]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("KinemaErrors", "> 0.01"),
        ("KinemaSlow", "> 0.1"),
        ("KinemaEventLag", "> 300"),
        ("KinemaModelStale", "> 7 * 86400"),
        ("KinemaIndexStale", "+ 3600"),
        ("KinemaQueueGrows", "> 1000"),
        ("KinemaEventsRejected", "> 0.1"),
        ("KinemaAuthFailures", "> 1"),
        ("KinemaRateLimited", "> 1"),
        ("KinemaClickRateFell", "< 0.5"),
    ],
)
def test_the_file_has_the_limits_that_are_tried_below(name, number):
    assert number in ALERTS[name]["expr"]


def told(points, *, seconds=10.0, coarse=()):
    """What each rule says after points that are so far apart: name -> state, with the alerts."""
    alarms, past = Alarms(), []
    for number, point in enumerate(points):
        past.append(replace(point, at=CALM.at + number * seconds))
        alarms.ask(Past(tuple(past), tuple(coarse)))
    return {one.rule.name: one for one in alarms.alerts}


def growing(**changes):
    """Two hours in steps of half a minute; each change is told the step."""
    return [replace(CALM, **{name: how(step) for name, how in changes.items()}) for step in range(241)]


def slow(seconds, each=10.0):
    edges = (0.05, 0.1, 0.25, 0.5, math.inf)
    return lambda step: Spread(edges, tuple(each * step if edge >= seconds else 0.0 for edge in edges), 0.0)


CASES = {
    "KinemaDown": (growing(is_ready=lambda _: False), growing()),
    "KinemaErrors": (
        growing(requests=lambda step: {"2": 98.0 * step, "5": 2.0 * step}),
        growing(requests=lambda step: {"2": 995.0 * step, "5": 5.0 * step}),
    ),
    "KinemaSlow": (growing(recommendations=slow(0.2)), growing(recommendations=slow(0.07))),
    "KinemaEventLag": (
        growing(event_lag=lambda _: 301.0, events=lambda step: {"accepted": float(step)}),
        growing(event_lag=lambda _: 301.0, events=lambda _: {"accepted": 7.0}),
    ),
    "KinemaModelStale": (growing(model_age=lambda _: WEEK + 1.0), growing(model_age=lambda _: WEEK - 1.0)),
    "KinemaIndexStale": (growing(index_age=lambda _: 3701.0), growing(index_age=lambda _: 3699.0)),
    "KinemaQueueGrows": (
        growing(queues=lambda step: {"media": 1000.0 + step}),
        growing(queues=lambda _: {"media": 5000.0}),
    ),
    "KinemaEventsRejected": (
        growing(events=lambda step: {"accepted": 8.0 * step, "rejected": 2.0 * step}),
        growing(events=lambda step: {"accepted": 95.0 * step, "rejected": 5.0 * step}),
    ),
    "KinemaAuthFailures": (growing(wrong_keys=lambda step: 60.0 * step), growing(wrong_keys=lambda step: 20.0 * step)),
    "KinemaRateLimited": (
        growing(limited=lambda step: {"read": 60.0 * step}),
        growing(limited=lambda step: {"read": 20.0 * step}),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule_fires_where_it_is_to_and_not_elsewhere(name):
    wrong, right = CASES[name]
    alert = told(wrong, seconds=30.0)[name]
    assert alert.state == "firing"
    assert alert.since <= CALM.at + 660
    assert alert.description
    assert [one for one, alert in told(wrong, seconds=30.0).items() if alert.state == "firing"] == [name]
    assert told(right, seconds=30.0)[name].state == "inactive"


def test_every_rule_is_tried():
    assert set(CASES) | {"KinemaNoTraffic", "KinemaClickRateFell"} == set(ALERTS)


def test_a_rule_that_holds_for_a_moment_is_pending_and_starts_anew():
    down, up = replace(CALM, is_ready=False), CALM
    assert told([down] * 12)["KinemaDown"].state == "pending"
    assert told([down] * 13)["KinemaDown"].state == "firing"
    again = told([down] * 13 + [up] + [down] * 3)["KinemaDown"]
    assert (again.state, again.since) == ("pending", CALM.at + 140)


def test_what_fires_stands_first_and_says_what_it_is_about():
    alarms = Alarms()
    points = growing(queues=lambda step: {"media": 1000.0 + step}, limited=lambda step: {"read": 60.0 * step})
    past = [replace(point, at=CALM.at + 30.0 * number) for number, point in enumerate(points)]
    for number in range(1, len(past) + 1):
        alarms.ask(Past(tuple(past[:number])))
    first, second = alarms.alerts[:2]
    assert (first.rule.name, first.labels) == ("KinemaQueueGrows", {"queue": "media"})
    assert first.description == "1240 wait in the queue media."
    assert second.description == "2.0 requests a second with the scope read are refused."


def test_a_calm_process_fires_nothing_and_knows_nothing_of_yesterday():
    found = told([CALM] * 400)
    assert {name for name, one in found.items() if one.state != "inactive"} == {
        "KinemaNoTraffic",
        "KinemaClickRateFell",
    }
    assert {found[name].state for name in ("KinemaNoTraffic", "KinemaClickRateFell")} == {"unknown"}
    assert {one.description for one in found.values()} == {""}


def test_silence_is_compared_with_yesterday():
    coarse = [
        replace(CALM, at=CALM.at - age, requests={"2": number}) for age, number in ((DAY + HOUR, 0.0), (DAY, 90.0))
    ]
    quiet = [replace(CALM, requests={"2": 90.0})] * 200
    assert told(quiet, coarse=coarse)["KinemaNoTraffic"].state == "firing"
    busy = [replace(CALM, requests={"2": 90.0 + step}) for step in range(200)]
    assert told(busy, coarse=coarse)["KinemaNoTraffic"].state == "inactive"
    calm_then = [replace(one, requests={"2": 0.0}) for one in coarse]
    assert told(quiet, coarse=calm_then)["KinemaNoTraffic"].state == "inactive"


def test_clicks_are_compared_with_last_week():
    place = ("home", "b")
    ages = ((WEEK + 2 * HOUR, (0.0, 0.0)), (WEEK, (1000.0, 100.0)))
    coarse = [replace(CALM, at=CALM.at - age, seen={place: seen}) for age, seen in ages]

    def clicked(share):
        steps = ((1000.0 + 100 * step, 100.0 + 100 * share * step) for step in range(400))
        return told([replace(CALM, seen={place: seen}) for seen in steps], seconds=30.0, coarse=coarse)

    fell = clicked(0.02)["KinemaClickRateFell"]
    assert (fell.state, fell.labels) == ("firing", {"scenario": "home", "variant": "b"})
    assert fell.description == "home b: 2.00%."
    assert clicked(0.08)["KinemaClickRateFell"].state == "inactive"
