import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from kinema.errors import ConfigError, DataError
from kinema.tasks.watch_time import (
    DurationGroups,
    completion,
    cumulative_logits,
    ordinal_expectation,
    ordinal_loss,
    ordinal_thresholds,
)


def watched(seed=0, size=4000):
    rng = np.random.default_rng(seed)
    duration = np.round(20_000 * np.exp(rng.standard_normal(size)) + 1000)
    return np.round(rng.random(size) * duration), duration


def test_labels_are_even_within_every_group_whatever_its_length():
    watch, duration = watched()
    groups = DurationGroups.fit(watch, duration, num_groups=8)
    labels = groups.quantile(watch, duration)
    assert groups.num_groups == 8
    for group in range(8):
        own = labels[groups.group(duration) == group]
        assert abs(own.mean() - 0.5) < 0.01
        assert np.quantile(own, 0.25) == pytest.approx(0.25, abs=0.01)


def test_the_label_leads_back_to_the_watch_time():
    watch, duration = watched()
    groups = DurationGroups.fit(watch, duration, num_groups=8)
    back = groups.watch_ms(groups.quantile(watch, duration), duration)
    assert np.abs(back - watch).max() <= 1e-3 * watch.max()


@given(st.integers(0, 200), st.integers(1, 6), st.integers(2, 30))
def test_labels_lie_in_the_unit_interval_and_rise_with_watch_time(seed, num_groups, num_levels):
    watch, duration = watched(seed, 60)
    groups = DurationGroups.fit(watch, duration, num_groups=num_groups, num_levels=num_levels)
    times = np.sort(np.concatenate([watch, [0.0, 1e9]]))
    labels = groups.quantile(times, np.full(len(times), duration[0]))
    assert labels.min() >= 0
    assert labels.max() <= 1
    assert (np.diff(labels) >= -1e-7).all()


def test_a_watch_time_that_many_share_gets_the_middle_of_its_places():
    watch = np.array([0.0] * 50 + [10.0] * 50)
    groups = DurationGroups.fit(watch, np.full(100, 10.0), num_groups=3)
    assert groups.num_groups == 1
    low, high = groups.quantile(np.array([0.0, 10.0]), np.array([10.0, 10.0]))
    assert (low, high) == (pytest.approx(0.25, abs=0.01), pytest.approx(0.75, abs=0.01))


def test_one_group_agrees_with_the_empirical_distribution():
    watch, _ = watched()
    groups = DurationGroups.fit(watch, np.full(len(watch), 5.0), num_groups=1, num_levels=1001)
    asked = np.quantile(watch, [0.1, 0.5, 0.9])
    expected = [(watch < one).mean() for one in asked]
    assert groups.quantile(asked, np.full(3, 5.0)) == pytest.approx(expected, abs=2e-3)


def test_cumulative_logits_never_rise_and_expectation_is_the_mean_of_the_distribution():
    logits = cumulative_logits(torch.randn(5, 9, generator=torch.Generator().manual_seed(0)))
    assert (logits.diff(dim=1) <= 0).all()
    even = torch.from_numpy(logit(1 - np.linspace(0.5, 19.5, 20) / 20))[None]
    assert ordinal_expectation(even).item() == pytest.approx(0.5)


def test_the_best_ordinal_answer_is_the_share_above_each_threshold():
    labels = torch.from_numpy(np.random.default_rng(0).beta(2, 5, 500))
    shares = (labels[:, None] > ordinal_thresholds(6)).double().mean(dim=0)
    best = torch.from_numpy(logit(shares.numpy()))
    told = best.expand(500, 6).clone().requires_grad_()
    ordinal_loss(told, labels).backward()
    assert told.grad.sum(dim=0).abs().max() < 1e-9
    assert torch.allclose(torch.from_numpy(expit(best.numpy())), shares)
    assert ordinal_expectation(best[None]).item() == pytest.approx(labels.mean().item(), abs=0.01)


def test_no_row_costs_nothing():
    assert ordinal_loss(torch.zeros(0, 3), torch.zeros(0)).item() == 0


def test_times_that_cannot_be_are_refused():
    good = np.array([5.0, 5.0])
    with pytest.raises(DataError, match="duration_ms must be > 0, got 0 ms at event 1"):
        completion(good, np.array([5, 0]))
    with pytest.raises(DataError, match="watch_ms must be >= 0, got -1 ms at event 0"):
        DurationGroups.fit(np.array([-1.0, 2.0]), good)
    with pytest.raises(DataError, match="each watch_ms must have a duration_ms, got 1 and 2"):
        completion(good[:1], good)
    with pytest.raises(DataError, match="duration groups must be fitted to events, got none"):
        DurationGroups.fit(good[:0], good[:0])
    with pytest.raises(ConfigError, match="num_groups must be >= 1 and num_levels >= 2, are 0 and 101"):
        DurationGroups.fit(good, good, num_groups=0)
    with pytest.raises(ConfigError, match="must have at least one threshold, has 0"):
        ordinal_thresholds(0)
