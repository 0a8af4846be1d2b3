"""The search with a training that only pretends: time is a number, quality a formula.

Run as a program, this file searches slowly in the folder of its first argument.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from kinema import extras
from kinema.errors import DataError, MissingExtraError
from kinema.tuning.domains import Choice, Span
from kinema.tuning.search import gains_of, search
from kinema.tuning.study import DATABASE

pytest.importorskip("optuna", reason="optuna comes with the extra tune")

DOMAINS = {"dropout": Span(0.0, 0.5), "num_blocks": Choice((1, 2, 3)), "learning_rate": Span(1e-3, 1e-1, log=True)}
START = {"dropout": 0.2, "num_blocks": 1, "learning_rate": 4.321e-3}


def quality(settings):
    """Best without dropout."""
    return 0.3 - 0.5 * settings["dropout"]


class World:
    """A clock, and a training that moves it."""

    def __init__(self, *, seconds=10.0, dies_at=None, looks=()):
        self.now = 0.0
        self.seconds = seconds
        self.dies_at = dies_at
        self.looks = looks
        self.tried = []

    def train(self, settings, watch):
        self.tried.append(settings)
        if self.dies_at == len(self.tried):
            raise KeyboardInterrupt
        for share in self.looks:
            self.now += self.seconds / len(self.looks)
            watch.tick()
            watch.look(share, quality(settings) * share)
        self.now += 0 if self.looks else self.seconds
        return np.array([quality(settings), quality(settings)])

    def search(self, folder, *, budget=60.0, **changes):
        arguments = {"domains": DOMAINS, "start": START, "seed": 5} | changes
        return search(folder=folder, train=self.train, budget_seconds=budget, clock=lambda: self.now, **arguments)


def test_the_default_is_tried_first_and_the_best_wins(tmp_path):
    world = World()
    found = world.search(tmp_path)
    assert world.tried[0] == START
    assert len(found.trials) == 6
    assert found.trial(found.default).settings == START
    assert found.trial(found.best).value == max(quality(one) for one in world.tried) > quality(START)
    assert gains_of(tmp_path, found.best).tolist() == [found.trial(found.best).value] * 2


def test_what_is_drawn_stays_in_its_domain_and_has_three_digits(tmp_path):
    world = World()
    world.search(tmp_path)
    for settings in world.tried[1:]:
        assert all(settings[name] in domain for name, domain in DOMAINS.items())
        assert settings["dropout"] == float(f"{settings['dropout']:.3g}")


def test_the_same_seed_tries_the_same_settings_and_another_seed_others(tmp_path):
    worlds = [World(), World(), World()]
    for place, (world, seed) in enumerate(zip(worlds, (5, 5, 6), strict=True)):
        world.search(tmp_path / str(place), seed=seed, budget=40)
    assert worlds[0].tried == worlds[1].tried
    assert worlds[0].tried != worlds[2].tried


def test_no_trial_is_begun_that_would_not_fit(tmp_path):
    assert len(World(seconds=30.0).search(tmp_path / "a", budget=100).trials) == 3
    assert len(World(seconds=300.0).search(tmp_path / "b").trials) == 1


def test_a_number_of_trials_ends_the_search_too(tmp_path):
    assert len(World().search(tmp_path, max_trials=2).trials) == 2
    assert len(World().search(tmp_path, max_trials=3).trials) == 3


@pytest.mark.parametrize("dies_at", [1, 2, 5])
def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path, dies_at):
    whole, stopped, resumed = World(), World(dies_at=dies_at), World()
    expected = whole.search(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        stopped.search(tmp_path / "stopped")
    found = resumed.search(tmp_path / "stopped")
    assert stopped.tried[:-1] + resumed.tried == whole.tried
    assert [(one.settings, one.value) for one in found.trials] == [(one.settings, one.value) for one in expected.trials]
    assert found.trial(found.best).settings == expected.trial(expected.best).settings


def test_a_finished_search_tries_nothing_again(tmp_path):
    found = World().search(tmp_path)
    again = World()
    assert again.search(tmp_path) == found
    assert again.tried == []


def test_settings_that_were_running_twice_when_the_process_died_are_passed_over(tmp_path):
    died = [World(dies_at=3), World(dies_at=1)]
    for world in died:
        with pytest.raises(KeyboardInterrupt):
            world.search(tmp_path)
    assert died[0].tried[-1] == died[1].tried[-1]
    last = World()
    last.search(tmp_path)
    assert died[0].tried[-1] not in last.tried


def test_settings_found_earlier_are_tried_second_unless_they_kill(tmp_path):
    earlier = START | {"dropout": 0.11}
    world = World()
    world.search(tmp_path / "a", also=[earlier])
    assert world.tried[:2] == [START, earlier]
    for dies_at in (2, 1):
        with pytest.raises(KeyboardInterrupt):
            World(dies_at=dies_at).search(tmp_path / "b", also=[earlier])
    world = World()
    world.search(tmp_path / "b", also=[earlier])
    assert earlier not in world.tried


def test_trials_behind_the_median_are_given_up_but_never_the_default(tmp_path):
    world = World(looks=[tenth / 10 for tenth in range(1, 11)])
    found = world.search(tmp_path, budget=80)
    given_up = [one for one in found.trials if one.state == "given up"]
    assert given_up
    assert len(found.trials) > 8
    assert all(one.seconds < 10 and one.value < 0.3 for one in given_up)
    assert found.trial(found.default).state == found.trial(found.best).state == "finished"


def test_a_trial_is_given_up_when_the_budget_is_used(tmp_path):
    class Slowing(World):
        def train(self, settings, watch):
            self.seconds = 10.0 if settings == START else 500.0
            return super().train(settings, watch)

    world = Slowing(looks=(0.5, 1.0))
    found = world.search(tmp_path, budget=100)
    assert [one.state for one in found.trials] == ["finished", "given up"]
    assert found.best == found.default
    assert world.now == 260


def test_looks_may_be_few_many_or_in_the_same_tenth(tmp_path):
    for place, looks in enumerate([(1.0,), (0.01, 0.02, 0.05, 0.31, 0.33, 0.99, 1.0), (0.95, 1.0)]):
        found = World(looks=looks).search(tmp_path / str(place), budget=50)
        assert found.trial(found.default).state == "finished"


def test_a_trial_that_fails_is_set_aside_with_its_reason(tmp_path):
    class Small(World):
        def train(self, settings, watch):
            if settings["num_blocks"] == 3:
                self.now += 1
                message = "cannot allocate"
                raise RuntimeError(message)
            return super().train(settings, watch)

    found = Small().search(tmp_path)
    failed = [one for one in found.trials if one.state == "failed"]
    assert failed
    assert {one.reason for one in failed} == {"RuntimeError: cannot allocate"}
    assert all(one.settings["num_blocks"] == 3 and one.value is None for one in failed)


def test_a_default_that_fails_is_an_error(tmp_path):
    def fail(settings, watch):
        message = "nothing to train on"
        raise DataError(message)

    with pytest.raises(DataError, match="nothing to train on"):
        search(folder=tmp_path, domains=DOMAINS, start=START, train=fail, budget_seconds=9.0, seed=0)


def test_progress_runs_over_the_budget(tmp_path):
    heard = []
    World(looks=(0.5, 1.0)).search(tmp_path, progress=lambda *told: heard.append(told))
    assert heard[0] == (0, 60, "trial 1")
    assert all(earlier[0] <= later[0] <= 60 for earlier, later in pairwise(heard))
    assert any(note.startswith("trial 2, best 0.2000") for _, _, note in heard)


def test_a_folder_with_odd_letters_in_its_name_holds_the_study(tmp_path):
    folder = tmp_path / "50% {off} #1? & ü"
    World().search(folder, max_trials=1)
    assert (folder / DATABASE).is_file()


def test_without_optuna_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "is_installed", lambda module: module != "optuna")
    with pytest.raises(
        MissingExtraError, match=r"optuna is needed for .* --tune .*; run: pip install 'kinema\[tune\]'"
    ):
        World().search(tmp_path)


def trials_in(folder):
    try:
        with sqlite3.connect(folder / DATABASE) as connection:
            count = connection.execute("SELECT count(*) FROM trials WHERE state = 'COMPLETE'").fetchone()[0]
        connection.close()
    except sqlite3.OperationalError:
        return 0
    return count


def test_a_search_that_was_killed_goes_on_with_what_it_had(tmp_path):
    whole, resumed = World(), World()
    whole.search(tmp_path / "whole", max_trials=5)
    with subprocess.Popen([sys.executable, __file__, str(tmp_path / "killed")], env=os.environ) as running:
        while running.poll() is None and trials_in(tmp_path / "killed") < 2:
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    done = trials_in(tmp_path / "killed")
    found = resumed.search(tmp_path / "killed", max_trials=5)
    assert [one.settings for one in found.trials] == whole.tried
    assert len(resumed.tried) == 5 - done


if __name__ == "__main__":
    warnings.simplefilter("error")

    class Slow(World):
        def train(self, settings, watch):
            time.sleep(0.3 if len(self.tried) < 2 else 600)  # whenever the kill comes, the third trial is not over
            return super().train(settings, watch)

    Slow().search(Path(sys.argv[1]))
