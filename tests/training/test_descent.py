"""Gradients become updates as the named optimizers make them."""

import pytest
import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler

from kinema.errors import ConfigError
from kinema.training.descent import Descent

X, Y = torch.randn(16, 5, generator=torch.Generator().manual_seed(1)), torch.linspace(-1, 1, 16)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1))


def loss_of(net):
    return (net(X).squeeze(1) - Y).square().mean()


def trained(descent, net, steps=6):
    for _ in range(steps):
        descent.backward(loss_of(net))
        descent.step(1.0)
    return torch.cat([one.detach().flatten() for one in net.parameters()])


@pytest.mark.parametrize(
    ("name", "theirs", "more"),
    [
        ("adamw", lambda groups: torch.optim.AdamW(groups, lr=0.01), {"weight_decay": 0.1}),
        ("adam", lambda groups: torch.optim.Adam(groups, lr=0.01), {"l2": 0.1}),
        ("rmsprop", lambda groups: torch.optim.RMSprop(groups, lr=0.01, momentum=0.5), {"l2": 0.1, "momentum": 0.5}),
        ("sgd", lambda groups: torch.optim.SGD(groups, lr=0.01, momentum=0.5), {"l2": 0.1, "momentum": 0.5}),
    ],
)
def test_an_update_is_that_of_torch_with_decay_on_matrices_only(name, theirs, more):
    net, plain = network(), network()
    decayed = [one for one in plain.parameters() if one.dim() > 1]
    others = [one for one in plain.parameters() if one.dim() < 2]
    optimizer = theirs([{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}])
    for _ in range(6):
        optimizer.zero_grad()
        loss_of(plain).backward()
        optimizer.step()
    expected = torch.cat([one.detach().flatten() for one in plain.parameters()])
    torch.testing.assert_close(trained(Descent(net, optimizer=name, learning_rate=0.01, **more), net), expected)


def test_decoupled_decay_with_sgd_takes_away_a_share_of_the_weights():
    net = nn.Linear(2, 1, bias=False)
    before = net.weight.detach().clone()
    descent = Descent(net, optimizer="sgd", learning_rate=0.5, momentum=0.0, weight_decay=0.2)
    descent.backward((net.weight * torch.tensor([[1.0, 2.0]])).sum())
    descent.step(0.5)
    torch.testing.assert_close(net.weight.detach(), before * (1 - 0.25 * 0.2) - 0.25 * torch.tensor([[1.0, 2.0]]))


def test_parts_of_a_network_have_step_sizes_of_their_own_and_the_longest_beginning_counts():
    net = network()
    before = {name: one.detach().clone() for name, one in net.named_parameters()}
    descent = Descent(net, optimizer="sgd", learning_rate=1.0, momentum=0.0, rate_factors={"0": 0.1, "0.bias": 0.01})
    loss = loss_of(net)
    gradients = dict(zip(before, torch.autograd.grad(loss, list(net.parameters()), retain_graph=True), strict=True))
    descent.backward(loss)
    descent.step(1.0)
    factors = {"0.weight": 0.1, "0.bias": 0.01, "2.weight": 1.0, "2.bias": 1.0}
    for name, one in net.named_parameters():
        torch.testing.assert_close(one.detach(), before[name] - factors[name] * gradients[name])


def test_long_gradients_are_shortened_and_their_length_is_told():
    net = nn.Linear(2, 1, bias=False)
    before = net.weight.detach().clone()
    descent = Descent(net, optimizer="sgd", learning_rate=1.0, momentum=0.0, clip_norm=1.0)
    descent.backward((net.weight * torch.tensor([[3.0, 4.0]])).sum())
    assert descent.step(1.0) == pytest.approx(5.0)
    torch.testing.assert_close(net.weight.detach(), before - torch.tensor([[0.6, 0.8]]))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_sparse_tables_are_updated_by_row(optimizer):
    torch.manual_seed(0)
    table = nn.Embedding(6, 2, sparse=True)
    before = table.weight.detach().clone()
    descent = Descent(table, optimizer=optimizer, learning_rate=0.1, clip_norm=0.1)
    for _ in range(2):
        descent.backward(table(torch.tensor([1, 1, 4])).square().sum())
        assert descent.step(1.0) > 0
    moved = (table.weight.detach() != before).any(dim=1)
    assert moved.tolist() == [False, True, False, False, True, False]
    state = descent.state()
    descent.load_state(state)
    assert all(torch.equal(one, state[name]) for name, one in descent.state().items())


def test_a_row_wise_table_moves_as_a_dense_one_where_every_row_is_touched():
    results = []
    for sparse in (False, True):
        torch.manual_seed(0)
        table = nn.Embedding(4, 2, sparse=sparse)
        descent = Descent(table, optimizer="adamw", learning_rate=0.1)
        for _ in range(3):
            descent.backward(table(torch.arange(4)).square().sum())
            descent.step(1.0)
        results.append(table.weight.detach())
    torch.testing.assert_close(*results)


def test_fp16_that_overflows_leaves_the_weights_and_scales_less():
    net = network()
    scaler = GradScaler("cpu", init_scale=2.0**127)
    descent = Descent(net, learning_rate=0.01, scaler=scaler)
    before = [one.detach().clone() for one in net.parameters()]
    descent.backward(loss_of(net) * 1e3)
    assert descent.step(1.0) is None
    assert all(torch.equal(*pair) for pair in zip(before, net.parameters(), strict=True))
    assert scaler.get_scale() == 2.0**126
    plain = network()
    fitting = Descent(net, learning_rate=0.01, scaler=GradScaler("cpu", init_scale=8.0))
    torch.testing.assert_close(trained(fitting, net), trained(Descent(plain, learning_rate=0.01), plain))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop", "sgd"])
def test_a_state_put_back_goes_on_to_the_bit(optimizer, scaled):
    nets = [network(), network()]
    descents = [
        Descent(net, optimizer=optimizer, learning_rate=0.01, scaler=GradScaler("cpu") if scaled else None)
        for net in nets
    ]
    trained(descents[0], nets[0], 3)
    nets[1].load_state_dict(nets[0].state_dict())
    descents[1].load_state({name: one.clone() for name, one in descents[0].state().items()})
    assert torch.equal(*(trained(descent, net, 3) for descent, net in zip(descents, nets, strict=True)))


def test_a_network_of_which_nothing_learns_is_refused():
    with pytest.raises(ConfigError, match="must have a parameter that learns, this has none; unfreeze some"):
        Descent(network().requires_grad_(requires_grad=False))


def test_a_beginning_that_fits_no_name_is_refused():
    with pytest.raises(ConfigError, match="'encoder' begins none; the network has: 0, 2"):
        Descent(network(), rate_factors={"encoder": 0.1})


def test_rmsprop_has_no_row_wise_form():
    with pytest.raises(ConfigError, match="must be adamw, adam or sgd for tables with sparse gradients, is rmsprop"):
        Descent(nn.Embedding(3, 2, sparse=True), optimizer="rmsprop")
