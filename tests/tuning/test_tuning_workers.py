"""Trials in processes of their own: what becomes of each is known, whatever becomes of its process.

Run as a program, this file searches slowly in the folder of its first argument.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kinema.errors import DataError
from kinema.tuning.domains import Choice
from kinema.tuning.search import gains_of, search
from kinema.tuning.study import DATABASE
from kinema.tuning.workers import Workers

pytest.importorskip("optuna", reason="optuna comes with the extra tune")

TESTS = str(Path(__file__).parents[1])


def searched(folder, *, trials=5, size=2, budget=float("inf"), first=1, **place):
    told = {"pids": str(folder / "pids"), **place}
    folder.mkdir(exist_ok=True)
    with Workers("small_worker", told, size=size, folder=folder, threads=1) as crew:
        return search(
            folder=folder,
            domains={"x": Choice(tuple(range(1, 41)))},
            start={"x": 3},
            crew=crew,
            max_trials=trials,
            budget_seconds=budget,
            first_step=first,
            seed=5,
        )


@pytest.fixture(autouse=True)
def _worker_is_found(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")]))


def ended(pids, seconds=30):
    """Whether all of these processes have ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        alive = [one for one in pids if psutil.pid_exists(one) and psutil.Process(one).status() != "zombie"]
        if not alive:
            return True
        time.sleep(0.1)
    return False


def test_several_at_once_find_what_there_is_and_leave_no_process(tmp_path):
    found = searched(tmp_path, trials=9)
    assert found.trial(0).settings == {"x": 3}
    assert found.default == 0
    assert len(found.trials) == 9
    assert len({one.settings["x"] for one in found.trials}) > 4
    finished = [one for one in found.trials if one.state == "finished"]
    assert found.trial(found.best).value == max(one.value for one in finished)
    assert gains_of(tmp_path, found.best).tolist() == [found.trial(found.best).value] * 4
    assert all(one.value >= -40 for one in finished)
    pids = [int(one.name) for one in (tmp_path / "pids").iterdir()]
    assert len(pids) == 2
    assert ended(pids)


def test_a_process_that_dies_and_a_training_that_fails_are_told_and_the_search_goes_on(tmp_path):
    most = [one for one in range(1, 41) if one != 3]
    found = searched(tmp_path / "dies", trials=3, size=1, dies=most)
    assert [one.state for one in found.trials] == ["finished", "failed", "failed"]
    assert found.trials[1].reason.startswith("its process ended by signal 9 (9 is often too little memory)")
    found = searched(tmp_path / "fails", trials=3, size=1, fails=most)
    assert [one.state for one in found.trials] == ["finished", "failed", "failed"]
    assert found.trials[2].reason.startswith("ValueError: x is ")


def test_default_settings_that_cannot_be_trained_are_an_error(tmp_path):
    with pytest.raises(DataError, match="the default settings cannot be trained: ValueError: x is 3"):
        searched(tmp_path, fails=[3])


def test_a_search_that_is_killed_takes_its_workers_along_and_goes_on(tmp_path):
    process = subprocess.Popen([sys.executable, __file__, str(tmp_path)])
    database, until, over = tmp_path / DATABASE, time.monotonic() + 90, 0
    while over < 2 and time.monotonic() < until:
        time.sleep(0.1)
        if database.is_file():
            with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as view:
                tables = view.execute("select count(*) from sqlite_master where name = 'trials'").fetchone()[0]
                if tables:
                    over = view.execute("select count(*) from trials where state != 'RUNNING'").fetchone()[0]
            view.close()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert over >= 2
    assert ended([int(one.name) for one in (tmp_path / "pids").iterdir()])
    before = {path.name: path.read_bytes() for path in tmp_path.glob("gains-*.npy")}
    found = searched(tmp_path, trials=6)
    assert len(found.trials) == 6
    assert found.trial(found.default).settings == {"x": 3}
    assert all((tmp_path / name).read_bytes() == held for name, held in before.items())


if __name__ == "__main__":
    searched(Path(sys.argv[1]), trials=1000, sleeps=0.1)
