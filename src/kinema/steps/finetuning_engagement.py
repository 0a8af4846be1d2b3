"""`kinema finetune engagement`: click, like, share, finish and watch time of a project's log, learnt together.

Shape suffixes: N exposures.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.metrics.classification import auc, log_loss
from kinema.metrics.regression import mae
from kinema.ranking.calibrator_fit import fit_calibrator
from kinema.schema import EventKind
from kinema.steps.click_learning import history_change
from kinema.steps.dataset import Dataset
from kinema.steps.engagement import train_engagement
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.log_world import (
    LOG_COLUMNS,
    durations_ms,
    flm_fingerprint,
    log_world,
    needed_scorer,
    parts_by_time,
    profile_columns,
    usual_batch_size,
)
from kinema.store.exposures import Exposures, exposures_of
from kinema.store.protocols import Store
from kinema.tasks.engagement import EngagementConfig, EngagementModel
from kinema.tasks.engagement_labels import WATCH, EngagementLabels
from kinema.tasks.engagement_learner import EngagementLearner
from kinema.tasks.history_click import ChangeTrails, ClickWorld
from kinema.tasks.history_engagement import HistoryEngagement, click_network
from kinema.tasks.history_facts import HistoryFacts
from kinema.tasks.history_input import HistoryInput
from kinema.tasks.target_attention import HistoryClickConfig
from kinema.tasks.watch_time import completion
from kinema.training.fitting import FitOptions
from kinema.training.task_extras import changes_of

FOLDER: Final = "engagement"
_KINDS: Final = (
    EventKind.CLICK,
    EventKind.LIKE,
    EventKind.SHARE,
    EventKind.COMMENT,
    EventKind.FOLLOW,
    EventKind.PURCHASE,
)
_FINISHED: Final = 0.95
_FEWEST: Final = 20
"""Rows with and without a label that a part must have for its head."""


@dataclass(frozen=True)
class EngagementReport:
    """What was learnt.

    Attributes:
        folder: The artefact.
        heads: What the log has labels for.
        num_examples: Part -> exposures, oldest part first: train, valid, test.
        metrics: Head -> on the newest tenth: ``auc`` and ``log_loss``, of watch time ``mae_s``.
        advice: Whether sharing helps each head, where it was asked for.
        best_epoch: Epochs done when validation was best.
        epochs: Done in all.
        seconds: Of everything.
        notices: What a person should know.
    """

    folder: Path
    heads: tuple[str, ...]
    num_examples: Mapping[str, int]
    metrics: Mapping[str, Mapping[str, float]]
    advice: str
    best_epoch: int
    epochs: int
    seconds: float
    notices: tuple[str, ...] = ()


def finetune_engagement(
    store: Store,
    dataset: Dataset,
    *,
    artifacts: Path,
    compare: bool = False,
    plan: FitPlan | None = None,
) -> EngagementReport:
    """Learn all that a log tells of what people did with what they were shown; parts by time as for clicks.

    Args:
        store: Of the project.
        dataset: One reading of it, with the profile columns of the model.
        artifacts: Of the project; the model goes into ``engagement`` there.
        compare: Also train a model per head, and say whether sharing helps.
        plan: How; None for the task's own way. Its network are settings of `kinema.tasks.engagement.EngagementConfig`, and ``augment`` of
            its extras is what becomes of histories in training.

    Raises:
        NotBuiltError: There is no FLM yet.
        DataError: The log has no impressions, or no head has enough labels.
        ConfigError: The plan names what there is not.
    """
    started, plan = time.perf_counter(), plan or FitPlan()
    changes = changes_of(plan.asked.extras, where=plan.where)
    told = read_engagement(store, dataset, artifacts=artifacts)
    valid_from_ms = int(told.exposures.times_ms_N[told.parts["valid"][0]])
    change = history_change(changes, store, dataset, before_ms=valid_from_ms)
    found = train_engagement(
        told.inputs(plan.seed, change),
        told.labels,
        train_rows=told.parts["train"],
        valid_rows=told.parts["valid"],
        config=plan.network(EngagementConfig(heads=told.heads)),
        plan=plan,
        options=plan.options(**told.defaults),
        examples=(*told.facts, None if changes is None else asdict(changes)),
        compare=compare,
    )
    metrics = _measured(found.model, told.labels, told.parts["test"])
    HistoryEngagement(
        model=found.model,
        facts=HistoryFacts.of(
            told.world,
            click_network(found.model),
            profile_columns=profile_columns(dataset),
            flm=flm_fingerprint(artifacts),
        ),
        calibrations=_calibrations(found.model, told.labels, told.parts["valid"]),
        report=metrics,
    ).save(artifacts / FOLDER, seed=plan.seed)
    return EngagementReport(
        folder=artifacts / FOLDER,
        heads=told.heads,
        num_examples={name: len(rows) for name, rows in told.parts.items()},
        metrics=metrics,
        advice=found.advice,
        best_epoch=found.report.best_epoch,
        epochs=found.report.epochs,
        seconds=time.perf_counter() - started,
        notices=found.notices,
    )


@dataclass(frozen=True)
class LogEngagement:
    """What a log tells of what people did, ready to be learnt from.

    Attributes:
        world: What an exposure is judged by.
        exposures: All of them, oldest first.
        labels: Of each.
        heads: Those with enough labels in every part.
        parts: ``train``, ``valid`` and ``test`` -> their rows.
        facts: What a run is about, for its fingerprint.
    """

    world: ClickWorld
    exposures: Exposures
    labels: EngagementLabels
    heads: tuple[str, ...]
    parts: Mapping[str, NDArray[np.int64]]
    facts: tuple[Any, ...]

    @property
    def defaults(self) -> dict[str, Any]:
        """Options that the task takes by itself."""
        return {"metric": "loss", "batch_size": usual_batch_size(len(self.parts["train"])), "learning_rate": 2e-3}

    def inputs(self, seed: int, change: ChangeTrails | None = None) -> HistoryInput:
        """What the network reads, fresh; ``change`` is what becomes of histories in training."""
        how: dict[str, Any] = {"config": HistoryClickConfig(), "seed": seed, "change": change}
        return HistoryInput(self.world, self.exposures, train=self.parts["train"], **how)

    def ready(
        self, plan: FitPlan, change: ChangeTrails | None = None
    ) -> tuple[EngagementLearner, FitOptions, EngagementConfig]:
        """The task as a plan asks for it; test is no part of it. ``change`` is what becomes of histories in training.

        Raises:
            ConfigError: The plan names what there is not.
        """
        config, options = plan.network(EngagementConfig(heads=self.heads)), plan.options(**self.defaults)
        rows = {f"{name}_rows": self.parts[name] for name in ("train", "valid")}
        learner = EngagementLearner(self.inputs(plan.seed, change), self.labels, **rows, config=config, seed=plan.seed)
        return learner, options, config


def read_engagement(store: Store, dataset: Dataset, *, artifacts: Path) -> LogEngagement:
    """Read the examples of a log; arguments and errors of `finetune_engagement`."""
    scorer = needed_scorer(artifacts, dataset, needs_it="engagement")
    events = store.events(columns=LOG_COLUMNS)
    exposures = exposures_of(events)
    parts = parts_by_time(exposures)
    labels = labels_of(exposures, durations_ms(dataset)[exposures.items_N])
    heads = tuple(head for head in labels.heads if all(_enough(labels, head, rows) for rows in parts.values()))
    if not heads:
        raise DataError(
            f"each part of the log must have {_FEWEST} exposures with and without a label, none of {', '.join(labels.heads)} has; "
            "give a longer log"
        )
    popularity_V = np.bincount(exposures.items_N[parts["train"]], minlength=len(dataset.item_ids)).astype(np.float32)
    world = log_world(dataset, events, vectors_VD=scorer.item_vectors_VD, popularity_V=popularity_V)
    columns = (exposures.users_N, exposures.items_N, exposures.times_ms_N, exposures.watch_ms_N)
    flm = flm_fingerprint(artifacts)
    facts = ("engagement", heads, flm, world.trails.items_E, *columns, *labels.binary.values())
    return LogEngagement(world, exposures, labels, heads, parts, facts)


def labels_of(exposures: Exposures, durations_ms_N: Any) -> EngagementLabels:
    """What is known of each exposure: outcomes that occur, and of those that were clicked whether and how long they were watched.

    Args:
        exposures: N of them.
        durations_ms_N: float64, length of each one's clip, 0 where unknown.
    """
    binary = {
        kind.value: exposures.outcomes[kind.value].astype(np.float32)
        for kind in _KINDS
        if kind.value in exposures.outcomes and exposures.outcomes[kind.value].any()
    }
    opened_N = exposures.outcomes[EventKind.WATCH.value] & (durations_ms_N > 0)
    if not opened_N.any():
        return EngagementLabels(binary)
    watch_ms_N = np.where(opened_N, exposures.watch_ms_N.astype(np.float64), np.nan)
    finished_N = np.full(len(exposures), np.nan, dtype=np.float32)
    finished_N[opened_N] = completion(exposures.watch_ms_N[opened_N], durations_ms_N[opened_N]) >= _FINISHED
    return EngagementLabels(binary | {"finish": finished_N}, watch_ms_N, durations_ms_N)


def _enough(labels: EngagementLabels, head: str, rows: Any) -> bool:
    """Whether a head has enough to learn or measure in a part."""
    if head == WATCH:
        return int(labels.known(head)[rows].sum()) >= _FEWEST
    known_N = labels.binary[head][rows]
    return min(int((known_N == 0).sum()), int((known_N == 1).sum())) >= _FEWEST


def _calibrations(model: EngagementModel, labels: EngagementLabels, rows: Any) -> dict[str, str]:
    """Binary head -> what makes frequencies of its answers, learnt from held-out rows: a blend adds up several heads."""
    durations = labels.duration_ms_N
    told = model.predict(rows, duration_ms_N=None if durations is None else durations[rows])
    found = {}
    for head in model.config.heads:
        if head != WATCH:
            here_N = labels.known(head)[rows]
            found[head] = fit_calibrator(told[head][here_N], labels.binary[head][rows][here_N]).to_json()
    return found


def _measured(model: EngagementModel, labels: EngagementLabels, rows: Any) -> dict[str, dict[str, float]]:
    """Numbers of each head on some rows."""
    durations = labels.duration_ms_N
    told = model.predict(rows, duration_ms_N=None if durations is None else durations[rows])
    found: dict[str, dict[str, float]] = {}
    for head in model.config.heads:
        here_N = labels.known(head)[rows]
        if head == WATCH:
            assert labels.watch_ms_N is not None
            found[head] = {"mae_s": mae(told["watch_ms"][here_N], labels.watch_ms_N[rows][here_N]) / 1000}
        else:
            truth_N = labels.binary[head][rows][here_N]
            found[head] = {"auc": auc(told[head][here_N], truth_N), "log_loss": log_loss(told[head][here_N], truth_N)}
    return found
