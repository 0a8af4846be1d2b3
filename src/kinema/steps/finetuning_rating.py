"""`kinema finetune rating`: the ratings of a project's log become a model of what a user would give an item, with an interval.

Shape suffixes: N ratings, V catalogue, E categories.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.metrics.regression import interval_coverage, interval_width, mae, mse
from kinema.schema import EventKind
from kinema.steps.dataset import Dataset
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.rating import train_rating
from kinema.store.protocols import Store
from kinema.tasks.rating import RatingConfig, RatingLearner, SideFeatures
from kinema.tasks.rating_data import Ratings
from kinema.training.fitting import FitOptions

FOLDER: Final = "rating"
USUAL: Final = RatingConfig(dropout=0.5, l2=0.01)
"""What is learnt where nothing else is said; a log of thousands of ratings wants more restraint than the published sets."""
_FEWEST: Final = 50
_MOST_CATEGORIES: Final = 64
_SHARES: Final = (0.8, 0.1)


@dataclass(frozen=True)
class RatingReport:
    """What was learnt from ratings.

    Attributes:
        folder: The artefact.
        num_ratings: Part -> ratings, oldest part first: train, valid, test.
        scale: Lowest and highest rating.
        metrics: ``mse``, ``mae``, share inside the interval and its width on the newest tenth; ``mean`` has the errors of always saying the
            mean of the training ratings.
        best_epoch: Epochs done when validation was best.
        epochs: Done in all.
        seconds: Of everything.
        notices: What a person should know.
    """

    folder: Path
    num_ratings: Mapping[str, int]
    scale: tuple[float, float]
    metrics: Mapping[str, Mapping[str, float]]
    best_epoch: int
    epochs: int
    seconds: float
    notices: tuple[str, ...] = ()


def finetune_rating(store: Store, dataset: Dataset, *, artifacts: Path, plan: FitPlan | None = None) -> RatingReport:
    """Learn from the oldest four fifths of the ratings, choose the epochs on the next tenth, measure on the newest.

    A user's newest rating of an item is the one that counts. Profile columns and categories go in beside who rated what.

    Args:
        store: Of the project.
        dataset: One reading of it.
        artifacts: Of the project; the model goes into ``rating`` there.
        plan: How; None for the task's own way. Its network are settings of `kinema.tasks.rating.RatingConfig`.

    Raises:
        DataError: There are too few ratings, or they are all the same.
        ConfigError: The plan names what there is not.
    """
    started, plan = time.perf_counter(), plan or FitPlan()
    told = read_log_ratings(store, dataset)
    config = plan.network(USUAL)
    found = train_rating(
        told.parts["train"],
        told.parts["valid"],
        config,
        plan.options(**told.defaults(config)),
        features=told.features,
        plan=plan,
        examples=told.facts,
    )
    test = told.parts["test"]
    told_N = found.model.predict(test.users_N, test.items_N)
    low_N, high_N = found.model.interval(test.users_N, test.items_N)
    mean_N = np.full(len(test), told.parts["train"].values_N.mean())
    found.model.save(artifacts / FOLDER, seed=plan.seed)
    return RatingReport(
        folder=artifacts / FOLDER,
        num_ratings={name: len(one) for name, one in told.parts.items()},
        scale=(test.low, test.high),
        metrics={
            "test": {
                "mse": mse(told_N, test.values_N),
                "mae": mae(told_N, test.values_N),
                "coverage": interval_coverage(low_N, high_N, test.values_N),
                "width": interval_width(low_N, high_N),
            },
            "mean": {"mse": mse(mean_N, test.values_N), "mae": mae(mean_N, test.values_N)},
        },
        best_epoch=found.report.best_epoch,
        epochs=found.report.epochs,
        seconds=time.perf_counter() - started,
        notices=found.notices,
    )


@dataclass(frozen=True)
class LogRatings:
    """The ratings of a log, ready to be learnt from.

    Attributes:
        parts: ``train``, ``valid`` and ``test``, oldest first.
        features: Of users and items.
        facts: What a run is about, for its fingerprint.
    """

    parts: Mapping[str, Ratings]
    features: SideFeatures
    facts: tuple[Any, ...]

    def defaults(self, config: RatingConfig) -> dict[str, Any]:
        """Options that the task takes by itself; what is learnt says what decides."""
        return {
            "metric": config.loss,
            "batch_size": 4096,
            "learning_rate": 2e-3,
            "max_epochs": 40,
            "patience": 3,
        }

    def ready(self, plan: FitPlan) -> tuple[RatingLearner, FitOptions, RatingConfig]:
        """The task as a plan asks for it; test is no part of it.

        Raises:
            ConfigError: The plan names what there is not.
        """
        config = plan.network(USUAL)
        options = plan.options(**self.defaults(config))
        parts = self.parts["train"], self.parts["valid"]
        return RatingLearner(*parts, config, features=self.features, seed=plan.seed), options, config


def read_log_ratings(store: Store, dataset: Dataset) -> LogRatings:
    """Read the ratings of a log; errors of `read_ratings`."""
    ratings = read_ratings(store, dataset)
    edges = [0, *(round(share * len(ratings)) for share in np.cumsum(_SHARES)), len(ratings)]
    parts = {
        name: ratings.take(np.arange(first, last))
        for name, first, last in zip(("train", "valid", "test"), edges[:-1], edges[1:], strict=True)
    }
    profiles_UA = None if dataset.profiles is None else dataset.profiles.values_UP
    features = SideFeatures(profiles_UA, category_columns(dataset.items))
    facts = ("rating", ratings.users_N, ratings.items_N, ratings.values_N, features.users_UA, features.items_VE)
    return LogRatings(parts, features, facts)


def read_ratings(store: Store, dataset: Dataset) -> Ratings:
    """Ratings of a log, oldest first, the newest of each pair; the scale is what occurs.

    Raises:
        DataError: There are too few, or all are the same.
    """
    events = store.events(kinds=[EventKind.RATING], columns=["user", "item", "timestamp_ms", "value"])
    rated = events.filter(pl.col("value").is_finite()).unique(["user", "item"], keep="last", maintain_order=True)
    if rated.height < _FEWEST:
        raise DataError(
            f"the log must have at least {_FEWEST} events of kind rating with a value, has {rated.height}; "
            "run: kinema ingest --events FILE"
        )
    values_N = rated["value"].to_numpy()
    low, high = float(values_N.min()), float(values_N.max())
    if low == high:
        raise DataError(f"ratings must differ, all {rated.height:,} are {low:g}; there is nothing to learn")
    return Ratings(
        rated["user"].to_numpy(),
        rated["item"].to_numpy(),
        rated["value"].to_numpy(),
        num_users=dataset.histories.num_users,
        num_items=len(dataset.item_ids),
        low=low,
        high=high,
    )


def category_columns(items: pl.DataFrame) -> NDArray[np.float32] | None:
    """float32 [V, E], 1 where an item is of a category; the 64 that most items have. None where no item has one.

    Example:
        >>> category_columns(pl.DataFrame({"categories": [["a", "b"], [], ["b"]]})).tolist()
        [[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]
    """
    lists = [list(dict.fromkeys(one or ())) for one in items["categories"].to_list()]
    common = [name for name, _ in Counter(name for one in lists for name in one).most_common(_MOST_CATEGORIES)]
    if not common:
        return None
    places = {name: place for place, name in enumerate(common)}
    columns_VE = np.zeros((len(lists), len(common)), dtype=np.float32)
    for row, names in enumerate(lists):
        columns_VE[row, [places[name] for name in names if name in places]] = 1.0
    return columns_VE
