"""What training a task came to, and how it is watched while it goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Skipped:
    """A step that was left out because its loss or gradient was no number.

    Attributes:
        epoch: From 1.
        step: In that epoch, from 1.
        rows: Numbers of its examples.
        why: What was wrong.
    """

    epoch: int
    step: int
    rows: tuple[int, ...]
    why: str


@dataclass(frozen=True)
class FitReport:
    """What training came to.

    Attributes:
        metrics: Of the best state, on validation.
        best_epoch: Epochs done when it was reached.
        epochs: Done in all.
        seconds: Spent, interruptions not counted.
        curve: One entry per epoch: ``epoch``, ``loss`` and the validation numbers; one of these that is called ``loss``
            or ``epoch`` stands as ``valid_loss`` or ``valid_epoch``.
        updates: Done in all, those that were left out included.
        skipped: Steps that were left out.
    """

    metrics: Mapping[str, float]
    best_epoch: int
    epochs: int
    seconds: float
    curve: tuple[Mapping[str, Any], ...]
    updates: int = 0
    skipped: tuple[Skipped, ...] = ()


class FitWatcher(Protocol):
    """Told what happens. An error it raises ends the training: so a search gives up on a run that falls behind."""

    def updated(self, update: int, numbers: Mapping[str, float]) -> None:
        """After each update.

        Args:
            update: Its number, from 1.
            numbers: ``loss``, ``rate`` (step size) and ``gradient`` (length before clipping).
        """

    def looked(self, curve: Sequence[Mapping[str, Any]]) -> None:
        """After each look at validation, with the weights that would serve in place.

        Args:
            curve: Of `FitReport` so far, the newest entry last.
        """

    def finished(self, report: FitReport) -> None:
        """At the end, with the best state in place; also where an interrupted run turns out to have been finished."""
