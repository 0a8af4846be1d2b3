"""What each example says adds up to the metric, and its spread is that of the metric."""

import numpy as np
import pytest

from kinema.metrics.classification import auc, log_loss
from kinema.tuning.gains import auc_gains, log_loss_gains


def answers(seed, num=400):
    random = np.random.default_rng(seed)
    labels = (random.random(num) < 0.3).astype(np.float32)
    probs = np.clip(np.round(0.3 + 0.2 * labels + random.normal(0, 0.15, num), 2), 0.01, 0.99)
    return probs.astype(np.float32), labels


@pytest.mark.parametrize("seed", range(4))
def test_the_mean_is_the_metric_ties_included(seed):
    probs, labels = answers(seed)
    assert auc_gains(probs, labels).mean() == pytest.approx(auc(probs, labels), abs=1e-9)
    assert -log_loss_gains(probs, labels).mean() == pytest.approx(log_loss(probs, labels), rel=1e-5)


def test_the_spread_is_that_of_the_metric_over_samples():
    values = [auc(*answers(seed)) for seed in range(10, 310)]
    told = [auc_gains(*answers(seed)).std() / np.sqrt(400) for seed in range(10, 40)]
    assert np.mean(told) == pytest.approx(np.std(values), rel=0.2)
