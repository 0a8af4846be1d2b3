"""Tables are pushed where it hurts most, within their balls, and come back; two passes are made to agree."""

import numpy as np
import pytest
import torch
from torch import nn

from kinema.errors import ConfigError
from kinema.flm.draws import Draws
from kinema.losses.agreement import disagreement
from kinema.seeds import derive_seed
from kinema.training.descent import Descent
from kinema.training.fit_step import add_gradients
from kinema.training.fitting import FitOptions, fit
from kinema.training.robust import learning_loss, pushed
from small_learners import Taste

ROWS = np.arange(40)


def test_one_step_moves_each_touched_row_by_the_radius_along_its_gradient():
    table = nn.Parameter(torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 7.0]]))
    gradient = torch.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, -0.1]])
    usual = ((25 + 49) / 2) ** 0.5
    with pushed([table], [gradient], radius=0.1):
        expected = torch.tensor([[3.0 + 0.1 * usual, 4.0], [1.0, 0.0], [0.0, 7.0 - 0.1 * usual]])
        torch.testing.assert_close(table.detach(), expected)
    assert torch.equal(table.detach(), torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 7.0]]))


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("steps", [1, 4])
def test_pushed_tables_have_a_larger_loss_stay_in_their_balls_and_come_back_to_the_bit(steps, sparse):
    taste = Taste(sparse=sparse)
    tables = taste.embeddings()
    before = [one.detach().clone() for one in tables]

    def loss():
        return taste.loss(ROWS, None)

    clean = loss()
    gradients = torch.autograd.grad(clean, tables)
    touched = torch.unique(taste.users_N[ROWS])
    limit = 0.3 * before[0][touched].norm(dim=1).square().mean().sqrt()
    with pushed(tables, gradients, radius=0.3, steps=steps, loss=loss):
        assert loss().item() > clean.item()
        away = (tables[0].detach() - before[0]).norm(dim=1)
        assert away.max() <= limit * 1.0001
        assert torch.equal(away.nonzero().squeeze(1), touched)
    assert all(torch.equal(one.detach(), old) for one, old in zip(tables, before, strict=True))


def test_several_steps_hurt_at_least_as_much_as_one():
    taste = Taste()
    fit(taste, FitOptions("log_loss", batch_size=32, learning_rate=0.05, max_epochs=5))
    found = {}
    for steps in (1, 8):
        gradients = torch.autograd.grad(taste.loss(ROWS, None), taste.embeddings())
        with pushed(taste.embeddings(), gradients, radius=0.5, steps=steps, loss=lambda: taste.loss(ROWS, None)):
            found[steps] = taste.loss(ROWS, None).item()
    assert found[8] >= found[1]


def test_a_table_of_single_numbers_and_one_without_gradient_are_understood():
    weights, other = nn.Parameter(torch.tensor([1.0, -2.0, 2.0])), nn.Parameter(torch.ones(2, 2))
    with pushed([weights, other], [torch.tensor([0.0, 5.0, -1.0]), None], radius=0.5):
        torch.testing.assert_close(weights.detach(), torch.tensor([1.0, -1.0, 1.0]))
        assert torch.equal(other.detach(), torch.ones(2, 2))


def test_several_steps_need_the_loss():
    with (
        pytest.raises(ConfigError, match="an attack of 3 steps must be given the loss, has none; pass loss="),
        pushed([nn.Parameter(torch.ones(1, 1))], [torch.ones(1, 1)], radius=0.1, steps=3),
    ):
        pass


@pytest.mark.parametrize("steps", [1, 3])
def test_gradients_are_those_of_the_clean_and_the_attacked_loss_and_add_up(steps):
    taste = Taste(dropout=0.3)
    network, tables = taste.network, taste.embeddings()

    def loss():
        return taste.loss(ROWS, Draws(5))

    clean = torch.autograd.grad(loss(), list(network.parameters()))
    uphill = torch.autograd.grad(loss(), tables)
    with pushed(tables, uphill, radius=0.2, steps=steps, loss=loss):
        attacked = torch.autograd.grad(loss(), list(network.parameters()))
    descent = Descent(network)
    for _ in range(2):
        add_gradients(
            taste, ROWS, descent, seed=5, adversarial_steps=steps, adversarial_radius=0.2, adversarial_weight=0.5
        )
    for one, first, second in zip(network.parameters(), clean, attacked, strict=True):
        torch.testing.assert_close(one.grad, 2 * (first + 0.5 * second))


def test_two_passes_are_averaged_and_their_disagreement_counts():
    taste = Taste(dropout=0.5)
    other = derive_seed(9, "second pass")
    first, second = (taste.predictions(ROWS, Draws(seed)) for seed in (9, other))
    expected = (taste.loss_of(first, ROWS) + taste.loss_of(second, ROWS)) / 2 + 2.0 * disagreement(
        first, second, "chances"
    )
    torch.testing.assert_close(learning_loss(taste, ROWS, 9, consistency=2.0), expected)


def test_training_on_pushed_tables_loses_less_under_attack():
    lost = {}
    for kind in ("none", "fgm"):
        taste = Taste(dropout=0.0)
        options = FitOptions("log_loss", batch_size=32, learning_rate=0.02, max_epochs=30, patience=30)
        fit(taste, FitOptions(**(vars(options) | {"adversarial": kind, "adversarial_radius": 0.3})))
        rows = np.arange(220, 300)
        clean = taste.loss(rows, None)
        with pushed(taste.embeddings(), torch.autograd.grad(clean, taste.embeddings()), radius=0.3):
            lost[kind] = taste.loss(rows, None).item() - clean.item()
    assert lost["fgm"] < 0.7 * lost["none"]
