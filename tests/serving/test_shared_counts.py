"""Processes behind one port tell what all of them have counted, whichever is asked."""

import math
import os
import time

import pytest

from kinema.schema import EventKind
from kinema.serving.shared_counts import SharedCounts
from kinema.serving.telemetry import Telemetry


def counted(folder, process, *, num_requests, event_lag_s, num_waiting):
    """One process that has answered some requests and has seen one event of five."""
    telemetry = Telemetry(now=lambda: 1000.0, process=False)
    for _ in range(num_requests):
        telemetry.observe_request("/v1/items", "GET", 200, 0.004)
    telemetry.count_events(accepted=5, rejected=1)
    telemetry.observe_event(EventKind.CLICK, scenario="home")
    telemetry.set_newest_event(round(1000 * (1000.0 - event_lag_s)))
    telemetry.set_queue("events", num_waiting)
    return telemetry, telemetry.share(folder, process=process)


@pytest.fixture
def both(tmp_path):
    one = counted(tmp_path, 1, num_requests=3, event_lag_s=2.0, num_waiting=4)
    other = counted(tmp_path, 2, num_requests=4, event_lag_s=9.0, num_waiting=1)
    other[1].put()
    return one[0], other[0], tmp_path


def value(telemetry, name, **labels):
    (found,) = [number for given, number in telemetry.samples()[name] if labels.items() <= given.items()]
    return found


def test_whoever_is_asked_tells_of_both(both):
    one, _, _ = both
    assert value(one, "kinema_requests_total", route="/v1/items") == 7
    assert value(one, "kinema_request_seconds_count", route="/v1/items") == 7
    assert value(one, "kinema_request_seconds_bucket", le="0.005") == 7
    assert value(one, "kinema_request_seconds_bucket", le="0.0025") == 0
    assert value(one, "kinema_queue_length", queue="events") == 5
    assert b'kinema_requests_total{method="GET",route="/v1/items",status="200"} 7.0' in one.text()


def test_what_every_process_sees_is_counted_once(both):
    one, _, _ = both
    assert value(one, "kinema_events_total", outcome="accepted") == 5
    assert value(one, "kinema_events_total", outcome="rejected") == 2
    assert value(one, "kinema_clicks_total", scenario="home") == 1


def test_of_clocks_the_one_furthest_behind_is_told(both):
    one, _, _ = both
    assert value(one, "kinema_event_lag_seconds") == 9.0
    assert math.isnan(value(one, "kinema_model_age_seconds"))


def test_own_numbers_are_of_now_and_not_read_from_the_folder(both):
    one, other, _ = both
    one.observe_request("/v1/items", "GET", 200, 0.004)
    other.observe_request("/v1/items", "GET", 200, 0.004)
    assert value(one, "kinema_requests_total", route="/v1/items") == 8


def test_a_process_that_has_ended_leaves_its_counts_and_takes_its_clocks_along(both):
    one, _, folder = both
    long_ago = time.time() - 3600
    os.utime(folder / "2.prom", (long_ago, long_ago))
    assert value(one, "kinema_requests_total", route="/v1/items") == 7
    assert value(one, "kinema_event_lag_seconds") == 2.0
    assert value(one, "kinema_queue_length", queue="events") == 4


def test_who_takes_the_place_of_one_that_has_ended_goes_on_where_all_were(both):
    one, other, folder = both
    new = Telemetry(now=lambda: 1000.0, process=False)
    shared = new.share(folder, process=3)
    shared.start()
    for telemetry in (one, other, new):
        telemetry.count_events(accepted=2, rejected=0)
        telemetry.observe_event(EventKind.CLICK, scenario="related")
    long_ago = time.time() - 3600
    os.utime(folder / "2.prom", (long_ago, long_ago))
    (folder / "1.prom").unlink(missing_ok=True)
    assert value(new, "kinema_events_total", outcome="accepted") == 7
    assert value(new, "kinema_clicks_total", scenario="home") == 1
    assert value(new, "kinema_clicks_total", scenario="related") == 1
    shared.stop()
    assert value(one, "kinema_events_total", outcome="accepted") == 7
    assert value(one, "kinema_requests_total", route="/v1/items") == 7


def test_a_folder_that_is_gone_costs_a_line_in_the_log(tmp_path):
    telemetry = Telemetry(process=False)
    shared = SharedCounts(tmp_path / "gone", telemetry.text)
    shared.start()
    shared.stop()
    assert not (tmp_path / "gone").exists()
