"""The search: trial after trial until the budget is used up, the default first; one at a time, or several at once.

Trials are begun by `search` and run by a `Crew`: `InTurn` in this process, `kinema.tuning.workers` in others. Only this process
reads and writes the study.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError, KinemaError
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

OnLook = Callable[[int, Sequence[tuple[int, float]]], bool]
"""Trial and what validation said at which steps -> whether it goes on."""


@dataclass(frozen=True)
class Begun:
    """A trial that is to run.

    Attributes:
        number: Optuna's.
        settings: Searched setting -> value.
        may_end: It may be given up; the default may not, what comes after is compared with it.
        seconds: Left of the budget.
    """

    number: int
    settings: Mapping[str, Any]
    may_end: bool
    seconds: float


@dataclass(frozen=True)
class Ended:
    """What became of a trial.

    Attributes:
        number: Optuna's.
        state: How it ended.
        seconds: Wall time.
        value: Of a finished one; larger is better.
        gains_C: float64, what each validation case says, where that is known.
        reason: Of a failed one.
    """

    number: int
    state: State
    seconds: float
    value: float | None = None
    gains_C: NDArray[np.float64] | None = None
    reason: str = ""


class Crew(Protocol):
    """Runs trials."""

    @property
    def size(self) -> int:
        """Trials at once, >= 1."""

    def begin(self, trial: Begun) -> None:
        """Take a trial on; there is room for it."""

    def wait(self, on_look: OnLook, has_time: Callable[[], bool]) -> Ended:
        """Work on until a trial that was begun has ended.

        Args:
            on_look: To be asked at each look at validation; what may end and is told so ends.
            has_time: To be asked now and then; what may end does so when it says no.
        """


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
    its own has the value of the last one.
    """

    trial: Begun
    on_look: OnLook
    has_time: Callable[[], bool]
    reported: int = 0
    best: float = 0.0

    def tick(self) -> None:
        if not self.has_time() and self.trial.may_end:
            raise _GivenUpError

    def look(self, share: float, value: float) -> None:
        self.tick()
        tenth = int(10 * share + 1e-9)
        steps = range(self.reported + 1, tenth + 1)
        points = [(step, max(self.best, value) if step == tenth else self.best) for step in steps]
        self.reported, self.best = max(self.reported, tenth), max(self.best, value)
        if not self.on_look(self.trial.number, points) and self.trial.may_end:
            raise _GivenUpError


@dataclass
class InTurn:
    """One trial at a time, in this process; a `Crew`.

    Args:
        train: Trains and measures.
        clock: Seconds.
    """

    train: Train
    clock: Callable[[], float] = time.monotonic
    size: int = field(default=1, init=False)

    def begin(self, trial: Begun) -> None:
        """It runs when it is waited for."""
        self._trial = trial

    def wait(self, on_look: OnLook, has_time: Callable[[], bool]) -> Ended:
        """Run it."""
        trial, began = self._trial, self.clock()
        try:
            gains_C = self.train(trial.settings, _Watch(trial, on_look, has_time))
        except _GivenUpError:
            return Ended(trial.number, "given up", self.clock() - began)
        except (KinemaError, RuntimeError, MemoryError) as error:
            # torch reports a failed allocation as RuntimeError; other settings may well fit.
            if not trial.may_end:
                raise
            reason = f"{type(error).__name__}: {error}"
            return Ended(trial.number, "failed", self.clock() - began, reason=reason)
        return Ended(trial.number, "finished", self.clock() - began, float(gains_C.mean()), gains_C)


def search(
    *,
    folder: Path,
    domains: Mapping[str, Domain],
    start: Mapping[str, Any],
    also: Sequence[Mapping[str, Any]] = (),
    train: Train | None = None,
    crew: Crew | None = None,
    budget_seconds: float = math.inf,
    max_trials: int | None = None,
    seed: int,
    first_step: int = 3,
    clock: Callable[[], float] = time.monotonic,
    progress: Progress = silent,
) -> Found:
    """Try settings until no further trial fits into the budget.

    The default settings are the first trial and always go all the way. Another one is begun only where the time left is
    enough for one of average length, and given up where it falls behind the median of the others, or at the first epoch
    that ends after the budget. Killed and called again with the same arguments, the search goes on with the time that
    is left.

    Which settings are tried follows from the seed and the results so far; how many are tried, and how far each got
    where its time was up first, depends on the speed of the machine. Of several at once the order of their ends counts too.

    Args:
        folder: Of the study.
        domains: Setting -> domain.
        start: The default settings, one per domain.
        also: Settings to try next.
        train: Trains and measures, in this process.
        crew: Runs trials, where there is no ``train``.
        budget_seconds: Wall time for all trials.
        max_trials: Number of trials after which it ends as well; None for no limit.
        seed: Of every draw.
        first_step: No trial is given up before this step of its training: steep learning rates look bad at first.
        clock: Seconds.
        progress: Told seconds used of the budget; without one, trials.

    Returns:
        All trials, the default and the best among them.

    Raises:
        MissingExtraError: Optuna is not installed.
        KinemaError: The default settings cannot be trained.
    """
    if crew is None:
        assert train is not None
        crew = InTurn(train, clock)
    with open_study(folder, first_step=first_step) as study:
        run = _Run(study, folder, domains, [start, *also], crew, budget_seconds, max_trials, seed, clock, progress)
        done = run.whole()
    default = next(one.number for one in done if one.settings == start)
    finished = [one for one in done if one.state == "finished"]
    best = max(finished, key=lambda one: (_value(one), one.number == default, -one.number))
    return Found(tuple(done), default, best.number, sum(one.seconds for one in done))


@dataclass
class _Run:
    """A search that goes on."""

    study: "optuna.Study"
    folder: Path
    domains: Mapping[str, Domain]
    first: Sequence[Mapping[str, Any]]
    crew: Crew
    budget_seconds: float
    max_trials: int | None
    seed: int
    clock: Callable[[], float]
    progress: Progress
    running: dict[int, tuple["optuna.Trial", Begun]] = field(default_factory=dict)

    def whole(self) -> list[TrialRecord]:
        """Begin trials and see to their ends until there is nothing left to do."""
        self.began = self.clock()
        self.earlier = sum(one.seconds for one in records(self.study)) / self.crew.size
        while True:
            done = records(self.study)
            while len(self.running) < self.crew.size and self._goes_on(done):
                self._begin()
            if not self.running:
                return done
            self.note, self.over = _note(done), len(done)
            self._has_time()
            self._end(self.crew.wait(self._on_look, self._has_time))

    def _used(self) -> float:
        return self.earlier + self.clock() - self.began

    def _goes_on(self, done: Sequence[TrialRecord]) -> bool:
        tried = [one.settings for one in done] + [one.settings for _, one in self.running.values()]
        if self.first[0] not in tried:
            return True
        enough = self.max_trials is not None and len(tried) >= self.max_trials
        return not enough and self._used() + _expected_seconds(done) <= self.budget_seconds

    def _begin(self) -> None:
        trial, settings = next_trial(self.study, self.domains, first=self.first, seed=self.seed)
        begun = Begun(trial.number, settings, settings != self.first[0], self.budget_seconds - self._used())
        self.running[trial.number] = trial, begun
        self.crew.begin(begun)

    def _end(self, ended: Ended) -> None:
        trial, begun = self.running.pop(ended.number)
        if ended.state == "failed" and not begun.may_end:
            raise DataError(f"the default settings cannot be trained: {ended.reason}")
        if ended.gains_C is not None:
            np.save(gains_file(self.folder, ended.number), ended.gains_C, allow_pickle=False)
        tell(self.study, trial, state=ended.state, seconds=ended.seconds, value=ended.value, reason=ended.reason)

    def _on_look(self, number: int, points: Sequence[tuple[int, float]]) -> bool:
        trial, _ = self.running[number]
        for step, value in points:
            trial.report(value, step)
        return not trial.should_prune()

    def _has_time(self) -> bool:
        used = self._used()
        if math.isfinite(self.budget_seconds):
            self.progress(int(min(used, self.budget_seconds)), int(self.budget_seconds), self.note)
        else:
            self.progress(self.over, self.max_trials or 0, self.note)
        return used <= self.budget_seconds


def gains_of(folder: Path, number: int) -> NDArray[np.float64] | None:
    """What each validation case says for a finished trial; None where that is not known."""
    path = gains_file(folder, number)
    if not path.is_file():
        return None
    gains_C: NDArray[np.float64] = np.load(path, allow_pickle=False)
    return gains_C


def _value(trial: TrialRecord) -> float:
    return -math.inf if trial.value is None else trial.value


def _expected_seconds(done: Sequence[TrialRecord]) -> float:
    """Those given up are left out: the next one may go all the way."""
    whole = [one.seconds for one in done if one.state == "finished"] or [one.seconds for one in done]
    return sum(whole) / len(whole) if whole else 0.0


def _note(done: Sequence[TrialRecord]) -> str:
    values = [one.value for one in done if one.state == "finished" and one.value is not None]
    return f"trial {len(done) + 1}" + (f", best {abs(max(values)):.4f}" if values else "")


def gains_file(folder: Path, number: int) -> Path:
    """Where a trial's gains are kept."""
    return folder / f"gains-{number}.npy"
