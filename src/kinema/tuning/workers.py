"""Trials in processes of their own, several at once: one that crashes, hangs up or runs out of memory takes one trial with it.

A worker is told a line of JSON per trial and answers lines of JSON; what it works on it reads itself. When the search dies, its
workers see the end of their input and end too.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import kinema
from kinema.tuning.search import Begun, Ended, OnLook, gains_file

_PATIENCE_SECONDS: Final = 0.5
_LAST_WORDS: Final = 300


@dataclass
class _Worker:
    process: "subprocess.Popen[bytes]"
    log: Path
    listener: threading.Thread
    trial: Begun | None = None
    began: float = 0.0


class Workers:
    """A `Crew` of processes; use it in a ``with`` block.

    Args:
        module: Started by ``python -m``; it calls `kinema.tuning.worker.serve`.
        place: What every worker is told at its start, JSON values.
        size: Processes at once.
        folder: Of the study; what each validation case says and what workers write on standard error goes there.
        threads: Of the numeric libraries in each process; None shares out the cores.
    """

    def __init__(
        self, module: str, place: Mapping[str, Any], *, size: int, folder: Path, threads: int | None = None
    ) -> None:
        self.size = size
        self._module, self._place, self._folder = module, dict(place), folder
        self._threads = threads or max(1, (os.cpu_count() or 1) // size)
        self._workers: dict[int, _Worker] = {}
        self._heard: queue.Queue[tuple[int, subprocess.Popen[bytes], dict[str, Any] | None]] = queue.Queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers.values():
            worker.process.terminate()
        for worker in self._workers.values():
            _close(worker.process)
            worker.listener.join()
        self._workers.clear()

    def begin(self, trial: Begun) -> None:
        """Hand the trial to a worker that has none; it is started where there is none yet."""
        number = next(one for one in range(self.size) if one not in self._workers or not self._workers[one].trial)
        if number not in self._workers:
            self._workers[number] = self._start(number)
        worker = self._workers[number]
        worker.trial, worker.began = trial, time.monotonic()
        self._say(worker, {**asdict(trial), "gains": str(gains_file(self._folder, trial.number))})

    def wait(self, on_look: OnLook, has_time: Callable[[], bool]) -> Ended:
        """Answer looks until a trial has ended."""
        while True:
            has_time()
            try:
                number, process, message = self._heard.get(timeout=_PATIENCE_SECONDS)
            except queue.Empty:
                continue
            worker = self._workers.get(number)
            if worker is None or worker.process is not process:
                continue
            if worker.trial is None:
                if message is None:
                    del self._workers[number]  # it died idle; the next trial gets a new one
                continue
            trial = worker.trial
            seconds = time.monotonic() - worker.began
            if message is None:
                del self._workers[number]
                return Ended(trial.number, "failed", seconds, reason=_last_words(worker))
            if "look" in message:
                goes_on = on_look(trial.number, [tuple(one) for one in message["look"]]) or not trial.may_end
                self._say(worker, {"go": goes_on})
                continue
            worker.trial = None
            return Ended(trial.number, message["state"], seconds, message["value"], reason=message["reason"])

    def _start(self, number: int) -> _Worker:
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"worker-{number}.log"
        source = str(Path(kinema.__file__).parents[1])
        paths = os.pathsep.join(dict.fromkeys([source, *filter(None, [os.environ.get("PYTHONPATH")])]))
        threads = {"OMP_NUM_THREADS": str(self._threads), "OPENBLAS_NUM_THREADS": str(self._threads)}
        place = {**self._place, "threads": self._threads}
        with log.open("wb") as words:
            process = subprocess.Popen(  # noqa: S603  # our own module, run by our own interpreter
                [sys.executable, "-m", self._module, json.dumps(place)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                env={**os.environ, "PYTHONPATH": paths, **threads},
                start_new_session=True,
            )
        listener = threading.Thread(target=self._listen, args=(number, process), daemon=True)
        listener.start()
        return _Worker(process, log, listener)

    def _listen(self, number: int, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._heard.put((number, process, json.loads(line)))
        process.wait()
        self._heard.put((number, process, None))

    def _say(self, worker: _Worker, message: Mapping[str, Any]) -> None:
        """One that has died is heard of by its end."""
        assert worker.process.stdin is not None
        with suppress(OSError):
            worker.process.stdin.write(json.dumps(message).encode() + b"\n")
            worker.process.stdin.flush()


def _close(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()


def _last_words(worker: _Worker) -> str:
    """Why a process has ended."""
    code = worker.process.returncode
    with suppress(OSError):
        if worker.process.stdin is not None:
            worker.process.stdin.close()
    words = worker.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = f": {words[-1][:_LAST_WORDS]}" if words else ""
    how = f"by signal {-code} (9 is often too little memory)" if code < 0 else f"with code {code}"
    return f"its process ended {how}{last}"
