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
_CLIPS_PER_PROCESS: Final = 256
"""Then a fresh one takes over, for what decoders leak and scatter over memory would grow over a long run."""


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
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            process.kill()

        timer = threading.Timer(self._timeout_s, expire)
        timer.start()
        try:
            write_request(process.stdin, request)
            reading = read_reading(process.stdout)
        except OSError:
            reading = None
        finally:
            timer.cancel()
        self._num_read += 1
        if reading is None or self._num_read >= _CLIPS_PER_PROCESS:
            self.stop()
        return reading, expired.is_set()

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
        timeout_s: A clip that takes longer is given up, seconds.
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
