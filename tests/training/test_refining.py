"""Rounds of smaller steps go on from the best state and never end in a worse one."""

import csv
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from kinema.training.fitting import FitOptions, fit


class Noisy:
    """A line whose labels are noisy: large steps jump around the answer."""

    def __init__(self):
        torch.manual_seed(0)
        self.network = nn.Linear(3, 1)
        self.x_N3 = torch.randn(300, 3)
        self.y_N = self.x_N3.sum(dim=1) + torch.randn(300)
        self.num_examples = 200

    def loss(self, rows_B, draws):
        return ((self.network(self.x_N3[rows_B]).squeeze(1) - self.y_N[rows_B]) ** 2).mean()

    def validate(self):
        return {"mse": self.loss(np.arange(200, 300), None).item()}

    def embeddings(self):
        return ()


def test_the_end_is_the_best_state_of_all_rounds():
    learner = Noisy()
    options = FitOptions("mse", batch_size=10, learning_rate=0.3, max_epochs=4, refine=0.1)
    report = fit(learner, options)
    assert [entry["epoch"] for entry in report.curve] == list(range(1, report.epochs + 1))
    assert report.metrics["mse"] == min(entry["mse"] for entry in report.curve)
    assert report.curve[report.best_epoch - 1]["mse"] == report.metrics["mse"]
    with torch.inference_mode():
        assert learner.validate()["mse"] == pytest.approx(report.metrics["mse"])


class Worse(Noisy):
    """Every look at validation is worse than the one before."""

    looks = 0

    def validate(self):
        self.looks += 1
        return {"mse": float(self.looks)}


def test_a_round_that_gains_nothing_leaves_the_state_as_it_was():
    learner, alone = Worse(), Worse()
    options = FitOptions("mse", batch_size=10, learning_rate=0.05, max_epochs=3)
    fit(alone, options)
    report = fit(learner, replace(options, refine=0.5))
    assert (report.best_epoch, report.metrics) == (1, {"mse": 1.0})
    assert torch.equal(learner.network.weight, alone.network.weight)


class Stopped:
    """Ends a run at an update, and remembers what it was told."""

    def __init__(self, at=None):
        self.at, self.updates, self.epochs = at, [], []

    def updated(self, update, numbers):
        self.updates.append(update)
        if update == self.at:
            raise KeyboardInterrupt

    def looked(self, curve):
        self.epochs.append(curve[-1]["epoch"])

    def finished(self, report):
        self.epochs.append("end")


@pytest.mark.parametrize("at", [15, 95])
def test_a_run_that_was_stopped_in_either_round_goes_on_and_is_told_as_one(tmp_path, at):
    options = FitOptions("mse", batch_size=10, learning_rate=0.3, max_epochs=4, patience=4, refine=0.1)
    whole = Noisy()
    expected = fit(whole, options)
    stopped, resumed = Stopped(at), Stopped()
    with pytest.raises(KeyboardInterrupt):
        fit(Noisy(), options, folder=tmp_path, watchers=[stopped], checkpoint_seconds=0)
    learner = Noisy()
    report = fit(learner, options, folder=tmp_path, watchers=[resumed], checkpoint_seconds=0)
    assert torch.equal(learner.network.weight, whole.network.weight)
    assert [dict(one) for one in report.curve] == [dict(one) for one in expected.curve]
    assert resumed.updates == list(range(at, report.updates + 1))
    assert all(later == earlier + 1 for earlier, later in pairwise(resumed.epochs[:-1]))
    assert resumed.epochs[-1] == "end"
    with (tmp_path / "epochs.csv").open() as lines:
        assert [int(one["epoch"]) for one in csv.DictReader(lines)] == list(range(1, report.epochs + 1))
