"""What the finetune steps of all tasks share: which options count, where the run is kept, who watches it.

A step takes a `FitPlan`, asks it for ``options(...)`` with its own defaults, for ``network(...)``, and lets it ``fit``.
"""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypedDict, TypeVar

import numpy as np

from kinema.artifacts import fingerprint
from kinema.progress import Progress, silent
from kinema.tasks.task import Learner
from kinema.training.fit_checkpoint import FILE_NAME
from kinema.training.fit_report import FitReport
from kinema.training.fitting import FitOptions, fit
from kinema.training.given_values import changed
from kinema.training.rate_finder import find_rate
from kinema.training.task_extras import check_extras
from kinema.training.task_settings import TaskSettings, fit_options, split, task_settings
from kinema.training.tensorboard_log import TensorBoardLog

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RUNS: Final = "runs"
_WRITTEN: Final = (FILE_NAME, "epochs.csv", "report.json", "refined", "epochs", "tensorboard")
_Network = TypeVar("_Network", bound="DataclassInstance")


class Learning(TypedDict, total=False):
    """What every method of ``project.finetune`` takes by name, over `kinema.toml`; what is left out the file says, or the task.

    Settings of `kinema.training.fit_options.FitOptions`; ``network``: settings of what is learnt; and the rest as in `Asked`, with
    ``progress``, which is told steps.
    """

    metric: str
    batch_size: int
    learning_rate: float
    weight_decay: float
    max_epochs: int
    patience: int
    optimizer: Literal["adamw", "adam", "rmsprop", "sgd"]
    momentum: float
    l2: float
    schedule: Literal["constant", "linear", "cosine"]
    warmup_share: float
    last_rate: float
    refine: float
    clip_norm: float
    accumulate: int
    precision: Literal["float32", "bf16", "fp16"]
    rate_factors: Mapping[str, float]
    min_gain: float
    adversarial: Literal["none", "fgm", "pgd"]
    adversarial_radius: float
    adversarial_steps: int
    adversarial_weight: float
    consistency: float
    averaging: Literal["none", "ema", "swa"]
    ema_decay: float
    swa_start: float
    bad_steps: Literal["stop", "skip"]
    keep_epochs: int
    network: Mapping[str, Any]
    seed: int | None
    restart: bool
    tensorboard: bool
    find_rate: bool
    progress: Progress


@dataclass(frozen=True)
class Asked:
    """What a person asked for, over `kinema.toml`.

    Attributes:
        changes: Settings of `FitOptions`, and ``network.NAME``.
        seed: None for the project's.
        restart: Begin anew where a run was interrupted or is finished.
        tensorboard: Write what TensorBoard shows.
        find_rate: Look for the step size first.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    restart: bool = False
    tensorboard: bool = False
    find_rate: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """From `Learning`, and what a task knows besides; a list in it may be a tuple.

        Example:
            >>> Asked.of({"max_epochs": 3, "network": {"hidden": (64,)}, "restart": True}).changes
            {'max_epochs': 3, 'network': {'hidden': [64]}}
        """
        own = {name: options[name] for name in ("seed", "restart", "tensorboard", "find_rate") if name in options}
        changes = {name: _listed(one) for name, one in options.items() if name not in {*own, "progress"}}
        return cls(changes, **own)

    def options(self, progress: Progress = silent, **network: Any) -> dict[str, Any]:
        """The same as keyword arguments; ``network`` has settings of what is learnt over them, None leaves one alone."""
        given = {f"network.{name}": one for name, one in network.items() if one is not None}
        own = {"seed": self.seed, "restart": self.restart, "tensorboard": self.tensorboard, "find_rate": self.find_rate}
        return {**self.changes, **given, **own, "progress": progress}


@dataclass(frozen=True)
class FitPlan:
    """How one task is to be trained.

    Attributes:
        asked: Settings over the task's own, and what they are about: options and network.
        seed: Of the run.
        folder: Where the run is kept; None keeps nothing, and a run that is killed begins anew.
        restart: See `Asked`.
        tensorboard: See `Asked`.
        find_rate: See `Asked`.
        where: The settings stand; named in errors.
        progress: Told steps.
    """

    asked: TaskSettings = field(default_factory=TaskSettings)
    seed: int = 0
    folder: Path | None = None
    restart: bool = False
    tensorboard: bool = False
    find_rate: bool = False
    where: str = "the options"
    progress: Progress = silent

    def options(self, **defaults: Any) -> FitOptions:
        """What was asked for, over the task's own defaults, which name the metric.

        Raises:
            ConfigError: A name is unknown, or a value is not what it may be.
        """
        return fit_options(defaults, self.asked.options, where=self.where)

    def network(self, default: _Network) -> _Network:
        """A configuration, which is a dataclass, with what was asked for.

        Raises:
            ConfigError: See `options`.
        """
        return changed(default, self.asked.network, where=f"network of {self.where}")

    def with_network(self, **given: Any) -> "FitPlan":
        """The same plan with settings of what is learnt that a command has options for; None leaves one alone."""
        found = {name: one for name, one in given.items() if one is not None}
        return replace(self, asked=TaskSettings(network=found).over(self.asked))

    def within(self, name: str) -> "FitPlan":
        """The same plan, its run kept in a folder inside."""
        return self if self.folder is None else replace(self, folder=self.folder / name)

    def fit(self, learner: Learner, options: FitOptions, *, examples: Sequence[Any] = ()) -> "Fitted":
        """Train.

        Args:
            learner: Ends in its best state.
            options: From `options`.
            examples: What the run is about: arrays, and whatever JSON can hold. An interrupted run goes on only where they are
                the same.

        Raises:
            ConfigError: See `kinema.training.fitting.fit`.
            DataError: The same, or no step size makes the loss fall.
        """
        if self.restart and self.folder is not None:
            _remove(self.folder)
        notices: list[str] = []
        if self.find_rate:
            found = find_rate(learner, options, seed=self.seed, progress=self.progress).suggestion
            options = replace(options, learning_rate=float(f"{found:.3g}"))
            notices.append(f"learning_rate = {options.learning_rate:g}, by --find-rate")
        counted = _Updates()
        watchers: list[Any] = [counted]
        if self.tensorboard and self.folder is not None:
            logs = self.folder / "tensorboard"
            watchers.append(TensorBoardLog(logs, learner, options))
            notices.append(f"look at it with: tensorboard --logdir {logs}")
        report = fit(
            learner,
            options,
            seed=self.seed,
            progress=self.progress,
            folder=self.folder,
            run=examples_fingerprint(examples),
            watchers=watchers,
        )
        return Fitted(report, options, (*notices, *self._gone_on(report, counted.number)))

    def _gone_on(self, report: FitReport, here: int) -> tuple[str, ...]:
        """What to say where some of the run, or all, was done before."""
        if self.folder is None or here >= report.updates - len(report.skipped):
            return ()
        if not here:
            return (f"this run was finished before, in {self.folder}; --restart trains again",)
        return (f"went on after step {report.updates - here} of {report.updates}, from {self.folder}",)


@dataclass(frozen=True)
class Fitted:
    """What a plan came to.

    Attributes:
        report: Of training.
        options: That it was trained with.
        notices: What a person should know.
    """

    report: FitReport
    options: FitOptions
    notices: tuple[str, ...] = ()


def plan_for(
    task: str,
    *,
    finetune: Mapping[str, Any],
    folder: Path | None,
    seed: int = 0,
    asked: Asked | None = None,
    progress: Progress = silent,
) -> FitPlan:
    """The plan of a task: ``[finetune]``, ``[finetune.TASK]``, then the command line.

    Args:
        task: One of `kinema.training.task_settings.TASKS`.
        finetune: The section of `kinema.toml`, checked.
        folder: Where the run is kept.
        seed: Where none was asked for.
        asked: On the command line.
        progress: Told steps.

    Raises:
        ConfigError: What was asked for is not of this task; other settings are checked where they are used.
    """
    asked = asked or Asked()
    where = f"--set or [finetune.{task}]"
    settings = split(asked.changes, where=where).over(task_settings(finetune, task))
    check_extras(task, settings.extras, where=where)
    return FitPlan(
        asked=settings,
        seed=seed if asked.seed is None else asked.seed,
        folder=folder,
        restart=asked.restart,
        tensorboard=asked.tensorboard,
        find_rate=asked.find_rate,
        where=where,
        progress=progress,
    )


def examples_fingerprint(parts: Sequence[Any]) -> str:
    """One text for arrays and JSON-like values; equal ones have the same.

    Example:
        >>> examples_fingerprint([np.arange(3), "click"]) == examples_fingerprint([np.arange(3), "like"])
        False
    """
    digests = [
        hashlib.sha256(np.ascontiguousarray(one).tobytes()).hexdigest() if isinstance(one, np.ndarray) else one
        for one in parts
    ]
    return fingerprint(digests)


def _listed(value: Any) -> Any:
    """As TOML would give it."""
    if isinstance(value, Mapping):
        return {name: _listed(one) for name, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


class _Updates:
    """Counts the updates of this process; a `FitWatcher`."""

    number = 0

    def updated(self, update: int, numbers: Mapping[str, float]) -> None:  # noqa: ARG002  # the shape of a watcher
        self.number += 1

    def looked(self, curve: Sequence[Mapping[str, Any]]) -> None:
        pass

    def finished(self, report: FitReport) -> None:
        pass


def _remove(folder: Path) -> None:
    """Only what a run writes: a folder given by hand may hold more."""
    for name in _WRITTEN:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
