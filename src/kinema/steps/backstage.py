"""A project's models, scenarios and experiments, for those who run its service."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kinema.scenario_settings import scenarios_of
from kinema.serving.administration import KeptModel, RolledBack, ScenarioRules, VariantRules
from kinema.steps.live_world import ServedProject
from kinema.steps.version_swaps import roll_back
from kinema.steps.versions import SERVING, kept_versions, serving_folder, version_of

if TYPE_CHECKING:
    from kinema.evaluation.experiments import ExperimentReport

_NAMED: set[str] = {"variants", "experiment"}


class Backstage:
    """`kinema.serving.administration.Administration` of a project.

    Args:
        project: Open.
    """

    def __init__(self, project: ServedProject) -> None:
        self._project = project

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

    def scenarios(self) -> list[ScenarioRules]:
        """All of them, by name."""
        written = self._project.settings.scenarios
        found = []
        for name, placement in sorted(scenarios_of(written).placements.items()):
            rules: Mapping[str, Any] = {}
            variants: tuple[VariantRules, ...] = ()
            if name in written:
                rules = written[name].model_dump(mode="json", exclude_defaults=True, exclude=_NAMED)
                given = {
                    variant: one.model_dump(mode="json", exclude_defaults=True, exclude={"share"})
                    for variant, one in written[name].variants.items()
                }
                variants = tuple(
                    VariantRules(variant, share, given.get(variant, {})) for variant, share in placement.shares.items()
                )
            found.append(ScenarioRules(name, rules, placement.experiment or name, variants))
        return found

    def experiment(self, scenario: str, *, since: str | None = None) -> "ExperimentReport":
        """The variants of a scenario compared; errors: `kinema.steps.experimenting.experiment_on`."""
        from kinema.steps.experimenting import experiment_on  # noqa: PLC0415  # brings the statistics

        return experiment_on(self._project.store, self._project.settings.scenarios, scenario, since=since)
