"""Which tasks can be searched: how each reads its examples, and what each validation example says.

A new task is one function and one line of `TUNABLE`; its space is one entry of `kinema.tuning.task_space`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from kinema.settings import FILE_NAME, load_settings
from kinema.steps.clip_library import find_labels, project_library
from kinema.steps.dataset import Dataset, read_dataset
from kinema.steps.finetuning import read_table_clicks
from kinema.steps.finetuning_clips import USUAL, divide_clips
from kinema.steps.finetuning_engagement import read_engagement
from kinema.steps.finetuning_log import read_log_clicks
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.finetuning_rating import read_log_ratings
from kinema.steps.slates import trained_profile_schema
from kinema.store.sql import SqlStore
from kinema.tasks.click import probabilities
from kinema.tasks.field_specs import parse_spec
from kinema.tasks.rating import outputs
from kinema.training.fitting import FitOptions
from kinema.training.task_settings import TaskSettings, task_settings
from kinema.tuning.gains import GAINS_OF_CHANCES


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


def log_clicks(place: Mapping[str, Any]) -> Tunable:
    """Clicks of a project's log; ``place`` has ``project``, ``label`` and ``seed``."""
    folder = Path(place["project"])
    with _opened(folder) as store:
        dataset = _dataset(folder, store)
        artifacts = folder / "artifacts"
        clicks = read_log_clicks(store, dataset, artifacts=artifacts, label=place["label"], seed=place["seed"])
    valid = clicks.parts["valid"]
    labels_N = clicks.exposures.outcomes[clicks.label][valid]

    def gains(learner: Any, metric: str) -> NDArray[np.float64] | None:
        return _of_chances(metric, lambda: learner.probabilities(valid), labels_N)

    return Tunable(clicks.ready, gains, clicks.exposures.users_N[valid], clicks.facts, clicks.notices)


def table_clicks(place: Mapping[str, Any]) -> Tunable:
    """Clicks of a table; ``place`` has ``train``, ``valid``, ``label``, ``fields``, ``min_count`` and ``seed``."""
    paths = {name: Path(place[name]) if place[name] is not None else None for name in ("train", "valid")}
    clicks = read_table_clicks(
        paths,
        label=place["label"],
        specs=[parse_spec(one) for one in place["fields"]],
        min_count=place["min_count"],
        seed=place["seed"],
    )
    rows, labels_N = clicks.rows["valid"]

    def gains(learner: Any, metric: str) -> NDArray[np.float64] | None:
        return _of_chances(metric, lambda: probabilities(learner.clicks, rows), labels_N)

    return Tunable(clicks.ready, gains, np.arange(len(labels_N)), clicks.facts, clicks.notices)


def engagement(place: Mapping[str, Any]) -> Tunable:
    """Engagement of a project's log; ``place`` has ``project``."""
    folder = Path(place["project"])
    with _opened(folder) as store:
        told = read_engagement(store, _dataset(folder, store), artifacts=folder / "artifacts")

    def gains(learner: Any, metric: str) -> NDArray[np.float64] | None:
        return -learner.relative_losses() if metric == "loss" else None

    return Tunable(told.ready, gains, told.exposures.users_N[told.parts["valid"]], told.facts)


def rating(place: Mapping[str, Any]) -> Tunable:
    """Ratings of a project's log; ``place`` has ``project``."""
    folder = Path(place["project"])
    with _opened(folder) as store:
        told = read_log_ratings(store, _dataset(folder, store, as_trained=False))
    valid = told.parts["valid"]

    def gains(learner: Any, metric: str) -> NDArray[np.float64] | None:
        if metric not in {"mse", "mae"}:
            return None
        said_N = np.clip(outputs(learner.network, valid.users_N, valid.items_N)[:, 0], valid.low, valid.high)
        errors_N = np.abs(said_N.astype(np.float64) - valid.values_N)
        return -(errors_N**2) if metric == "mse" else -errors_N

    return Tunable(told.ready, gains, valid.users_N, told.facts)


def clips(place: Mapping[str, Any]) -> Tunable:
    """Classes of a project's clips; ``place`` has ``project``, ``seed`` and ``label``, a column of the catalogue or None for names."""
    folder = Path(place["project"])
    settings = load_settings(folder / FILE_NAME)
    inputs = FitPlan(TaskSettings(network=task_settings(settings.finetune, "clips").network)).network(USUAL).inputs
    with _opened(folder) as store:
        library = project_library(store, settings, folder, inputs=inputs)
        labels = find_labels(library, store.items(), column=place["label"])
    told = divide_clips(library, labels, inputs=inputs, seed=place["seed"])

    def gains(learner: Any, metric: str) -> NDArray[np.float64] | None:
        return cast("NDArray[np.float64] | None", learner.valid_gains(metric))

    return Tunable(told.ready, gains, told.valid_groups(), told.facts, labels.notices)


TUNABLE: Final[Mapping[str, Callable[[Mapping[str, Any]], Tunable]]] = {
    "click": log_clicks,
    "click_table": table_clicks,
    "engagement": engagement,
    "rating": rating,
    "clips": clips,
}
"""Section of `kinema.toml` -> what reads the task's examples."""


def _of_chances(
    metric: str, chances: Callable[[], NDArray[np.floating]], labels_N: NDArray[Any]
) -> NDArray[np.float64] | None:
    found = GAINS_OF_CHANCES.get(metric)
    return None if found is None else found(chances(), labels_N.astype(np.float32))


@contextmanager
def _opened(folder: Path) -> Iterator[SqlStore]:
    """The store of a project."""
    store = SqlStore.open(folder / load_settings(folder / FILE_NAME).store.path)
    try:
        yield store
    finally:
        store.close()


def _dataset(folder: Path, store: SqlStore, *, as_trained: bool = True) -> Dataset:
    """One reading of a project, with the profile columns of its model or with those of today."""
    return read_dataset(
        store,
        kinds=load_settings(folder / FILE_NAME).histories.kinds,
        features_folder=folder / "artifacts" / "features",
        profile_schema=trained_profile_schema(folder / "artifacts" / "flm") if as_trained else None,
    )
