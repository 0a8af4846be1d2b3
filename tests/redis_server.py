"""A real Redis from the system's packages, on a free port, nothing kept."""

import shutil
import socket
import subprocess
import time
from contextlib import contextmanager

import pytest
import redis


@contextmanager
def redis_server():
    """Its URL; `stop` and `go on` by the process that comes with it."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis is not installed; run: apt-get install redis-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port)
    try:
        for _ in range(200):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}"
    finally:
        client.close()
        process.terminate()
        process.wait()
