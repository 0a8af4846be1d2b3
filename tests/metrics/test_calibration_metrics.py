import numpy as np
import pytest
import torch
import torchmetrics.functional.classification as theirs
from hypothesis import given
from hypothesis import strategies as st

from kinema.errors import DataError
from kinema.metrics.calibration import brier, calibration_bias, calibration_error, calibration_noise, reliability

ROWS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=40)


def columns(rows):
    return (np.array(one) for one in zip(*rows, strict=True))


def test_equal_width_agrees_with_torchmetrics():
    random = np.random.default_rng(1)
    for num_bins in (1, 7, 15):
        probs = random.random(400)
        labels = (random.random(400) < probs**2).astype(int)
        expected = theirs.binary_calibration_error(torch.from_numpy(probs), torch.from_numpy(labels), num_bins)
        assert calibration_error(probs, labels, num_bins=num_bins, equal_width=True) == pytest.approx(
            float(expected), abs=1e-6
        )


@given(ROWS, st.integers(1, 12), st.booleans())
def test_the_error_lies_between_its_sign_less_bias_and_one(rows, num_bins, equal_width):
    probs, labels = columns(rows)
    error = calibration_error(probs, labels, num_bins=num_bins, equal_width=equal_width)
    assert abs(calibration_bias(probs, labels)) - 1e-12 <= error <= 1
    assert calibration_error(probs, labels, num_bins=1) == pytest.approx(abs(calibration_bias(probs, labels)))


@given(ROWS, st.integers(1, 12), st.booleans(), st.randoms())
def test_every_row_is_in_one_bin_and_their_order_does_not_matter(rows, num_bins, equal_width, random):
    probs, labels = columns(rows)
    table = reliability(probs, labels, num_bins=num_bins, equal_width=equal_width)
    assert table.counts_B.sum() == len(rows)
    assert len(table.counts_B) <= num_bins
    assert (table.counts_B >= 1).all()
    assert (np.diff(table.probs_B) >= -1e-12).all()
    order = list(range(len(rows)))
    random.shuffle(order)
    again = reliability(probs[order], labels[order], num_bins=num_bins, equal_width=equal_width)
    assert again.counts_B.tolist() == table.counts_B.tolist()
    assert again.rates_B == pytest.approx(table.rates_B)


def test_bins_of_equal_mass_hold_equal_numbers_where_nothing_is_tied():
    table = reliability(np.random.default_rng(0).permutation(100) / 100, np.zeros(100), num_bins=10)
    assert table.counts_B.tolist() == [10] * 10


def test_rows_of_one_probability_stay_together():
    assert reliability([0.2] * 7 + [0.9], [0] * 8, num_bins=4).counts_B.tolist() == [7, 1]


def test_right_probabilities_have_about_the_error_that_chance_explains():
    random = np.random.default_rng(5)
    for size in (500, 8000):
        probs = random.beta(1, 4, (40, size))
        labels = random.random((40, size)) < probs
        found = np.mean([calibration_error(*one) for one in zip(probs, labels, strict=True)])
        expected = np.mean([calibration_noise(*one) for one in zip(probs, labels, strict=True)])
        assert found == pytest.approx(expected, rel=0.1)


def test_probabilities_that_say_too_much_have_a_bias_above_zero():
    assert calibration_bias([0.9, 0.9], [0, 1]) == pytest.approx(0.4)
    assert calibration_bias([0.1, 0.1], [0, 1]) == pytest.approx(-0.4)


def test_brier_of_sure_and_right_is_zero_and_of_sure_and_wrong_one():
    assert brier([0.0, 1.0], [0, 1]) == 0.0
    assert brier([1.0, 0.0], [0, 1]) == 1.0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: reliability([0.5], [1], num_bins=0), "num_bins must be >= 1, is 0"),
        (lambda: calibration_error([1.5], [1]), r"must be in \[0, 1\], got 1.5"),
        (lambda: calibration_bias([0.5], [2]), "labels must be 0 or 1"),
        (lambda: brier([-0.5], [1]), r"must be in \[0, 1\], got -0.5"),
    ],
)
def test_what_has_no_meaning_is_refused(call, text):
    with pytest.raises(DataError, match=text):
        call()
