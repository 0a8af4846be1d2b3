import numpy as np
import pytest
import torch

from kinema.errors import DataError
from kinema.tasks.row_inputs import FieldInput, JoinedInput, NumberInput


def test_numbers_are_scaled_by_the_training_rows_and_gaps_are_the_mean():
    numbers = np.array([[1.0, 5.0], [3.0, 5.0], [100.0, np.nan]])
    inputs = NumberInput(numbers, np.array([0, 1]))
    assert inputs(torch.arange(3)).tolist() == [[-1.0, 0.0], [1.0, 0.0], [98.0, 0.0]]
    assert inputs.of(np.array([[2.0, 6.0]]))(torch.tensor([0])).tolist() == [[0.0, 1.0]]


def test_fields_have_vectors_of_their_own_and_other_rows_share_them():
    inputs = FieldInput(np.array([[0, 1], [1, 1]]), (2, 3), width=4)
    first, second = inputs(torch.tensor([0, 1]))
    assert inputs.width == 8
    assert torch.equal(first[4:], second[4:])
    assert torch.equal(first[:4], inputs.table.weight[0])
    other = inputs.of(np.array([[1, 1]]))
    assert torch.equal(other(torch.tensor([0]))[0], second)
    assert other.table is inputs.table


def test_inputs_side_by_side_are_as_wide_as_all_of_them():
    inputs = JoinedInput(NumberInput(np.ones((2, 3))), FieldInput(np.zeros((2, 1), dtype=int), (1,), width=2))
    assert inputs.width == 5
    assert inputs(torch.tensor([1])).shape == (1, 5)


def test_rows_of_another_shape_are_refused():
    with pytest.raises(DataError, match="rows must have 3 numbers, have the shape"):
        NumberInput(np.ones((2, 3))).of(np.ones((2, 4)))
    with pytest.raises(DataError, match="rows must have 2 fields, have the shape"):
        FieldInput(np.zeros((2, 1), dtype=int), (2, 3), width=4)
    with pytest.raises(DataError, match=r"field 1 must be in 0\.\.2, is 3 at row 1"):
        FieldInput(np.array([[0, 1], [1, 3]]), (2, 3), width=4)
