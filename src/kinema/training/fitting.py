"""How a task learns: epochs over its examples in random order, looks at validation, the best state is kept.

FLM's pre-training has a loop of its own (`kinema.training.loop`), whose steps are cut into pieces; a task's are not.

Shape suffixes: U examples of one update, B examples of one batch.
"""

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import kinema
from kinema.artifacts import fingerprint
from kinema.errors import ConfigError, DataError
from kinema.progress import Progress, silent
from kinema.seeds import derive_seed, generator
from kinema.tasks.measures import lower_is_better
from kinema.tasks.task import Learner
from kinema.threads import keep_freed_memory
from kinema.training.averaging import WeightAverage, has_statistics, load_changing, renewed_statistics
from kinema.training.descent import Descent
from kinema.training.fit_checkpoint import FitPlace, describe, keep_epoch, load_fit, save_fit, snapshot
from kinema.training.fit_log import CsvLog
from kinema.training.fit_options import FitOptions
from kinema.training.fit_report import FitReport, FitWatcher, Skipped
from kinema.training.fit_step import add_gradients, device_of
from kinema.training.precision import check_precision, gradient_scaler
from kinema.training.refining import SecondRound, is_better, joined
from kinema.training.repeatable import repeatable
from kinema.training.robust import check_robust
from kinema.training.schedules import rate_share

__all__ = ["FitOptions", "FitReport", "fit"]

_SECOND_ROUND: Final = "refined"
_SHOWN_ROWS: Final = 20
_STATISTICS_BATCHES: Final = 50


def fit(
    learner: Learner,
    options: FitOptions,
    *,
    seed: int = 0,
    progress: Progress = silent,
    folder: Path | None = None,
    run: str = "",
    checkpoint_seconds: float = 30.0,
    watchers: Sequence[FitWatcher] = (),
) -> FitReport:
    """Train a task; its network ends in the best state found.

    Args:
        learner: Changed in place.
        options: How.
        seed: Of order and dropout.
        progress: Told updates, with loss and metric.
        folder: For checkpoints, ``epochs.csv`` and ``report.json``. A run that was interrupted goes on from there and
            equals an uninterrupted one; one that was finished is not run again. None writes nothing.
        run: Fingerprint of the examples. A checkpoint is only used by a run that agrees in it, in options, seed, number of
            examples and the network's shapes; what the examples hold is not looked at.
        checkpoint_seconds: Time between two checkpoints within an epoch; the end of each has one.
        watchers: Told updates and epochs.

    Returns:
        The report.

    Raises:
        ConfigError: Options ask for what this learner or device cannot do.
        DataError: A loss, gradient or metric is no number, or validation has no such metric.
    """
    _check(learner, options, folder)
    logs = [*watchers] if folder is None else [CsvLog(folder, options, seed=seed), *watchers]
    keep_freed_memory()
    with repeatable(), torch.random.fork_rng():
        first = _Training(learner, options, seed, folder, run, checkpoint_seconds, logs)
        report = first.whole(progress)
        if options.refine:
            second = _Training(
                learner,
                replace(options, learning_rate=options.learning_rate * options.refine),
                seed + report.epochs,
                None if folder is None else folder / _SECOND_ROUND,
                run,
                checkpoint_seconds,
                [SecondRound(one, report) for one in logs],
            )
            found = second.whole(progress)
            if not is_better(found, report, metric=options.metric):
                load_changing(learner.network, first.best_state)
            report = joined(report, found, metric=options.metric)
        for one in logs:
            one.finished(report)
    return report


def _check(learner: Learner, options: FitOptions, folder: Path | None) -> None:
    """Refuse what cannot work before anything is changed."""
    check_robust(learner, adversarial=options.adversarial, consistency=options.consistency)
    check_precision(options.precision, device_of(learner.network))
    if learner.num_examples < 1:
        raise DataError(f"a task must have at least 1 training example, has {learner.num_examples}; give it some")
    if options.keep_epochs and folder is None:
        raise ConfigError(f"keep_epochs must be 0 without a folder, is {options.keep_epochs}; give fit a folder")


@dataclass
class _Training:
    """What moves while a task is trained."""

    learner: Learner
    options: FitOptions
    seed: int
    folder: Path | None
    run: str
    checkpoint_seconds: float
    watchers: Sequence[FitWatcher]
    place: FitPlace = field(default_factory=FitPlace)
    best_state: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options, network = self.options, self.learner.network
        self.started = self.saved = time.perf_counter()
        self.per_epoch = -(-self.learner.num_examples // (options.batch_size * options.accumulate))
        self.descent = Descent(
            network,
            optimizer=options.optimizer,
            learning_rate=options.learning_rate,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
            l2=options.l2,
            rate_factors=options.rate_factors,
            clip_norm=options.clip_norm,
            scaler=gradient_scaler(options.precision, device_of(network)),
        )
        decay = options.ema_decay if options.averaging == "ema" else None
        self.average = None if options.averaging == "none" else WeightAverage(network, decay=decay)
        self.fingerprint = fingerprint(
            [kinema.__version__, asdict(options), self.seed, self.run, self.learner.num_examples, describe(network)]
        )

    def whole(self, progress: Progress) -> FitReport:
        """The round from where it stands to its end; the network ends in the best state."""
        self.resume()
        while not self.place.done:
            self.epoch(progress)
            self.look()
            self.save()
        load_changing(self.learner.network, self.best_state)
        self.learner.network.eval()
        return self.report()

    def epoch(self, progress: Progress) -> None:
        """The rest of the present epoch."""
        self.learner.network.train()
        place, total = self.place, self.per_epoch * self.options.max_epochs
        updates = self._updates(place.epoch)
        while place.step < len(updates):
            loss = self._update(updates[place.step])
            metric = f" {self.options.metric} {place.metrics[self.options.metric]:.4f}" if place.metrics else ""
            progress(place.updates, total, f"loss {loss:.4f}{metric}")
            if time.perf_counter() - self.saved >= self.checkpoint_seconds:
                self.save()
        if not place.summed:
            raise DataError(
                f"every step of epoch {place.epoch + 1} was left out, the last because {place.skipped[-1].why}"
            )

    def look(self) -> None:
        """Ask validation, keep the state if it is the best, decide whether to go on."""
        options, place, network = self.options, self.place, self.learner.network
        swa = options.averaging == "swa"
        if self.average is not None and swa and place.epoch >= options.swa_start * options.max_epochs:
            self.average.add()
            place.averaged = self.average.count
        with ExitStack() as stack:
            if self.average is not None and self.average.count:
                stack.enter_context(self.average.in_place())
                if has_statistics(network):
                    stack.enter_context(renewed_statistics(network, self._statistics_passes()))
            found = self._validate()
            names = {name: f"valid_{name}" if name in {"epoch", "loss"} else name for name in found}
            entry = {"epoch": place.epoch + 1, "loss": place.loss_sum / place.summed}
            place.curve.append(entry | {names[name]: value for name, value in found.items()})
            value = found[options.metric] * (-1.0 if lower_is_better(options.metric) else 1.0)
            if not place.best_epoch or value > place.best:
                place.best, place.best_epoch, place.metrics = value, place.epoch + 1, found
                self.best_state = snapshot(network)
            if options.keep_epochs and self.folder is not None:
                state = snapshot(network)
                keep_epoch(self.folder, epoch=place.epoch + 1, value=value, state=state, most=options.keep_epochs)
            for one in self.watchers:
                one.looked(place.curve)
        first = place.epoch == 0 or (swa and place.averaged <= 1)
        if first or value > place.mark + options.min_gain:
            place.mark, place.waited = value, 0
        else:
            place.waited += 1
        place.epoch, place.step, place.loss_sum, place.summed = place.epoch + 1, 0, 0.0, 0
        place.done = place.waited >= options.patience or place.epoch == options.max_epochs

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if it has one of this run."""
        if self.folder is not None:
            found = load_fit(
                self.folder,
                run=self.fingerprint,
                network=self.learner.network,
                descent=self.descent,
                average=self.average,
            )
            if found is not None:
                self.place, self.best_state = found

    def save(self) -> None:
        """Write the checkpoint."""
        now = time.perf_counter()
        self.place.seconds += now - self.started
        self.started = self.saved = now
        if self.folder is not None:
            save_fit(
                self.folder,
                run=self.fingerprint,
                place=self.place,
                network=self.learner.network,
                best=self.best_state,
                descent=self.descent,
                average=self.average,
            )

    def report(self) -> FitReport:
        """Of the run, which is done."""
        place = self.place
        return FitReport(
            metrics=place.metrics,
            best_epoch=place.best_epoch,
            epochs=len(place.curve),
            seconds=place.seconds,
            curve=tuple(place.curve),
            updates=place.updates,
            skipped=tuple(place.skipped),
        )

    def _updates(self, epoch: int) -> list[NDArray[np.int64]]:
        """The examples of each update of an epoch."""
        order = generator(self.seed, f"order {epoch}").permutation(self.learner.num_examples)
        return np.array_split(order, self.per_epoch)

    def _update(self, rows_U: NDArray[np.int64]) -> float:
        """Batches, then one step of the optimizer; returns the mean loss."""
        options, place = self.options, self.place
        share = rate_share(
            options.schedule,
            update=place.updates,
            total=self.per_epoch * options.max_epochs,
            warmup_share=options.warmup_share,
            last=options.last_rate,
        )
        loss = 0.0
        for number, rows_B in enumerate(np.array_split(rows_U, -(-len(rows_U) // options.batch_size))):
            value = self._batch(rows_B, number, len(rows_B) / len(rows_U))
            loss += value * len(rows_B) / len(rows_U)
            if not math.isfinite(value):
                self._bad_step(f"the loss must be finite, is {value}", rows_B)
                break
        else:
            length = self.descent.step(share)
            if length is not None and not math.isfinite(length):
                self._bad_step(f"the gradient must be finite, is {length}", rows_U)
            else:
                self._count(loss, len(rows_U))
                numbers = {"loss": loss, "rate": options.learning_rate * share, "gradient": length or 0.0}
                for one in self.watchers:
                    one.updated(place.updates + 1, numbers)
        place.step, place.updates = place.step + 1, place.updates + 1
        return loss

    def _batch(self, rows_B: NDArray[np.int64], number: int, share: float) -> float:
        options, place = self.options, self.place
        name = f"draws {place.epoch} {place.step}" + (f" {number}" if number else "")
        return add_gradients(
            self.learner,
            rows_B,
            self.descent,
            seed=derive_seed(self.seed, name),
            share=share,
            precision=options.precision,
            consistency=options.consistency,
            adversarial_steps={"none": 0, "fgm": 1, "pgd": options.adversarial_steps}[options.adversarial],
            adversarial_radius=options.adversarial_radius,
            adversarial_weight=options.adversarial_weight,
        )

    def _count(self, loss: float, examples: int) -> None:
        self.place.loss_sum += loss * examples
        self.place.summed += examples
        if self.average is not None and self.options.averaging == "ema":
            self.average.add()
            self.place.averaged = self.average.count

    def _bad_step(self, why: str, rows_N: NDArray[np.int64]) -> None:
        """Stop with the place, or count and go on."""
        self.descent.clear()
        place = self.place
        if self.options.bad_steps == "skip":
            place.skipped.append(Skipped(place.epoch + 1, place.step + 1, tuple(rows_N.tolist()), why))
            return
        shown = ", ".join(str(row) for row in rows_N[:_SHOWN_ROWS])
        more = f" and {len(rows_N) - _SHOWN_ROWS} more" if len(rows_N) > _SHOWN_ROWS else ""
        error = DataError(
            f"{why} in epoch {place.epoch + 1}, step {place.step + 1} (examples {shown}{more}); "
            "look at these examples, lower learning_rate or set clip_norm, or set bad_steps = 'skip'"
        )
        error.add_note(f"all of them: {rows_N.tolist()}")
        raise error

    def _validate(self) -> dict[str, float]:
        metric = self.options.metric
        self.learner.network.eval()
        with torch.inference_mode():
            found = {name: float(value) for name, value in self.learner.validate().items()}
        if metric not in found:
            raise DataError(f"validation must give '{metric}', gives {', '.join(sorted(found))}; choose one")
        if not math.isfinite(found[metric]):
            raise DataError(
                f"validation's '{metric}' must be finite, is {found[metric]} after epoch {self.place.epoch + 1}; "
                "look at the validation examples, or choose another metric"
            )
        return found

    def _statistics_passes(self) -> list[partial[Tensor]]:
        rows = [
            rows_B
            for rows_U in self._updates(self.place.epoch)
            for rows_B in np.array_split(rows_U, -(-len(rows_U) // self.options.batch_size))
        ]
        return [partial(self.learner.loss, rows_B, None) for rows_B in rows[:_STATISTICS_BATCHES]]
