"""`kinema serve --workers N`: several processes that listen on one port, kept alive by one that does nothing else.

Each has the model and the catalogue for itself and follows the others' events through the store. The kernel deals out connections.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from kinema.logs import get_logger

_LOG = get_logger("serving")
_LOOK_SECONDS: Final = 0.2
_STOP_SECONDS: Final = 20
_LONGEST_PAUSE: Final = 30.0


def run_workers(folder: Path, arguments: Sequence[str], *, num: int) -> None:
    """Run processes until interrupted; one that ends by itself is started again, later and later if it keeps ending.

    Args:
        folder: Of the project.
        arguments: Of `kinema serve` for each, with host and port.
        num: How many.
    """
    command = [sys.executable, "-m", "kinema.cli.main", "serve", "--project", str(folder), *arguments, "--worker"]
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    running = [subprocess.Popen(command) for _ in range(num)]  # noqa: S603  # our own command
    pauses, begun = [1.0] * num, [time.monotonic()] * num
    try:
        while not stopping.wait(_LOOK_SECONDS):
            for place, process in enumerate(running):
                code = process.poll()
                if code is None:
                    continue
                pauses[place] = 1.0 if time.monotonic() - begun[place] > 60 else min(2 * pauses[place], _LONGEST_PAUSE)
                _LOG.error("a worker has ended; it is started again", code=code, seconds=pauses[place])
                if stopping.wait(pauses[place]):
                    break
                running[place], begun[place] = subprocess.Popen(command), time.monotonic()  # noqa: S603  # the same
    finally:
        _end(running)
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(running: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Ask all of them to end, then wait; who does not is killed."""
    for process in running:
        process.terminate()
    deadline = time.monotonic() + _STOP_SECONDS
    for process in running:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
