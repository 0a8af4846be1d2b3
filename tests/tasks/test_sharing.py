import numpy as np
import pytest
import torch
from torch.nn import functional

from kinema.errors import ConfigError
from kinema.flm.draws import Draws
from kinema.tasks.sharing import PLE, SHARINGS, Experts, MMoE, Separate, SharedBottom

X_BD = torch.from_numpy(np.random.default_rng(0).standard_normal((7, 5), dtype=np.float32))


def plain_expert(experts, number, x_BD):
    for weight, bias in zip(experts.weights, experts.biases, strict=True):
        x_BD = functional.relu(x_BD @ weight[number] + bias[number])
    return x_BD


@pytest.fixture(autouse=True)
def one_start():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", SHARINGS)
def test_every_sharing_gives_one_vector_per_task_and_row(name):
    found = SHARINGS[name](3, 5, (6, 4), dropout=0.2)(X_BD)
    assert [tuple(one.shape) for one in found] == [(7, 4)] * 3


@pytest.mark.parametrize("name", SHARINGS)
def test_dropout_follows_its_draws_and_is_left_out_without(name):
    network = SHARINGS[name](2, 5, (24, 16), dropout=0.5)
    first, again, plain = network(X_BD, Draws(1)), network(X_BD, Draws(1)), network(X_BD)
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], plain[0])


def test_experts_agree_with_networks_computed_one_by_one():
    experts = Experts(3, 5, (6, 4))
    found_EBW = experts(X_BD)
    for number in range(3):
        assert torch.allclose(found_EBW[number], plain_expert(experts, number, X_BD), atol=1e-6)


@pytest.mark.parametrize("learning", [True, False])
def test_mmoe_is_the_gated_sum_of_its_experts(learning):
    network = MMoE(2, 5, (4,), num_experts=3)
    with torch.set_grad_enabled(learning):
        told = network(X_BD)
    for task, found in enumerate(told):
        gate_BE = torch.softmax(X_BD @ network.gates[task].weight.T, dim=1)
        expected = sum(gate_BE[:, e, None] * plain_expert(network.experts, e, X_BD) for e in range(3))
        assert torch.allclose(found, expected, atol=1e-6)


def test_ple_of_two_levels_agrees_with_the_plain_definition():
    network = PLE(2, 5, (4,), num_experts=1, num_own=2, num_levels=2)

    def outputs(experts, x_BD):
        return [plain_expert(experts, number, x_BD) for number in range(len(experts.weights[0]))]

    def gated(gate, x_BD, experts):
        weights = torch.softmax(x_BD @ gate.weight.T, dim=1)
        return sum(weights[:, place, None] * one for place, one in enumerate(experts))

    own = [outputs(network.own[0][task], X_BD) for task in range(2)]
    shared = outputs(network.shared[0], X_BD)
    tasks = [gated(network.gates[0][task], X_BD, own[task] + shared) for task in range(2)]
    middle = gated(network.shared_gates[0], X_BD, own[0] + own[1] + shared)
    last = outputs(network.shared[1], middle)
    for task, found in enumerate(network(X_BD)):
        mine = outputs(network.own[1][task], tasks[task])
        assert torch.allclose(found, gated(network.gates[1][task], tasks[task], mine + last), atol=1e-6)


def reached(network, task):
    """Parameters that a task's loss moves."""
    network.zero_grad(set_to_none=True)
    network(X_BD)[task].square().sum().backward()
    return {id(one) for one in network.parameters() if one.grad is not None}


@pytest.mark.parametrize("make", [Separate, SharedBottom, MMoE, PLE, lambda *a: PLE(*a, num_levels=1)])
def test_shared_parameters_are_those_that_more_than_one_task_moves(make):
    network = make(2, 5, (6, 4))
    shared = {id(one) for one in network.shared_parameters()}
    moved = reached(network, 0) & reached(network, 1)
    if make is Separate:  # towers lie in one array, where each task moves a slice of its own
        assert not shared
    else:
        assert moved == shared


def test_separate_towers_do_not_touch_each_other():
    network = Separate(2, 5, (4,))
    network(X_BD)[0].sum().backward()
    assert network.towers.weights[0].grad[0].abs().sum() > 0
    assert network.towers.weights[0].grad[1].abs().sum() == 0


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="experts need num_experts >= 1"):
        Experts(0, 5, (4,))
    with pytest.raises(ConfigError, match="num_levels of PLE must be >= 1, is 0"):
        PLE(2, 5, (4,), num_levels=0)
