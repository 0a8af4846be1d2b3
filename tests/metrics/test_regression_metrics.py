import math

import numpy as np
import pytest
import torch
import torchmetrics.functional.regression as theirs
from hypothesis import given
from hypothesis import strategies as st

from kinema.errors import DataError
from kinema.metrics.regression import interval_coverage, interval_width, mae, mse, r2, rmse

NUMBERS = st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=2, max_size=30)


def test_values_agree_with_torchmetrics():
    random = np.random.default_rng(0)
    labels = random.normal(3, 2, 100)
    values = labels + random.normal(size=100)
    asked = (torch.from_numpy(values), torch.from_numpy(labels))
    ours = [mse(values, labels), rmse(values, labels), mae(values, labels), r2(values, labels)]
    expected = [
        theirs.mean_squared_error(*asked),
        theirs.mean_squared_error(*asked, squared=False),
        theirs.mean_absolute_error(*asked),
        theirs.r2_score(*asked),
    ]
    assert ours == pytest.approx([float(one) for one in expected])


@given(NUMBERS)
def test_the_absolute_error_is_never_above_the_root_of_the_squared_one(rows):
    values, labels = np.array(rows).T
    assert mae(values, labels) <= rmse(values, labels) * (1 + 1e-9) + 1e-12


def test_the_mean_of_the_labels_explains_nothing_and_the_labels_explain_all():
    labels = np.array([1.0, 2.0, 6.0])
    assert r2(np.full(3, 3.0), labels) == pytest.approx(0.0)
    assert r2(labels, labels) == 1.0
    assert math.isnan(r2([1.0, 2.0], [5.0, 5.0]))


@given(NUMBERS, st.floats(0, 50))
def test_wider_intervals_hold_at_least_as_many_labels(rows, more):
    centre, labels = np.array(rows).T
    narrow = interval_coverage(centre - 1, centre + 1, labels)
    assert narrow <= interval_coverage(centre - 1 - more, centre + 1 + more, labels)
    assert interval_width(centre - more, centre + more) == pytest.approx(2 * more)


def test_the_ends_of_an_interval_belong_to_it():
    assert interval_coverage([0, 1], [1, 2], [1, 1]) == 1.0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: mse([1.0], [1.0, 2.0]), "two lists of one length"),
        (lambda: r2([np.nan], [1.0]), "predictions must be numbers"),
        (lambda: interval_coverage([0, 3], [1, 2], [0, 0]), "must not end before it begins, got 3 to 2 in row 1"),
        (lambda: interval_width([2], [1]), "must not end before it begins"),
    ],
)
def test_what_has_no_meaning_is_refused(call, text):
    with pytest.raises(DataError, match=text):
        call()
