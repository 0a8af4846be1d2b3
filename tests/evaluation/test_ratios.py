"""Ratios over users: known numbers, and intervals that cover what they should."""

import math

import numpy as np
import pytest
from scipy import stats

from kinema.evaluation.ratios import Ratio, difference, mismatch


def test_with_one_of_everything_it_is_a_mean_with_its_standard_error():
    values = np.array([1.0, 4.0, 2.0, 9.0])
    found = Ratio.of(values, np.ones(4))
    assert (found.value, found.error) == pytest.approx((4.0, stats.sem(values)))
    low, high = stats.t.interval(0.95, 3, loc=4.0, scale=stats.sem(values))
    assert (found.interval().low, found.interval().high) == pytest.approx((low, high))


def test_the_difference_of_two_means_is_welch_s_test():
    one, other = np.array([1.0, 4.0, 2.0, 9.0]), np.array([0.0, 1.0, 1.5])
    found = difference(Ratio.of(one, np.ones(4)), Ratio.of(other, np.ones(3)))
    assert found.p_value == pytest.approx(stats.ttest_ind(one, other, equal_var=False).pvalue)
    assert found.interval.mean == pytest.approx(one.mean() - other.mean())
    assert found.relative == pytest.approx(one.mean() / other.mean() - 1)


def test_items_of_one_user_do_not_count_as_independent():
    clicks = np.array([0.0, 100.0] * 10)
    assert Ratio.of(clicks, np.full(20, 100.0)).error > 5 * math.sqrt(0.25 / 2000)


@pytest.mark.parametrize(("clicks", "shown"), [([], []), ([0.0], [0.0])])
def test_nothing_shown_is_no_number(clicks, shown):
    found = Ratio.of(np.array(clicks), np.array(shown))
    assert math.isnan(found.value)
    assert math.isnan(found.interval().low)


def test_one_user_has_no_interval_and_no_variance_no_verdict():
    assert math.isnan(Ratio.of(np.array([1.0]), np.array([2.0])).interval().high)
    same = Ratio.of(np.ones(5), np.ones(5))
    found = difference(same, same)
    assert math.isnan(found.p_value)
    assert found.users_needed is None


def test_users_needed_are_those_with_which_the_difference_is_detectable():
    found = difference(Ratio(0.105, 0.004, 500), Ratio(0.10, 0.004, 500))
    factor = found.users_needed / 1000
    again = difference(Ratio(0.105, 0.004 / math.sqrt(factor), 500), Ratio(0.10, 0.004 / math.sqrt(factor), 500))
    assert again.detectable == pytest.approx(0.005, rel=1e-3)
    assert difference(Ratio(0.2, 0.004, 500), Ratio(0.10, 0.004, 500)).users_needed is None


def test_a_split_is_compared_with_what_was_asked_for():
    assert mismatch(np.array([600, 400]), np.array([0.6, 0.4])) == 1.0
    assert mismatch(np.array([550, 450]), np.array([0.5, 0.5])) == pytest.approx(stats.chi2.sf(10.0, 1), rel=1e-9)
    assert mismatch(np.array([0, 0]), np.array([0.5, 0.5])) == 1.0
    assert mismatch(np.array([0, 10]), np.array([0.0, 1.0])) == 1.0


def world(rng, num_users, lift):
    """Clicks and items shown per user: tastes differ, and so does how often people come."""
    slates = 1 + rng.poisson(3, num_users)
    rates = np.clip(rng.beta(2, 14, num_users) * lift, 0, 1)
    return rng.binomial(10 * slates, rates).astype(float), 10.0 * slates


@pytest.mark.parametrize("lift", [1.0, 1.25])
def test_intervals_of_the_difference_cover_the_truth_in_about_95_of_100_worlds(lift):
    rng, hits, alarms = np.random.default_rng(8), 0, 0
    truth = 0.125 * (lift - 1)
    for _ in range(600):
        found = difference(Ratio.of(*world(rng, 120, lift)), Ratio.of(*world(rng, 90, 1.0)))
        hits += found.interval.low <= truth <= found.interval.high
        alarms += found.p_value < 0.05
    assert 0.92 <= hits / 600 <= 0.98
    assert alarms / 600 < 0.08 or lift > 1


def test_an_effect_of_the_detectable_size_is_found_four_times_of_five():
    rng, found = np.random.default_rng(4), []
    for _ in range(400):
        one = difference(Ratio.of(*world(rng, 200, 1.3)), Ratio.of(*world(rng, 200, 1.0)))
        found.append((one.p_value < 0.05, one.detectable))
    power, detectable = np.mean([hit for hit, _ in found]), np.mean([size for _, size in found])
    expected = stats.norm.cdf(0.125 * 0.3 / detectable * (1.96 + 0.8416) - 1.96)
    assert power == pytest.approx(expected, abs=0.06)
