"""One learner learns from several."""

import numpy as np
import pytest
import torch

from kinema.errors import ConfigError, DataError
from kinema.tasks.predicting import PredictingLearner
from kinema.training.distillation import Distilled, predicted, taught
from kinema.training.fitting import FitOptions, fit
from small_learners import Taste

OPTIONS = FitOptions("log_loss", batch_size=32, learning_rate=0.05, max_epochs=6, patience=6)


def trained(start, **more):
    taste = Taste(start=start)
    fit(taste, FitOptions(**(vars(OPTIONS) | more)), seed=start)
    return taste


def test_what_is_no_ensemble_is_refused():
    other = Taste()
    other.num_examples = 100
    with pytest.raises(DataError, match="are: 100 examples as chances, 220 examples as chances; train them on one"):
        taught([Taste(), other])
    with pytest.raises(DataError, match="are: none"):
        taught([])
    with pytest.raises(DataError, match="soft targets must be one per training example, 220, are 3"):
        Distilled(Taste(), torch.zeros(3))
    with pytest.raises(ConfigError, match=r"the teacher's weight must be in \[0, 1\], is 2"):
        Distilled(Taste(), torch.zeros(220), weight=2)


def test_what_several_say_is_the_mean_of_their_probabilities():
    tastes = [Taste(start=one) for one in range(2)]
    rows = np.arange(220)
    with torch.no_grad():
        expected = sum(torch.sigmoid(one.predictions(rows, None) / 2) for one in tastes) / 2
    torch.testing.assert_close(taught(tastes, temperature=2.0), expected)
    torch.testing.assert_close(predicted(tastes[0], rows, batch_size=7), predicted(tastes[0], rows))
    assert tastes[0].network.training


def test_a_student_comes_near_its_teachers():
    teachers = [trained(start) for start in range(3)]
    targets = taught(teachers)
    alone = trained(7)
    student = Distilled(Taste(start=7), targets, weight=0.9)
    assert isinstance(student, PredictingLearner)
    report = fit(student, FitOptions(**(vars(OPTIONS) | {"consistency": 0.1, "adversarial": "fgm"})), seed=7)
    rows = np.arange(220)
    away = [(predicted(one, rows) - targets).abs().mean().item() for one in (student, alone)]
    assert away[0] < away[1]
    assert set(report.metrics) == {"log_loss", "accuracy"}


def test_a_teacher_that_counts_nothing_changes_nothing():
    student = Distilled(Taste(), torch.full((220,), 0.5), weight=0.0)
    rows = np.arange(30)
    assert student.loss(rows, None).item() == pytest.approx(Taste().loss(rows, None).item())
