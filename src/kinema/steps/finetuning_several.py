"""`kinema finetune several`: clicks, ratings and next items of a project's log in one run with shared parameters.

Shape suffixes: N examples, V catalogue, C cases.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from kinema.errors import ConfigError, DataError
from kinema.metrics.classification import auc, log_loss
from kinema.metrics.regression import mae, mse
from kinema.schema import EventKind
from kinema.seeds import derive_seed, generator
from kinema.steps.dataset import Dataset
from kinema.steps.engagement import HeadComparison, compare_head
from kinema.steps.finetuning_log import read_exposures
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.finetuning_rating import read_ratings
from kinema.steps.log_world import LOG_COLUMNS, flm_fingerprint, log_world, needed_scorer, profile_columns
from kinema.store.histories import Histories
from kinema.store.protocols import Store
from kinema.tasks.history_click import ClickWorld
from kinema.tasks.history_facts import HistoryFacts
from kinema.tasks.several import SeveralConfig, SeveralLearner
from kinema.tasks.several_examples import PARTS, CutRows, Meaning, TaskRows, cut_together
from kinema.tasks.several_model import SeveralModel
from kinema.tasks.target_attention import HistoryClickConfig
from kinema.training.fit_options import FitOptions

FOLDER: Final = "several"
NEXT: Final = "next"
RATING: Final = "rating"
CHANCES: Final = tuple(
    kind.value
    for kind in (
        EventKind.CLICK,
        EventKind.LIKE,
        EventKind.SHARE,
        EventKind.COMMENT,
        EventKind.FOLLOW,
        EventKind.PURCHASE,
    )
)
KNOWN: Final = (*CHANCES, RATING, NEXT)
_FEWEST: Final = 20
_STEPS_PER_EPOCH: Final = 100
_MOST_CASES: Final = 500
_MOST_CELLS: Final = 2_000_000
_PLACES: Final = 10


@dataclass(frozen=True)
class SeveralReport:
    """What was learnt.

    Attributes:
        folder: The artefact.
        tasks: Names.
        weighting: How losses were combined.
        weights: Task -> weight.
        num_examples: Task -> part -> examples.
        metrics: Task -> on the newest tenth: ``auc`` and ``log_loss``; ``mse`` and ``mae``, with those of the mean; ``ndcg@10`` and
            ``recall@10`` over all items, with those of the most popular.
        alone: The same of a model per task, where it was asked for.
        comparison: Task -> on validation beside a model of its own.
        advice: The same in words.
        notices: What a person should know.
        best_epoch: Epochs done when validation was best.
        epochs: Done in all.
        seconds: Of everything.
    """

    folder: Path
    tasks: tuple[str, ...]
    weighting: str
    weights: Mapping[str, float]
    num_examples: Mapping[str, Mapping[str, int]]
    metrics: Mapping[str, Mapping[str, float]]
    best_epoch: int
    epochs: int
    seconds: float
    alone: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    comparison: Mapping[str, HeadComparison] = field(default_factory=dict)
    advice: str = ""
    notices: tuple[str, ...] = ()


def finetune_several(
    store: Store,
    dataset: Dataset,
    *,
    artifacts: Path,
    tasks: Sequence[str] = ("click", NEXT),
    weighting: str = "fixed",
    weights: Mapping[str, float] | None = None,
    compare: bool = False,
    plan: FitPlan | None = None,
) -> SeveralReport:
    """Learn from what lies before one moment, choose by what lies before another, measure on what follows; the same for all tasks.

    Args:
        store: Of the project.
        dataset: One reading of it, with the profile columns of the model.
        artifacts: Of the project; the model goes into ``several`` there.
        tasks: Some of `KNOWN`.
        weighting: One of `kinema.tasks.task_weighting.WEIGHTINGS`.
        weights: Task -> weight, 1 where none is given.
        compare: Also train a model per task, with the same options, and say whether sharing helps.
        plan: How; None for the task's own way. Its network are settings of `kinema.tasks.several.SeveralConfig`.

    Raises:
        NotBuiltError: There is no FLM yet.
        ConfigError: There is no such task or weighting.
        DataError: A task has too few examples.
    """
    started, plan = time.perf_counter(), plan or FitPlan()
    seed, meanings = plan.seed, meanings_of(tasks)
    usual = SeveralConfig(tasks=meanings, weighting=weighting, weights=dict(weights or {}))
    plan.network(usual)  # what is wrong with it is said before the log is read
    told = read_several(store, dataset, artifacts=artifacts, tasks=tasks, seed=seed)
    world, cut, flm = told.world, told.cut, told.flm
    learner, options, config = told.ready(plan, usual)
    fitted = plan.fit(learner, options, examples=(FOLDER, config.as_dict(), *told.facts))
    report = fitted.report
    judge = _Judge(dataset, cut, seed)
    metrics = judge.measured(learner)
    alone: dict[str, Mapping[str, float]] = {}
    found: dict[str, HeadComparison] = {}
    if compare:
        shared = learner.row_losses("valid")
        for name in meanings:
            # Choices of validation are drawn by the seed of the run, so that both models choose among the same items.
            own = replace(config, tasks={name: meanings[name]}, weighting="fixed", weights={})
            single = SeveralLearner(world, cut, config=own, reading=HistoryClickConfig(), seed=seed)
            way = replace(plan, seed=derive_seed(seed, f"several/{name}"), folder=None, find_rate=False)
            way.fit(single, replace(_options(single, way), keep_epochs=0))
            alone[name] = judge.measured(single)[name]
            found[name] = compare_head(name, shared[name], single.row_losses("valid")[name])
    columns = profile_columns(dataset)
    SeveralModel(
        config,
        learner.network,
        HistoryFacts.of(world, learner.network.reading.network, profile_columns=columns, flm=flm),
        learner.offsets,
        {name: _scale(cut[name].rows) for name in learner.offsets},
        metrics,
    ).save(artifacts / FOLDER, seed=seed)
    return SeveralReport(
        folder=artifacts / FOLDER,
        tasks=tuple(meanings),
        weighting=config.weighting,
        weights=dict(zip(meanings, config.loss_weights, strict=True)),
        num_examples={name: {part: len(one.parts[part]) for part in PARTS} for name, one in cut.items()},
        metrics=metrics,
        best_epoch=report.best_epoch,
        epochs=report.epochs,
        seconds=time.perf_counter() - started,
        alone=alone,
        comparison=found,
        advice=_advice(found),
        notices=fitted.notices,
    )


@dataclass(frozen=True)
class SeveralExamples:
    """Tasks of one log, ready to be learnt from.

    Attributes:
        world: What rows are judged by.
        cut: Task -> its rows, all cut at the same moments.
        flm: Hash of the model whose item vectors these are.
    """

    world: ClickWorld
    cut: Mapping[str, CutRows]
    flm: str

    @property
    def facts(self) -> tuple[Any, ...]:
        """What a run is about, for its fingerprint."""
        return (self.flm, *_columns(self.cut))

    def ready(self, plan: FitPlan, usual: SeveralConfig) -> tuple[SeveralLearner, FitOptions, SeveralConfig]:
        """The task as a plan asks for it; test is no part of it.

        Args:
            plan: How.
            usual: What is learnt where the plan says nothing.

        Raises:
            ConfigError: The plan names what there is not.
        """
        config = plan.network(usual)
        how: dict[str, Any] = {"config": config, "reading": HistoryClickConfig(), "seed": plan.seed}
        learner = SeveralLearner(self.world, self.cut, **how)
        return learner, _options(learner, plan), config


def read_several(
    store: Store, dataset: Dataset, *, artifacts: Path, tasks: Sequence[str], seed: int = 0
) -> SeveralExamples:
    """Read the examples of a log; arguments and errors of `finetune_several`."""
    scorer = needed_scorer(artifacts, dataset, needs_it="a model of several tasks")
    events = store.events(columns=LOG_COLUMNS)
    rows = {name: read_rows(name, store, dataset, events, seed=seed) for name in meanings_of(tasks)}
    cut = cut_together(rows, fewest=_FEWEST)
    popularity_V = _met(cut, len(dataset.item_ids))
    world = log_world(dataset, events, vectors_VD=scorer.item_vectors_VD, popularity_V=popularity_V)
    return SeveralExamples(world, cut, flm_fingerprint(artifacts))


def meanings_of(tasks: Sequence[str]) -> dict[str, Meaning]:
    """Task -> what it tells.

    Raises:
        ConfigError: One is unknown, or comes twice.

    Example:
        >>> meanings_of(["click", "rating", "next"])
        {'click': 'chance', 'rating': 'value', 'next': 'choice'}
    """
    for name in tasks:
        if name not in KNOWN:
            raise ConfigError(f"'{name}' is no task that can be learnt beside others; known: {', '.join(KNOWN)}")
    if len(set(tasks)) != len(tasks):
        raise ConfigError(f"tasks must be different, are {', '.join(tasks)}; name each once")
    others: dict[str, Meaning] = {RATING: "value", NEXT: "choice"}
    return {name: others.get(name, "chance") for name in tasks}


def read_rows(name: str, store: Store, dataset: Dataset, events: pl.DataFrame, *, seed: int) -> TaskRows:
    """Examples of one task from a log, oldest first.

    Raises:
        DataError: The log has none.
    """
    if name == NEXT:
        return next_rows(dataset.histories)
    if name == RATING:
        rated = store.events(kinds=[EventKind.RATING], columns=["user", "item", "timestamp_ms", "value"])
        read_ratings(store, dataset)  # refuses a log without them, with its reason
        kept = rated.filter(pl.col("value").is_finite()).unique(["user", "item"], keep="last").sort("timestamp_ms")
        return _rows(name, "value", [kept[column] for column in ("user", "item", "timestamp_ms", "value")])
    exposures, _ = read_exposures(events, label=name, num_items=len(dataset.item_ids), seed=seed)
    labels = exposures.outcomes[name]
    return _rows(name, "chance", (exposures.users_N, exposures.items_N, exposures.times_ms_N, labels))


def next_rows(histories: Histories) -> TaskRows:
    """Each interaction but a user's first as a choice of that item, oldest first.

    Example:
        >>> next_rows(Histories.from_lists([[4, 2], [7], [1, 3]], num_items=8)).items_N.tolist()
        [2, 3]
    """
    users_N = np.repeat(np.arange(histories.num_users), histories.lengths)
    later_N = np.ones(len(users_N), dtype=bool)
    later_N[histories.offsets[:-1][histories.lengths > 0]] = False
    places = np.flatnonzero(later_N)
    places = places[np.argsort(histories.timestamps_ms[places], kind="stable")]
    if not len(places):
        raise DataError(
            f"task '{NEXT}' must have users with two interactions, has none; run: kinema ingest --events FILE"
        )
    ones = np.ones(len(places))
    return _rows(NEXT, "choice", (users_N[places], histories.items[places], histories.timestamps_ms[places], ones))


def _rows(name: str, meaning: Meaning, columns: Sequence[Any]) -> TaskRows:
    users, items, times, labels = (np.asarray(one) for one in columns)
    return TaskRows(
        name,
        meaning,
        users.astype(np.int64),
        items.astype(np.int64),
        times.astype(np.int64),
        labels.astype(np.float32),
    )


def _met(cut: Mapping[str, CutRows], num_items: int) -> NDArray[np.float32]:
    """How often each item occurs in what is learnt from, float32 [V]."""
    items = [one.rows.items_N[one.parts["train"]] for one in cut.values()]
    return np.bincount(np.concatenate(items), minlength=num_items).astype(np.float32)


def _scale(rows: TaskRows) -> tuple[float, float]:
    return float(rows.labels_N.min()), float(rows.labels_N.max())


def _options(learner: SeveralLearner, plan: FitPlan) -> FitOptions:
    batch_size = max(32, min(512, learner.num_examples // _STEPS_PER_EPOCH))
    return plan.options(metric="loss", batch_size=batch_size, learning_rate=2e-3)


def _columns(cut: Mapping[str, CutRows]) -> list[NDArray[Any]]:
    """What a run is about, for its fingerprint."""
    rows = [one.rows for one in cut.values()]
    return [part for one in rows for part in (one.users_N, one.items_N, one.times_ms_N, one.labels_N)]


def _advice(found: Mapping[str, HeadComparison]) -> str:
    lines = [str(one) for one in found.values()]
    hurt = [name for name, one in found.items() if one.verdict == "hurts"]
    if hurt:
        lines.append(f"train {', '.join(hurt)} alone, give it more weight, or try weighting 'conflicts'")
    return "\n".join(lines)


@dataclass(frozen=True)
class _Judge:
    """Measures models on the newest part."""

    dataset: Dataset
    cut: Mapping[str, CutRows]
    seed: int

    def measured(self, learner: SeveralLearner) -> dict[str, dict[str, float]]:
        """Task -> numbers."""
        found = {}
        for name, meaning in learner.config.tasks.items():
            one = self.cut[name]
            rows = one.parts["test"]
            labels = one.rows.labels_N[rows]
            if meaning == "chance":
                probs = learner.chances(name, rows)
                found[name] = {"auc": auc(probs, labels), "log_loss": log_loss(probs, labels)}
            elif meaning == "value":
                told, mean = learner.values(name, rows), np.full(len(rows), learner.offsets[name].mean)
                found[name] = {"mse": mse(told, labels), "mae": mae(told, labels), "mse_of_mean": mse(mean, labels)}
            else:
                found[name] = self._next(learner, name, rows)
        return found

    def _next(self, learner: SeveralLearner, name: str, rows: NDArray[np.int64]) -> dict[str, float]:
        """Ranks of the right items among all that are out and that the user has not met."""
        num_items = len(self.dataset.item_ids)
        most = max(1, min(_MOST_CASES, _MOST_CELLS // num_items))
        if len(rows) > most:
            rows = np.sort(generator(self.seed, "several/cases").choice(rows, most, replace=False))
        ranks, popular = [], []
        asked, times = learner.asked(name, rows), self.cut[name].rows.times_ms_N[rows]
        popularity_V = learner.world.popularity_V
        for case in range(len(rows)):
            user, right = int(asked.users_R[case]), int(asked.items_R[case])
            scores_V = self._scores(learner, name, user, int(times[case]))
            history = self.dataset.histories.take([user])
            open_V = (self.dataset.published_ms_V <= times[case]) & ~self.dataset.hidden_V
            open_V[history.items[history.timestamps_ms <= times[case]]] = False
            open_V[right] = False
            ranks.append(1 + int((scores_V[open_V] >= scores_V[right]).sum()))
            popular.append(1 + int((popularity_V[open_V] >= popularity_V[right]).sum()))
        told = {"": np.array(ranks), "_of_popular": np.array(popular)}
        return {
            f"{metric}{ending}": value for ending, ranks_C in told.items() for metric, value in _ranked(ranks_C).items()
        }

    def _scores(self, learner: SeveralLearner, name: str, user: int, now_ms: int) -> NDArray[np.float32]:
        """float32 [V], what a head says of every item."""
        trunk = learner.network.reading.network
        items_V = np.arange(len(self.dataset.item_ids))
        how = {"max_length": trunk.config.max_length, "num_ids": trunk.num_ids}
        with torch.inference_mode():
            batch = learner.world.candidates(items_V, user=user, now_ms=now_ms, **how)
            return np.asarray(learner.network.told(name, trunk.features(batch)).numpy(), dtype=np.float32)


def _ranked(ranks_C: NDArray[np.int64]) -> dict[str, float]:
    """NDCG and recall at ten of cases with one right item each."""
    hit_C = ranks_C <= _PLACES
    gains_C = np.where(hit_C, 1 / np.log2(ranks_C + 1), 0.0)
    return {f"ndcg@{_PLACES}": float(gains_C.mean()), f"recall@{_PLACES}": float(hit_C.mean())}
