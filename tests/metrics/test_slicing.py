import math

import numpy as np
import pytest

from kinema.errors import DataError
from kinema.metrics.calibration import calibration_error
from kinema.metrics.classification import auc, top_k_accuracy
from kinema.metrics.slicing import SliceMeasure, by_slice


def test_each_slice_has_the_metric_of_its_own_rows():
    random = np.random.default_rng(0)
    slices, scores, labels = random.integers(0, 3, 200), random.random(200), random.integers(0, 2, 200)
    found = by_slice(auc, slices, scores, labels)
    for one in range(3):
        rows = slices == one
        assert found[one] == SliceMeasure(auc(scores[rows], labels[rows]), int(rows.sum()))


def test_options_reach_the_metric_and_matrices_are_cut_by_rows():
    probs = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    assert by_slice(top_k_accuracy, ["b", "a"], probs, [1, 0], k=2) == {
        "a": SliceMeasure(0.0, 1),
        "b": SliceMeasure(1.0, 1),
    }
    assert list(by_slice(calibration_error, [0, 0], [0.1, 0.9], [0, 1], num_bins=1)) == [0]


def test_a_slice_without_both_classes_is_undefined_and_does_not_stop_the_others():
    found = by_slice(auc, [0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], [0, 1, 1, 1])
    assert found[0].value == 1.0
    assert math.isnan(found[1].value)


def test_an_array_of_another_length_is_refused():
    with pytest.raises(DataError, match=r"array 1 must have one entry per row, 2, has shape \(3,\)"):
        by_slice(auc, [0, 1], [0.1, 0.2], [0, 1, 1])
