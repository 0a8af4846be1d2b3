"""Real database servers from the system's packages, in folders of their own, on Unix sockets; nothing is synced to disk."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def program(name, *folders):
    """Path of a program of the system, None where it is not installed."""
    places = [*folders, *os.environ.get("PATH", "").split(":"), "/usr/sbin", "/usr/local/sbin"]
    return shutil.which(name, path=":".join(str(place) for place in places))


@contextmanager
def postgresql_server() -> Iterator[str]:
    """A PostgreSQL server; its URL ends in a database of its own. Root may not run one: the user postgres does."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    initdb, postgres, asked = (program(name, *folders) for name in ("initdb", "postgres", "pg_isready"))
    if initdb is None or postgres is None or asked is None:
        pytest.skip("PostgreSQL is not installed; run: apt-get install postgresql")
    before = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    with _folder() as folder:
        if before:
            shutil.chown(folder, "postgres", "postgres")
        new = [
            "-D",
            folder / "data",
            "-U",
            "kinema",
            "-A",
            "trust",
            "-N",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-instructions",
        ]
        subprocess.run([*before, initdb, *new], check=True, capture_output=True)
        fast = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "32MB"}
        options = [part for name, value in fast.items() for part in ("-c", f"{name}={value}")]
        command = [*before, postgres, "-D", folder / "data", "-k", folder, "-h", "", *options]

        def is_up():  # the socket is there before anybody is let in
            return subprocess.run([asked, "-q", "-h", folder], check=False).returncode == 0

        with _running(command, is_up, folder=folder, stop=signal.SIGINT):
            yield f"postgresql://kinema@/postgres?host={folder}"


@contextmanager
def mysql_server() -> Iterator[str]:
    """A MariaDB server; its URL ends before the name of a database."""
    install, server = program("mariadb-install-db"), program("mariadbd")
    if install is None or server is None:
        pytest.skip("MariaDB is not installed; run: apt-get install mariadb-server")
    with _folder() as folder:
        user = [f"--user={'root' if os.getuid() == 0 else os.environ['USER']}", f"--datadir={folder / 'data'}"]
        fast = ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M"]
        new = ["--no-defaults", *user, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([install, *new, "--innodb-log-file-size=8M"], check=True, capture_output=True)
        place = folder / "socket"
        command = [server, "--no-defaults", *user, *fast, f"--socket={place}", "--skip-networking", "--skip-log-bin"]
        with _running(command, place.exists, folder=folder, stop=signal.SIGKILL):
            yield f"mysql://root@localhost/%s?unix_socket={place}"


@contextmanager
def mongo_server() -> Iterator[str]:
    """The server that KINEMA_MONGO_URL names, else one of the package nx-27017; %s stands for the name of a database."""
    named = os.environ.get("KINEMA_MONGO_URL")
    if named:
        yield f"{named.rstrip('/')}/%s"
        return
    if importlib.util.find_spec("nx_27017") is None:
        pytest.skip("no MongoDB: set KINEMA_MONGO_URL, or run: pip install nx-27017")
    with _folder() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        places = [part for name in ("log-file", "pid-file") for part in (f"--{name}", folder / name)]
        command = [sys.executable, "-m", "nx_27017.nx_27017", "--data-dir", folder, "-p", str(port), *places]
        with _running(command, lambda: _listens(port), folder=folder, stop=signal.SIGKILL):
            yield f"mongodb://127.0.0.1:{port}/%s"


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder with a short path (a socket's may have a hundred characters) that another user may enter."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2**30
    folder = Path(tempfile.mkdtemp(prefix="kinema-", dir=memory if roomy else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(command, is_up, *, folder, stop) -> Iterator[None]:
    """A server once it is up; afterwards it is ended at once, its data is thrown away."""
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as process,
    ):
        try:
            until = time.monotonic() + 60
            while not is_up() and process.poll() is None and time.monotonic() < until:
                time.sleep(0.02)
            assert is_up(), f"{command[0]} did not start: {(folder / 'log').read_text()[-2000:]}"
            yield
        finally:
            process.send_signal(stop)
            process.wait(60)
