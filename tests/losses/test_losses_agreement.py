"""Disagreement and soft targets against torch's own divergences."""

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, kl_divergence
from torch.nn import functional

from kinema.errors import ConfigError
from kinema.losses.agreement import disagreement, probabilities, soft_target_loss

GENERATOR = torch.Generator().manual_seed(0)
FIRST, SECOND = (torch.randn(6, 3, generator=GENERATOR, dtype=torch.float64).requires_grad_() for _ in range(2))


@pytest.mark.parametrize(("meaning", "kind"), [("chances", Bernoulli), ("classes", Categorical)])
def test_disagreement_is_half_the_sum_of_both_divergences(meaning, kind):
    p, q = kind(logits=FIRST), kind(logits=SECOND)
    expected = 0.5 * (kl_divergence(p, q) + kl_divergence(q, p)).mean()
    torch.testing.assert_close(disagreement(FIRST, SECOND, meaning), expected)
    torch.testing.assert_close(disagreement(SECOND, FIRST, meaning), expected)
    assert torch.autograd.gradcheck(lambda one: disagreement(one, SECOND, meaning), FIRST)


def test_values_disagree_by_half_their_squared_difference():
    torch.testing.assert_close(disagreement(FIRST, SECOND, "values"), functional.mse_loss(FIRST, SECOND) / 2)


@pytest.mark.parametrize("meaning", ["chances", "classes"])
def test_soft_targets_are_least_where_the_student_says_the_same(meaning):
    taught = probabilities(FIRST.detach(), meaning, temperature=2.0)
    same = soft_target_loss(FIRST, taught, meaning, temperature=2.0)
    assert torch.autograd.grad(same, FIRST)[0].abs().max() < 1e-12
    assert soft_target_loss(SECOND, taught, meaning, temperature=2.0) > same


def test_soft_targets_are_the_cross_entropy_of_torch():
    taught = torch.softmax(SECOND.detach(), dim=-1)
    torch.testing.assert_close(soft_target_loss(FIRST, taught, "classes"), functional.cross_entropy(FIRST, taught))
    torch.testing.assert_close(soft_target_loss(FIRST, SECOND, "values"), functional.mse_loss(FIRST, SECOND))


def test_large_logits_give_finite_numbers():
    large = torch.tensor([[800.0, -800.0]])
    for meaning in ("chances", "classes"):
        assert torch.isfinite(disagreement(large, -large, meaning))


def test_another_meaning_is_refused():
    with pytest.raises(ConfigError, match="must be one of chances, classes, values, is 'scores'; correct it"):
        probabilities(FIRST, "scores")
