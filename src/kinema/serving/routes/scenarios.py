"""Scenarios and experiments: read by all who may read, changed while the service runs by those who administer it."""

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from pydantic import BeforeValidator

from kinema.errors import ConfigError, DataError, NotBuiltError
from kinema.evaluation.experiments import in_words
from kinema.recommend.scenario import Scenario
from kinema.scenario_settings import Name, ScenarioSettings
from kinema.serving.admin_wire import ExperimentOut, ScenarioOut, ScenariosOut
from kinema.serving.administration import Administration, ScenarioRules
from kinema.serving.auth import Principal
from kinema.serving.engine import Engine, now_ms
from kinema.serving.json_route import JsonRoute
from kinema.serving.keys import name_of
from kinema.serving.problems import Problem, not_found
from kinema.serving.routes.parts import Parts, PathWord, Who
from kinema.serving.routes.slates import slate_items
from kinema.serving.scenario_wire import (
    ExperimentIn,
    PreviewIn,
    PreviewOut,
    PreviewSlate,
    RulesVersionOut,
    ScenarioIn,
    ScenarioWithVersionsOut,
    TraceOut,
    Version,
)
from kinema.serving.segments import read_segment
from kinema.serving.wire import NO_NUL, NoticeOut, RecommendedItem
from kinema.serving.world import Answered, Asked

router = APIRouter(prefix="/v1", tags=["scenarios"], route_class=JsonRoute)
AnyScenario = Annotated[PathWord, Path(description="its name", json_schema_extra=NO_NUL)]
NewScenario = Annotated[Name, BeforeValidator(read_segment), Path(description="its name, which may be a new one")]
Expected = Annotated[Version | None, Query(description="the version that was read before; left out: whichever")]
_DRAW: Final = "preview"
_RELATED: Final = "related"


@router.get("/scenarios", summary="Scenarios and their rules")
async def list_scenarios(parts: Parts, request: Request) -> ScenariosOut:
    """Every scenario that may be asked for, its rules, its variants, and where they come from."""
    found = await parts.run(_of(request).scenarios)
    return ScenariosOut(scenarios=[ScenarioOut.model_validate(one) for one in found])


@router.post("/scenarios/preview", summary="What a slate would be by other rules")
async def preview_scenario(parts: Parts, request: Request, body: PreviewIn) -> PreviewOut:
    """The slate that somebody would get by the proposed rules beside the one they get now, with what each stage did.

    Nothing is logged, nobody is counted as having seen anything, and what is left to chance falls alike in both.
    """
    return await parts.run(_preview, parts.engine, _of(request), body)


@router.get("/scenarios/{scenario}", summary="Read a scenario")
async def get_scenario(parts: Parts, request: Request, scenario: AnyScenario) -> ScenarioWithVersionsOut:
    """A scenario with what its rules were, by whom and when."""
    return await parts.run(_with_versions, _of(request), scenario)


@router.put("/scenarios/{scenario}", summary="Change a scenario's rules")
async def put_scenario(
    parts: Parts, request: Request, who: Who, scenario: NewScenario, body: ScenarioIn
) -> ScenarioWithVersionsOut:
    """Let other rules hold: in this process at once, in the others within a second, and after a restart.

    They replace those of `kinema.toml` for this scenario as a whole; a name that is not there yet becomes a new scenario.
    """

    def write() -> ScenarioWithVersionsOut:
        try:
            by = _name(parts.engine, who)
            _of(request).put_scenario(scenario, body.rules, by=by, expected=body.expected_version)
        except ConfigError as error:
            raise Problem(422, str(error), field="rules") from None
        parts.engine.keeper.follow_documents()
        return _with_versions(_of(request), scenario)

    return await parts.run(write)


@router.delete("/scenarios/{scenario}", summary="Take a scenario's changes back")
async def delete_scenario(
    parts: Parts, request: Request, who: Who, scenario: AnyScenario, expected_version: Expected = None
) -> ScenariosOut:
    """Let the rules of `kinema.toml` hold again; a scenario that is not there is gone. The versions are kept."""

    def remove() -> ScenariosOut:
        _known(_of(request), scenario)
        try:
            _of(request).remove_scenario(scenario, by=_name(parts.engine, who), expected=expected_version)
        except (ConfigError, DataError) as error:
            raise Problem(409, str(error), field="scenario") from None
        parts.engine.keeper.follow_documents()
        return ScenariosOut(scenarios=[ScenarioOut.model_validate(one) for one in _of(request).scenarios()])

    return await parts.run(remove)


@router.get("/experiments/{scenario}", summary="What an experiment says")
async def get_experiment(
    parts: Parts,
    request: Request,
    scenario: AnyScenario,
    since: Annotated[str | None, Query(max_length=40, description="slates shown from then on, ISO 8601")] = None,
) -> ExperimentOut:
    """The variants of a scenario compared by the clicks, likes and watch time of the slates that were shown.

    Of a scenario without variants, what the experiment found that was stopped last.
    """

    def read() -> ExperimentOut:
        _known(_of(request), scenario)
        try:
            report = _of(request).experiment(scenario, since=since)
        except NotBuiltError as error:
            raise Problem(409, str(error), field="scenario") from None
        state = _of(request).experiment_state(scenario)
        told = {
            "running": state.is_running,
            "started_ms": state.started_ms,
            "ended_ms": state.ended_ms,
            "sentence": in_words(report),
        }
        return ExperimentOut.model_validate(report).model_copy(update=told)

    return await parts.run_long(read)


@router.put("/experiments/{scenario}", summary="Start an experiment")
async def start_experiment(
    parts: Parts, request: Request, who: Who, scenario: AnyScenario, body: ExperimentIn
) -> ScenarioOut:
    """Give a part of the users other rules, the same users from now on until it is stopped."""
    changed = ScenarioSettings(variants=body.variants, experiment=body.name, attribution_hours=body.attribution_hours)

    def start() -> ScenarioOut:
        _known(_of(request), scenario)
        try:
            _of(request).start_experiment(scenario, changed, by=_name(parts.engine, who))
        except ConfigError as error:
            raise Problem(422, str(error), field="variants") from None
        except DataError as error:
            raise Problem(409, str(error), field="scenario") from None
        parts.engine.keeper.follow_documents()
        return ScenarioOut.model_validate(_known(_of(request), scenario))

    return await parts.run(start)


@router.delete("/experiments/{scenario}", summary="Stop an experiment")
async def stop_experiment(parts: Parts, request: Request, who: Who, scenario: AnyScenario) -> ScenarioOut:
    """Give everybody the scenario as it stands; what the experiment found can still be read."""

    def stop() -> ScenarioOut:
        _known(_of(request), scenario)
        try:
            _of(request).stop_experiment(scenario, by=_name(parts.engine, who))
        except DataError as error:
            raise Problem(409, str(error), field="scenario") from None
        parts.engine.keeper.follow_documents()
        return ScenarioOut.model_validate(_known(_of(request), scenario))

    return await parts.run(stop)


def _of(request: Request) -> Administration:
    found: Administration = request.app.state.administration
    return found


def _known(administration: Administration, name: str) -> ScenarioRules:
    for one in administration.scenarios():
        if one.scenario == name:
            return one
    raise not_found("scenario", name, field="scenario")


def _with_versions(administration: Administration, name: str) -> ScenarioWithVersionsOut:
    told = ScenarioOut.model_validate(_known(administration, name)).model_dump()
    versions = [RulesVersionOut.model_validate(one) for one in administration.scenario_versions(name)]
    return ScenarioWithVersionsOut(**told, versions=versions)


def _name(engine: Engine, who: Principal) -> str:
    """Who changes something, for people: a key by its name and its public part."""
    if who.kind not in ("key", "session"):
        return who.id
    name = name_of(engine.store, who.id.removeprefix("key:"))
    return f"{name} ({who.id})" if name else who.id


def _preview(engine: Engine, administration: Administration, body: PreviewIn) -> PreviewOut:
    try:
        administration.check_rules(body.scenario, body.rules)
    except ConfigError as error:
        raise Problem(422, str(error), field="rules") from None
    if body.scenario == _RELATED:
        engine.known_item(body.item_id)
    world = engine.world
    moment = now_ms()
    is_there = any(one.scenario == body.scenario for one in administration.scenarios())
    held = world.rules(body.scenario, body.user_id) if is_there else None
    proposed = body.rules.placement(body.scenario).of(body.user_id)
    like = proposed if held is None else replace(proposed, variant=held.variant)  # chance falls by the variant's name

    def ask(rules: Scenario) -> Answered:
        if body.scenario == _RELATED:
            how: dict[str, Any] = {"num_items": body.n, "draw": _DRAW, "rules": rules}
            return world.similar(body.item_id, **how)
        weights = engine.weights.of(body.user_id)
        asked = Asked(body.user_id, body.n, body.scenario, moment, draw=_DRAW, weights=weights)
        return world.recommend(asked, rules=rules)

    now = None if held is None else _slate(ask(held))
    then = _slate(ask(like), variant=proposed.variant)
    before = [] if now is None else [one.item_id for one in now.items]
    after = [one.item_id for one in then.items]
    return PreviewOut(
        scenario=body.scenario,
        user_id=body.user_id,
        model_version=world.version,
        current=now,
        proposed=then,
        entered=[one for one in after if one not in before],
        left=[one for one in before if one not in after],
    )


def _slate(answered: Answered, *, variant: str | None = None) -> PreviewSlate:
    slate = answered.slate
    return PreviewSlate(
        variant=answered.variant if variant is None else variant,
        items=[RecommendedItem.model_validate(one) for one in slate_items(slate, explain=True, debug=True)],
        notice=slate.notice or None,
        notices=[NoticeOut.model_validate(one) for one in slate.notices],
        trace=[TraceOut.model_validate(step) for step in slate.trace],
    )
