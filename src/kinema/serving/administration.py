"""What the service asks of a project besides answers: its models, its scenarios, what its experiments say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.notices import Notice
from kinema.scenario_settings import ScenarioSettings

if TYPE_CHECKING:
    from kinema.evaluation.experiments import ExperimentReport


@dataclass(frozen=True)
class KeptModel:
    """A version of the model that is on disk; see `kinema.steps.versions.Version`."""

    id: str
    made_at: str
    published: bool
    command: str = ""
    seed: int | None = None
    training_seconds: float | None = None
    validation: Mapping[str, float] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RolledBack:
    """What a roll-back did.

    Attributes:
        version: What is published now.
        before: What was; None where nothing was.
        notices: What a person should know, such as a ranker that does not follow.
        answers: Slates come from it; False where the settings let another kind of model serve.
    """

    version: str
    before: str | None
    notices: tuple[Notice, ...]
    answers: bool


@dataclass(frozen=True)
class Evaluated:
    """What one evaluation found; see `kinema.steps.model_reports`.

    Attributes:
        protocol: Which one.
        title: For people.
        date: When, for people.
        command: Of the user.
        same_recipe: The model that was measured was made as this version: the same configuration and seed.
        reference: Name of the ranker that it is about.
        ceiling: Name of the one that knows the right answers; empty where there is none.
        split: Facts of the split.
        rankers: Each with its rows: all, warm, cold, cold among cold.
        differences: From the reference to the others, with intervals.
        notes: What a reader should know.
    """

    protocol: str
    title: str
    date: str
    command: str
    same_recipe: bool
    reference: str
    ceiling: str
    split: Mapping[str, Any]
    rankers: tuple[Mapping[str, Any], ...]
    differences: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ModelNumbers:
    """What is known of how good a version is."""

    version: str
    validation: Mapping[str, float]
    notes: Mapping[str, Any]
    evaluations: tuple[Evaluated, ...]


@dataclass(frozen=True)
class TaskRun:
    """The last training of a task: one mapping per epoch."""

    name: str
    points: tuple[Mapping[str, float], ...]


@dataclass(frozen=True)
class Learnt:
    """How a version was learnt.

    Attributes:
        version: Its id.
        best_epoch: Whose parameters were kept.
        points: One per epoch: ``epoch``, ``seconds``, ``losses`` and, where it was looked at, ``validation``.
        tasks: What was learnt beside it.
    """

    version: str
    best_epoch: int | None
    points: tuple[Mapping[str, Any], ...]
    tasks: tuple[TaskRun, ...]


MapState = Literal["ready", "computing", "failed"]


@dataclass(frozen=True, eq=False)
class CatalogueMap:
    """A map of the catalogue; see `kinema.steps.catalogue_map`.

    Attributes:
        state: Without positions unless it is ready.
        version: Of the model.
        numbers: int64 [S], items.
        plane_S2: float32 [S, 2] in [-1, 1].
        trouble: Why it could not be drawn; empty otherwise.
    """

    state: MapState
    version: str
    numbers: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    plane_S2: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), dtype=np.float32))
    trouble: str = ""


@dataclass(frozen=True)
class VariantRules:
    """A variant of a scenario: its share of the users, and what is different."""

    variant: str
    share: float
    rules: Mapping[str, Any]


@dataclass(frozen=True)
class ScenarioRules:
    """A scenario, by the keys of `kinema.toml` that are not as usual.

    Attributes:
        scenario: Its name.
        rules: Keys -> values, JSON.
        experiment: Name that decides who gets which variant.
        variants: The control first; empty without an experiment.
        origin: ``built-in``, ``file`` or ``store``: where the rules come from that hold.
        version: Of what was changed while the service ran; 0 where nothing was.
        changed_ms: When that was; None where nothing was.
        changed_by: Who it was; empty where nothing was.
    """

    scenario: str
    rules: Mapping[str, Any]
    experiment: str
    variants: tuple[VariantRules, ...]
    origin: str = "built-in"
    version: int = 0
    changed_ms: int | None = None
    changed_by: str = ""


@dataclass(frozen=True)
class RulesVersion:
    """One version of a scenario's rules.

    Attributes:
        version: From 1.
        at_ms: UTC milliseconds.
        by: Who made it.
        what: In a few words.
        rules: Keys that are not as usual; None where those of `kinema.toml` hold again.
    """

    version: int
    at_ms: int
    by: str
    what: str
    rules: Mapping[str, Any] | None


@dataclass(frozen=True)
class ExperimentState:
    """Whether an experiment runs, and since when; None where it was not started over the API."""

    is_running: bool
    started_ms: int | None = None
    ended_ms: int | None = None


class Administration(Protocol):
    """Reads from disk or store each time it is asked."""

    def models(self) -> Sequence[KeptModel]:
        """Those that are kept, newest first."""

    def roll_back(self, version: str | None) -> RolledBack:
        """Publish a kept version again; None for the one that was published before.

        Raises:
            DataError: There is no such version, none before, or it is published already.
            NotBuiltError: There is no model.
        """

    def numbers(self, version: str) -> ModelNumbers:
        """How good a version is.

        Raises:
            DataError: There is no such version.
        """

    def curve(self, version: str) -> Learnt:
        """How a version was learnt.

        Raises:
            DataError: There is no such version.
        """

    def map(self, version: str, ids: Sequence[str], vectors_VD: NDArray[np.float32]) -> CatalogueMap:
        """The map of the catalogue, or how far it is; see `kinema.steps.catalogue_map.MapDesk.read`."""

    def scenarios(self) -> Sequence[ScenarioRules]:
        """All of them, those that are built in among them."""

    def scenario_versions(self, scenario: str) -> Sequence[RulesVersion]:
        """What a scenario's rules were, newest first; empty where they were never changed."""

    def put_scenario(self, scenario: str, rules: ScenarioSettings, *, by: str, expected: int | None) -> None:
        """Let other rules hold; see `kinema.steps.live_scenarios.ScenarioDesk.write`."""

    def remove_scenario(self, scenario: str, *, by: str, expected: int | None) -> None:
        """Let the rules of `kinema.toml` hold again; see `kinema.steps.live_scenarios.ScenarioDesk.remove`."""

    def check_rules(self, scenario: str, rules: ScenarioSettings) -> None:
        """Refuse rules that cannot be.

        Raises:
            ConfigError: They cannot.
        """

    def start_experiment(self, scenario: str, changed: ScenarioSettings, *, by: str) -> None:
        """Start one; see `kinema.steps.live_scenarios.ScenarioDesk.start`."""

    def stop_experiment(self, scenario: str, *, by: str) -> None:
        """Stop one; see `kinema.steps.live_scenarios.ScenarioDesk.stop`."""

    def experiment_state(self, scenario: str) -> ExperimentState:
        """Whether one runs on a scenario."""

    def experiment(self, scenario: str, *, since: str | None = None) -> "ExperimentReport":
        """The variants of a scenario compared.

        Raises:
            DataError: There is no such scenario.
            NotBuiltError: There is nothing to compare.
        """
