"""A project's models, scenarios and experiments, for those who run its service."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from kinema.recommend.variants import Placement
from kinema.scenario_settings import ScenarioSettings, scenarios_of
from kinema.serving.administration import (
    CatalogueMap,
    ExperimentState,
    KeptModel,
    Learnt,
    ModelNumbers,
    RolledBack,
    RulesVersion,
    ScenarioRules,
    VariantRules,
)
from kinema.steps.catalogue_map import MapDesk
from kinema.steps.live_scenarios import ScenarioDesk, plain_rules
from kinema.steps.live_world import ServedProject
from kinema.steps.model_reports import curve_of, numbers_of
from kinema.steps.version_swaps import roll_back
from kinema.steps.versions import SERVING, kept_versions, serving_folder, version_of

if TYPE_CHECKING:
    from kinema.evaluation.experiments import ExperimentReport

_NAMED: Final = ("variants", "experiment")


class Backstage:
    """`kinema.serving.administration.Administration` of a project.

    Args:
        project: Open.
    """

    def __init__(self, project: ServedProject) -> None:
        self._project = project
        settings = project.settings
        self._desk = ScenarioDesk(project.store, settings.scenarios, settings.recommend.scenario_weights)
        self._maps = MapDesk(project.artifacts, seed=settings.runtime.seed)

    def models(self) -> list[KeptModel]:
        """Those that are kept, newest first."""
        artifacts = self._project.artifacts
        folder = serving_folder(artifacts)
        published = None if folder is None else version_of(folder).id
        return [
            KeptModel(
                id=one.id,
                made_at=one.made_at,
                published=one.id == published,
                command=one.command,
                seed=one.seed,
                training_seconds=one.training_seconds,
                validation=one.validation,
                data=one.data,
                parent=one.parent,
                notes=one.notes,
            )
            for one in reversed(kept_versions(artifacts))
        ]

    def roll_back(self, version: str | None) -> RolledBack:
        """Publish a kept version again; errors: `kinema.steps.version_swaps.roll_back`."""
        from kinema.steps.publishing import notices_of  # noqa: PLC0415  # brings torch

        artifacts, settings = self._project.artifacts, self._project.settings.recommend
        target, before = roll_back(artifacts, version)
        return RolledBack(
            target.id,
            None if before is None else before.id,
            notices_of(artifacts, settings),
            answers=settings.model == SERVING,
        )

    def numbers(self, version: str) -> ModelNumbers:
        """How good a version is."""
        return numbers_of(self._project.artifacts, version)

    def curve(self, version: str) -> Learnt:
        """How a version was learnt."""
        return curve_of(self._project.artifacts, self._project.folder, version)

    def map(self, version: str, ids: Sequence[str], vectors_VD: NDArray[np.float32]) -> CatalogueMap:
        """The map of the catalogue, or how far it is."""
        return self._maps.read(version, ids, vectors_VD)

    def scenarios(self) -> list[ScenarioRules]:
        """All of them, by name."""
        tree = self._desk.tree()
        return [self._told(name, one, tree.get(name)) for name, one in sorted(scenarios_of(tree).placements.items())]

    def scenario_versions(self, scenario: str) -> list[RulesVersion]:
        """What a scenario's rules were, newest first."""
        return self._desk.history(scenario)

    def put_scenario(self, scenario: str, rules: ScenarioSettings, *, by: str, expected: int | None) -> None:
        """Let other rules hold."""
        self._desk.write(scenario, rules, by=by, expected=expected)

    def remove_scenario(self, scenario: str, *, by: str, expected: int | None) -> None:
        """Let the rules of `kinema.toml` hold again."""
        self._desk.remove(scenario, by=by, expected=expected)

    def check_rules(self, scenario: str, rules: ScenarioSettings) -> None:
        """Refuse rules that cannot be."""
        self._desk.check(scenario, rules)

    def start_experiment(self, scenario: str, changed: ScenarioSettings, *, by: str) -> None:
        """Start one."""
        self._desk.start(scenario, changed, by=by)

    def stop_experiment(self, scenario: str, *, by: str) -> None:
        """Stop one."""
        self._desk.stop(scenario, by=by)

    def experiment_state(self, scenario: str) -> ExperimentState:
        """Whether one runs on a scenario."""
        rules, trial = self._desk.tree().get(scenario), self._desk.trial(scenario)
        is_running = rules is not None and bool(rules.variants)
        if trial is None or (is_running and trial.ended_ms is not None):
            return ExperimentState(is_running)
        return ExperimentState(is_running, trial.started_ms or None, trial.ended_ms)

    def experiment(self, scenario: str, *, since: str | None = None) -> "ExperimentReport":
        """The variants of a scenario compared; errors: `kinema.steps.experimenting.experiment_now`."""
        from kinema.steps.experimenting import experiment_now  # noqa: PLC0415  # brings the statistics

        return experiment_now(self._project.store, self._project.settings.scenarios, scenario, since=since)

    def _told(self, name: str, placement: Placement, rules: ScenarioSettings | None) -> ScenarioRules:
        newest = self._desk.newest(name)
        variants: tuple[VariantRules, ...] = ()
        if rules is not None:
            given = {
                variant: one.model_dump(mode="json", exclude_defaults=True, exclude={"share"})
                for variant, one in rules.variants.items()
            }
            variants = tuple(
                VariantRules(variant, share, given.get(variant, {})) for variant, share in placement.shares.items()
            )
        return ScenarioRules(
            name,
            {} if rules is None else plain_rules(rules, without=_NAMED),
            placement.experiment or name,
            variants,
            self._desk.origin(name),
            0 if newest is None else newest.version,
            None if newest is None else newest.at_ms,
            "" if newest is None else newest.by,
        )
