"""A task learns, keeps its best state and says what is wrong."""

import numpy as np
import pytest
import torch
from torch import nn

from kinema.errors import DataError
from kinema.training.fitting import FitOptions, fit


class Line:
    """y = 2 x1 - x2, learnt by a linear layer."""

    def __init__(self, *, scale=1.0):
        torch.manual_seed(0)
        random = np.random.default_rng(0)
        self.network = nn.Linear(2, 1)
        self.x_N2 = torch.from_numpy(random.normal(size=(200, 2)).astype(np.float32)) * scale
        self.y_N = self.x_N2 @ torch.tensor([2.0, -1.0])
        self.num_examples = 150

    def loss(self, rows_B, draws):
        return ((self.network(self.x_N2[rows_B]).squeeze(1) - self.y_N[rows_B]) ** 2).mean()

    def validate(self):
        return {"mse": self.loss(np.arange(150, 200), None).item()}

    def embeddings(self):
        return ()


def test_a_line_is_learnt_and_the_best_state_is_kept():
    line = Line()
    report = fit(line, FitOptions("mse", batch_size=16, learning_rate=0.05, max_epochs=30, patience=3))
    assert report.metrics["mse"] < 1e-2
    with torch.inference_mode():
        assert line.validate()["mse"] == pytest.approx(report.metrics["mse"])
    assert report.metrics["mse"] == min(entry["mse"] for entry in report.curve)
    assert report.epochs == len(report.curve) >= report.best_epoch


def test_one_seed_gives_one_result():
    reports = [fit(Line(), FitOptions("mse", batch_size=16, max_epochs=2), seed=3) for _ in range(2)]
    assert reports[0].metrics == reports[1].metrics


def test_a_loss_that_is_no_number_is_named_with_its_step():
    with pytest.raises(DataError, match=r"the loss must be finite, is (nan|inf) in epoch 1, step 1"):
        fit(Line(scale=float("inf")), FitOptions("mse"))


def test_a_metric_that_validation_does_not_give_is_named():
    with pytest.raises(DataError, match="validation must give 'auc', gives mse; choose one"):
        fit(Line(), FitOptions("auc", max_epochs=1))
