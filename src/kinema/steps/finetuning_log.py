"""`kinema finetune click` in a project: its own log becomes examples, FLM's item vectors what items are known by.

Shape suffixes: V catalogue.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.artifacts import MANIFEST, sha256_file
from kinema.errors import DataError, NotBuiltError
from kinema.metrics.calibration import calibration_error
from kinema.ranking.calibrator_fit import fit_calibrator
from kinema.recommend.model import Scorer
from kinema.schema import EventKind
from kinema.steps.dataset import Dataset
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.slates import load_scorer
from kinema.store.exposures import Exposures, exposures_of, sampled_exposures
from kinema.store.protocols import Store
from kinema.store.trails import Trails, pack_trails
from kinema.tasks.history_click import ClickWorld, HistoryClick, by_time
from kinema.tasks.history_click_model import HistoryClickModel
from kinema.tasks.target_attention import HistoryClickConfig
from kinema.training.fitting import FitOptions

FOLDER: Final = "click"
TRAIL_KINDS: Final = tuple(kind for kind in EventKind if kind is not EventKind.IMPRESSION)
LOG_COLUMNS: Final = ("user", "item", "timestamp_ms", "kind", "watch_ms", "position", "propensity")
_STEPS_PER_EPOCH: Final = 50
_SAMPLED: Final = "the log has no impressions: {:,} items that users have not met were drawn as passed over"
_SEEN: Final = "item vectors come from a model that has learnt from the whole log, these clicks too: a test on later days will be lower"


@dataclass(frozen=True)
class LogClickReport:
    """What was learnt from a log.

    Attributes:
        folder: The artefact.
        label: Kind of outcome.
        num_examples: Part -> examples, oldest part first: train, valid, test.
        num_positive: Part -> how many with the outcome.
        metrics: ``valid`` and ``test``: AUC, AUC within users, log loss, and the calibration error before and after.
        best_epoch: Epochs done when validation was best.
        epochs: Done in all.
        seconds: Of everything.
        num_parameters: Learnt numbers.
        notices: What a person should know.
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
        plan: How; None for the task's own way.

    Raises:
        NotBuiltError: There is no FLM yet.
        DataError: The log has no such outcome, or too few.
        ConfigError: The plan names what there is not.
    """
    started, plan = time.perf_counter(), plan or FitPlan()
    clicks = read_log_clicks(store, dataset, artifacts=artifacts, label=label, seed=plan.seed)
    task, options, _ = clicks.ready(plan)
    fitted = plan.fit(task, options, examples=clicks.facts)
    parts, labels_N = clicks.parts, clicks.exposures.outcomes[label]
    calibrator = fit_calibrator(task.probabilities(parts["valid"]), labels_N[parts["valid"]])
    metrics = {}
    for name in ("valid", "test"):
        probs_N = task.probabilities(parts[name])
        metrics[name] = task.measure(parts[name]) | {
            "calibration_error": calibration_error(probs_N, labels_N[parts[name]]),
            "calibrated_error": calibration_error(calibrator.apply(probs_N).probs_N, labels_N[parts[name]]),
        }
    folder = artifacts / FOLDER
    HistoryClickModel.of(
        task,
        label=label,
        profile_columns=() if dataset.profiles is None else tuple(dataset.profiles.columns),
        flm=sha256_file(artifacts / "flm" / MANIFEST),
        calibration=calibrator.to_json(),
        report=metrics,
    ).save(folder, seed=plan.seed)
    return LogClickReport(
        folder=folder,
        label=label,
        num_examples={name: len(rows) for name, rows in parts.items()},
        num_positive={name: int(labels_N[rows].sum()) for name, rows in parts.items()},
        metrics=metrics,
        best_epoch=fitted.report.best_epoch,
        epochs=fitted.report.epochs,
        seconds=time.perf_counter() - started,
        num_parameters=sum(one.numel() for one in task.network.parameters()),
        notices=(*clicks.notices, *fitted.notices, _SEEN),
    )


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
        batch_size = max(64, min(2048, len(self.parts["train"]) // _STEPS_PER_EPOCH))
        return {"metric": "log_loss", "batch_size": batch_size, "learning_rate": 2e-3}

    def ready(self, plan: FitPlan) -> tuple[HistoryClick, FitOptions, HistoryClickConfig]:
        """The task as a plan asks for it; test is no part of it.

        Raises:
            ConfigError: The plan names what there is not.
        """
        config, options = plan.network(HistoryClickConfig()), plan.options(**self.defaults)
        rows = {name: self.parts[name] for name in ("train", "valid")}
        task = HistoryClick(self.world, self.exposures, label=self.label, **rows, config=config, seed=plan.seed)
        return task, options, config


def read_log_clicks(store: Store, dataset: Dataset, *, artifacts: Path, label: str, seed: int) -> LogClicks:
    """Read the examples of a log; arguments and errors of `finetune_click_on_log`."""
    scorer = needed_scorer(artifacts, dataset, needs_it="the click model")
    events = store.events(columns=LOG_COLUMNS)
    exposures, notices = read_exposures(events, label=label, num_items=len(dataset.item_ids), seed=seed)
    parts = dict(zip(("train", "valid", "test"), by_time(exposures), strict=True))
    labels_N = exposures.outcomes[label]
    popularity_V = np.bincount(
        exposures.items_N[parts["train"]][labels_N[parts["train"]]], minlength=len(dataset.item_ids)
    ).astype(np.float32)
    world = click_world(
        dataset,
        vectors_VD=scorer.item_vectors_VD,
        popularity_V=popularity_V,
        trails=pack_trails(events, kinds=TRAIL_KINDS, num_users=dataset.histories.num_users),
    )
    columns = (exposures.users_N, exposures.items_N, exposures.times_ms_N, labels_N)
    flm = sha256_file(artifacts / "flm" / MANIFEST)
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


def needed_scorer(artifacts: Path, dataset: Dataset, *, needs_it: str) -> Scorer:
    """FLM bound to the catalogue.

    Raises:
        NotBuiltError: There is none.
    """
    scorer = load_scorer(artifacts / "flm", dataset)
    if scorer is None:
        raise NotBuiltError(f"{needs_it} needs FLM's item vectors, there are none; run: kinema pretrain")
    return scorer


def click_world(dataset: Dataset, *, vectors_VD: Any, popularity_V: Any, trails: Trails) -> ClickWorld:
    """What a click is judged by, from one reading of a project."""
    return ClickWorld(
        vectors_VD,
        popularity_V,
        dataset.published_ms_V,
        trails,
        None if dataset.profiles is None else dataset.profiles.values_UP,
    )
