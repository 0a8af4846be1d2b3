"""What the methods of a project's tasks need of the project."""

from pathlib import Path
from typing import Protocol

from kinema.settings import Settings
from kinema.steps.dataset import Dataset
from kinema.steps.slates import SlateMaker
from kinema.store.profiles import ProfileSchema
from kinema.store.service_protocols import ServiceStore


class OpenProject(Protocol):
    """A project folder that is open; `kinema.project.Project` is one.

    Attributes:
        folder: Of the project.
        settings: What `kinema.toml` says.
    """

    folder: Path
    settings: Settings

    @property
    def store(self) -> ServiceStore:
        """Its data."""

    @property
    def artifacts(self) -> Path:
        """Where the stages meet."""

    @property
    def media_root(self) -> Path | None:
        """Where media paths start."""

    @property
    def workers(self) -> int:
        """Decoding processes."""

    def dataset(self, *, profile_schema: ProfileSchema | None = None) -> Dataset:
        """Everything a model needs, read once."""

    def slates(self) -> SlateMaker:
        """The recommender."""

    def reload(self) -> None:
        """Read `kinema.toml` again."""
