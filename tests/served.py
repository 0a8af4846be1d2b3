"""A service on a port of its own, for clients that speak HTTP."""

import shutil
import socket
import threading
import time
from contextlib import contextmanager

import uvicorn

from kinema.serving.media import Understood
from kinema.steps.serving import make_app


class Clips:
    """Keeps clips and understands those whose name it is told."""

    def __init__(self, folder):
        self.drafts = folder / "drafts"
        self.kept = folder / "kept"
        self.bad = False

    def keep(self, draft, suffix):
        self.kept.mkdir(exist_ok=True)
        shutil.move(draft, self.kept / f"clip{suffix}")
        return f"clip{suffix}"

    def understand(self, media_path):
        return Understood(reason="cannot decode it" if self.bad else "")


@contextmanager
def served(project, app=None):
    """Serve a project, or an application of it, from a thread; the address, such as ``http://127.0.0.1:34567``."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app or make_app(project, is_open=True), log_level="warning", ws="none", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)
