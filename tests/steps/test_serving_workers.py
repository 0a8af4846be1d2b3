import socket
import subprocess
import sys

import pytest

from kinema.errors import ConfigError
from kinema.steps.serving import bound_socket, serve_project
from small_service import small_project

_LISTENER = """
import socket, sys
from kinema.steps.serving_workers import run_workers
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
run_workers([sys.executable, "-c", sys.argv[1]], listener, num=3)
"""
_WORKER = """
import os, socket, sys
dealer = socket.socket(fileno=int(sys.argv[-1]))
dealer.send(b"+")
while True:
    told, numbers, _, _ = socket.recv_fds(dealer, 1, 1)
    if not told:
        break
    for number in numbers:
        with socket.socket(fileno=number) as connection:
            if connection.recv(3) == b"end":
                os._exit(1)
            connection.sendall(b"%d" % os.getpid())
"""


def asked(port, text=b"who"):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(text)
        return connection.recv(20)


@pytest.fixture
def port():
    command = [sys.executable, "-c", _LISTENER, _WORKER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield int(process.stdout.readline())
        process.terminate()
        assert process.wait(20) == 0


def until_it_answers(port):
    while True:
        try:
            return asked(port)
        except ConnectionRefusedError:
            continue


def test_connections_are_dealt_in_turn_and_a_dead_worker_gets_none(port):
    until_it_answers(port)
    while len({asked(port) for _ in range(3)}) < 3:
        pass
    counts = [asked(port) for _ in range(12)]
    assert sorted(counts.count(one) for one in set(counts)) == [4, 4, 4]
    assert asked(port, b"end") == b""
    while b"" in (left := [asked(port) for _ in range(6)]):
        pass
    assert len(set(left)) == 2
    while len({asked(port) for _ in range(3)}) < 3:
        pass


def test_a_worker_is_started_by_nobody_else(tmp_path):
    with small_project(tmp_path) as project, pytest.raises(ConfigError, match="--worker is for the processes that"):
        serve_project(project, is_open=True, worker=9999)


def test_a_port_that_is_taken_is_said_at_once():
    with bound_socket("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            bound_socket("127.0.0.1", port)
