import math

import pytest
import torch
from torch.nn import functional

from kinema.losses.contrastive import info_nce, symmetric_info_nce
from kinema.losses.reconstruction import cosine_reconstruction
from kinema.losses.softmax import full_softmax, sampled_softmax


def rows(count, width=4, seed=0, *, grad=False):
    generator = torch.Generator().manual_seed(seed)
    made = functional.normalize(torch.randn(count, width, generator=generator, dtype=torch.float64), dim=-1)
    return made.requires_grad_(grad)


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_with_the_whole_catalogue_as_negatives_the_sampled_softmax_is_the_full_one(with_bias, temperature):
    states, items, targets = rows(6), rows(9, seed=1), torch.tensor([0, 3, 3, 8, 5, 1])
    bias = torch.linspace(-1, 2, 9, dtype=torch.float64) if with_bias else None
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    sampled = sampled_softmax(
        states,
        items[targets],
        targets,
        negatives_KD=items[order],
        negative_items_K=order,
        temperature=temperature,
        positive_bias_N=None if bias is None else bias[targets],
        negative_bias_K=None if bias is None else bias[order],
    )
    torch.testing.assert_close(sampled, full_softmax(states, items, targets, temperature=temperature, bias_V=bias))


def test_a_negative_that_is_the_target_is_masked_only_where_it_is_the_target():
    items, states = torch.eye(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)[:2]
    loss = sampled_softmax(
        states,
        items[[0, 1]],
        torch.tensor([0, 1]),
        negatives_KD=items[[0]],
        negative_items_K=torch.tensor([0]),
        temperature=1.0,
    )
    assert float(loss) == pytest.approx((0 + math.log(1 + math.exp(-1))) / 2)


def test_the_full_softmax_of_one_right_and_one_opposite_item_has_the_value_worked_out_by_hand():
    items = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    loss = full_softmax(items[:1], items, torch.tensor([0]), temperature=0.5)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-4)), rel=1e-4)


def test_a_bias_moves_the_softmax_by_exactly_that_log_odds():
    same = torch.tensor([[1.0, 0.0]]).repeat(2, 1)
    loss = full_softmax(same[:1], same, torch.tensor([0]), temperature=0.1, bias_V=torch.tensor([math.log(3.0), 0.0]))
    assert float(loss) == pytest.approx(math.log(4 / 3), rel=1e-5)


def test_info_nce_has_the_values_worked_out_by_hand():
    eye = torch.eye(2)
    assert float(info_nce(eye, eye, temperature=1.0)) == pytest.approx(math.log(1 + math.exp(-1)))
    assert float(info_nce(eye, eye.flip(0), temperature=1.0)) == pytest.approx(math.log(1 + math.e))
    alike = torch.tensor([[1.0, 0.0]]).repeat(5, 1)
    assert float(info_nce(alike, alike, temperature=0.1)) == pytest.approx(math.log(5))


def test_symmetric_info_nce_is_the_mean_of_both_directions():
    left, right = rows(5), rows(5, seed=1)
    there, back = info_nce(left, right, temperature=0.2), info_nce(right, left, temperature=0.2)
    assert float(symmetric_info_nce(left, right, temperature=0.2)) == pytest.approx(float(there + back) / 2)
    torch.testing.assert_close(
        symmetric_info_nce(left, right, temperature=0.2), symmetric_info_nce(right, left, temperature=0.2)
    )


@pytest.mark.parametrize("count", [0, 1])
def test_info_nce_of_fewer_than_two_rows_is_zero_and_can_be_differentiated(count):
    left = rows(count, grad=True)
    loss = symmetric_info_nce(left, left.detach(), temperature=0.1)
    loss.backward()
    assert float(loss.detach()) == 0
    assert not left.grad.any()


def test_reconstruction_is_zero_for_the_same_direction_one_for_a_right_angle_and_two_for_the_opposite():
    actual = torch.tensor([[1.0, 0.0]])
    for told, expected in (([5.0, 0.0], 0.0), ([0.0, 0.3], 1.0), ([-2.0, 0.0], 2.0)):
        assert float(cosine_reconstruction(torch.tensor([told]), actual)) == pytest.approx(expected)


def test_reconstruction_of_no_row_is_zero_and_can_be_differentiated():
    told = torch.zeros(0, 3, requires_grad=True)
    loss = cosine_reconstruction(told, torch.zeros(0, 3))
    loss.backward()
    assert float(loss.detach()) == 0


def test_gradients_of_the_full_softmax_agree_with_finite_differences():
    targets, bias = torch.tensor([0, 4, 4]), torch.zeros(5, dtype=torch.float64, requires_grad=True)

    def loss(states, items, bias_V):
        return full_softmax(states, items, targets, temperature=0.3, bias_V=bias_V)

    assert torch.autograd.gradcheck(loss, (rows(3, grad=True), rows(5, seed=1, grad=True), bias))


def test_gradients_of_the_sampled_softmax_agree_with_finite_differences():
    targets, negative_items = torch.tensor([0, 4, 7]), torch.tensor([4, 2, 0, 9])

    def loss(states, positives, negatives, positive_bias, negative_bias):
        return sampled_softmax(
            states,
            positives,
            targets,
            negatives_KD=negatives,
            negative_items_K=negative_items,
            temperature=0.3,
            positive_bias_N=positive_bias,
            negative_bias_K=negative_bias,
        )

    biases = [torch.zeros(size, dtype=torch.float64, requires_grad=True) for size in (3, 4)]
    given = (rows(3, grad=True), rows(3, seed=1, grad=True), rows(4, seed=2, grad=True), *biases)
    assert torch.autograd.gradcheck(loss, given)


def test_gradients_of_the_contrastive_and_reconstruction_losses_agree_with_finite_differences():
    left, right = rows(4, grad=True), rows(4, seed=1, grad=True)
    assert torch.autograd.gradcheck(lambda a, b: symmetric_info_nce(a, b, temperature=0.4), (left, right))
    assert torch.autograd.gradcheck(cosine_reconstruction, (left, right))
