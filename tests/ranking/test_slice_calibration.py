"""Calibration in several slicings: finds what is planted, leaves the order, and comes back from its text."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.errors import DataError, StaleArtifactError
from kinema.metrics.calibration import calibration_error, calibration_noise, calibration_rms
from kinema.ranking.calibrators import Scaling
from kinema.ranking.slice_calibration import (
    SliceCalibration,
    fit_slice_calibration,
    slice_calibration_from_json,
)


def planted(num=40_000, seed=0):
    """A place that is looked at with probability .7, and cold items that are clicked half as often in odds."""
    random = np.random.default_rng(seed)
    said = random.beta(2, 2, num)
    place, cold = random.integers(0, 2, num), random.random(num) < 0.3
    odds = said / (1 - said) * np.where(cold, 0.5, 1.0)
    true = odds / (1 + odds) * np.where(place == 1, 0.7, 1.0)
    slices = {"place": place.astype(str), "item": np.where(cold, "cold", "warm")}
    return said, true, random.random(num) < true, slices


def test_every_slice_means_what_it_says_afterwards():
    said, true, happened, slices = planted()
    calibrated = fit_slice_calibration(said, happened, slices).apply(said, slices)
    for by in slices.values():
        for name in np.unique(by):
            here = by == name
            assert np.abs(said[here] - true[here]).mean() > 0.01 or name in {"0", "warm"}
            assert np.abs(calibrated[here] - true[here]).mean() < 0.025


def test_one_slope_for_both_sides_is_the_usual_temperature():
    given = SliceCalibration((0.5, 0.5, 0.3))
    said = np.array([0.01, 0.4, 0.99])
    np.testing.assert_allclose(given.apply(said, {}), Scaling(temperature=2.0, bias=0.3).apply(said), rtol=1e-12)


def test_a_slice_of_few_rows_stays_near_all_of_them():
    said, _, happened, slices = planted(2000)
    few = np.where(np.arange(2000) < 5, "few", "many")
    for lone, most in ((0.0, 0.5), (1e6, 1e-2)):
        found = fit_slice_calibration(said, happened, slices | {"rare": few}, prior_rows=lone or 1e-9)
        assert (max(map(abs, found.slices["rare"]["few"])) < most) == bool(lone)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.tuples(*[st.floats(-3, 3)] * 3))
def test_the_order_within_a_slice_stays(said, bend):
    found = SliceCalibration(slices={"item": {"cold": bend}}).apply(said, {"item": ["cold"] * len(said)})
    order = np.argsort(said, kind="stable")
    assert (np.diff(found[order]) >= -1e-12).all()
    assert ((found >= 0) & (found <= 1)).all()


def test_unknown_slices_and_slicings_change_nothing():
    found = SliceCalibration(slices={"item": {"cold": (0.0, 0.0, 1.0)}})
    np.testing.assert_allclose(found.apply([0.3], {"item": ["new"], "other": ["x"]}), [0.3])
    np.testing.assert_allclose(found.apply([0.3], {}), [0.3])


def test_it_comes_back_from_its_text():
    said, _, happened, slices = planted(500)
    found = fit_slice_calibration(said, happened, slices)
    again = slice_calibration_from_json(found.to_json())
    np.testing.assert_array_equal(found.apply(said, slices), again.apply(said, slices))


def test_one_without_a_curve_is_still_read():
    first = '{"version": 1, "overall": [0.5, 0.5, 0], "slices": {}}'
    assert slice_calibration_from_json(first) == SliceCalibration((0.5, 0.5, 0.0))


def test_a_wave_that_two_slopes_cannot_follow_is_followed_by_the_curve():
    random = np.random.default_rng(1)
    said = random.random(30_000)
    true = said + 0.05 * np.sin(4 * np.pi * said)
    happened = random.random(30_000) < true
    asked = {"item": np.where(random.random(30_000) < 0.2, "cold", "warm")}
    slopes, both = (fit_slice_calibration(said, happened, asked, num_points=num) for num in (0, 15))
    off = [np.abs(one.apply(said, asked) - true).mean() for one in (slopes, both)]
    assert off[0] > 0.02
    assert off[1] < 0.01
    order = np.argsort(said[asked["item"] == "cold"])
    assert (np.diff(both.apply(said, asked)[asked["item"] == "cold"][order]) >= 0).all()


def test_what_is_no_calibration_is_refused():
    with pytest.raises(StaleArtifactError, match="must have version 2 or lower, has 3"):
        slice_calibration_from_json(json.dumps({"version": 3}))
    with pytest.raises(StaleArtifactError, match="cannot be read"):
        slice_calibration_from_json("{}")
    with pytest.raises(StaleArtifactError, match="must be finite"):
        slice_calibration_from_json('{"version": 1, "overall": [1, NaN, 0], "slices": {}}')
    for curve in ("[[0, 1], [1, 0]]", "[[0, 1], [1]]", "[[0], [NaN]]"):
        with pytest.raises(StaleArtifactError, match="cannot be read: ValueError: a curve must"):
            slice_calibration_from_json(f'{{"version": 2, "overall": [1, 1, 0], "slices": {{}}, "curve": {curve}}}')


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="slices of 'item' must be one per row, 2, have shape"):
        SliceCalibration(slices={"item": {}}).apply([0.1, 0.2], {"item": ["a"]})
    with pytest.raises(DataError, match="calibration must see labels 0 and 1, all 2 are 1"):
        fit_slice_calibration([0.1, 0.2], [1, 1], {})


def test_the_error_beyond_chance_of_right_probabilities_is_far_below_the_plain_one():
    random = np.random.default_rng(0)
    plain, beyond, chance = [], [], []
    for _ in range(40):
        probs = random.random(600)
        happened = random.random(600) < probs
        plain.append(calibration_error(probs, happened))
        chance.append(calibration_noise(probs, happened))
        beyond.append(calibration_rms(probs, happened) ** 2)
    assert np.mean(plain) == pytest.approx(np.mean(chance), rel=0.1)
    assert np.sqrt(np.mean(beyond)) < np.mean(plain)
    wrong = random.random(5000)
    assert calibration_rms(wrong, random.random(5000) < np.clip(wrong - 0.1, 0, 1)) == pytest.approx(0.1, abs=0.02)
