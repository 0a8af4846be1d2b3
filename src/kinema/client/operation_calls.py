"""Requests of those who run a service, as plain values; see `kinema.client.calls`."""

from collections.abc import Mapping
from typing import Any

from kinema.client.calls import Call, as_json, at, made
from kinema.serving.admin_wire import ExperimentOut, ModelsOut, RollbackIn, RollbackOut, ScenarioOut, ScenariosOut
from kinema.serving.health_wire import AlertsOut, HealthSeriesOut
from kinema.serving.model_wire import MapOut, ModelCurveOut, ModelReportOut
from kinema.serving.scenario_wire import ExperimentIn, PreviewIn, PreviewOut, ScenarioIn, ScenarioWithVersionsOut
from kinema.serving.session_wire import SessionOut

Rules = Mapping[str, Any]


def session() -> Call[SessionOut]:
    """Who asks."""
    return Call("GET", at("session"), SessionOut)


def models() -> Call[ModelsOut]:
    """Versions that are kept."""
    return Call("GET", at("models"), ModelsOut)


def roll_back(version: str | None) -> Call[RollbackOut]:
    """Another version; without its name a second attempt would go back once more."""
    body = made(RollbackIn, **({} if version is None else {"version": version}))
    return Call("POST", at("models", "rollback"), RollbackOut, body=as_json(body), repeatable=False)


def model_report(version: str) -> Call[ModelReportOut]:
    """How good a version is."""
    return Call("GET", at("models", version, "report"), ModelReportOut)


def model_curve(version: str) -> Call[ModelCurveOut]:
    """How a version was learnt."""
    return Call("GET", at("models", version, "curve"), ModelCurveOut)


def model_map() -> Call[MapOut]:
    """The catalogue in two dimensions."""
    return Call("GET", at("models", "map"), MapOut)


def scenarios() -> Call[ScenariosOut]:
    """All of them."""
    return Call("GET", at("scenarios"), ScenariosOut)


def scenario(name: str) -> Call[ScenarioWithVersionsOut]:
    """One, with what its rules were."""
    return Call("GET", at("scenarios", name), ScenarioWithVersionsOut)


def put_scenario(name: str, rules: Rules, expected_version: int | None) -> Call[ScenarioWithVersionsOut]:
    """Change one."""
    body = made(ScenarioIn, rules=rules, expected_version=expected_version)
    return Call(
        "PUT", at("scenarios", name), ScenarioWithVersionsOut, body=as_json(body), repeatable=expected_version is None
    )


def delete_scenario(name: str, expected_version: int | None) -> Call[ScenariosOut]:
    """Take its changes back."""
    params = {"expected_version": expected_version}
    return Call("DELETE", at("scenarios", name), ScenariosOut, params, repeatable=False)


def preview_scenario(name: str, rules: Rules, *, user_id: str, item_id: str, n: int) -> Call[PreviewOut]:
    """A slate by other rules."""
    body = made(PreviewIn, scenario=name, rules=rules, user_id=user_id, item_id=item_id, n=n)
    return Call("POST", at("scenarios", "preview"), PreviewOut, body=as_json(body))


def experiment(scenario: str, since: str | None) -> Call[ExperimentOut]:
    """What one says."""
    return Call("GET", at("experiments", scenario), ExperimentOut, {"since": since})


def start_experiment(
    scenario: str, variants: Mapping[str, Rules], *, name: str, attribution_hours: float
) -> Call[ScenarioOut]:
    """Start one; a second attempt finds that it runs."""
    body = made(ExperimentIn, variants=variants, name=name, attribution_hours=attribution_hours)
    return Call("PUT", at("experiments", scenario), ScenarioOut, body=as_json(body), repeatable=False)


def stop_experiment(scenario: str) -> Call[ScenarioOut]:
    """Stop one."""
    return Call("DELETE", at("experiments", scenario), ScenarioOut, repeatable=False)


def health_series(since_ms: int) -> Call[HealthSeriesOut]:
    """What was counted."""
    return Call("GET", at("health", "series"), HealthSeriesOut, {"since_ms": since_ms})


def alerts() -> Call[AlertsOut]:
    """What fires."""
    return Call("GET", at("health", "alerts"), AlertsOut)
