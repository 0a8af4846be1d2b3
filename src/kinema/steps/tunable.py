"""What a search needs of a task, and how a task of a project is read without the project's facade."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinema.settings import FILE_NAME, Settings, load_settings
from kinema.steps.dataset import Dataset, read_dataset
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.slates import trained_profile_schema
from kinema.store.opening import open_store
from kinema.store.protocols import Store
from kinema.training.fitting import FitOptions


@dataclass(frozen=True)
class Tunable:
    """A task with its examples, to be trained again and again.

    Attributes:
        ready: A plan -> the learner, its options, the configuration of its network.
        gains: A trained learner and a metric -> float64 [N], what each validation example says, larger is better, their
            mean the metric; None where the metric is no mean over examples.
        groups_N: Who each validation example is about; a group is drawn together when chance is asked for.
        facts: What the search is about, for its fingerprint.
        notices: What a person should know.
    """

    ready: Callable[[FitPlan], tuple[Any, FitOptions, Any]]
    gains: Callable[[Any, str], NDArray[np.float64] | None]
    groups_N: NDArray[np.integer]
    facts: tuple[Any, ...]
    notices: tuple[str, ...] = ()


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    """The store of a project."""
    store = open_store(settings_of(folder).store.place(folder))
    try:
        yield store
    finally:
        store.close()


def settings_of(folder: Path) -> Settings:
    """Of a project."""
    return load_settings(folder / FILE_NAME)


def read_project(folder: Path, store: Store, *, as_trained: bool = True) -> Dataset:
    """One reading of a project, with the profile columns of its model or with those of today."""
    return read_dataset(
        store,
        kinds=settings_of(folder).histories.kinds,
        features_folder=folder / "artifacts" / "features",
        profile_schema=trained_profile_schema(folder / "artifacts" / "flm") if as_trained else None,
    )


def path_in(place: Mapping[str, Any], name: str) -> Path | None:
    """A path that may not be there."""
    return None if place.get(name) is None else Path(place[name])
