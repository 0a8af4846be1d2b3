"""The sweep suggests a step size that trains, and leaves no trace."""

import numpy as np
import pytest
import torch

from kinema.errors import ConfigError, DataError
from kinema.training.fitting import FitOptions, fit
from kinema.training.rate_finder import find_rate
from small_learners import Line, Taste

OPTIONS = FitOptions("log_loss", batch_size=32)


def test_the_network_is_put_back_and_one_seed_gives_one_curve():
    taste = Taste(normed=True, inner_dropout=0.2)
    taste.network.eval()
    before = {name: one.clone() for name, one in taste.network.state_dict().items()}
    curves = [find_rate(taste, OPTIONS, steps=40, seed=2) for _ in range(2)]
    assert all(torch.equal(one, before[name]) for name, one in taste.network.state_dict().items())
    assert not taste.network.training
    assert all(one.grad is None for one in taste.network.parameters())
    assert np.array_equal(curves[0].losses_S, curves[1].losses_S)
    assert len(curves[0].rates_S) == len(curves[0].losses_S) == len(curves[0].smoothed_S) <= 40
    assert (np.diff(curves[0].rates_S) > 0).all()


def test_the_suggestion_trains_better_than_a_tenth_of_it():
    options = FitOptions("mse", batch_size=16, optimizer="sgd", momentum=0.0)
    curve = find_rate(Line(), options, low=1e-4, high=10.0)
    assert 0.01 < curve.suggestion < 1.0
    assert len(curve.rates_S) < 100, "the sweep ends where the loss explodes"
    found = {}
    for times in (0.1, 1.0):
        rate = curve.suggestion * times
        found[times] = fit(
            Line(), FitOptions("mse", batch_size=16, optimizer="sgd", momentum=0.0, learning_rate=rate, max_epochs=3)
        )
    assert found[1.0].metrics["mse"] < found[0.1].metrics["mse"]


def test_a_loss_that_never_falls_is_said():
    with pytest.raises(DataError, match=r"must fall somewhere in the sweep, is no number at the start"):
        find_rate(Line(scale=float("inf")), OPTIONS)
    line = Line()
    line.loss = lambda rows_B, draws: 0.0 * line.network.weight.sum() + 1.0
    with pytest.raises(DataError, match=r"must fall somewhere in the sweep, is 1 at the start and never less after"):
        find_rate(line, OPTIONS)


def test_an_empty_sweep_is_refused():
    with pytest.raises(ConfigError, match=r"is 1 to 0\.1 in 100 with 0\.8; correct it"):
        find_rate(Line(), OPTIONS, low=1.0, high=0.1)
