"""The search: trial after trial until the budget is used up, the default first."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import KinemaError
from kinema.progress import Progress, silent
from kinema.tuning.domains import Domain
from kinema.tuning.study import State, TrialRecord, next_trial, open_study, records, tell
from kinema.tuning.trial import Watch

if TYPE_CHECKING:
    import optuna

TRAININGS_IN_BUDGET: Final = 10
"""The training of one trial ends after this fraction of the budget. Longer ones resemble the final training more, but
preparing and measuring come on top, and fewer than half a dozen trials would hardly leave the default's neighbourhood."""

Train = Callable[[Mapping[str, Any], Watch], NDArray[np.float64]]
"""Settings and who watches -> NDCG@10 per validation case."""


class _GivenUpError(Exception):
    """Ends a training that fell behind."""


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        trials: Those that are over, in order.
        default: Number of the trial with the default settings.
        best: Number of the best; the earlier one where two are equal.
        seconds: Wall time of all of them, interruptions not counted.
    """

    trials: tuple[TrialRecord, ...]
    default: int
    best: int
    seconds: float

    def trial(self, number: int) -> TrialRecord:
        """The trial of that number."""
        return next(one for one in self.trials if one.number == number)


@dataclass
class _Watch:
    """Hands looks at validation to the pruner and time to the progress bar; ends what is hopeless or out of time.

    Optuna compares trials at the same step, so looks are reported per tenth of the training; a tenth without a look of
    its own has the value of the last one. The default settings are never ended, what comes after is compared with them.
    """

    trial: "optuna.Trial"
    may_end: bool
    has_time: Callable[[], bool]
    reported: int = 0
    best: float = 0.0

    def tick(self) -> None:
        if not self.has_time() and self.may_end:
            raise _GivenUpError

    def look(self, share: float, value: float) -> None:
        self.tick()
        tenth = int(10 * share + 1e-9)
        for step in range(self.reported + 1, tenth + 1):
            self.trial.report(max(self.best, value) if step == tenth else self.best, step)
        self.reported, self.best = max(self.reported, tenth), max(self.best, value)
        if self.may_end and self.trial.should_prune():
            raise _GivenUpError


def search(
    *,
    folder: Path,
    domains: Mapping[str, Domain],
    start: Mapping[str, Any],
    also: Sequence[Mapping[str, Any]] = (),
    train: Train,
    budget_seconds: float,
    max_trials: int | None = None,
    seed: int,
    clock: Callable[[], float] = time.monotonic,
    progress: Progress = silent,
) -> Found:
    """Try settings until no further trial fits into the budget.

    The default settings are the first trial and always go all the way. Another one is begun only where the time left is
    enough for one of average length, and given up where it falls behind the median of the others, or at the first epoch
    that ends after the budget. Killed and called again with the same arguments, the search goes on with the time that
    is left.

    Which settings are tried follows from the seed and the results so far; how many are tried, and how far each got
    where its time was up first, depends on the speed of the machine.

    Args:
        folder: Of the study.
        domains: Setting -> domain.
        start: The default settings, one per domain.
        also: Settings to try next.
        train: Trains and measures.
        budget_seconds: Wall time for all trials.
        max_trials: Number of trials after which it ends as well; None for no limit.
        seed: Of every draw.
        clock: Seconds.
        progress: Told seconds used of the budget.

    Returns:
        All trials, the default and the best among them.

    Raises:
        MissingExtraError: Optuna is not installed.
        KinemaError: The default settings cannot be trained.
    """
    began = clock()
    with open_study(folder) as study:
        earlier = sum(one.seconds for one in records(study))
        while True:
            done = records(study)
            used = earlier + clock() - began
            enough = max_trials is not None and len(done) >= max_trials
            if any(one.settings == start for one in done) and (
                enough or used + _expected_seconds(done) > budget_seconds
            ):
                break

            def has_time(note: str = _note(done)) -> bool:
                used = earlier + clock() - began
                progress(int(min(used, budget_seconds)), int(budget_seconds), note)
                return used <= budget_seconds

            has_time()
            _one_trial(
                study, folder, domains, first=[start, *also], train=train, seed=seed, clock=clock, has_time=has_time
            )
        done = records(study)
    default = next(one.number for one in done if one.settings == start)
    finished = [one for one in done if one.state == "finished"]
    best = max(finished, key=lambda one: (one.value or 0.0, one.number == default, -one.number))
    return Found(tuple(done), default, best.number, sum(one.seconds for one in done))


def gains_of(folder: Path, number: int) -> NDArray[np.float64]:
    """NDCG@10 per validation case of a finished trial."""
    gains_C: NDArray[np.float64] = np.load(_gains_file(folder, number), allow_pickle=False)
    return gains_C


def _one_trial(
    study: "optuna.Study",
    folder: Path,
    domains: Mapping[str, Domain],
    *,
    first: Sequence[Mapping[str, Any]],
    train: Train,
    seed: int,
    clock: Callable[[], float],
    has_time: Callable[[], bool],
) -> None:
    began = clock()
    trial, settings = next_trial(study, domains, first=first, seed=seed)
    is_default = settings == first[0]
    state: State = "finished"
    value, reason = None, ""
    try:
        gains_C = train(settings, _Watch(trial, not is_default, has_time))
    except _GivenUpError:
        state = "given up"
    except (KinemaError, RuntimeError, MemoryError) as error:
        # torch reports a failed allocation as RuntimeError; other settings may well fit.
        if is_default:
            raise
        state, reason = "failed", f"{type(error).__name__}: {error}"
    else:
        np.save(_gains_file(folder, trial.number), gains_C, allow_pickle=False)
        value = float(gains_C.mean())
    tell(study, trial, state=state, seconds=clock() - began, value=value, reason=reason)


def _expected_seconds(done: Sequence[TrialRecord]) -> float:
    """Those given up are left out: the next one may go all the way."""
    whole = [one.seconds for one in done if one.state == "finished"] or [one.seconds for one in done]
    return sum(whole) / len(whole)


def _note(done: Sequence[TrialRecord]) -> str:
    values = [one.value for one in done if one.state == "finished" and one.value is not None]
    return f"trial {len(done) + 1}" + (f", best NDCG@10 {max(values):.4f}" if values else "")


def _gains_file(folder: Path, number: int) -> Path:
    return folder / f"gains-{number}.npy"
