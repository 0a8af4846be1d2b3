import math

import pytest
import torch
from torch.nn import functional

from kinema.losses import softmax
from kinema.losses.contrastive import info_nce, symmetric_info_nce
from kinema.losses.reconstruction import cosine_reconstruction
from kinema.losses.softmax import next_item_loss


def rows(count, width=4, seed=0, *, grad=False):
    generator = torch.Generator().manual_seed(seed)
    made = functional.normalize(torch.randn(count, width, generator=generator, dtype=torch.float64), dim=-1)
    return made.requires_grad_(grad)


def plain_loss(states, items, targets, *, candidates, temperature, bias, log_rate=None):
    """The definition, prediction by prediction: cross-entropy of the target among itself and the other candidates."""
    losses = []
    for state, target in zip(states, targets.tolist(), strict=True):
        logits = items @ state / temperature + bias
        others = [place for place, row in enumerate(candidates.tolist()) if row != target]
        negatives = logits[candidates[others]]
        if log_rate is not None:
            negatives = negatives - log_rate[others]
        losses.append(torch.logsumexp(torch.cat([logits[target : target + 1], negatives]), dim=0) - logits[target])
    return torch.stack(losses).mean()


def gradients(loss, *inputs):
    return torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("chunk_cells", [1, 20, 1 << 20])
@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("temperature", [0.01, 0.05, 0.5])  # the first spreads logits too far for a common level
def test_loss_and_gradient_of_the_fused_pass_are_those_of_the_definition(
    monkeypatch, temperature, corrected, chunk_cells
):
    monkeypatch.setattr(softmax, "_CHUNK_CELLS", chunk_cells)
    states, items = rows(7, grad=True), rows(9, seed=1, grad=True)
    bias = torch.linspace(-1, 2, 9, dtype=torch.float64, requires_grad=True)
    targets, candidates = torch.tensor([0, 3, 3, 8, 5, 1, 7]), torch.tensor([3, 8, 0, 2])
    log_rate = torch.tensor([0.2, -1.0, 0.4, 1.3], dtype=torch.float64) if corrected else None
    fused = next_item_loss(
        states,
        items,
        targets,
        candidates_K=candidates,
        temperature=temperature,
        bias_R=bias,
        log_rate_K=log_rate,
    )
    plain = plain_loss(
        states, items, targets, candidates=candidates, temperature=temperature, bias=bias, log_rate=log_rate
    )
    torch.testing.assert_close(fused, plain)
    torch.testing.assert_close(gradients(3 * fused, states, items, bias), gradients(3 * plain, states, items, bias))


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_without_candidates_it_is_the_cross_entropy_over_the_whole_catalogue(temperature):
    states, items, targets = rows(6, grad=True), rows(9, seed=1, grad=True), torch.tensor([0, 3, 3, 8, 5, 1])
    bias = torch.linspace(-1, 2, 9, dtype=torch.float64, requires_grad=True)
    fused = next_item_loss(states, items, targets, candidates_K=None, temperature=temperature, bias_R=bias)
    plain = functional.cross_entropy(states @ items.T / temperature + bias, targets)
    torch.testing.assert_close(fused, plain)
    torch.testing.assert_close(gradients(fused, states, items, bias), gradients(plain, states, items, bias))


def test_with_the_whole_catalogue_as_negatives_the_sampled_softmax_is_the_full_one():
    states, items, targets = rows(6), rows(9, seed=1), torch.tensor([0, 3, 3, 8, 5, 1])
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    sampled, full = (
        next_item_loss(states, items, targets, candidates_K=candidates, temperature=0.1) for candidates in (order, None)
    )
    torch.testing.assert_close(sampled, full)


def test_with_logq_the_sampled_sum_estimates_the_full_one():
    states, items, targets = rows(4), rows(40, seed=1), torch.tensor([0, 3, 3, 8])
    full = next_item_loss(states, items, targets, candidates_K=None, temperature=0.5)
    rate, corrected, raw = torch.full((10,), math.log(10 / 40), dtype=torch.float64), [], []
    for seed in range(300):
        drawn = torch.randperm(40, generator=torch.Generator().manual_seed(seed))[:10]
        corrected.append(next_item_loss(states, items, targets, candidates_K=drawn, temperature=0.5, log_rate_K=rate))
        raw.append(next_item_loss(states, items, targets, candidates_K=drawn, temperature=0.5))
    assert abs(float(torch.stack(corrected).mean() - full)) < 0.05
    assert abs(float(torch.stack(raw).mean() - full)) > 1


def test_a_negative_that_is_the_target_is_left_out_only_where_it_is_the_target():
    items, states = torch.eye(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)[:2]
    loss = next_item_loss(states, items, torch.tensor([0, 1]), candidates_K=torch.tensor([0]), temperature=1.0)
    assert float(loss) == pytest.approx((0 + math.log(1 + math.exp(-1))) / 2)


def test_the_full_softmax_of_one_right_and_one_opposite_item_has_the_value_worked_out_by_hand():
    items = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    loss = next_item_loss(items[:1], items, torch.tensor([0]), candidates_K=None, temperature=0.5)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-4)), rel=1e-4)


def test_a_bias_moves_the_softmax_by_exactly_that_log_odds():
    same, bias = torch.tensor([[1.0, 0.0]]).repeat(2, 1), torch.tensor([math.log(3.0), 0.0])
    loss = next_item_loss(same[:1], same, torch.tensor([0]), candidates_K=None, temperature=0.1, bias_R=bias)
    assert float(loss) == pytest.approx(math.log(4 / 3), rel=1e-5)


@pytest.mark.parametrize("candidates", [None, torch.tensor([1, 0])])
def test_no_prediction_at_all_costs_nothing_and_can_be_differentiated(candidates):
    states, items = torch.zeros(0, 4, requires_grad=True), rows(3, grad=True).float()
    loss = next_item_loss(states, items, torch.zeros(0, dtype=torch.int64), candidates_K=candidates, temperature=0.1)
    assert float(loss.detach()) == 0
    assert not gradients(loss, items)[0].any()


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


def test_gradients_of_the_fused_softmax_agree_with_finite_differences():
    targets, candidates = torch.tensor([0, 4, 3]), torch.tensor([4, 2, 0])
    bias = torch.zeros(5, dtype=torch.float64, requires_grad=True)

    def loss(states, items, bias_R):
        return next_item_loss(states, items, targets, candidates_K=candidates, temperature=0.3, bias_R=bias_R)

    assert torch.autograd.gradcheck(loss, (rows(3, grad=True), rows(5, seed=1, grad=True), bias))


def test_gradients_of_the_contrastive_and_reconstruction_losses_agree_with_finite_differences():
    left, right = rows(4, grad=True), rows(4, seed=1, grad=True)
    assert torch.autograd.gradcheck(lambda a, b: symmetric_info_nce(a, b, temperature=0.4), (left, right))
    assert torch.autograd.gradcheck(cosine_reconstruction, (left, right))
