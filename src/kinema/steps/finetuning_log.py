"""`kinema finetune click` in a project: its own log becomes examples, FLM's item vectors what items are known by.

Shape suffixes: V catalogue.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.schema import EventKind
from kinema.steps.clean_vectors import clean_vectors
from kinema.steps.click_calibration import Held, SliceError, errors_by_slice
from kinema.steps.click_learning import (
    ClickPlan,
    LearntClick,
    PlannedTraining,
    history_change,
    learn_click,
    usual_options,
)
from kinema.steps.dataset import Dataset
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.log_world import (
    LOG_COLUMNS,
    flm_fingerprint,
    log_world,
    needed_scorer,
    parts_by_time,
    profile_columns,
)
from kinema.store.exposures import Exposures, exposures_of, sampled_exposures
from kinema.store.protocols import Store
from kinema.tasks.history_click import ChangeTrails, ClickWorld, HistoryClick
from kinema.tasks.history_click_ensemble import HistoryClickEnsemble
from kinema.tasks.history_click_model import HistoryClickModel
from kinema.tasks.target_attention import HistoryClickConfig
from kinema.training.fitting import FitOptions
from kinema.training.task_extras import ClickExtras

FOLDER: Final = "click"
_SAMPLED: Final = "the log has no impressions: {:,} items that users have not met were drawn as passed over"
_SEEN: Final = (
    "item vectors come from a model that has learnt from the whole log, these clicks too: a test on later days may be lower; "
    "--clean measures it"
)
_CLEAN: Final = "clean: item vectors from a model that has learnt from the log before validation only; what is served knows all of it"


@dataclass(frozen=True)
class LogClickReport:
    """What was learnt from a log.

    Attributes:
        folder: The artefact.
        label: Kind of outcome.
        num_examples: Part -> examples, oldest part first: train, valid, test.
        num_positive: Part -> how many with the outcome.
        metrics: ``valid`` and ``test``: AUC, AUC within users, log loss, the calibration error before and after, and what of it to expect
            by chance; ``clean test`` and ``clean valid`` are of the twin that was asked for.
        best_epoch: Epochs done when validation was best.
        epochs: Done in all.
        seconds: Of everything.
        num_parameters: Learnt numbers.
        notices: What a person should know.
        slices: Slicing -> slice -> how far off probabilities are there, on test.
        members: Networks that are served as one.
    """

    folder: Path
    label: str
    num_examples: Mapping[str, int]
    num_positive: Mapping[str, int]
    metrics: Mapping[str, Mapping[str, float]]
    best_epoch: int
    epochs: int
    seconds: float
    num_parameters: int
    notices: tuple[str, ...]
    slices: Mapping[str, Mapping[str, SliceError]] = field(default_factory=dict)
    members: int = 1


def finetune_click_on_log(
    store: Store,
    dataset: Dataset,
    *,
    artifacts: Path,
    label: str = EventKind.CLICK.value,
    plan: FitPlan | None = None,
) -> LogClickReport:
    """Learn from the oldest four fifths of the exposures, choose on the next tenth, measure on the newest.

    Args:
        store: Of the project.
        dataset: One reading of it, with the profile columns of the model.
        artifacts: Of the project; the model goes into ``click`` there.
        label: Kind of outcome, such as ``click`` or ``like``.
        plan: How; None for the task's own way. Its network are settings of `kinema.tasks.target_attention.HistoryClickConfig`, its extras
            those of `kinema.training.task_extras.ClickExtras`: ensemble, changed histories, a clean twin.

    Raises:
        NotBuiltError: There is no FLM yet.
        DataError: The log has no such outcome, or too few.
        ConfigError: The plan names what there is not.
    """
    started, plan = time.perf_counter(), plan or FitPlan()
    extras = ClickExtras.from_mapping(plan.asked.extras, where=plan.where)
    clicks = read_log_clicks(store, dataset, artifacts=artifacts, label=label, seed=plan.seed)
    parts, exposures = clicks.parts, clicks.exposures
    valid_from_ms = int(exposures.times_ms_N[parts["valid"][0]])
    columns = profile_columns(dataset)
    asked = ClickPlan(label, plan.network(HistoryClickConfig()), plan.seed, extras, columns)
    options = plan.options(**clicks.defaults)
    change = history_change(extras.changes, store, dataset, before_ms=valid_from_ms)
    train = PlannedTraining(plan, options, clicks.facts, extras)
    learnt = learn_click(asked, clicks.world, exposures, parts, train=train, change=change)
    metrics = {name: measured(learnt, parts[name], asked) for name in ("valid", "test")}
    if extras.clean:
        how: dict[str, Any] = {"before_ms": valid_from_ms, "seed": plan.seed, "progress": plan.progress}
        world = replace(clicks.world, vectors_VD=clean_vectors(dataset, artifacts=artifacts, **how))
        facts = (*clicks.facts, world.vectors_VD)
        trained = PlannedTraining(plan.within("clean"), options, facts, extras)
        twin = learn_click(asked, world, exposures, parts, train=trained, change=change)
        metrics |= {f"clean {name}": measured(twin, parts[name], asked) for name in ("valid", "test")}
    folder, network = artifacts / FOLDER, learnt.task.network
    held = Held(learnt.task, parts["test"])
    slices = errors_by_slice(held, learnt.calibration, label=label, profile_columns=columns)
    told = {name: {key: asdict(one) for key, one in found.items()} for name, found in slices.items()}
    HistoryClickModel.of(
        learnt.task,
        label=label,
        profile_columns=columns,
        flm=flm_fingerprint(artifacts),
        calibration=learnt.calibration.to_json(),
        report={**metrics, "slices of test": told},
    ).save(folder, seed=plan.seed)
    positive = {name: int(exposures.outcomes[label][rows].sum()) for name, rows in parts.items()}
    examples = {name: len(rows) for name, rows in parts.items()}
    return LogClickReport(
        folder=folder,
        label=label,
        num_examples=examples,
        num_positive=positive,
        metrics=metrics,
        best_epoch=learnt.reports[-1].best_epoch,
        epochs=learnt.reports[-1].epochs,
        seconds=time.perf_counter() - started,
        num_parameters=sum(one.numel() for one in network.parameters()),
        notices=(
            *clicks.notices,
            *train.notices,
            *one_sided(label, examples, positive),
            _CLEAN if extras.clean else _SEEN,
        ),
        slices=slices,
        members=len(network.members) if isinstance(network, HistoryClickEnsemble) else 1,
    )


def one_sided(label: str, examples: Mapping[str, int], positive: Mapping[str, int]) -> tuple[str, ...]:
    """Says why a part has no AUC: its examples are all alike.

    Example:
        >>> one_sided("click", {"valid": 9, "test": 4}, {"valid": 3, "test": 0})
        ('test has no AUC: none of its 4 examples is a click; it takes some of both',)
    """
    return tuple(
        f"{part} has no AUC: {'every one' if positive[part] else 'none'} of its {count:,} examples is a {label}; it takes some of both"
        for part, count in examples.items()
        if count and positive[part] in (0, count)
    )


def measured(learnt: LearntClick, rows: NDArray[np.int64], plan: ClickPlan) -> dict[str, float]:
    """AUC, AUC within users, log loss; calibration error before and after, and by chance."""
    held = Held(learnt.task, rows)
    errors = errors_by_slice(held, learnt.calibration, label=plan.label, profile_columns=plan.profile_columns)
    found = learnt.task.measure(rows)
    every = errors["all"].get("all")
    if every is None:
        return found
    return found | {
        "calibration_error": every.before,
        "calibrated_error": every.after,
        "chance_error": every.chance,
        "beyond_chance": every.beyond_chance,
    }


@dataclass(frozen=True)
class LogClicks:
    """The examples of a log, ready to be learnt from.

    Attributes:
        world: What a click is judged by.
        exposures: All of them, oldest first.
        parts: ``train``, ``valid`` and ``test`` -> their rows.
        label: Kind of outcome.
        notices: What a person should know.
        facts: What a run is about, for its fingerprint.
    """

    world: ClickWorld
    exposures: Exposures
    parts: Mapping[str, NDArray[np.int64]]
    label: str
    notices: tuple[str, ...]
    facts: tuple[Any, ...]

    @property
    def defaults(self) -> dict[str, Any]:
        """Options that the task takes by itself."""
        return usual_options(len(self.parts["train"]))

    def ready(
        self, plan: FitPlan, change: ChangeTrails | None = None
    ) -> tuple[HistoryClick, FitOptions, HistoryClickConfig]:
        """The task as a plan asks for it; test is no part of it. ``change`` is what becomes of histories in training.

        Raises:
            ConfigError: The plan names what there is not.
        """
        config, options = plan.network(HistoryClickConfig()), plan.options(**self.defaults)
        how: dict[str, Any] = {name: self.parts[name] for name in ("train", "valid")} | {"seed": plan.seed}
        task = HistoryClick(self.world, self.exposures, label=self.label, config=config, change=change, **how)
        return task, options, config


def read_log_clicks(store: Store, dataset: Dataset, *, artifacts: Path, label: str, seed: int) -> LogClicks:
    """Read the examples of a log; arguments and errors of `finetune_click_on_log`."""
    scorer = needed_scorer(artifacts, dataset, needs_it="the click model")
    events = store.events(columns=LOG_COLUMNS)
    exposures, notices = read_exposures(events, label=label, num_items=len(dataset.item_ids), seed=seed)
    parts = parts_by_time(exposures)
    labels_N = exposures.outcomes[label]
    popularity_V = np.bincount(
        exposures.items_N[parts["train"]][labels_N[parts["train"]]], minlength=len(dataset.item_ids)
    ).astype(np.float32)
    world = log_world(dataset, events, vectors_VD=scorer.item_vectors_VD, popularity_V=popularity_V)
    columns = (exposures.users_N, exposures.items_N, exposures.times_ms_N, labels_N)
    flm = flm_fingerprint(artifacts)
    return LogClicks(world, exposures, parts, label, notices, ("click", label, flm, world.trails.items_E, *columns))


def read_exposures(events: pl.DataFrame, *, label: str, num_items: int, seed: int) -> tuple[Exposures, tuple[str, ...]]:
    """The examples of a log, drawn ones where it has no impressions, and what a person should know of them.

    Raises:
        DataError: The log has no event of this kind.
    """
    if label not in events["kind"].unique().to_list():
        known = ", ".join(sorted(set(events["kind"].unique().to_list()) - {EventKind.IMPRESSION.value}))
        raise DataError(f"label '{label}' must be a kind of event of the log, which has {known or 'none'}; choose one")
    if (events["kind"] == EventKind.IMPRESSION).any():
        return exposures_of(events), ()
    drawn = sampled_exposures(events, kind=EventKind(label), num_items=num_items, seed=seed)
    return drawn, (_SAMPLED.format(int((~drawn.outcomes[label]).sum())),)
