"""A few decoding processes side by side, answered in the order asked.

The standard library's process pool is not used: it starts the caller's main module again in every process, cannot stop
one task that hangs, and is broken as a whole when one process dies.
"""

import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from kinema.encoders.clip_worker import ClipReading, ClipRequest, read_clip, read_reading, write_request

WORKER_COMMAND: Final = (sys.executable, "-P", "-m", "kinema.encoders.clip_worker")
_AHEAD: Final = 4
_TAIL: Final = "the item keeps its text features"


class _Worker:
    """One decoding process, started at its first request and again after its death."""

    def __init__(self, command: Sequence[str], timeout_s: float) -> None:
        self._command = command
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
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
                return ClipReading(
                    reason=f"cannot decode '{request.name}': not done after {self._timeout_s:g} s; {_TAIL}"
                )
        return ClipReading(reason=f"cannot decode '{request.name}': the decoder crashed on it twice; {_TAIL}")

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
        if reading is None:
            self.stop()
        return reading, expired.is_set()

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the process; it ends by itself when we do, for its input then ends."""
        self._process = subprocess.Popen(  # noqa: S603  # our own module, run by our own interpreter
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
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


def read_clips(
    requests: Iterable[ClipRequest],
    *,
    num_workers: int,
    timeout_s: float,
    command: Sequence[str] = WORKER_COMMAND,
) -> Iterator[ClipReading]:
    """Read clips in decoding processes.

    Args:
        requests: The clips; taken as they are needed.
        num_workers: Processes; 0 reads in this process, without protection from crashes and hangs.
        timeout_s: A clip that takes longer is given up, seconds.
        command: How a decoding process is started.

    Yields:
        One reading per request, in order. At most a few clips per process are read ahead, so memory stays bounded.
    """
    if num_workers == 0:
        yield from map(read_clip, requests)
        return
    idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    workers = [_Worker(command, timeout_s) for _ in range(num_workers)]
    for worker in workers:
        idle.put(worker)

    def read(request: ClipRequest) -> ClipReading:
        worker = idle.get()
        try:
            return worker.ask(request)
        finally:
            idle.put(worker)

    pending: deque[Future[ClipReading]] = deque()
    with ThreadPoolExecutor(num_workers, thread_name_prefix="kinema-clips") as threads:
        try:
            for request in requests:
                pending.append(threads.submit(read, request))
                if len(pending) >= _AHEAD * num_workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
            for worker in workers:
                worker.close()
