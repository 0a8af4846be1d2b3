"""Which version serves, and loading all of it: what a running service asks so that it can take up a new one while it answers.

Asking is a look at a link or at one file's time, cheap enough for several times a second. Loading gives a model, its bound items, its
profile columns and its ranker of one version, also when another one is published meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from kinema.artifacts import MANIFEST
from kinema.errors import KinemaError
from kinema.recommend.variants import Scenarios
from kinema.settings import RecommendSettings
from kinema.steps.dataset import Dataset
from kinema.steps.slates import SlateMaker, make_slates, model_folder, trained_profile_schema
from kinema.steps.versions import SERVING, is_version, serving_folder, version_of
from kinema.store.profiles import ProfileSchema
from kinema.store.protocols import Store

_TRIES: Final = 5


@dataclass(frozen=True)
class ModelVersion:
    """A model that serves.

    Attributes:
        id: Of the version; of a model that was never published, made from its manifest in the same way.
        folder: Where it lies, with no link left in the path.
        settled: What lies there is never written over.
    """

    id: str
    folder: Path
    settled: bool


@dataclass(frozen=True)
class Serving:
    """A recommender, and what it was made from.

    Attributes:
        version: Of the model; None where there is none, and content, memory and popularity answer.
        maker: Bound to one reading of the project.
    """

    version: ModelVersion | None
    maker: SlateMaker


def serving_version(artifacts: Path, *, model: str = SERVING) -> ModelVersion | None:
    """The version that serves now; None where no model has been built.

    Args:
        artifacts: Of the project.
        model: Which one the settings let serve: ``flm``, or ``next``.
    """
    folder = serving_folder(artifacts) if model == SERVING else model_folder(artifacts, model)
    if folder is None:
        return None
    if is_version(folder):
        return ModelVersion(folder.name, folder, settled=True)
    try:
        seen = (folder / MANIFEST).stat()
    except OSError:
        return None
    return ModelVersion(_id_of(folder, seen.st_mtime_ns, seen.st_ino), folder, settled=False)


def load_serving(
    *,
    artifacts: Path,
    settings: RecommendSettings,
    store: Store,
    read: Callable[[ProfileSchema | None], Dataset],
    scenarios: Scenarios | None = None,
) -> Serving:
    """The recommender of one version.

    Args:
        artifacts: Of the project.
        settings: How slates are made.
        store: What a second opinion reads the log from.
        read: Reads the project with the profile columns it is given; None lets it choose them.
        scenarios: The rules of each placement; None for those that are built in.

    Returns:
        The recommender and its version.

    Raises:
        NotBuiltError: The settings want what was not made yet.
        StaleArtifactError: The model does not fit the store.
    """
    for tries_left in reversed(range(_TRIES)):
        version = serving_version(artifacts, model=settings.model)
        folder = None if version is None else version.folder
        try:
            dataset = read(None if folder is None else trained_profile_schema(folder))
            made_of: dict[str, Any] = {"artifacts": artifacts, "settings": settings, "scenarios": scenarios}
            maker = make_slates(dataset, **made_of, store=store, folder=folder)
        except (KinemaError, OSError):
            # Another version may have come in between, and this one may have been removed as too old.
            if not tries_left or serving_version(artifacts, model=settings.model) == version:
                raise
            continue
        if not tries_left or (version is not None and version.settled):
            break
        if serving_version(artifacts, model=settings.model) == version:
            break
    return Serving(version, maker)


@lru_cache(maxsize=64)
def _id_of(folder: Path, mtime_ns: int, inode: int) -> str:
    """Read again only when the file has changed."""
    del mtime_ns, inode
    return version_of(folder).id
