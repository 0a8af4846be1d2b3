"""What the service asks of a project besides answers: its models, its scenarios, what its experiments say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

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
    notices: tuple[str, ...]
    answers: bool


@dataclass(frozen=True)
class VariantRules:
    """A variant of a scenario: its share of the users, and what is different."""

    variant: str
    share: float
    rules: Mapping[str, Any]


@dataclass(frozen=True)
class ScenarioRules:
    """A scenario, by the keys of `kinema.toml` that are not as usual."""

    scenario: str
    rules: Mapping[str, Any]
    experiment: str
    variants: tuple[VariantRules, ...]


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

    def scenarios(self) -> Sequence[ScenarioRules]:
        """All of them, those that are built in among them."""

    def experiment(self, scenario: str, *, since: str | None = None) -> "ExperimentReport":
        """The variants of a scenario compared.

        Raises:
            DataError: There is no such scenario.
            NotBuiltError: There is nothing to compare.
        """
