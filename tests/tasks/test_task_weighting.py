import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from kinema.errors import ConfigError
from kinema.flm.draws import Draws
from kinema.tasks.task_weighting import WEIGHTINGS, FixedWeights, GradientSurgery, UncertaintyWeights, project_conflicts


class Two(nn.Module):
    """A shared layer and a head for each of two tasks."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.shared = nn.Linear(4, 3)
        self.heads = nn.ModuleList(nn.Linear(3, 1) for _ in range(2))
        self.x = torch.randn(16, 4)
        self.y = torch.randn(2, 16)
        self.y[1] = -self.y[0]

    def losses(self):
        hidden = self.shared(self.x).tanh()
        return torch.stack(
            [(head(hidden).squeeze(1) - y).square().mean() for head, y in zip(self.heads, self.y, strict=True)]
        )


def gradients(network, scalar):
    network.zero_grad(set_to_none=True)
    scalar.backward()
    return {name: one.grad.clone() for name, one in network.named_parameters()}


def test_uncertainty_has_the_gradient_of_the_paper_and_its_best_variance_is_the_loss():
    weighting = UncertaintyWeights((1.0,))
    with torch.no_grad():
        weighting.log_variances_T.copy_(torch.log(2 * torch.tensor([0.7])))
    weighting(torch.tensor([0.7])).backward()
    assert weighting.log_variances_T.grad.item() == pytest.approx(0.0, abs=1e-6)


def test_uncertainty_leaves_a_task_without_labels_alone():
    weighting = UncertaintyWeights((1.0, 1.0))
    weighting(torch.tensor([0.7, 0.0])).backward()
    assert weighting.log_variances_T.grad[1] == 0


def test_surgery_gives_shared_parameters_the_projected_gradient_and_heads_their_own():
    network = Two()
    shared = list(network.shared.parameters())
    each = [
        torch.cat([g.flatten() for g in torch.autograd.grad(loss, shared, retain_graph=True)])
        for loss in network.losses()
    ]
    first, second = (one.double() for one in each)
    assert first @ second < 0
    expected = first - (first @ second) / (second @ second) * second
    expected = expected + second - (first @ second) / (first @ first) * first
    plain = gradients(network, network.losses().sum())
    found = gradients(network, GradientSurgery((1.0, 1.0))(network.losses(), shared=shared, draws=Draws(0)))
    both = torch.cat([found["shared.weight"].flatten(), found["shared.bias"]])
    assert torch.allclose(both, expected.float(), atol=1e-5)
    for name in ("heads.0.weight", "heads.1.bias"):
        assert torch.allclose(found[name], plain[name])


def test_surgery_has_the_value_of_the_sum_and_scales_with_it():
    network = Two()
    shared = list(network.shared.parameters())
    scalar = GradientSurgery((1.0, 0.5))(network.losses(), shared=shared)
    losses = network.losses()
    assert scalar.item() == pytest.approx((losses[0] + 0.5 * losses[1]).item(), rel=1e-5)
    once = gradients(network, scalar)
    half = gradients(network, GradientSurgery((1.0, 0.5))(network.losses(), shared=shared) / 2)
    assert torch.allclose(half["shared.weight"], once["shared.weight"] / 2, atol=1e-6)


def test_surgery_without_gradient_or_shared_parameters_is_the_sum():
    network = Two()
    with torch.no_grad():
        told = GradientSurgery((1.0, 1.0))(network.losses(), shared=list(network.shared.parameters()))
    assert told.item() == pytest.approx(network.losses().sum().item())
    for one in network.shared.parameters():
        one.requires_grad_(requires_grad=False)
    found = GradientSurgery((1.0, 1.0))(network.losses(), shared=list(network.shared.parameters()))
    assert torch.equal(found, network.losses().sum())


def test_surgery_takes_a_task_without_labelled_rows_as_no_pull():
    network = Two()
    losses = network.losses() * torch.tensor([1.0, 0.0])
    found = gradients(network, GradientSurgery((1.0, 1.0))(losses, shared=list(network.shared.parameters())))
    assert torch.isfinite(found["shared.weight"]).all()


@given(st.integers(0, 500), st.integers(2, 4))
def test_two_projected_gradients_conflict_no_more_and_agreeing_ones_are_untouched(seed, width):
    rows = torch.from_numpy(np.random.default_rng(seed).standard_normal((2, width)))
    found = project_conflicts(rows, Draws(seed))
    assert (found @ rows.T).fill_diagonal_(0).min() > -1e-9
    if rows[0] @ rows[1] >= 0:
        assert torch.equal(found, rows)


def test_order_of_draws_is_a_permutation_by_seed():
    assert sorted(Draws(3).order(6).tolist()) == list(range(6))
    assert torch.equal(Draws(3).order(6), Draws(3).order(6))


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_weights_that_cannot_be_are_refused(name):
    for weights in ((), (0.0, 0.0), (1.0, -1.0)):
        with pytest.raises(ConfigError, match="weights of tasks must be >= 0 and one of them above"):
            WEIGHTINGS[name](weights)


def test_a_weight_of_zero_leaves_the_task_out():
    losses = torch.tensor([2.0, 3.0])
    assert FixedWeights((1.0, 0.0))(losses).item() == 2.0
    assert UncertaintyWeights((1.0, 0.0))(losses).item() == 2.0
