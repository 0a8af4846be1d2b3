"""A calibration curve rises, is as bold as its rows, and moves nothing without points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.ranking.calibration_curve import CalibrationCurve, curve_from_lists, fit_curve
from kinema.ranking.calibrators import sigmoid
from kinema.ranking.logistic_descent import descended


def waved(num, seed=0):
    random = np.random.default_rng(seed)
    logits = random.normal(scale=2.0, size=num)
    meant = logits + 0.6 * np.sin(2 * logits)
    return logits, meant, (random.random(num) < sigmoid(meant)).astype(np.float64)


def test_many_rows_find_a_wave_and_few_stay_near_nothing():
    logits, meant, happened = waved(60_000)
    found = fit_curve(logits, happened, np.ones(len(logits)))
    off = np.abs(sigmoid(found.apply(logits)) - sigmoid(meant)).mean()
    assert off < 0.4 * np.abs(sigmoid(logits) - sigmoid(meant)).mean()
    few = fit_curve(logits[:20], happened[:20], np.ones(20))
    assert np.abs(np.subtract(few.meant, few.said)).max() < 0.2


@given(st.integers(0, 10_000), st.integers(1, 20))
def test_a_curve_always_rises(seed, num_points):
    random = np.random.default_rng(seed)
    logits, happened = random.normal(size=60).round(1), np.arange(60.0) % 2
    found = fit_curve(logits, happened, np.ones(60), num_points=num_points, prior_rows=0.1)
    asked = np.linspace(-5, 5, 200)
    assert (np.diff(found.apply(asked)) > 0).all()
    assert curve_from_lists(found.as_lists()) == found


def test_no_points_and_rows_of_weight_nothing_change_nothing():
    logits, _, happened = waved(100)
    assert fit_curve(logits, happened, np.ones(100), num_points=0) == CalibrationCurve()
    np.testing.assert_array_equal(CalibrationCurve().apply(logits), logits)
    counts = (np.arange(100) < 50).astype(np.float64)
    half, whole = (fit_curve(logits, one, counts) for one in (happened, np.where(counts > 0, happened, 1 - happened)))
    assert half == whole


def test_the_descent_ends_where_the_slope_is_nothing():
    random = np.random.default_rng(0)
    inputs, labels = random.normal(size=(200, 3)), (random.random(200) < 0.4).astype(np.float64)
    offset, pull, start = random.normal(size=200), np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.0, -0.5])
    found = descended(inputs, labels, np.ones(200), pull_F=pull, start_F=start, offset_N=offset)
    slope = inputs.T @ (sigmoid(offset + inputs @ found) - labels) + pull * (found - start)
    assert slope == pytest.approx(np.zeros(3), abs=1e-6)
