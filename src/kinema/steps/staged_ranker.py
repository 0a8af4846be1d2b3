"""The ranker that the settings want, taught with a model before that model serves: the two come into service together."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinema.artifacts import MANIFEST
from kinema.errors import KinemaError
from kinema.progress import Progress, silent
from kinema.settings import Settings
from kinema.steps.dataset import Dataset
from kinema.steps.open_project import OpenProject
from kinema.steps.project_finetune import Finetune
from kinema.steps.slates import SlateMaker
from kinema.store.profiles import ProfileSchema
from kinema.store.service_protocols import ServiceStore


@dataclass
class Staged:
    """A project as it will be: its own in all but the artefacts, see `kinema.steps.open_project.OpenProject`."""

    project: OpenProject
    artifacts: Path
    folder: Path
    settings: Settings

    @property
    def store(self) -> ServiceStore:
        """The project's."""
        return self.project.store

    @property
    def media_root(self) -> Path | None:
        """The project's."""
        return self.project.media_root

    @property
    def workers(self) -> int:
        """The project's."""
        return self.project.workers

    def dataset(self, *, profile_schema: ProfileSchema | None = None) -> Dataset:
        """The project's."""
        return self.project.dataset(profile_schema=profile_schema)

    def slates(self) -> SlateMaker:
        """The project's."""
        return self.project.slates()

    def reload(self) -> None:
        """The project's."""
        self.project.reload()


def staged_ranker(project: OpenProject, staged: Path, *, progress: Progress = silent) -> tuple[str, ...]:
    """Teach the ranker that serves with a model that is about to.

    Args:
        project: Whose settings may want a ranker; one that was never made is not made here.
        staged: Folder with the model in ``flm``; the ranker goes beside it.
        progress: Told epochs.

    Returns:
        What a person should know: that it failed, and why. Slates then go on without it.
    """
    name = project.settings.recommend.ranker
    if not name or not (project.artifacts / name / MANIFEST).is_file():
        return ()
    tasks = Finetune(Staged(project, staged, project.folder, project.settings))
    learn: dict[str, Callable[..., Any]] = {
        "click": tasks.click,
        "engagement": tasks.engagement,
        "several": tasks.several,
    }
    try:
        learn[name](progress=progress)
    except KinemaError as error:
        return (f"ranker '{name}' could not learn with the new model: {error}",)
    return ()
