import math
import time

import pytest

from kinema.schema import EventKind, Slate, SlateItem, TraceStep
from kinema.serving.health_points import Spread, read_point
from kinema.serving.health_series import KEPT_SECONDS, STEP_SECONDS, HealthRecorder
from kinema.serving.telemetry import Telemetry
from small_service import small_client


class Clock:
    def __init__(self):
        self.seconds = 1_700_000_000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def telemetry(clock):
    return Telemetry(now=clock, process=False)


@pytest.fixture
def recorder(telemetry, clock):
    made = HealthRecorder(telemetry, now=clock)
    made.take()
    return made


def look(recorder, clock):
    clock.seconds += STEP_SECONDS
    recorder.take()


def test_rates_are_of_the_time_between_two_looks(recorder, telemetry, clock):
    for status, times in ((200, 20), (404, 5), (503, 1)):
        for _ in range(times):
            telemetry.observe_request("/v1/items", "GET", status, 0.004)
    telemetry.observe_request("/health/live", "GET", 200, 9.0)
    telemetry.observe_request("/metrics", "GET", 200, 9.0)
    telemetry.count_events(accepted=30, rejected=10)
    look(recorder, clock)
    look(recorder, clock)
    told = recorder.series()
    assert told.requests_per_second == {"2xx": [2.0, 0.0], "3xx": [0.0, 0.0], "4xx": [0.5, 0.0], "5xx": [0.1, 0.0]}
    assert told.events_per_second == {"accepted": [3.0, 0.0], "rejected": [1.0, 0.0], "known": [0.0, 0.0]}
    assert told.at_ms == [1_700_000_010_000, 1_700_000_020_000]
    assert told.latency_ms.mean == [4.0, None]
    assert told.recommendation_ms.p99 == [None, None]


def test_stages_and_recommendations_have_times_of_their_own(recorder, telemetry, clock):
    for milliseconds in (2.0, 2.0, 2.0, 40.0):
        telemetry.observe_request("/v1/users/{user_id}/recommendations", "GET", 200, milliseconds / 1000)
        steps = (TraceStep("filter", 9, 9, 0.2), TraceStep("rank", 9, 5, milliseconds))
        telemetry.observe_slate(Slate("u", (SlateItem("a", "t", 0, 1.0),), steps), scenario="home")
    telemetry.observe_request("/v1/items", "GET", 200, 2.0)
    look(recorder, clock)
    told = recorder.series()
    assert set(told.stages_ms) == {"filter", "rank"}
    assert told.stages_ms["rank"].mean == [11.5]
    assert 1.0 <= told.stages_ms["rank"].p50[0] <= 2.5
    assert 25.0 <= told.stages_ms["rank"].p95[0] <= 50.0
    assert told.recommendation_ms.mean == [11.5]
    assert told.latency_ms.mean == [409.2]


def test_freshness_and_coverage_are_told_or_null(recorder, telemetry, clock):
    look(recorder, clock)
    telemetry.set_catalogue(4)
    telemetry.set_newest_event(round(clock.seconds * 1000) - 5000)
    telemetry.set_model("v1", round(clock.seconds * 1000) - 60_000)
    telemetry.set_index(round(clock.seconds * 1000))
    telemetry.set_queue("media", 7)
    telemetry.observe_slate(Slate("u", (SlateItem("a", "t", 0, 1.0),), ()), scenario="home", num_cold=1)
    look(recorder, clock)
    told = recorder.series()
    assert told.event_lag_seconds == [None, 15.0]
    assert told.model_age_seconds == [None, 70.0]
    assert told.index_age_seconds == [None, 10.0]
    assert told.coverage == [None, 0.25]
    assert told.cold_share == [None, 1.0]
    assert told.queues == {"media": [0.0, 7.0]}


def test_what_came_of_slates_is_told_by_scenario_all_variants_in_one(recorder, telemetry, clock):
    for _ in range(20):
        telemetry.observe_event(EventKind.IMPRESSION, scenario="home", variant="a")
        telemetry.observe_event(EventKind.IMPRESSION, scenario="home", variant="b")
    telemetry.observe_event(EventKind.CLICK, scenario="home", variant="b")
    telemetry.observe_event(EventKind.WATCH, scenario="related", watch_ms=25_000)
    look(recorder, clock)
    look(recorder, clock)
    told = recorder.series().reactions
    assert told["home"].impressions_per_second == [4.0, 0.0]
    assert told["home"].clicks_per_second == [0.1, 0.0]
    assert told["related"].watch_seconds_per_second == [2.5, 0.0]


def test_only_the_last_hour_is_kept_and_later_looks_can_be_asked_for(recorder, clock):
    for _ in range(400):
        look(recorder, clock)
    told = recorder.series()
    assert len(told.at_ms) == KEPT_SECONDS / STEP_SECONDS
    assert recorder.series(since_ms=told.at_ms[-3]).at_ms == told.at_ms[-2:]
    assert recorder.series(since_ms=told.at_ms[-1]).latency_ms.p50 == []


def test_a_quantile_is_that_of_prometheus():
    spread = Spread((0.1, 0.2, math.inf), (50.0, 100.0, 200.0), 40.0)
    assert spread.quantile(0.25) == pytest.approx(0.1)
    assert spread.quantile(0.375) == pytest.approx(0.15)
    assert spread.quantile(0.99) == 0.2
    assert spread.mean == 0.2
    assert math.isnan(Spread().quantile(0.5))
    assert math.isnan(Spread().mean)


def test_what_cannot_be_read_for_a_moment_ends_nothing(telemetry, monkeypatch):
    monkeypatch.setattr("kinema.serving.health_series.STEP_SECONDS", 0.01)
    asked = []

    def ready():
        asked.append(1)
        if len(asked) == 2:
            raise RuntimeError("away")
        return True

    recorder = HealthRecorder(telemetry, ready=ready)
    recorder.start()
    deadline = time.monotonic() + 20
    while len(asked) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    recorder.stop()
    assert len(recorder.series().at_ms) >= 2


def test_a_service_tells_its_health(tmp_path):
    with small_client(tmp_path) as client:
        client.get("/v1/users/ann/recommendations")
        recorder = client.app.state.health
        recorder.take()
        told = client.get("/v1/health/series").json()
        assert sum(told["requests_per_second"]["2xx"]) > 0
        assert "filter" in told["stages_ms"]
        assert client.get("/v1/health/series", params={"since_ms": told["at_ms"][-1]}).json()["at_ms"] == []
        alerts = client.get("/v1/health/alerts").json()
        assert alerts["process"] == told["process"]
        assert len(alerts["alerts"]) == 12
        assert "firing" not in {one["state"] for one in alerts["alerts"]}


def test_a_point_of_a_fresh_process_has_no_numbers(telemetry):
    point = read_point(telemetry, at=0.0, is_ready=False)
    assert point.num_requests == 0
    assert math.isnan(point.event_lag)
    assert point.stages == point.queues == point.seen == {}
