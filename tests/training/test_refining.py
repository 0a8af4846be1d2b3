"""Rounds of smaller steps go on from the best state and never end in a worse one."""

import numpy as np
import pytest
import torch
from torch import nn

from kinema.training.fitting import FitOptions
from kinema.training.refining import fit_and_refine


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
    options = FitOptions("mse", batch_size=10, learning_rate=0.3, max_epochs=4)
    report = fit_and_refine(learner, options)
    assert [entry["epoch"] for entry in report.curve] == list(range(1, report.epochs + 1))
    assert report.metrics["mse"] == min(entry["mse"] for entry in report.curve)
    assert report.curve[report.best_epoch - 1]["mse"] == report.metrics["mse"]
    with torch.inference_mode():
        assert learner.validate()["mse"] == pytest.approx(report.metrics["mse"])


def test_a_round_that_gains_nothing_leaves_the_state_as_it_was():
    learner = Noisy()
    options = FitOptions("mse", batch_size=10, learning_rate=0.05, max_epochs=12, patience=3)
    report = fit_and_refine(learner, options, shares=(1.0, 100.0))
    assert report.best_epoch <= 12
    with torch.inference_mode():
        assert learner.validate()["mse"] == pytest.approx(report.metrics["mse"])
