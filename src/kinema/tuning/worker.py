"""One worker of a search: trains what it is told, line by line on standard input; see `kinema.tuning.workers`."""

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from kinema.errors import KinemaError
from kinema.training.fit_report import FitReport


class GivenUpError(Exception):
    """Ends a training that fell behind, or is out of time."""


@dataclass(frozen=True)
class Measured:
    """What a training came to on validation.

    Attributes:
        value: Larger is better.
        gains_N: float64, what each validation example says; None where that is not known.
    """

    value: float
    gains_N: NDArray[np.float64] | None


class TrialWatch:
    """Reports each epoch of a training and ends it when it is told to; a `FitWatcher`.

    Args:
        metric: What is searched for.
        sign: -1 where smaller is better.
        ask: Epoch and the best so far -> whether it goes on.
        seconds: After so many it ends; None for none.
    """

    def __init__(
        self, metric: str, *, sign: float, ask: Callable[[int, float], bool], seconds: float | None = None
    ) -> None:
        self._metric, self._sign, self._ask = metric, sign, ask
        self._ends = None if seconds is None else time.monotonic() + seconds

    def updated(self, update: int, numbers: Mapping[str, float]) -> None:  # noqa: ARG002  # the shape of a watcher
        """End where time is up."""
        if self._ends is not None and time.monotonic() > self._ends:
            raise GivenUpError

    def looked(self, curve: Sequence[Mapping[str, Any]]) -> None:
        """Report the best so far."""
        name = f"valid_{self._metric}" if self._metric in {"epoch", "loss"} else self._metric
        best = max(self._sign * entry[name] for entry in curve)
        if not self._ask(curve[-1]["epoch"], best):
            raise GivenUpError

    def finished(self, report: FitReport) -> None:
        """Nothing: what came of it is measured apart."""


Run = Callable[[Mapping[str, Any], Callable[[int, float], bool], float | None], Measured]
"""Settings, who is asked at each epoch, seconds -> what it came to."""


def serve(run: Run) -> None:
    """Train what standard input tells, until it ends.

    Args:
        run: Trains and measures; raises `GivenUpError` where it is told to end.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    told: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(told,), daemon=True).start()

    def say(message: Mapping[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    while True:
        say(_one(run, told.get(), told, answers))


def _one(run: Run, trial: Mapping[str, Any], told: "queue.Queue[dict[str, Any]]", answers: IO[str]) -> dict[str, Any]:
    def ask(epoch: int, value: float) -> bool:
        answers.write(json.dumps({"look": [[epoch, value]]}) + "\n")
        answers.flush()
        return bool(told.get()["go"])

    seconds = trial["seconds"] if trial["may_end"] and np.isfinite(trial["seconds"]) else None
    try:
        found = run(trial["settings"], ask, seconds)
    except GivenUpError:
        return {"state": "given up", "value": None, "reason": ""}
    except (KinemaError, RuntimeError, MemoryError, ValueError) as error:
        return {"state": "failed", "value": None, "reason": f"{type(error).__name__}: {error}"}
    if found.gains_N is not None:
        np.save(Path(trial["gains"]), found.gains_N, allow_pickle=False)
    return {"state": "finished", "value": found.value, "reason": ""}


def _listen(told: "queue.Queue[dict[str, Any]]") -> None:
    """Hear the search; where it has died, so does this process, whatever it is doing."""
    for line in sys.stdin:
        told.put(json.loads(line))
    os._exit(0)
