"""A second round with smaller steps, told as the continuation of the first; `kinema.training.fitting.fit` trains both."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kinema.tasks.measures import lower_is_better
from kinema.training.fit_report import FitReport, FitWatcher


def is_better(found: FitReport, earlier: FitReport, *, metric: str) -> bool:
    """Whether a round ended better than the one before."""
    sign = -1.0 if lower_is_better(metric) else 1.0
    return sign * found.metrics[metric] > sign * earlier.metrics[metric]


def joined(earlier: FitReport, found: FitReport, *, metric: str) -> FitReport:
    """Both rounds as one report: epochs and updates are counted through, the better end counts."""
    shift = earlier.epochs
    end = replace(found, best_epoch=shift + found.best_epoch) if is_better(found, earlier, metric=metric) else earlier
    return FitReport(
        metrics=end.metrics,
        best_epoch=end.best_epoch,
        epochs=shift + found.epochs,
        seconds=earlier.seconds + found.seconds,
        curve=(*earlier.curve, *_shifted(found.curve, shift)),
        updates=earlier.updates + found.updates,
        skipped=(*earlier.skipped, *(replace(one, epoch=shift + one.epoch) for one in found.skipped)),
    )


class SecondRound:
    """Tells a watcher of a second round as if it were the same run; a `FitWatcher`.

    Args:
        watcher: Who is told.
        earlier: The first round.
    """

    def __init__(self, watcher: FitWatcher, earlier: FitReport) -> None:
        self._watcher, self._earlier = watcher, earlier

    def updated(self, update: int, numbers: Mapping[str, float]) -> None:
        """Updates are counted through."""
        self._watcher.updated(self._earlier.updates + update, numbers)

    def looked(self, curve: Sequence[Mapping[str, Any]]) -> None:
        """The whole curve."""
        self._watcher.looked([*self._earlier.curve, *_shifted(curve, self._earlier.epochs)])

    def finished(self, report: FitReport) -> None:
        """Nothing: `fit` tells the end of both."""


def _shifted(curve: Sequence[Mapping[str, Any]], epochs: int) -> list[Mapping[str, Any]]:
    return [{**entry, "epoch": entry["epoch"] + epochs} for entry in curve]
