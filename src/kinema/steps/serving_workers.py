"""`kinema serve --workers N`: several processes behind one port, kept alive by one that listens and deals out connections.

Each has the model and the catalogue for itself and follows the others' events through the store. Dealt in turn they have equally
many clients; where each listens for itself the system throws dice, and of four clients one process has all at one start in eight.
"""

import selectors
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Final

from kinema.logs import get_logger

_LOG = get_logger("serving")
_LOOK_SECONDS: Final = 0.2
_STOP_SECONDS: Final = 20
_LONGEST_PAUSE: Final = 30.0
_BACKLOG: Final = 2048


def run_workers(
    command: Sequence[str], listener: socket.socket, *, num: int, ready: Callable[[], None] | None = None
) -> None:
    """Run processes until interrupted; one that ends by itself is started again, later and later if it keeps ending.

    Args:
        command: Of each; its last arguments will be ``--counts`` with the folder where all of them leave what they count, and
            ``--worker`` with the number of the file from which it takes connections.
        listener: Bound; closed at the end.
        num: How many.
        ready: Called once the first of them answers.
    """
    with tempfile.TemporaryDirectory(prefix="kinema-counts-") as counts:
        _run(_Table([*command, "--counts", counts], listener, num, ready), listener)


def _run(table: "_Table", listener: socket.socket) -> None:

    def stop(_number: int, _frame: FrameType | None) -> None:
        table.is_stopping = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not table.is_stopping:
            table.wait()
    finally:
        listener.close()
        table.end()
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class _Seat:
    """A place for a worker."""

    process: "subprocess.Popen[bytes] | None" = None
    pair: socket.socket | None = None
    is_ready: bool = False
    begun: float = 0.0
    pause: float = 1.0
    start_at: float = 0.0


class _Table:
    """Workers in their seats, and who is next."""

    def __init__(
        self, command: Sequence[str], listener: socket.socket, num: int, ready: Callable[[], None] | None
    ) -> None:
        self.is_stopping = False
        self._command, self._listener, self._ready = list(command), listener, ready
        self._seats = [_Seat() for _ in range(num)]
        self._next = 0
        self._selector = selectors.DefaultSelector()
        self._is_listening = False
        listener.settimeout(0)

    def wait(self) -> None:
        """One look at everything."""
        for seat in self._seats:
            self._keep_alive(seat)
        for key, _ in self._selector.select(_LOOK_SECONDS):
            if key.data is None:
                self._accept()
            else:
                self._hear(key.data)

    def end(self) -> None:
        """Ask all of them to end, then wait; who does not is killed."""
        running = [seat.process for seat in self._seats if seat.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for seat in self._seats:
            if seat.pair is not None:
                seat.pair.close()
        self._selector.close()

    def _keep_alive(self, seat: _Seat) -> None:
        now = time.monotonic()
        if seat.process is not None:
            code = seat.process.poll()
            if code is None:
                return
            seat.pause = 1.0 if now - seat.begun > 60 else min(2 * seat.pause, _LONGEST_PAUSE)
            _LOG.error("a worker has ended; it is started again", code=code, seconds=seat.pause)
            self._leave(seat)
            seat.process, seat.start_at = None, now + seat.pause
        elif now >= seat.start_at:
            self._start(seat)

    def _start(self, seat: _Seat) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        number = theirs.fileno()
        seat.process = subprocess.Popen([*self._command, "--worker", str(number)], pass_fds=(number,))  # noqa: S603  # our own command
        theirs.close()
        seat.pair, seat.begun, seat.is_ready = ours, time.monotonic(), False
        self._selector.register(ours, selectors.EVENT_READ, seat)

    def _hear(self, seat: _Seat) -> None:
        """A worker is ready, or it is gone."""
        try:
            told = seat.pair.recv(1) if seat.pair is not None else b""
        except OSError:
            told = b""
        if not told:
            self._leave(seat)
            return
        seat.is_ready = True
        if not self._is_listening:
            self._listener.listen(_BACKLOG)
            self._selector.register(self._listener, selectors.EVENT_READ, None)
            self._is_listening = True
            if self._ready is not None:
                self._ready()

    def _leave(self, seat: _Seat) -> None:
        seat.is_ready = False
        if seat.pair is not None:
            self._selector.unregister(seat.pair)
            seat.pair.close()
            seat.pair = None

    def _accept(self) -> None:
        """Deal out who waits; nobody while no worker is ready, so that they wait on."""
        while any(seat.is_ready for seat in self._seats):
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # too many open files, or a client that is gone again
                _LOG.warning("a connection could not be taken", error=type(error).__name__)
                return
            with connection:
                self._deal(connection)
        time.sleep(_LOOK_SECONDS / 10)

    def _deal(self, connection: socket.socket) -> None:
        for _ in self._seats:
            seat = self._seats[self._next % len(self._seats)]
            self._next += 1
            if not seat.is_ready or seat.pair is None:
                continue
            try:
                socket.send_fds(seat.pair, [b"."], [connection.fileno()])
            except OSError:  # it is gone, or so far behind that its queue is full
                continue
            return
