"""How a click model of a log is learnt: one network, an ensemble, or one that has listened to an ensemble; then calibrated.

Shape suffixes: N exposures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Final, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.progress import Progress, silent
from kinema.ranking.slice_calibration import SliceCalibration
from kinema.schema import EventKind
from kinema.seeds import derive_seed
from kinema.steps.click_calibration import Held, fit_click_calibration, has_both
from kinema.steps.dataset import Dataset
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.log_world import usual_batch_size
from kinema.store.exposures import Exposures
from kinema.store.histories import pack_histories
from kinema.store.protocols import Store
from kinema.tasks.history_click import ChangeTrails, ClickWorld, HistoryClick
from kinema.tasks.history_click_ensemble import HistoryClickEnsemble
from kinema.tasks.predicting import PredictingLearner
from kinema.tasks.target_attention import HistoryClickConfig, HistoryClickNetwork
from kinema.training.distillation import Distilled, taught
from kinema.training.fitting import FitOptions, FitReport, fit
from kinema.training.history_augmentation import HistoryAugmenter, memory_neighbours
from kinema.training.task_extras import ClickExtras, HistoryChanges

MAIN: Final = "network"
_EARLIER: Final = 7 / 8
"""Of the training rows; with the usual shares the rest is a tenth of the log, like validation. With 3/4 or 1/2, more rows of an
older model, towns as large as the demo's were calibrated worse (docs/tasks-robust.md)."""
ENOUGH_ROWS: Final = 20_000
"""Of validation, for a calibration without a second model."""


class Train(Protocol):
    """Trains one network of several."""

    def __call__(self, learner: PredictingLearner, *, seed: int, name: str) -> FitReport:
        """The learner ends in its best state; the name is one of its own, to keep the run under and to say what is trained."""


def usual_options(num_examples: int) -> dict[str, Any]:
    """Options of `FitOptions` that a click model of a log takes by itself.

    Own vectors of items learn at a tenth of the rate: of an item with few clicks they are mostly noise, beside what FLM says of it.

    Args:
        num_examples: To learn from.
    """
    batch_size = usual_batch_size(num_examples)
    return {"metric": "log_loss", "batch_size": batch_size, "learning_rate": 2e-3, "rate_factors": {"ids": 0.1}}


def plain_training(options: FitOptions, progress: Progress = silent) -> Train:
    """Training that keeps nothing on disk."""

    def train(learner: PredictingLearner, *, seed: int, name: str) -> FitReport:
        def told(done: int, total: int, note: str = "") -> None:
            progress(done, total, f"{name}: {note}" if note else name)

        return fit(learner, options, seed=seed, progress=told)

    return train


@dataclass
class PlannedTraining:
    """Training as a plan says, each network's run kept in a folder of its own.

    Attributes:
        plan: Its own folder is that of what is asked for without wishes.
        options: Of training.
        facts: What the run is about, for its fingerprint.
        extras: A run goes on only where they are the same.
        notices: What a person should know of the trainings so far.
    """

    plan: FitPlan
    options: FitOptions
    facts: Sequence[Any]
    extras: ClickExtras
    notices: list[str] = field(default_factory=list)

    def __call__(self, learner: PredictingLearner, *, seed: int, name: str) -> FitReport:
        """See `Train`."""

        def told(done: int, total: int, note: str = "") -> None:
            self.plan.progress(done, total, f"{name}: {note}" if note else name)

        # The run of one network alone stays where runs of the task are.
        inside = self.plan if name == MAIN else self.plan.within(name.replace(" ", "-"))
        changes = None if self.extras.changes is None else asdict(self.extras.changes)
        facts = (*self.facts, changes, self.extras.ensemble, self.extras.distil, name)
        fitted = replace(inside, seed=seed, progress=told).fit(learner, self.options, examples=facts)
        self.notices.extend(one for one in fitted.notices if one not in self.notices)
        return fitted.report


@dataclass(frozen=True)
class ClickPlan:
    """How a click model is learnt.

    Attributes:
        label: Kind of outcome.
        config: Of the network.
        seed: Of the run.
        extras: Ensemble and changed histories.
        profile_columns: Names of the world's profile columns.
    """

    label: str
    config: HistoryClickConfig = field(default_factory=HistoryClickConfig)
    seed: int = 0
    extras: ClickExtras = field(default_factory=ClickExtras)
    profile_columns: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class LearntClick:
    """A click model that has been learnt.

    Attributes:
        task: Its network is the one to serve, in evaluation mode.
        calibration: Makes frequencies of its answers.
        reports: Of each training of the served model; members first, what is served alone last.
    """

    task: HistoryClick
    calibration: SliceCalibration
    reports: tuple[FitReport, ...]


def learn_click(
    plan: ClickPlan,
    world: ClickWorld,
    exposures: Exposures,
    parts: Mapping[str, NDArray[np.int64]],
    *,
    train: Train,
    change: ChangeTrails | None = None,
) -> LearntClick:
    """Learn from ``train``, stop by ``valid``, calibrate.

    Validation alone is few rows for a calibration. A second model, learnt from the oldest seven eighths of the training rows in the same
    way, gives honest answers for the eighth that it has not seen; the calibration is fitted on both. Where validation has `ENOUGH_ROWS`,
    they are enough, and nothing is trained twice.

    Args:
        plan: What.
        world: What exposures are judged by; its popularity is replaced by that of the training rows.
        exposures: Examples, oldest first.
        parts: ``train`` and ``valid`` -> rows.
        train: Trains each network.
        change: What becomes of histories in training.

    Raises:
        DataError: There is nothing to learn or to choose on, or every label is the same.
    """
    rows, valid = parts["train"], parts["valid"]
    members = partial(train_members, plan, world, exposures, train=train, change=change)
    task, reports = members(rows, valid)
    held = [Held(task, valid)]
    cut = round(_EARLIER * len(rows))
    if len(valid) < ENOUGH_ROWS and all(has_both(exposures, plan.label, one) for one in (rows[:cut], rows[cut:])):
        earlier, _ = members(rows[:cut], rows[cut:], prefix="calibration ")
        held.append(Held(earlier, rows[cut:]))
    calibration = fit_click_calibration(held, label=plan.label, profile_columns=plan.profile_columns)
    return LearntClick(task, calibration, reports)


def train_members(
    plan: ClickPlan,
    world: ClickWorld,
    exposures: Exposures,
    rows: NDArray[np.int64],
    valid: NDArray[np.int64],
    *,
    train: Train,
    change: ChangeTrails | None,
    prefix: str = "",
) -> tuple[HistoryClick, tuple[FitReport, ...]]:
    """Train what the plan says, and nothing about it is calibrated.

    Args:
        plan: What.
        world: See `learn_click`.
        exposures: See `learn_click`.
        rows: That are learnt from.
        valid: Rows that stop it.
        train: Trains each network.
        change: What becomes of histories in training.
        prefix: Of the names of trainings.

    Returns:
        A task with the network to serve, and the reports of all trainings.
    """
    hit = rows[exposures.outcomes[plan.label][rows]]
    popularity_V = np.bincount(exposures.items_N[hit], minlength=len(world.vectors_VD)).astype(np.float32)
    known = replace(world, popularity_V=popularity_V)

    def fresh(seed: int) -> HistoryClick:
        how: dict[str, Any] = {"train": rows, "valid": valid, "config": plan.config, "seed": seed, "change": change}
        return HistoryClick(known, exposures, label=plan.label, **how)

    extras = plan.extras
    if extras.ensemble == 1:
        task = fresh(plan.seed)
        return task, (train(task, seed=plan.seed, name=f"{prefix}{MAIN}"),)
    seeds = [plan.seed, *(derive_seed(plan.seed, f"member {one}") for one in range(1, extras.ensemble))]
    tasks = [fresh(seed) for seed in seeds]
    reports = [
        train(task, seed=seed, name=f"{prefix}member {number}")
        for number, (task, seed) in enumerate(zip(tasks, seeds, strict=True))
    ]
    if extras.distil:
        seed = derive_seed(plan.seed, "student")
        student = fresh(seed)
        reports.append(train(Distilled(student, taught(tasks)), seed=seed, name=f"{prefix}student"))
        return student, tuple(reports)
    joined = tasks[0]
    joined.network = HistoryClickEnsemble([_single(one) for one in tasks]).eval()
    return joined, tuple(reports)


def _single(task: HistoryClick) -> HistoryClickNetwork:
    assert isinstance(task.network, HistoryClickNetwork)
    return task.network


def history_change(
    changes: HistoryChanges | None, store: Store, dataset: Dataset, *, before_ms: int
) -> ChangeTrails | None:
    """What changes histories in training; neighbours come from what happened before a moment.

    Args:
        changes: How much; None or nothing at all gives None.
        store: Of the project.
        dataset: One reading of it.
        before_ms: Where validation starts.
    """
    if changes is None or not changes.anything:
        return None
    if not changes.substitute:
        return HistoryAugmenter(changes)
    kinds = [kind for kind in EventKind if kind is not EventKind.IMPRESSION]
    events = store.events(kinds=kinds, columns=["user", "item", "timestamp_ms"])
    acted = events.filter(pl.col("timestamp_ms") < before_ms)
    histories = pack_histories(acted, num_users=dataset.histories.num_users, num_items=len(dataset.item_ids))
    return HistoryAugmenter(changes, memory_neighbours(histories))
