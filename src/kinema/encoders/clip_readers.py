"""A few decoding processes side by side.

The standard library's process pool is not used: it starts the caller's main module again in every process, cannot stop
one task that hangs, and is broken as a whole when one process dies.
"""

import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Self

import psutil

from kinema.encoders.clip_worker import (
    ClipReading,
    ClipRequest,
    read_clip,
    read_reading,
    unread,
    write_request,
)

WORKER_COMMAND: Final = (sys.executable, "-P", "-m", "kinema.encoders.clip_worker")
DECODE_SECONDS: Final = 120.0
CLIP_MEMORY_MB: Final = 2048
_AHEAD: Final = 4
_PATIENCE: Final = 10
"""How many times its time a clip is given where the machine has no processor for it."""
_ALIVE_SHARE: Final = 0.01
"""Of a processor: less than this is no work."""
_CLIPS_PER_PROCESS: Final = 256
"""Then a fresh one takes over, for what decoders leak and scatter over memory would grow over a long run."""


class TimeLimit:
    """Ends a process that works on one clip for too long; ``passed`` says whether it has.

    The limit is on its processor time. By the clock alone, a machine that is busy with something else, or was suspended,
    would lose good clips. A process that waits and does nothing hangs, and is ended after the same time by the clock;
    one that gets next to no processor, after about ten times as much.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: float) -> None:
        self.passed = False
        self._process, self._seconds = process, seconds
        self._num_looks, self._window_s = 0, seconds
        self._over = threading.Event()
        self._used = self._start = self._processor_seconds()
        self._timer = threading.Timer(seconds, self._look)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """The clip is done."""
        self._over.set()
        self._timer.cancel()

    def _look(self) -> None:
        self._num_looks += 1
        before, self._used = self._used, self._processor_seconds()
        left = self._seconds - (self._used - self._start)
        if self._over.is_set():
            return
        if left <= 0 or self._num_looks >= _PATIENCE or self._hangs(self._used - before):
            self.passed = True
            self._process.kill()
            return
        self._window_s = max(left, self._seconds / _PATIENCE)
        self._timer = threading.Timer(self._window_s, self._look)
        self._timer.daemon = True
        self._timer.start()

    def _hangs(self, worked: float) -> bool:
        """Whether it neither worked since the last look nor waits for a processor, nor was stopped by someone."""
        try:
            status = psutil.Process(self._process.pid).status()
        except psutil.Error:
            return True
        return worked < _ALIVE_SHARE * self._window_s and status not in {psutil.STATUS_RUNNING, psutil.STATUS_STOPPED}

    def _processor_seconds(self) -> float:
        """That the process has used."""
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)


class _Worker:
    """One decoding process, started at its first request and again after its death."""

    def __init__(self, command: Sequence[str], timeout_s: float) -> None:
        self._command = command
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._num_read = 0
        self._closed = False

    def ask(self, request: ClipRequest) -> ClipReading:
        """Read a clip. One that kills its process gets a second chance in a fresh one, one that hangs does not."""
        for _ in range(2):
            reading, timed_out = self._try(request)
            if reading is not None:
                return reading
            if self._closed:
                break
            if timed_out:
                return unread(request, f"not done after {self._timeout_s:g} s")
        return unread(request, "the decoder crashed on it twice")

    def _try(self, request: ClipRequest) -> tuple[ClipReading | None, bool]:
        """The reading, or None and whether time ran out."""
        process = self._process or self._start()
        if self._closed:
            self.stop()
            return None, False
        assert process.stdin is not None
        assert process.stdout is not None
        limit = TimeLimit(process, self._timeout_s)
        try:
            write_request(process.stdin, request)
            reading = read_reading(process.stdout)
        except OSError:
            reading = None
        finally:
            limit.end()
        self._num_read += 1
        if reading is None or self._num_read >= _CLIPS_PER_PROCESS:
            self.stop()
        return reading, limit.passed

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the process; it ends by itself when we do, for its input then ends. It finds the modules that we find."""
        self._num_read = 0
        places = os.pathsep.join(os.path.realpath(place) for place in sys.path if place)
        self._process = subprocess.Popen(  # noqa: S603  # our own module, run by our own interpreter
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": places},
        )
        return self._process

    def close(self) -> None:
        """End the process for good; a request under way is abandoned."""
        self._closed = True
        self.stop()

    def stop(self) -> None:
        """End the process; the next request starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


class ClipReaders:
    """Decoding processes; to be used in a ``with`` statement, which ends them.

    Args:
        num_workers: Processes; 0 reads in this process, without protection from crashes, hangs and large clips.
        timeout_s: A clip that takes more processor time is given up, seconds; one that hangs, by the clock.
        memory_mb: A clip that takes more is given up.
        command: How a decoding process is started; the memory is added to it.
    """

    def __init__(
        self,
        *,
        num_workers: int,
        timeout_s: float = DECODE_SECONDS,
        memory_mb: int = CLIP_MEMORY_MB,
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        self._workers = [_Worker((*command, str(memory_mb)), timeout_s) for _ in range(num_workers)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(max(1, num_workers), thread_name_prefix="kinema-clips")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Abandon what is under way and end the processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.close()
        self._threads.shutdown()

    def submit(self, request: ClipRequest) -> Future[ClipReading]:
        """Read a clip as soon as a process is free."""
        if self._workers:
            return self._threads.submit(self._read, request)
        done: Future[ClipReading] = Future()
        done.set_result(read_clip(request))
        return done

    def _read(self, request: ClipRequest) -> ClipReading:
        worker = self._idle.get()
        try:
            return worker.ask(request)
        finally:
            self._idle.put(worker)


class BegunReading:
    """One clip that is read ahead: its decoding begins before the models that want it are loaded. For a ``with`` statement.

    Args:
        request: What will be wanted, as far as can be told beforehand.
        timeout_s: See `ClipReaders`.
        memory_mb: See `ClipReaders`.
        command: See `ClipReaders`.
    """

    def __init__(
        self,
        request: ClipRequest,
        *,
        timeout_s: float = DECODE_SECONDS,
        memory_mb: int = CLIP_MEMORY_MB,
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        self._request = request
        self._readers = ClipReaders(num_workers=1, timeout_s=timeout_s, memory_mb=memory_mb, command=command)
        self._reading = self._readers.submit(request)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Give up the clip if it is still being read."""
        self._readers.__exit__(*error)

    def answer(self, request: ClipRequest) -> Future[ClipReading] | None:
        """The reading, if it is exactly what is wanted; None where it is not, and the clip must be read anew."""
        return self._reading if request == self._request else None


def read_clips(
    requests: Iterable[ClipRequest],
    *,
    num_workers: int,
    timeout_s: float = DECODE_SECONDS,
    memory_mb: int = CLIP_MEMORY_MB,
    command: Sequence[str] = WORKER_COMMAND,
) -> Iterator[ClipReading]:
    """Read clips in order.

    Args:
        requests: The clips; taken as they are needed.
        num_workers: See `ClipReaders`.
        timeout_s: See `ClipReaders`.
        memory_mb: See `ClipReaders`.
        command: See `ClipReaders`.

    Yields:
        One reading per request. At most a few clips per process are read ahead, so memory stays bounded.
    """
    pending: deque[Future[ClipReading]] = deque()
    with ClipReaders(num_workers=num_workers, timeout_s=timeout_s, memory_mb=memory_mb, command=command) as readers:
        for request in requests:
            pending.append(readers.submit(request))
            if len(pending) >= max(1, _AHEAD * num_workers):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
