"""Every metric the service can tell: telemetry of which each part was used once."""

from prometheus_client.parser import text_string_to_metric_families

from kinema.schema import EventKind, Slate, SlateItem, TraceStep
from kinema.serving.telemetry import Telemetry


def touched():
    """Telemetry with a value in every metric."""
    telemetry = Telemetry()
    telemetry.observe_request("/v1/users/{user_id}/recommendations", "GET", 200, 0.01)
    slate = Slate("u", (SlateItem("a", "t", 0, 1.0),), (TraceStep("retrieve:flm", 9, 5, 1.0),))
    telemetry.set_catalogue(10)
    telemetry.observe_slate(slate, scenario="home", variant="a", num_cold=1)
    telemetry.observe_event(EventKind.IMPRESSION, scenario="home", variant="a")
    telemetry.observe_event(EventKind.CLICK, scenario="home", variant="a")
    telemetry.observe_event(EventKind.WATCH, scenario="home", variant="a", watch_ms=1000)
    telemetry.count_events(accepted=1, known=1, rejected=1)
    telemetry.set_newest_event(0)
    telemetry.set_model("v1", 0)
    telemetry.set_index(0)
    telemetry.set_queue("media", 1)
    telemetry.count_auth_failure("invalid")
    telemetry.count_rate_limited("read")
    return telemetry


def told_samples():
    """Name of a sample -> the labels that it has."""
    found = {}
    for family in text_string_to_metric_families(touched().text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found
