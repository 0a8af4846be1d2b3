"""``project.pretrain`` and ``project.models``: how models come into service, and what can be done with those that are kept."""

from dataclasses import dataclass, replace
from pathlib import Path

from kinema.progress import Progress, silent
from kinema.steps.open_project import OpenProject
from kinema.steps.pretraining import PretrainJob, PretrainReport
from kinema.steps.publishing import Service, model_in, notices_of, publish_from
from kinema.steps.slates import trained_profile_schema
from kinema.steps.transferring import pretrain_as_asked
from kinema.steps.tuning import Search
from kinema.steps.version_swaps import roll_back
from kinema.steps.versions import Version, find_version, kept_versions, serving_folder, version_of


@dataclass(frozen=True)
class Listed:
    """A version, and whether it serves."""

    version: Version
    serving: bool


@dataclass(frozen=True)
class Published:
    """What a publication or a roll-back did.

    Attributes:
        version: What serves now.
        before: What served; None where nothing did.
        notices: What a person should know, such as a ranker that does not follow.
    """

    version: Version
    before: Version | None
    notices: tuple[str, ...] = ()


class Models:
    """The versions of a project's model.

    Args:
        project: An open project.
    """

    def __init__(self, project: OpenProject) -> None:
        self._project = project

    def list(self) -> tuple[Listed, ...]:
        """Those that are kept, newest first."""
        serving = self.serving()
        return tuple(
            Listed(one, serving is not None and one.id == serving.id)
            for one in reversed(kept_versions(self._project.artifacts))
        )

    def serving(self) -> Version | None:
        """The one that serves; None where there is no model."""
        folder = serving_folder(self._project.artifacts)
        return None if folder is None else version_of(folder)

    def show(self, version: str | None = None) -> Listed:
        """One of them; None for the one that serves.

        Raises:
            DataError: There is none of this id, or no model at all.
        """
        serving = self.serving()
        if version is None and serving is not None:
            return Listed(serving, serving=True)
        found = find_version(self._project.artifacts, version or "")
        return Listed(found, serving is not None and found.id == serving.id)

    def rollback(self, version: str | None = None) -> Published:
        """Let another version serve, by default the one before; errors: `kinema.steps.versions.roll_back`."""
        target, before = roll_back(self._project.artifacts, version)
        return Published(target, before, self._notices())

    def publish(self, folder: str | Path) -> Published:
        """Let a model serve that was trained elsewhere on this catalogue; errors: `kinema.steps.publishing.publish_from`."""
        place, project, before = Path(folder), self._project, self.serving()
        dataset = project.dataset(profile_schema=trained_profile_schema(model_in(place)))
        keep = project.settings.serving.keep_versions
        version = publish_from(place, Service(project.artifacts, dataset, "kinema model publish", keep))
        return Published(version, before, self._notices())

    def _notices(self) -> tuple[str, ...]:
        return tuple(one.text for one in notices_of(self._project.artifacts, self._project.settings.recommend))


def pretrain_project(
    project: OpenProject,
    *,
    seed: int,
    catalogue_only: bool = False,
    source: str | Path | None = None,
    zero_shot: bool = False,
    tune_seconds: float | None = None,
    tune_trials: int | None = None,
    use_tuned: bool = True,
    progress: Progress = silent,
) -> PretrainReport:
    """Pre-train in the way that is asked for, and publish.

    Args:
        project: An open project.
        seed: Of every draw.
        catalogue_only: Learn from the items alone, without events.
        source: A project or FLM artefact of another catalogue to start from; what training changes of it is kept apart.
        zero_shot: Use that model as it is, without training.
        tune_seconds: First search for settings on those interactions, for so long; `kinema.toml` wins over what is found.
        tune_trials: Trials after which the search ends as well.
        use_tuned: Take what an earlier search chose, where the data set still has about the size.
        progress: Told seconds of the search, then epochs.

    Raises:
        NotBuiltError: There are no interactions, or no model where the source should be.
        ConfigError: Flags that exclude each other, or a source that does not fit.
        DataError: A search has nothing to choose on.
        MissingExtraError: A search needs Optuna, which is not installed.
    """
    place = None if source is None else Path(source)
    flags = {
        "--catalogue-only": catalogue_only,
        f"--from {'' if place is None else place.name}": place is not None,  # the version may be read elsewhere
        "--zero-shot": zero_shot,
        "--tune": tune_seconds is not None,
    }
    job = PretrainJob(
        project.dataset(),
        project.settings.flm.model_dump(),
        project.artifacts,
        seed,
        progress,
        " ".join(["kinema pretrain", *(flag for flag, is_set in flags.items() if is_set)]),
        project.settings.serving.keep_versions,
    )
    before = serving_folder(project.artifacts)
    report = pretrain_as_asked(
        job,
        catalogue_only=catalogue_only,
        source=place,
        zero_shot=zero_shot,
        wanted=Search(tune_seconds, tune_trials, use_tuned),
    )
    after = serving_folder(project.artifacts)
    again = f"version {version_of(after).id} was trained from the same before: it serves again" if after else ""
    return replace(
        report,
        notices=(
            *report.notices,
            *((again,) if report.reused and after != before else ()),
            *(one.text for one in notices_of(project.artifacts, project.settings.recommend)),
        ),
    )
