"""`kinema serve` in a process of its own, for tests that need one."""

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2

_ADDRESS = re.compile(r"http://[^\s;]+")


class RunningService:
    """A service on a free port.

    Args:
        folder: Of the project.
        arguments: Further ones of `kinema serve`; ``--open`` unless given.
        environment: Variables beside those of the test.
    """

    def __init__(self, folder: Path, *arguments: str, environment=None) -> None:
        command = [sys.executable, "-m", "kinema.cli.main", "serve", "--project", str(folder), "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *(arguments or ("--open",))],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"KINEMA_SERVING__LOG": "off"} | (environment or {}),
        )
        self.lines: list[str] = []
        self._told = threading.Event()
        self.address = ""
        self._ear = threading.Thread(target=self._listen, daemon=True)
        self._ear.start()
        if not self._told.wait(60) or not self.address:
            self.process.kill()
            self._ended()
            raise RuntimeError("the service did not start: " + "".join(self.lines))
        self.http = httpx2.Client(base_url=self.address, timeout=30)
        self._wait_until_it_answers()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            found = _ADDRESS.search(line)
            if found and not self.address:
                self.address = found[0]
                self._told.set()
        self._told.set()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx2.TransportError):
                if self.http.get("/health/ready").status_code == 200:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.kill()
        raise RuntimeError("the service does not answer: " + "".join(self.lines))

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.http.close()
        self._ended()

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.process.terminate()
        self.http.close()
        return self._ended()

    def _ended(self) -> int:
        code = self.process.wait(30)
        self._ear.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
