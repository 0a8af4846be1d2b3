import math

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from kinema.schema import EventKind, Slate, SlateItem, TraceStep
from kinema.serving import telemetry as module
from kinema.serving.routes.health import Readiness, health_routes
from kinema.serving.telemetry import RequestMeter, Telemetry


@pytest.fixture
def telemetry():
    return Telemetry(now=lambda: 1_000.0, process=False)


def value(telemetry, name, **labels):
    return telemetry.registry.get_sample_value(name, labels)


def slate(*ids, trace=()):
    return Slate("u1", tuple(SlateItem(one, "t", place, 1.0) for place, one in enumerate(ids)), tuple(trace))


def test_a_slate_is_told_by_stage_source_and_place(telemetry):
    trace = (
        TraceStep("filter", 9, 8, 1.0),
        TraceStep("retrieve:memory", 8, 5, 2.0),
        TraceStep("retrieve:fresh", 8, 3, 4.0),
    )
    telemetry.observe_slate(slate("a", "b", trace=trace), scenario="home", variant="b", num_cold=1)
    assert value(telemetry, "kinema_slates_total", scenario="home", variant="b") == 1
    assert value(telemetry, "kinema_candidates_total", source="memory") == 5
    assert value(telemetry, "kinema_candidates_total", source="fresh") == 3
    assert value(telemetry, "kinema_stage_seconds_sum", stage="retrieve:fresh") == pytest.approx(0.004)
    assert value(telemetry, "kinema_stage_seconds_count", stage="filter") == 1
    assert value(telemetry, "kinema_served_items_total") == 2
    assert value(telemetry, "kinema_served_cold_items_total") == 1
    assert value(telemetry, "kinema_cold_share_ratio") == 0.5


def test_coverage_and_cold_share_are_of_the_last_slates(telemetry, monkeypatch):
    monkeypatch.setattr(module, "WINDOW", 3)
    assert math.isnan(value(telemetry, "kinema_catalogue_coverage_ratio"))
    telemetry.set_catalogue(10)
    telemetry.observe_slate(slate("a", "b"), scenario="home", num_cold=2)
    assert value(telemetry, "kinema_catalogue_coverage_ratio") == 0.2
    assert value(telemetry, "kinema_cold_share_ratio") == 1.0
    for _ in range(3):
        telemetry.observe_slate(slate("b", "c"), scenario="home")
    assert value(telemetry, "kinema_catalogue_coverage_ratio") == 0.2
    assert value(telemetry, "kinema_cold_share_ratio") == 0.0
    assert value(telemetry, "kinema_catalogue_items") == 10


def test_what_comes_of_slates_is_told_by_variant(telemetry):
    for _ in range(4):
        telemetry.observe_event(EventKind.IMPRESSION, scenario="home", variant="a")
    telemetry.observe_event(EventKind.CLICK, scenario="home", variant="a")
    telemetry.observe_event(EventKind.WATCH, scenario="home", variant="b", watch_ms=1500)
    telemetry.observe_event(EventKind.LIKE, scenario="home", variant="b")
    assert value(telemetry, "kinema_impressions_total", scenario="home", variant="a") == 4
    assert value(telemetry, "kinema_clicks_total", scenario="home", variant="a") == 1
    assert value(telemetry, "kinema_click_rate_ratio", scenario="home", variant="a") == 0.25
    assert value(telemetry, "kinema_watch_seconds_total", scenario="home", variant="b") == 1.5
    assert value(telemetry, "kinema_click_rate_ratio", scenario="home", variant="b") is None


def test_labels_do_not_grow_without_end(telemetry, monkeypatch):
    monkeypatch.setattr(module, "MOST_LABELS", 2)
    for number in range(5):
        telemetry.observe_event(EventKind.CLICK, scenario=f"s{number}")
    assert value(telemetry, "kinema_clicks_total", scenario="s1", variant="") == 1
    assert value(telemetry, "kinema_clicks_total", scenario="other", variant="other") == 3


def test_clocks_are_read_when_they_are_asked():
    seconds = [1_000.0]
    telemetry = Telemetry(now=lambda: seconds[0], process=False)
    for name in ("kinema_event_lag_seconds", "kinema_model_age_seconds", "kinema_index_age_seconds"):
        assert math.isnan(value(telemetry, name))
    telemetry.set_newest_event(990_000)
    telemetry.set_newest_event(980_000)
    telemetry.set_model("v1", 900_000)
    telemetry.set_index(950_000)
    seconds[0] = 1_005.0
    assert value(telemetry, "kinema_event_lag_seconds") == 15
    assert value(telemetry, "kinema_model_age_seconds") == 105
    assert value(telemetry, "kinema_index_age_seconds") == 55


def test_one_model_answers_at_a_time(telemetry):
    telemetry.set_model("v1", 0)
    telemetry.set_model("v2", 0)
    assert value(telemetry, "kinema_model_info", version="v1") is None
    assert value(telemetry, "kinema_model_info", version="v2") == 1


def test_queues_events_and_refusals_are_counted(telemetry):
    telemetry.set_queue("media", 7)
    telemetry.count_events(accepted=3, known=2)
    telemetry.count_auth_failure("invalid")
    telemetry.count_rate_limited("read")
    assert value(telemetry, "kinema_queue_length", queue="media") == 7
    assert value(telemetry, "kinema_events_total", outcome="accepted") == 3
    assert value(telemetry, "kinema_events_total", outcome="known") == 2
    assert value(telemetry, "kinema_events_total", outcome="rejected") is None
    assert value(telemetry, "kinema_auth_failures_total", reason="invalid") == 1
    assert value(telemetry, "kinema_rate_limited_total", scope="read") == 1


def test_two_applications_do_not_mix():
    first, second = Telemetry(), Telemetry()
    first.count_rate_limited("read")
    assert value(second, "kinema_rate_limited_total", scope="read") is None


@pytest.fixture
def client(telemetry, tmp_path):
    app = FastAPI()
    router = APIRouter()

    @router.get("/users/{user_id}")
    async def user(user_id: str) -> str:
        if user_id == "bad":
            raise ZeroDivisionError
        return user_id

    async def fast(request):
        return PlainTextResponse("fast")

    app.include_router(router, prefix="/v1")
    app.include_router(health_routes(lambda: Readiness(ready=True, checks={"store": "ok"}), telemetry))
    app.router.routes.insert(0, Route("/v1/fast/{user_id}", fast))
    app.router.routes.append(Mount("/console", StaticFiles(directory=tmp_path)))
    app.add_middleware(RequestMeter, telemetry=telemetry)
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("asked", "route", "status"),
    [
        ("GET /v1/users/anna", "/v1/users/{user_id}", 200),
        ("GET /v1/users/bad", "/v1/users/{user_id}", 500),
        ("DELETE /v1/users/anna", "/v1/users/{user_id}", 405),
        ("GET /v1/fast/anna", "/v1/fast/{user_id}", 200),
        ("GET /health/live", "/health/live", 200),
        ("GET /nowhere/anna", "(none)", 404),
        ("GET /console/none.js", "/console", 404),
    ],
)
def test_requests_are_told_by_their_template(client, telemetry, asked, route, status):
    method, path = asked.split()
    assert client.request(method, path).status_code == status
    labels = {"route": route, "method": method, "status": str(status)}
    assert value(telemetry, "kinema_requests_total", **labels) == 1
    assert value(telemetry, "kinema_request_seconds_count", route=route) == 1


def test_a_made_up_method_has_no_label_of_its_own(client, telemetry):
    client.request("BREW", "/v1/users/anna")
    labels = {"route": "/v1/users/{user_id}", "method": "other", "status": "405"}
    assert value(telemetry, "kinema_requests_total", **labels) == 1


def test_metrics_are_text_that_prometheus_reads(client, telemetry):
    telemetry.count_events(accepted=1)
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"kinema_requests", "kinema_events", "kinema_event_lag_seconds", "kinema_click_rate_ratio"} <= names
    assert "anna" not in answer.text


def test_the_process_is_told_too():
    assert b"process_resident_memory_bytes" in Telemetry().text()


def ready_with(check):
    app = FastAPI()
    app.include_router(health_routes(check))
    return TestClient(app)


def test_readiness_says_what_is_wrong(client):
    assert client.get("/health/ready").json() == {"status": "ready", "checks": {"store": "ok"}}
    answer = ready_with(lambda: Readiness(ready=False, checks={"model": "loading"})).get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "checks": {"model": "loading"}})


def test_a_check_that_fails_is_not_ready_and_tells_no_secret():
    def check():
        raise ConnectionError("postgresql://kinema:hunter2@db refused")

    client = ready_with(check)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["checks"]) == (503, {"check": "ConnectionError"})
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/metrics").status_code == 404
